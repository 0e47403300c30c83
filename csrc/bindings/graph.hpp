// A neighbour graph over NumPy memory.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "bindings/arrays.hpp"
#include "error.hpp"
#include "lists.hpp"

namespace kernalign::bindings {

using IndexArray = py::array_t<std::int32_t, py::array::c_style>;
using PlaceArray = py::array_t<std::int64_t, py::array::c_style>;
using WeightArray = py::array_t<double, py::array::c_style>;

// A Graph value that keeps the arrays it points into alive.
class PyGraph {
  public:
    PyGraph(IndexArray index, PlaceArray begin, std::optional<WeightArray> weight)
        : index_(std::move(index)), begin_(std::move(begin)), weight_(std::move(weight)) {
        const std::int64_t* places = begin_.data();
        bool fits = begin_.ndim() == 1 && begin_.size() > 0 && places[0] == 0 && index_.ndim() == 1 &&
                    places[begin_.size() - 1] == index_.size() && std::is_sorted(places, places + begin_.size());
        fits = fits && (!weight_ || (weight_->ndim() == 1 && weight_->size() == index_.size()));
        require(fits, "begin must ascend from 0 to the number of edges, each with one index and one weight");
        check_graph(graph());
    }
    Graph graph() const {
        return {index_.data(), begin_.data(), weight_ ? weight_->data() : nullptr, std::int64_t(begin_.size()) - 1};
    }

  private:
    IndexArray index_;
    PlaceArray begin_;
    std::optional<WeightArray> weight_;
};

}  // namespace kernalign::bindings
