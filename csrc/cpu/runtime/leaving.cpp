// Lets a process end well while calls are still running on threads that nobody waits for.
#include "cpu/runtime/leaving.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace kernalign {
namespace {

std::atomic<int> calls{0}, unstoppable{0};

void leave(int status) {
    for (int wait = 0; calls > 0 && wait < 50; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (calls == 0 && unstoppable == 0) return;
    std::fflush(stdout);
    _exit(status);
}

// In a forked child there are no such threads.
[[maybe_unused]] const int forgotten = pthread_atfork(nullptr, nullptr, [] { calls = unstoppable = 0; });

// Registered when the library is loaded, so as to run after what is registered later.
[[maybe_unused]] const int registered = on_exit([](int status, void*) { leave(status); }, nullptr);

}  // namespace

InCall::InCall() { ++calls; }
InCall::~InCall() { --calls; }
void InCall::stay() {
    --calls;
    for (;;) pause();
}
Unstoppable::Unstoppable() { ++unstoppable; }
Unstoppable::~Unstoppable() { --unstoppable; }

}  // namespace kernalign
