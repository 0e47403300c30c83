// Contract of the simulated device: in what order its threads run, and which of its calls fail.
//
// Order      What is asked of a queue happens when somebody waits for it, as late as a device may do it; memory is
//            given back as soon as nothing of the queue is left to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "cuda/device.hpp"
#include "cuda/simt.hpp"

namespace kernalign::cuda::simulation {

// threads: two real threads share those of a block, and two blocks run at once, for ThreadSanitizer.
enum class Order : std::uint8_t { forward, reverse, random, threads };

struct Settings {
    Order order = Order::forward;
    std::int64_t fail_allocation = -1;  // the number of the call that fails, counted from 0 since set; -1: none
    std::int64_t fail_launch = -1;
    std::int64_t fail_product = -1;
    std::size_t memory = std::size_t(1) << 31;  // bytes of each of the two devices
    int capability = 90;                        // whose accumulation `truncating` products have
    int floats_per_double = 2;
    double work = 0;                           // multiply-adds between two polls, if other than this card's
    bool truncating = false, products = true;  // products: whether there are any
};

void set(const Settings& settings);
Settings settings();
void begin_product(int device);                      // fails if it shall
void begin_launch(int device, std::int64_t blocks);  // the same, and where a device refuses that many blocks
void later(Queue& queue, std::function<void()> work);
std::int64_t allocations();  // calls since set
std::int64_t launches();
std::int64_t products();
std::int64_t live();  // allocations that were not given back

void run_blocks(std::int64_t blocks, const std::function<void(std::int64_t block, ThreadOrder& order)>& block);

}  // namespace kernalign::cuda::simulation
