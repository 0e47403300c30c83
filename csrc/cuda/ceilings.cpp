// Measures how fast a device copies its memory and multiplies matrices.
#include "cuda/ceilings.hpp"

#include <chrono>

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

}  // namespace

Ceilings measure_ceilings(int device, std::int64_t size) {
    Queue queue(device);
    Ceilings found;
    const double n = double(size), cube = n * n * n;
    Buffer<double> a(queue, size * size), b(queue, size * size);
    a.clear();
    b.clear();
    Widen<double> copy;
    copy.x = {a.get(), size, size, size, nullptr};
    copy.out = Written<double>(b.get());
    found.copied = 16 * n * n / seconds_of(queue, [&] { launch(queue, size, copy); });
    if (!has_products()) return found;
    Products products(queue);
    const Buffer<double> c(queue, size * size);
    found.doubles = 2 * cube / seconds_of(queue, [&] {
                        products.multiply(size, size, size, a.get(), size, b.get(), size, c.get(), size);
                    });
    found.squares = cube / seconds_of(queue, [&] { products.add_square(size, size, a.get(), b.get()); });
    Buffer<std::uint16_t> left(queue, size * size), right(queue, size * size);
    left.clear();
    right.clear();
    const Buffer<float> out(queue, size * size);
    found.halves = 2 * cube / seconds_of(queue, [&] {
                       products.multiply(size, size, size, left.get(), right.get(), out.get(), size);
                   });
    return found;
}

}  // namespace kernalign::cuda
