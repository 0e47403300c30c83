// Lets a process end well while calls are still running on threads that nobody waits for.
#pragma once

namespace kernalign {

// A call in progress: a process that exits waits a moment for those of daemon threads to end.
struct InCall {
    InCall();
    ~InCall();
    [[noreturn]] void stay();  // ends the call, but not its thread: that the process takes along
    InCall(const InCall&) = delete;
    InCall& operator=(const InCall&) = delete;
};

// Work that cannot be stopped. At exit the BLAS takes its memory back, under the hands of whoever still computes:
// where there is such work, or a call that was not unwound, the process ends before that, with the status that it was
// to end with and without the handlers that were to run after ours (those of libraries loaded earlier).
struct Unstoppable {
    Unstoppable();
    ~Unstoppable();
    Unstoppable(const Unstoppable&) = delete;
    Unstoppable& operator=(const Unstoppable&) = delete;
};

}  // namespace kernalign
