// Runs work that cannot be stopped on a thread of its own, so that whoever waits for it can be.
#pragma once

#include <functional>

#include "monitor.hpp"

namespace kernalign {

// task() on another thread while this one polls; here and at once if `work`, in multiply-adds, is over in milliseconds.
// If the monitor throws, the task goes on by itself: it must own what it touches.
void apart(double work, Monitor* monitor, std::function<void()> task);

}  // namespace kernalign
