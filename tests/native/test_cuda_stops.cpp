// Protects calls on devices that are stopped while their work is still to come: it reads nothing that was given back.
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cuda/edge_products.hpp"
#include "cuda/gram_sweep.hpp"
#include "cuda/moment_stream.hpp"
#include "cuda/nearest.hpp"
#include "cuda/simulation.hpp"
#include "data.hpp"

using namespace kernalign;
using namespace kernalign::cuda;

namespace {

struct Stopped : std::runtime_error {
    Stopped() : std::runtime_error("stopped") {}
};

struct StopsAt : Monitor {
    explicit StopsAt(int poll) : left(poll) {}
    void poll(std::int64_t, std::int64_t) override {
        if (left-- == 0) throw Stopped();
    }
    int left;
};

// Rows as their owner holds them: until their queue has read them, and no longer.
struct Held {
    Held(const check::Matrix<float>& x, bool preprocessed)
        : values(new std::vector<float>(x.values)), queue(new Queue(0)) {
        rows = x.all();
        rows.view.data = values->data();
        rows.zero_mean = rows.unit_norm = preprocessed;
    }
    std::unique_ptr<std::vector<float>> values;
    std::unique_ptr<Queue> queue;
    Rows rows;
};

using Call = std::function<void(Held&, Monitor*)>;

DeviceSource source(Held& x, KernelForm form) {
    DeviceSource one{x.queue.get(), x.rows, Kernel()};
    one.kernel.form = form;
    one.kernel.width = 3;
    return one;
}

void streamed(Held& one, Precision precision, Monitor* monitor) {
    DeviceMoments stream(0, 6, 6, precision);
    stream.update(*one.queue, one.rows, *one.queue, one.rows, monitor);
}

}  // namespace

TEST(calls_that_are_stopped_at_any_poll_read_nothing_that_was_given_back) {
    const check::Matrix<float> x = check::gaussian<float>(90, 6, 1);
    const std::vector<Call> calls = {
        [](Held& one, Monitor* m) { cuda::nearest_neighbors(*one.queue, one.rows, 4, Similarity::euclidean, {}, m); },
        [](Held& one, Monitor* m) { cuda::nearest_neighbors(*one.queue, one.rows, 4, Similarity::dot, {0, 32}, m); },
        [](Held& one, Monitor* m) {
            cuda::gram_sums({source(one, KernelForm::rbf), source(one, KernelForm::linear)}, true, 32, m);
        },
        [](Held& one, Monitor* m) { cuda::median_distance(source(one, KernelForm::linear), true, 32, 100, m); },
        [](Held& one, Monitor* m) { cuda::edge_products(*one.queue, one.rows, std::vector<std::int32_t>(180, 3), m); },
        [](Held& one, Monitor* m) { streamed(one, Precision::f32, m); },
        [](Held& one, Monitor* m) { streamed(one, Precision::f64, m); },
    };
    simulation::set({});
    for (const Call& call : calls)
        for (const bool preprocessed : {false, true})
            for (int poll = 0;; ++poll) {
                bool stopped = false;
                {
                    Held held(x, preprocessed);
                    StopsAt monitor(poll);
                    try {
                        call(held, &monitor);
                    } catch (const Stopped&) {
                        stopped = true;
                    }
                }
                CHECK(simulation::live() == 0);
                if (!stopped) break;
            }
}
