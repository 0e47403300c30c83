// Protects the worker threads: every task once, the first exception out, a stop at once, and no thread left behind.
#include "cpu/runtime/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "error.hpp"

using namespace kernalign;

namespace {

// Waits up to ten seconds for the threads of this process to be `expected` many: a joined one may stay listed for a
// moment.
std::ptrdiff_t live_threads(std::ptrdiff_t expected) {
    std::ptrdiff_t count = 0;
    for (int attempt = 0; attempt < 1000; ++attempt) {
        count = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
        if (count == expected) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return count;
}

// A sanitizer keeps one thread of its own from the first thread on.
bool no_thread_left() {
    static const std::ptrdiff_t at_rest = [] {
        std::thread([] {}).join();
        return live_threads(1);
    }();
    return live_threads(at_rest) == at_rest;
}

struct StopAfter : Monitor {
    int polls_left;
    std::thread::id caller = std::this_thread::get_id();
    explicit StopAfter(int polls) : polls_left(polls) {}
    void poll(std::int64_t, std::int64_t) override {
        CHECK(std::this_thread::get_id() == caller);
        if (--polls_left <= 0) throw Stopped();
    }
};

struct Recorder : Monitor {
    std::vector<std::int64_t> seen;
    std::int64_t total = 0;
    void poll(std::int64_t done, std::int64_t all) override {
        seen.push_back(done);
        total = all;
    }
};

}  // namespace

TEST(every_task_runs_exactly_once) {
    CHECK(no_thread_left());
    for (const int threads : {1, 2, 3, 8})
        for (const std::int64_t tasks : {0, 1, 2, 7, 1000}) {
            std::vector<int> runs(std::size_t(tasks), 0);  // each element is written by one task only
            Progress progress(nullptr, tasks);
            parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
                if (worker < 0 || worker >= threads) throw std::logic_error("worker out of range");
                ++runs[std::size_t(task)];
            });
            CHECK(std::all_of(runs.begin(), runs.end(), [](int r) { return r == 1; }));
        }
    CHECK(no_thread_left());
}

TEST(the_caller_is_worker_zero_and_sees_progress_grow_to_the_total) {
    Recorder recorder;
    Progress progress(&recorder, 100);
    const auto caller = std::this_thread::get_id();
    std::atomic<int> wrong{0};
    parallel_for(100, 2, progress,
                 [&](std::int64_t, int worker) { wrong += (std::this_thread::get_id() == caller) != (worker == 0); });
    CHECK(wrong == 0);
    CHECK(recorder.total == 100);
    CHECK(std::is_sorted(recorder.seen.begin(), recorder.seen.end()));
    CHECK(!recorder.seen.empty() && recorder.seen.back() == 100);
}

TEST(an_exception_in_any_worker_reaches_the_caller) {
    for (const int threads : {1, 2, 4})
        for (int repeat = 0; repeat < 20; ++repeat) {
            std::atomic<int> started{0};
            Progress progress(nullptr, 100000);
            const auto body = [&](std::int64_t task, int) {
                ++started;
                if (task == 13) throw std::invalid_argument("task 13 is bad");
            };
            CHECK_THROWS(parallel_for(100000, threads, progress, body), std::invalid_argument, "task 13 is bad");
            if (threads == 1) CHECK(started == 14);
        }
    CHECK(no_thread_left());
}

TEST(exceptions_in_all_workers_at_once_give_one) {
    Progress progress(nullptr, 64);
    const auto body = [](std::int64_t, int) { throw std::runtime_error("all bad"); };
    CHECK_THROWS(parallel_for(64, 8, progress, body), std::runtime_error, "all bad");
    CHECK(no_thread_left());
}

TEST(the_monitor_stops_the_work_and_joins_the_threads) {
    for (const int threads : {1, 2, 4}) {
        StopAfter monitor(3);
        Progress progress(&monitor, 1000000);
        std::atomic<std::int64_t> finished{0};
        const auto body = [&](std::int64_t, int) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
            ++finished;
        };
        CHECK_THROWS(parallel_for(1000000, threads, progress, body), Stopped, "stopped by the caller");
        CHECK(finished < 100000);
        CHECK(no_thread_left());
    }
}

TEST(many_callers_may_run_at_once) {
    std::vector<std::int64_t> sums(4, 0);
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < sums.size(); ++caller)
        callers.emplace_back([&, caller] {
            std::atomic<std::int64_t> sum{0};
            Progress progress(nullptr, 1000);
            parallel_for(1000, 2, progress, [&](std::int64_t task, int) { sum += task; });
            sums[caller] = sum;
        });
    for (std::thread& caller : callers) caller.join();
    for (const std::int64_t sum : sums) CHECK(sum == 499500);
    CHECK(no_thread_left());
}

TEST(zero_threads_means_what_this_process_may_use) {
    CHECK(resolve_threads(3) == 3);
    CHECK(resolve_threads(0) >= 1);
    CHECK(resolve_threads(3, 1.0) == 3);
    CHECK(resolve_threads(0, 1e6) == 1);
    CHECK(resolve_threads(0, 1e18) == resolve_threads(0));
}
