// Keeps the contract of devices with the CUDA runtime, which is linked statically and finds the driver when it is used.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "cuda/current_device.hpp"
#include "cuda/device.hpp"

namespace kernalign::cuda {
namespace {

std::string words(cudaError_t status) { return cudaGetErrorString(status); }

void check(cudaError_t status, int device, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // else the next call would report it again
    throw std::runtime_error("CUDA device " + std::to_string(device) + " " + what + ": " + words(status));
}

// Of the driver, which is not linked.
struct Contexts {
    using Context = void*;
    int (*device_of)(int*, int) = nullptr;
    int (*retain)(Context*, int) = nullptr;
    int (*push)(Context) = nullptr;
    int (*pop)(Context*) = nullptr;
    std::mutex mutex;
    std::map<int, Context> retained;  // to the end of the process, as the runtime does

    static Contexts& of_all() {
        static Contexts* one = new Contexts;  // never destroyed: threads may outlive it
        return *one;
    }
    Context primary(int device) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!pop) {
            find("cuDeviceGet", device_of, device);
            find("cuDevicePrimaryCtxRetain", retain, device);
            find("cuCtxPushCurrent", push, device);
            find("cuCtxPopCurrent", pop, device);
        }
        Context& context = retained[device];
        int number = 0;
        if (!context && (device_of(&number, device) != 0 || retain(&context, number) != 0))
            check(cudaErrorDevicesUnavailable, device, "cannot be used");
        return context;
    }

  private:
    template <class F>
    static void find(const char* name, F& function, int device) {
        constexpr unsigned kVersion = 12000;  // of the interface that is called
        cudaDriverEntryPointQueryResult found{};
        void* at = nullptr;
        check(cudaGetDriverEntryPointByVersion(name, &at, kVersion, cudaEnableDefault, &found), device,
              "cannot be used");
        if (found != cudaDriverEntryPointSuccess) check(cudaErrorDevicesUnavailable, device, "cannot be used");
        function = reinterpret_cast<F>(at);
    }
};

}  // namespace

CurrentDevice::CurrentDevice(int device) { push(device); }

CurrentDevice::CurrentDevice(int device, std::nothrow_t) noexcept {
    try {
        push(device);
    } catch (const std::exception&) {  // nobody can use it any more
    }
}

void CurrentDevice::push(int device) {
    int before = 0;
    if (cudaGetDevice(&before) == cudaSuccess && before == device) return;
    Contexts& contexts = Contexts::of_all();
    void* context = contexts.primary(device);
    if (contexts.push(context) != 0) check(cudaErrorDevicesUnavailable, device, "cannot be used");
    pushed_ = true;
}

CurrentDevice::~CurrentDevice() {
    void* context = nullptr;
    if (pushed_) Contexts::of_all().pop(&context);
}

struct Queue::State {
    cudaStream_t stream = nullptr;
};

int device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();
    return 0;
}

std::string why_not() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (status != cudaSuccess) return driver().empty() ? "no CUDA driver was found" : words(status);
    return count == 0 ? "the driver sees no device" : "";
}

std::string driver() {
    int version = 0;
    if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) return {};
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string architectures() { return KERNALIGN_CUDA_ARCHITECTURES; }

int floats_per_double(int device) {
    int ratio = 0;
    check(cudaDeviceGetAttribute(&ratio, cudaDevAttrSingleToDoublePrecisionPerfRatio, device), device,
          "cannot be asked what it is");
    return ratio;
}

DeviceFacts device_facts(int device) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), device, "cannot be asked what it is");
    return {properties.name, properties.major, properties.minor, properties.multiProcessorCount,
            properties.totalGlobalMem};
}

std::size_t free_memory(int device) {
    const CurrentDevice current(device);
    std::size_t free = 0, all = 0;
    check(cudaMemGetInfo(&free, &all), device, "cannot be asked for its memory");
    return free;
}

Queue::Queue(int device) : device_(device), state_(std::make_unique<State>()) {
    const int count = device_count();
    if (device < 0 || device >= count)
        throw std::runtime_error("there is no CUDA device " + std::to_string(device) +
                                 (count == 0 ? ": " + why_not() : ", only " + std::to_string(count)));
    const CurrentDevice current(device);
    check(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device), device, "cannot be used");
    work_ = work_of(processors_, floats_per_double(device));
    check(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking), device, "cannot be used");
}

Queue::~Queue() {
    const CurrentDevice current(device_, std::nothrow);
    cudaStreamSynchronize(state_->stream);
    cudaStreamDestroy(state_->stream);
    cudaGetLastError();
}

std::intptr_t Queue::stream() const { return reinterpret_cast<std::intptr_t>(state_->stream); }

void* Queue::allocate(std::size_t bytes) {
    const CurrentDevice current(device_);
    void* at = nullptr;
    const cudaError_t status = cudaMallocAsync(&at, std::max<std::size_t>(bytes, 1), state_->stream);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw OutOfMemory(device_, bytes, free_memory(device_));
    }
    check(status, device_, "gave no memory");
    return at;
}

void Queue::release(void* memory) noexcept {
    const CurrentDevice current(device_, std::nothrow);
    cudaFreeAsync(memory, state_->stream);
    cudaGetLastError();
}

void Queue::clear(void* at, std::size_t bytes) {
    const CurrentDevice current(device_);
    check(cudaMemsetAsync(at, 0, bytes, state_->stream), device_, "failed");
}

void Queue::upload(void* to, const void* from, std::size_t bytes) {
    const CurrentDevice current(device_);
    // Some devices read pageable memory where it is, later: the caller's may be gone by then.
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, state_->stream), device_, "failed");
    check(cudaStreamSynchronize(state_->stream), device_, "failed");
}

void Queue::download(void* to, const void* from, std::size_t bytes) {
    const CurrentDevice current(device_);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, state_->stream), device_, "failed");
    check(cudaStreamSynchronize(state_->stream), device_, "failed");
}

void Queue::wait(Monitor* monitor, std::int64_t done, std::int64_t total) {
    auto pause = std::chrono::microseconds(5);
    for (;;) {
        cudaError_t status = cudaSuccess;
        {  // whoever polls may run what he likes, on whichever device was current before
            const CurrentDevice current(device_);
            status = cudaStreamQuery(state_->stream);
        }
        if (status == cudaSuccess) break;
        if (status != cudaErrorNotReady) check(status, device_, "failed");
        if (monitor) monitor->poll(done, total);
        std::this_thread::sleep_for(pause);
        pause = std::min(2 * pause, std::chrono::microseconds(1000));
    }
    if (monitor) monitor->poll(done, total);
}

}  // namespace kernalign::cuda
