// Contract of long calls: how an engine tells its caller of progress, and is stopped by it.
#pragma once

#include <cstdint>

namespace kernalign {

// The caller's ear. poll() is only ever called by the thread that called the engine, between tasks, with the units of
// work done and the total (0: not worth reporting); it may throw to stop the work.
struct Monitor {
    virtual ~Monitor() = default;
    virtual void poll(std::int64_t done, std::int64_t total) = 0;
};

}  // namespace kernalign
