// Protects the Neighbors engine of devices, simulated: the lists of the CPU's engine, and nothing left after a failure.
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

#include "check.hpp"
#include "cuda/nearest.hpp"
#include "cuda/simulation.hpp"
#include "data.hpp"

using namespace kernalign;
using namespace kernalign::cuda;

namespace {

template <class T>
Neighbors on_device(const check::Matrix<T>& x, std::int64_t k, Similarity similarity, const Way& way = {}) {
    Queue queue(0);
    const Buffer<T> values(queue, x.values);
    Rows rows = x.all();
    rows.view.data = values.get();
    return cuda::nearest_neighbors(queue, rows, k, similarity, way, nullptr);
}

template <class T>
void check_lists(const check::Matrix<T>& x, std::int64_t k) {
    const Way candidates{0, 64};
    for (const Similarity kind : {Similarity::cosine, Similarity::dot, Similarity::euclidean})
        for (const Way& way : {Way(), candidates}) {
            const Neighbors found = on_device(x, k, kind, way);
            const Neighbors expected = kernalign::nearest_neighbors(x.all(), k, kind, Detail::lists, 1, nullptr);
            CHECK(found.index == expected.index);
            CHECK(found.tie == expected.tie);
            CHECK(std::memcmp(found.similarity.data(), expected.similarity.data(),
                              expected.similarity.size() * sizeof(double)) == 0);
            CHECK(simulation::live() == 0);
        }
}

}  // namespace

TEST(lists_are_those_of_the_cpu_in_every_order) {
    for (const auto order : {simulation::Order::forward, simulation::Order::reverse, simulation::Order::random,
                             simulation::Order::threads}) {
        simulation::Settings settings;
        settings.order = order;
        settings.truncating = order == simulation::Order::random;
        simulation::set(settings);
        const std::int64_t n = order == simulation::Order::threads ? 70 : 200;
        check_lists(check::gaussian<float>(n, 19, 1), 5);
        check_lists(check::gaussian<double>(n, 7, 2, 10), 5);
        check_lists(check::lengthened(check::lattice(n, 4)), 5);
    }
    simulation::set({});
}

TEST(a_call_that_fails_leaves_nothing_allocated) {
    simulation::set({});
    const check::Matrix<double> x = check::gaussian<double>(30, 4, 1, 0, 1e-200);  // brought to unit size
    on_device(x, 3, Similarity::cosine);
    const std::int64_t allocations = simulation::allocations(), launches = simulation::launches();
    CHECK(allocations > 8 && launches > 3);
    for (std::int64_t at = 0; at < allocations; ++at) {
        simulation::Settings settings;
        settings.fail_allocation = at;
        simulation::set(settings);
        CHECK_THROWS(on_device(x, 3, Similarity::cosine), std::bad_alloc, "CUDA device 0 is out of memory: ");
        CHECK(simulation::live() == 0);
    }
    for (std::int64_t at = 0; at < launches; ++at) {
        simulation::Settings settings;
        settings.fail_launch = at;
        simulation::set(settings);
        CHECK_THROWS(on_device(x, 3, Similarity::cosine), std::runtime_error, "did not start a kernel");
        CHECK(simulation::live() == 0);
    }
    simulation::set({});
}

TEST(bad_values_are_named) {
    check::Matrix<float> x = check::gaussian<float>(20, 3, 1);
    x.values[17] = std::numeric_limits<float>::infinity();
    CHECK_THROWS(on_device(x, 3, Similarity::dot), std::invalid_argument,
                 "x must be finite, got inf at row 5, column 2");
    CHECK(simulation::live() == 0);
}
