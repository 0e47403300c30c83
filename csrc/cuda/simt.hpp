// Kernels as phases of a block of threads: nvcc runs them on a device, any C++ compiler runs the same text on the CPU.
//
// A kernel is a struct with kThreads, Shared and operator()(Block<Shared>). What its threads share, and what it writes
// in global memory (Written), can be reached in phases only: block.each runs f(thread, shared) for every thread, and
// all have met when it returns. So a barrier that only some threads reach, or a missing one, cannot be written.
// Between phases every thread has the same values; what is to differ from thread to thread is Own.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define KERNALIGN_KERNEL __device__ __forceinline__
#else
#define KERNALIGN_KERNEL inline
#endif

namespace kernalign::cuda {

template <class Shared>
class Block;

// One thread of a block, which only Block makes.
class Thread {
  public:
    KERNALIGN_KERNEL operator int() const { return at_; }  // NOLINT(google-explicit-constructor): an index

  private:
    template <class Shared>
    friend class Block;
    KERNALIGN_KERNEL explicit Thread(int at) : at_(at) {}
    int at_;
};

// Global memory that a kernel writes.
template <class T>
class Written {
  public:
    Written() = default;
    explicit Written(T* at) : at_(at) {}
    KERNALIGN_KERNEL T* of(const Thread&) const { return at_; }

  private:
    T* at_ = nullptr;
};

#ifdef __CUDACC__

template <class Shared>
class Block {
  public:
    KERNALIGN_KERNEL explicit Block(Shared& shared) : shared_(shared) {}
    KERNALIGN_KERNEL std::int64_t index() const { return blockIdx.x; }
    template <class F>
    KERNALIGN_KERNEL void each(const F& f) const {
        f(Thread(int(threadIdx.x)), shared_);
        __syncthreads();
    }
    // The same for all threads: what f makes of the shared memory before any thread goes on.
    template <class F>
    KERNALIGN_KERNEL auto read(const F& f) const {
        const auto value = f(static_cast<const Shared&>(shared_));
        __syncthreads();
        return value;
    }

  private:
    Shared& shared_;
};

// What a thread keeps from one phase to the next, in registers.
template <class T, int kThreads>
class Own {
  public:
    KERNALIGN_KERNEL T& operator[](const Thread&) { return value_; }

  private:
    T value_;
};

KERNALIGN_KERNEL int fetch_add(int* at, int by) { return atomicAdd(at, by); }

template <class K>
__global__ void __launch_bounds__(K::kThreads, 1) entry(const K kernel) {
    extern __shared__ __align__(16) unsigned char raw[];
    kernel(Block<typename K::Shared>(*reinterpret_cast<typename K::Shared*>(raw)));
}

#else

// Runs f for the threads of a block in the order that the simulation is set to (device_sim.cpp); on return all ran.
struct ThreadOrder {
    virtual ~ThreadOrder() = default;
    virtual void run(int threads, const void* f, void (*call)(const void* f, int thread)) = 0;
};

template <class Shared>
class Block {
  public:
    Block(Shared& shared, std::int64_t index, int threads, ThreadOrder& order)
        : shared_(shared), index_(index), threads_(threads), order_(order) {}
    std::int64_t index() const { return index_; }
    template <class F>
    void each(const F& f) const {
        const auto one = [&](int thread) { f(Thread(thread), shared_); };
        order_.run(threads_, &one, [](const void* g, int thread) { (*static_cast<decltype(one)*>(g))(thread); });
    }
    template <class F>
    auto read(const F& f) const {
        return f(static_cast<const Shared&>(shared_));
    }

  private:
    Shared& shared_;
    std::int64_t index_;
    int threads_;
    ThreadOrder& order_;
};

template <class T, int kThreads>
class Own {
  public:
    T& operator[](const Thread& thread) { return value_[thread]; }

  private:
    T value_[kThreads];
};

inline int fetch_add(int* at, int by) { return __atomic_fetch_add(at, by, __ATOMIC_RELAXED); }

#endif

}  // namespace kernalign::cuda
