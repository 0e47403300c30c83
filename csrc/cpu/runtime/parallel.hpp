// Runs independent tasks on short-lived threads while the calling thread watches for Ctrl-C.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "monitor.hpp"

namespace kernalign {

// Units of work of one engine call, which may run several parallel_for in a row.
class Progress {
  public:
    Progress(Monitor* monitor, std::int64_t total) : monitor_(monitor), total_(total) {}
    void add(std::int64_t units) { done_.fetch_add(units, std::memory_order_relaxed); }
    void poll() {
        if (monitor_) monitor_->poll(done_.load(std::memory_order_relaxed), total_);
    }

  private:
    Monitor* monitor_;
    std::int64_t total_;
    std::atomic<std::int64_t> done_{0};
};

// How many threads a request of 0 gets: the chosen number or, of 0, the cores of this process, at most so many.
void set_threads(int chosen, int most);

// Number of threads for a request: a positive number as given, 0 as set above, of which some are
// left alone if there is so little work, in multiply-adds, that starting them would take longer.
int resolve_threads(int requested);
int resolve_threads(int requested, double work);

// body(task, worker) for task in [0, tasks), in increasing order of start; worker in [0, threads) names scratch space.
// The calling thread is worker 0 and polls after each of its tasks. An exception stops the rest; that of the lowest
// task is rethrown here after every thread has been joined. Each finished task adds one unit to progress.
void parallel_for(std::int64_t tasks, int threads, Progress& progress,
                  const std::function<void(std::int64_t task, int worker)>& body);

}  // namespace kernalign
