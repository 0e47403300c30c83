// Protects what is asked of CUDA's runtime and of cuBLAS, against both on the CPU: numbers, current devices, failures.
#include <dlfcn.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "cuda/current_device.hpp"
#include "cuda/device.hpp"
#include "cuda/products.hpp"
#include "data.hpp"
#include "fake_cuda/fake_runtime.inl"

using namespace kernalign;
using namespace kernalign::cuda;

namespace {

// A function of the library that stands for cuBLAS.
template <class F>
F* fake(const char* name) {
    static void* library = dlopen(KERNALIGN_FAKE_CUBLAS, RTLD_NOW | RTLD_LOCAL);
    return reinterpret_cast<F*>(dlsym(library, name));
}

template <class T>
std::vector<T> transposed(const std::vector<T>& x, std::int64_t rows, std::int64_t cols) {
    std::vector<T> out(x.size());
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; ++j) out[std::size_t(j * rows + i)] = x[std::size_t(i * cols + j)];
    return out;
}

double product(const float* a, const float* b, std::int64_t k) {
    double sum = 0;
    for (std::int64_t f = 0; f < k; ++f) sum += double(a[f]) * double(b[f]);
    return sum;
}

// Integers, whose products are exact: A B^T of rows that are longer than what is multiplied.
template <class T>
int wrong_products(Queue& queue, Products& products) {
    const std::int64_t m = 5, n = 7, k = 6, lda = 9, ldb = 8, ldc = 10;
    const check::Matrix<float> a = check::lattice(m, lda), b = check::lattice(n, ldb);
    const Buffer<T> left(queue, std::vector<T>(a.values.begin(), a.values.end())),
        right(queue, std::vector<T>(b.values.begin(), b.values.end())), out(queue, m * ldc);
    products.multiply(m, n, k, left.get(), lda, right.get(), ldb, out.get(), ldc);
    const std::vector<T> found = out.values();
    int wrong = 0;
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
            wrong += double(found[std::size_t(i * ldc + j)]) !=
                     product(a.values.data() + i * lda, b.values.data() + j * ldb, k);
    return wrong;
}

int wrong_squares(Queue& queue, Products& products) {
    const std::int64_t rows = 6, cols = 5;
    const check::Matrix<float> v = check::lattice(rows, cols);
    const std::vector<float> columns = transposed(v.values, rows, cols);
    const Buffer<float> narrow(queue, v.values), alone(queue, std::vector<float>(std::size_t(cols * cols), 3));
    const Buffer<double> wide(queue, std::vector<double>(v.values.begin(), v.values.end())),
        added(queue, std::vector<double>(std::size_t(cols * cols), 3));
    products.square(rows, cols, narrow.get(), alone.get());
    products.add_square(rows, cols, wide.get(), added.get());
    const std::vector<float> of_floats = alone.values();
    const std::vector<double> of_doubles = added.values();
    int wrong = 0;
    for (std::int64_t i = 0; i < cols; ++i)
        for (std::int64_t j = i; j < cols; ++j) {
            const double expected = product(columns.data() + i * rows, columns.data() + j * rows, rows);
            const auto at = std::size_t(i * cols + j);
            wrong += double(of_floats[at]) != expected || of_doubles[at] != 3 + expected;
        }
    return wrong;
}

int wrong_halves(Queue& queue, Products& products) {
    const std::int64_t m = 3, n = 4, k = 16, ldc = 8;
    const std::vector<std::uint16_t> codes{0x3c00, 0x4000, 0xbc00, 0x0000};  // 1, 2, -1, 0
    const float values[] = {1, 2, -1, 0};
    std::vector<std::uint16_t> a, b;
    std::vector<float> left, right;
    for (std::int64_t e = 0; e < n * k; ++e) {
        const std::size_t first = std::size_t(e * e % 7 % 4), second = std::size_t(e * e % 11 % 4);
        if (e < m * k) a.push_back(codes[first]), left.push_back(values[first]);
        b.push_back(codes[second]), right.push_back(values[second]);
    }
    const Buffer<std::uint16_t> rows(queue, a), others(queue, b);
    const Buffer<float> out(queue, m * ldc);
    products.multiply(m, n, k, rows.get(), others.get(), out.get(), ldc);
    const std::vector<float> found = out.values();
    int wrong = 0;
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
            wrong += double(found[std::size_t(i * ldc + j)]) != product(left.data() + i * k, right.data() + j * k, k);
    return wrong;
}

