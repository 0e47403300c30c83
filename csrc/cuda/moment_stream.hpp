// Contract of the Moments engine on a device: the state of moments.hpp, of float64 products to 1e-12 of the CPU's, of
// float32 ones to what these are good for on the CPU.
//
// Sums       Rows become v = [x' | y' | 1 | |x'|^2 | |y'|^2] in float64, and the state is the sum of v v^T: all sums of
//            moments.hpp are entries of it.
// Blocks     As in moments.hpp: 1024 rows counted from the start of the stream, so that batches cannot matter.
// Shift      Mean of the first block, in float64. Scale: the exponent of the largest distance from the first row, in
//            the first block that has any; raised where rows may be further off than 2^50 of it.
// Precision  That of the stream. Float64: everything, whatever the input. Float32, for cards that are slow at float64
//            (multiplies_floats): x' and y' of a block, less their means in it, are rounded to float32 and multiplied
//            in it; what the means add, the last three columns and all sums over blocks stay float64. A block one of
//            whose rows is over 10 times as long as its median row is multiplied in float64, as on the CPU.
// Order      When update returns, all rows have been read: they may be overwritten. Each side is read on its own queue,
//            behind what its producer has done.
// Memory     8 (p + q + 16)^2 bytes, 1024 rows in float64 three times, and what PreparedRows writes out, of each batch;
//            of float32 products half as much again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/prepared_rows.hpp"
#include "cuda/products.hpp"
#include "moments.hpp"

namespace kernalign::cuda {

class DeviceMoments {
  public:
    DeviceMoments(int device, std::int64_t p, std::int64_t q, Precision precision);
    DeviceMoments(int device, const MomentState& begun, Precision precision);  // a stream goes on here

    // Adds rows in memory of this device. Bad values throw before any is taken. Stopped by the monitor, or where the
    // device fails, it has taken count() rows and stays usable.
    void update(Queue& x_queue, const Rows& x, Queue& y_queue, const Rows& y, Monitor* monitor);

    MomentSums finish(bool centred, Monitor* monitor) const;  // as Moments::finish
    MomentState state(Monitor* monitor) const;

    int device() const { return queue_->device(); }
    Precision precision() const { return precision_; }
    std::int64_t count() const { return blocks_.n + waiting_; }
    std::int64_t cols(int which) const { return blocks_.side[std::size_t(which)].cols; }

  private:
    // Sums over blocks: on the device, and about what.
    struct Frame {
        std::int64_t cols = 0;
        int exponent = 0;
        bool scaled = false;
        std::vector<double> shift;  // empty until it is known
        double furthest = 0;        // magnitude in it
        Buffer<double> shift_there;
    };
    struct Blocks {
        std::int64_t n = 0, width = 0;
        std::array<Frame, 2> side;
        bool widened = false;       // some block of float32 products was multiplied in float64
        Buffer<double> sums, rows;  // width x width; 1024 x width
        // Of float32 products: means of a block, its rows without them, and their products.
        Buffer<double> means;
        Buffer<float> narrow, products;
    };

    Blocks make_blocks(std::int64_t p, std::int64_t q) const;
    void set_shift(Frame& side, std::vector<double> shift) const;
    void add(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin, std::int64_t count,
             bool wide) const;
    void add_narrow(const Blocks& blocks, std::int64_t count) const;
    // Which blocks are multiplied in float64, of rows from begin on; the last may be a short one.
    std::vector<char> wide_blocks(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin,
                                  std::int64_t count) const;
    void start(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin, std::int64_t count) const;
    void make_room(Blocks& blocks) const;
    MomentSums download(const Blocks& blocks) const;
    void upload(const MomentSums& sums, Blocks& blocks) const;
    std::array<AnyRows, 2> waiting_rows() const;

    Precision precision_;
    std::unique_ptr<Queue> queue_;  // outlives what it allocated
    std::unique_ptr<Products> products_;
    Blocks blocks_;
    std::int64_t waiting_ = 0;
    std::array<Buffer<double>, 2> waiting_rows_;
    std::array<double, 2> largest_{};  // magnitude of a row so far
};

}  // namespace kernalign::cuda
