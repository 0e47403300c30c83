// Defines how a kernel is started, for the files that hold kernels: with nvcc on a device, else on the CPU.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

#include "cuda/device.hpp"
#include "cuda/simt.hpp"
#ifdef __CUDACC__
#include <cuda_runtime.h>

#include "cuda/current_device.hpp"
#else
#include <memory>

#include "cuda/simulation.hpp"
#endif

namespace kernalign::cuda {

constexpr std::size_t kMostShared = 227 * 1024;

#ifdef __CUDACC__

template <class K>
void launch(Queue& queue, std::int64_t blocks, const K& kernel) {
    constexpr std::size_t kShared = sizeof(typename K::Shared), kUsual = 48 * 1024;
    static_assert(kShared <= kMostShared, "no device has that much shared memory");
    const CurrentDevice current(queue.device());
    cudaError_t status = cudaSuccess;
    if (kShared > kUsual)
        status = cudaFuncSetAttribute(entry<K>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(kShared));
    if (status == cudaSuccess) {
        entry<K><<<unsigned(blocks), K::kThreads, kShared, reinterpret_cast<cudaStream_t>(queue.stream())>>>(kernel);
        status = cudaPeekAtLastError();
    }
    cudaGetLastError();  // else the next call would report it again
    if (status != cudaSuccess)
        throw std::runtime_error("CUDA device " + std::to_string(queue.device()) +
                                 " did not start a kernel: " + cudaGetErrorString(status));
}

#else

template <class K>
void launch(Queue& queue, std::int64_t blocks, const K& kernel) {
    static_assert(sizeof(typename K::Shared) <= kMostShared, "no device has that much shared memory");
    simulation::begin_launch(queue.device(), blocks);
    simulation::later(queue, [kernel, blocks] {
        simulation::run_blocks(blocks, [&](std::int64_t block, ThreadOrder& order) {
            using Shared = typename K::Shared;
            const std::unique_ptr<unsigned char[]> raw(new unsigned char[sizeof(Shared)]);
            std::fill_n(raw.get(), sizeof(Shared), static_cast<unsigned char>(0xff));  // a device does not clear it
            kernel(Block<Shared>(*reinterpret_cast<Shared*>(raw.get()), block, K::kThreads, order));
        });
    });
}

#endif

}  // namespace kernalign::cuda
