// Runs work that cannot be stopped on a thread of its own, so that whoever waits for it can be.
#include "cpu/runtime/apart.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "cpu/runtime/leaving.hpp"

namespace kernalign {
namespace {

constexpr double kShort = 1 << 26;  // some 5 ms
constexpr std::chrono::milliseconds kStep{20};

struct Apart {
    std::function<void()> task;
    std::mutex mutex;
    std::condition_variable ended;
    bool over = false;
    std::exception_ptr error;

    void run() {
        const Unstoppable here;
        std::exception_ptr thrown;
        try {
            task();
        } catch (const std::exception&) {
            thrown = std::current_exception();
        }
        const std::lock_guard<std::mutex> lock(mutex);
        error = thrown;
        over = true;
        ended.notify_all();
    }
};

}  // namespace

void apart(double work, Monitor* monitor, std::function<void()> task) {
    if (!monitor || work < kShort) return task();
    const auto shared = std::make_shared<Apart>();
    shared->task = std::move(task);
    try {
        std::thread([shared] { shared->run(); }).detach();
    } catch (const std::system_error&) {  // no thread to be had: the work is done all the same
        return shared->task();
    }
    std::unique_lock<std::mutex> lock(shared->mutex);
    while (!shared->ended.wait_for(lock, kStep, [&] { return shared->over; })) {
        lock.unlock();
        monitor->poll(0, 0);
        lock.lock();
    }
    if (shared->error) std::rethrow_exception(shared->error);
}

}  // namespace kernalign