void all(int device) {
    Queue queue(device);
    Products products(queue);
    Products beside(queue);
    CHECK(wrong_products<float>(queue, products) == 0);
    CHECK(wrong_products<double>(queue, beside) == 0);
    CHECK(wrong_squares(queue, products) == 0);
    CHECK(wrong_halves(queue, products) == 0);
    queue.wait(nullptr);
    CHECK(device_facts(device).name == "fake");
    CHECK(free_memory(device) == 1);
}

}  // namespace

TEST(threads_may_look_for_cublas_while_another_finds_it) {
    std::vector<std::thread> threads;
    std::vector<int> found(4, 0);
    CHECK_THROWS(require_products(), std::runtime_error, "need cuBLAS, which was not found");
    for (int& one : found)
        threads.emplace_back([&one] {
            while (products_path().empty()) std::this_thread::yield();
            one = products_path().find("fake_cublas") != std::string::npos;
        });
    look_for_products({"/nowhere/libcublas.so", KERNALIGN_FAKE_CUBLAS});
    for (std::thread& one : threads) one.join();
    for (const int one : found) CHECK(one == 1);
}

TEST(a_device_that_nobody_used_has_no_context_when_another_one_was) {
    fake_cuda::fail_at(-1);
    for (int device = 0; device < 2; ++device) CHECK(device_facts(device).memory == 2);
    CHECK(!fake_cuda::used(0) && !fake_cuda::used(1));
    for (const int call : {0, 1, 2, 3, 4, 1, 2, 0}) {  // of those that are left when others were found
        fake_cuda::fail_at(call);
        CHECK_THROWS(CurrentDevice(1), std::runtime_error, "CUDA device 1 cannot be used");
        CHECK(cudaGetLastError() == cudaSuccess);
    }
    fake_cuda::fail_at(-1);
    all(1);
    CHECK(fake_cuda::used(1) && !fake_cuda::used(0));
}

TEST(products_are_those_that_are_asked_for_on_any_device_from_any_thread) {
    fake_cuda::fail_at(-1);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([t] {
            const int before = t % 2;
            fake_cuda::make_current(before);
            for (int repeat = 0; repeat < 20; ++repeat) all((t + repeat) % 2);
            int current = -1;
            cudaGetDevice(&current);
            CHECK(current == before);
        });
    for (std::thread& one : threads) one.join();
    CHECK(fake_cuda::live() == 0);
    CHECK(fake_cuda::misplaced() == 0);
    CHECK(fake<int()>("fake_handles")() <= 2 * 8);  // kept for the next ones
}

TEST(a_call_that_fails_anywhere_leaves_nothing_and_spoils_no_other) {
    int before = 1;
    const auto refused = [&before](int of_runtime, int of_cublas) {
        fake_cuda::make_current(before);
        fake_cuda::fail_at(of_runtime);
        fake<void(int)>("fake_fail_at")(of_cublas);
        bool failed = false;
        try {
            all(1);
        } catch (const std::runtime_error& error) {
            failed = std::string(error.what()).find("CUDA device 1 ") == 0;
        } catch (const OutOfMemory&) {
            failed = true;
        }
        CHECK(fake_cuda::live() == 0);
        CHECK(cudaGetLastError() == cudaSuccess);  // which somebody else's next call would be told
        int current = -1;
        cudaGetDevice(&current);
        CHECK(current == before);
        return failed;
    };
    CHECK(!refused(-1, -1));
    const int of_runtime = fake_cuda::calls(), of_cublas = fake<int()>("fake_calls")();
    CHECK(of_runtime > 30 && of_cublas > 10);
    int silent = 0;
    for (int at = 0; at < of_runtime; ++at) silent += !refused(at, -1);
    CHECK(silent == 1);  // the queue that waits when it is given up
    CHECK(fake_cuda::misplaced() == 0);
    before = 0;  // from where every call goes to another device
    for (int at = 0; at < 2 * of_runtime; ++at) refused(at, -1);
    for (int at = 0; at < of_cublas; ++at) CHECK(refused(-1, at));
    CHECK(!refused(-1, -1));
    CHECK(fake<int()>("fake_reused_after_failure")() == 0);
}
