// Measures how fast a device copies its memory and multiplies matrices.
#include "cuda/ceilings.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "cuda/moment_kernels.hpp"
#include "cuda/products.hpp"

namespace kernalign::cuda {
namespace {

constexpr int kRepeats = 10;

// Seconds of one of several calls of f, after one that is not counted.
template <class F>
double seconds_of(Queue& queue, F&& f) {
    f();
    queue.wait(nullptr);
    const auto began = std::chrono::steady_clock::now();
    for (int repeat = 0; repeat < kRepeats; ++repeat) f();
    queue.wait(nullptr);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / kRepeats;
}

// Numbers that are no zeros, which some devices multiply sooner.
template <class T>
Buffer<T> some_numbers(Queue& queue, std::int64_t size) {
    Buffer<T> made(queue, size);
    std::vector<T> some(std::size_t(std::min<std::int64_t>(size, 1 << 20)));
    std::mt19937 random(0);
    for (T& one : some) one = sizeof(T) == 2 ? T(0x3800 + random() % 0x800) : T(double(random()) * 0x1p-32 - 0.5);
    for (std::int64_t at = 0; at < size; at += std::int64_t(some.size()))
        queue.upload(made.get() + at, some.data(),
                     std::size_t(std::min(std::int64_t(some.size()), size - at)) * sizeof(T));
    return made;
}

// Operations per second of products of two square matrices.
template <class T>
double products_of(Queue& queue, Products& products, std::int64_t n) {
    const Buffer<T> a = some_numbers<T>(queue, n * n), b = some_numbers<T>(queue, n * n);
    const double operations = 2 * double(n) * double(n) * double(n);
    if constexpr (sizeof(T) == 2) {
        const Buffer<float> c(queue, n * n);
        return operations / seconds_of(queue, [&] { products.multiply(n, n, n, a.get(), b.get(), c.get(), n); });
    } else {
        const Buffer<T> c(queue, n * n);
        return operations / seconds_of(queue, [&] { products.multiply(n, n, n, a.get(), n, b.get(), n, c.get(), n); });
    }
}

}  // namespace

Ceilings measure_ceilings(int device, std::int64_t size) {
    Queue queue(device);
    Ceilings found;
    const double n = double(size);
    const Buffer<double> from = some_numbers<double>(queue, size * size), to = some_numbers<double>(queue, size * size);
    Widen<double> copy;
    copy.x = {from.get(), size, size, size, nullptr};
    copy.out = Written<double>(to.get());
    found.copied = 16 * n * n / seconds_of(queue, [&] { launch(queue, size, copy); });
    if (!has_products()) return found;
    Products products(queue);
    found.doubles = products_of<double>(queue, products, size);
    found.squares = n * n * n / seconds_of(queue, [&] { products.add_square(size, size, from.get(), to.get()); });
    found.floats = products_of<float>(queue, products, size);
    found.halves = products_of<std::uint16_t>(queue, products, size);
    return found;
}

}  // namespace kernalign::cuda
