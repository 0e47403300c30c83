// Rows in device memory, checked and preprocessed: what searches on a device read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/rows.hpp"
#include "neighbors.hpp"
#include "view.hpp"

namespace kernalign::cuda {

// The element type of rows in device memory; throws if there is none, or if neighbouring columns are not in
// neighbouring elements.
Element element_of(const Rows& rows);

AnyRows any_rows(const Rows& rows);

// Downloads these rows as they are.
void gather(Queue& queue, const AnyRows& rows, const std::vector<std::int64_t>& listed, void* to);

class PreparedRows {
  public:
    // rows.view.data is in the queue's device memory; shift and scale are not. Reads all rows once or twice: throws on
    // NaN, infinity and (cosine) zero rows, in ExactRows' words. Where rows are preprocessed, or (cosine) one of them
    // has a norm near the ends of float64's range, all are written out and read from then on in float64: 8nd bytes.
    // Common divisors (direction.hpp) take 8n.
    PreparedRows(Queue& queue, const Rows& rows, Similarity similarity, Monitor* monitor);

    std::int64_t count() const { return rows_.rows(); }
    std::int64_t cols() const { return rows_.cols(); }
    Similarity similarity() const { return similarity_; }
    double largest() const { return largest_; }    // magnitude
    bool overflows() const { return overflows_; }  // squares of rows that are not made of norm 1

    // The rows without the factors that cosine gives them.
    AnyRows any() const;

    // f(DeviceRows<E>)
    template <class F>
    auto with(F&& f) const {
        return any().with(0, count(), [&](auto x) {
            x.factor = factor_.get();
            x.divisor = divisor_.get();
            return f(x);
        });
    }

  private:
    void preprocess(bool unit_size, bool direction);
    std::vector<double> squares(Monitor* monitor);
    Buffer<double> divisors(Monitor* monitor) const;  // nothing if all are 1
    void say_what_is_wrong(std::int64_t row, bool unit_norm) const;

    Queue& queue_;
    Rows rows_;
    Similarity similarity_;
    Element element_;
    Buffer<double> dense_, factor_, divisor_;
    double largest_ = 0;
    bool overflows_ = false;
};

}  // namespace kernalign::cuda
