// Runs independent tasks on short-lived threads while the calling thread watches for Ctrl-C.
#include "cpu/runtime/parallel.hpp"

#include <sched.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace kernalign {
namespace {

std::atomic<int> chosen_threads{0}, most_threads{std::numeric_limits<int>::max()};
constexpr double kThreadWork = 1 << 22;  // some 0.1 ms; a thread costs 0.03 ms to start

// Joins on every way out, a forced unwind at interpreter exit included.
struct JoiningThreads {
    std::atomic<bool>& stop;
    std::vector<std::thread> threads;
    ~JoiningThreads() {
        stop.store(true);
        join();
    }
    void join() {
        for (std::thread& thread : threads)
            if (thread.joinable()) thread.join();
    }
};

}  // namespace

void set_threads(int chosen, int most) {
    chosen_threads.store(chosen);
    most_threads.store(most);
}

int resolve_threads(int requested) {
    if (requested > 0) return requested;
    if (const int chosen = chosen_threads.load(); chosen > 0) return chosen;
    cpu_set_t set;
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    const int cores = known ? CPU_COUNT(&set) : int(std::thread::hardware_concurrency());
    return std::max(1, std::min(cores, most_threads.load()));
}

int resolve_threads(int requested, double work) {
    if (requested > 0) return requested;
    return work < 2 * kThreadWork ? 1 : int(std::min<double>(resolve_threads(0), work / kThreadWork));
}

void parallel_for(std::int64_t tasks, int threads, Progress& progress,
                  const std::function<void(std::int64_t, int)>& body) {
    std::atomic<std::int64_t> next{0};
    std::atomic<bool> stop{false};
    std::exception_ptr error;
    std::int64_t failed = tasks;  // the lowest task that threw: the same one for any number of threads
    std::mutex error_mutex;

    const auto run_one = [&](int worker) {
        const std::int64_t task = next.fetch_add(1);
        if (task >= tasks || stop.load()) return false;
        try {
            body(task, worker);
        } catch (const std::exception&) {  // an exception must never leave a worker thread
            stop.store(true);
            const std::lock_guard<std::mutex> lock(error_mutex);
            if (task < failed) {
                failed = task;
                error = std::current_exception();
            }
            return false;
        }
        progress.add(1);
        return true;
    };

    {
        JoiningThreads workers{stop, {}};
        const int extra = int(std::min<std::int64_t>(threads, tasks)) - 1;
        workers.threads.reserve(std::size_t(std::max(0, extra)));
        try {
            for (int worker = 1; worker <= extra; ++worker)
                workers.threads.emplace_back([&run_one, worker] {
                    while (run_one(worker)) {
                    }
                });
        } catch (const std::system_error&) {  // the system has no more threads: those that there are do the work
        }
        while (run_one(0)) progress.poll();  // may throw: the workers stop and are joined by the destructor
        workers.join();
    }
    if (error) std::rethrow_exception(error);
    progress.poll();
}

}  // namespace kernalign
