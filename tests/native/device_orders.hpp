// What tests of device kernels share: every order of threads, and nothing left allocated.
#pragma once

#include <cstring>

#include "check.hpp"
#include "cuda/simulation.hpp"

namespace check {

namespace simulation = kernalign::cuda::simulation;

#ifdef __SANITIZE_THREAD__
constexpr simulation::Order kOrders[] = {simulation::Order::threads};
#else
constexpr simulation::Order kOrders[] = {simulation::Order::forward, simulation::Order::reverse,
                                         simulation::Order::random};
#endif

// Calls f in every order of threads, and checks that it leaves nothing allocated.
template <class F>
void in_every_order(F&& f) {
    for (const simulation::Order order : kOrders) {
        simulation::Settings settings;
        settings.order = order;
        settings.truncating = true;
        simulation::set(settings);
        f();
        CHECK(simulation::live() == 0);
    }
}

inline bool same(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

}  // namespace check
