// What cuda_runtime.h declares, for the test that includes this.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda_runtime.h"

struct FakeStream {
    int device;
};

namespace fake_cuda {
namespace {

struct State {
    std::mutex mutex;
    int left = -1, calls = 0, streams = 0, misplaced = 0;
    std::map<void*, int> memory;  // whose device
};
State& state() {
    static State one;
    return one;
}
thread_local int current = 0;

// Whether this call is the one that fails.
bool fails(int device) {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.misplaced += device >= 0 && device != current;
    return s.calls++ == s.left;
}
cudaError_t said(bool failed) { return failed ? cudaErrorUnknown : cudaSuccess; }

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

}  // namespace fake_cuda

const char* cudaGetErrorString(cudaError_t) { return "fake"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 2, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = fake_cuda::current, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return fake_cuda::current = device, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {"fake", 8, 9, 4};
    return fake_cuda::said(fake_cuda::fails(-1));
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrMultiProcessorCount ? 4 : 64;
    return fake_cuda::said(fake_cuda::fails(-1));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) { return *free = 1, *total = 2, cudaSuccess; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    if (fake_cuda::fails(-1)) return cudaErrorUnknown;
    *stream = new FakeStream{fake_cuda::current};
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    ++fake_cuda::state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    --fake_cuda::state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return fake_cuda::said(fake_cuda::fails(-1)); }
cudaError_t cudaStreamQuery(cudaStream_t) { return fake_cuda::said(fake_cuda::fails(-1)); }
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
    if (fake_cuda::fails(stream->device)) return cudaErrorMemoryAllocation;
    *memory = std::malloc(bytes);
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    fake_cuda::state().memory[*memory] = stream->device;
    return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
    const std::lock_guard<std::mutex> lock(fake_cuda::state().mutex);
    fake_cuda::state().memory.erase(memory);
    std::free(memory);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t) {
    if (fake_cuda::fails(-1)) return cudaErrorUnknown;
    std::memset(at, value, bytes);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
    if (fake_cuda::fails(-1)) return cudaErrorUnknown;
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}
