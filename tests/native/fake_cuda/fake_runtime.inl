// What cuda_runtime.h declares, for the test that includes this.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

struct FakeStream {
    int device;
};

namespace fake_cuda {
namespace {

struct State {
    std::mutex mutex;
    int left = -1, calls = 0, streams = 0, misplaced = 0;
    std::set<int> contexts;
    std::map<void*, int> memory;  // whose device
};
State& state() {
    static State one;
    return one;
}
thread_local std::vector<int> stack;  // of devices whose contexts are current; empty: none is
thread_local cudaError_t last = cudaSuccess;

int current() { return stack.empty() ? 0 : stack.back(); }
// What a call does that needs a context: where there is none, it makes that of device 0.
void need_context() {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    if (stack.empty()) stack.push_back(0);
    s.contexts.insert(current());
}

// Whether this call is the one that fails.
bool fails(int device) {
    if (device >= 0) need_context();
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.misplaced += device >= 0 && device != current();
    return s.calls++ == s.left;
}
cudaError_t said(bool failed) {
    return last = failed ? cudaErrorUnknown : last, failed ? cudaErrorUnknown : cudaSuccess;
}

int device_of(int* number, int device) { return *number = device, int(fails(-1)); }
int retain(void** context, int device) {
    if (fails(-1)) return 1;
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.contexts.insert(device);
    *context = reinterpret_cast<void*>(std::intptr_t(device) + 1);
    return 0;
}
int push(void* context) {
    if (fails(-1)) return 1;
    stack.push_back(int(reinterpret_cast<std::intptr_t>(context)) - 1);
    return 0;
}
int pop(void**) { return stack.pop_back(), 0; }

}  // namespace

void fail_at(int call) {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.left = call;
    s.calls = 0;
}
int calls() { return state().calls; }
int live() { return state().streams + int(state().memory.size()); }
int misplaced() { return state().misplaced; }
bool used(int device) {
    const std::lock_guard<std::mutex> lock(state().mutex);
    return state().contexts.count(device) > 0;
}
void make_current(int device) {
    stack.clear();
    if (device >= 0) stack.push_back(device);
}

}  // namespace fake_cuda

const char* cudaGetErrorString(cudaError_t) { return "fake"; }
cudaError_t cudaGetLastError() { return std::exchange(fake_cuda::last, cudaSuccess); }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 2, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = fake_cuda::current(), cudaSuccess; }
cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
    const std::string wanted = name;
    *function = wanted == "cuDeviceGet"                ? reinterpret_cast<void*>(&fake_cuda::device_of)
                : wanted == "cuDevicePrimaryCtxRetain" ? reinterpret_cast<void*>(&fake_cuda::retain)
                : wanted == "cuCtxPushCurrent"         ? reinterpret_cast<void*>(&fake_cuda::push)
                : wanted == "cuCtxPopCurrent"          ? reinterpret_cast<void*>(&fake_cuda::pop)
                                                       : nullptr;
    *found = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return fake_cuda::said(fake_cuda::fails(-1));
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {"fake", 8, 9, 4, 2};
    return fake_cuda::said(fake_cuda::fails(-1));
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrMultiProcessorCount ? 4 : 64;
    return fake_cuda::said(fake_cuda::fails(-1));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    fake_cuda::need_context();
    return *free = 1, *total = 2, cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    fake_cuda::need_context();
    if (fake_cuda::fails(-1)) return fake_cuda::said(true);
    *stream = new FakeStream{fake_cuda::current()};
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    ++fake_cuda::state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    fake_cuda::need_context();
    delete stream;
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    --fake_cuda::state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return fake_cuda::said(fake_cuda::fails(stream->device)); }
cudaError_t cudaStreamQuery(cudaStream_t stream) { return fake_cuda::said(fake_cuda::fails(stream->device)); }
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
    if (fake_cuda::fails(stream->device)) return fake_cuda::last = cudaErrorMemoryAllocation;
    *memory = std::malloc(bytes);
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    fake_cuda::state().memory[*memory] = stream->device;
    return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
    fake_cuda::need_context();
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    fake_cuda::state().memory.erase(memory);
    std::free(memory);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
    if (fake_cuda::fails(stream->device)) return fake_cuda::said(true);
    std::memset(at, value, bytes);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
    if (fake_cuda::fails(stream->device)) return fake_cuda::said(true);
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}
