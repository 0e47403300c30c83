// Neighbour lists and graphs from NumPy memory.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "error.hpp"
#include "lists.hpp"

namespace kernalign::bindings {

using IndexArray = py::array_t<std::int32_t, py::array::c_style>;
using PlaceArray = py::array_t<std::int64_t, py::array::c_style>;
using WeightArray = py::array_t<double, py::array::c_style>;

// A copy of an array, checked: the array itself may be written to while the engine reads.
class OwnLists {
  public:
    OwnLists(const IndexArray& array, const char* name, Monitor* monitor)
        : index_(array.data(), array.data() + array.size()) {
        require(array.ndim() == 2, std::string(name) + " must be 2-D, got " + std::to_string(array.ndim()) + "-D");
        lists_ = {index_.data(), array.shape(0), array.shape(1)};
        check_lists(lists_, name, monitor);
    }
    const Lists& operator*() const { return lists_; }

  private:
    std::vector<std::int32_t> index_;
    Lists lists_;
};

// A Graph value with its own copy of the arrays, which may be written to while an engine reads.
class PyGraph {
  public:
    PyGraph(const IndexArray& index, const PlaceArray& begin, const std::optional<WeightArray>& weight)
        : index_(index.data(), index.data() + index.size()), begin_(begin.data(), begin.data() + begin.size()) {
        if (weight) weight_.emplace(weight->data(), weight->data() + weight->size());
        bool fits = begin.ndim() == 1 && !begin_.empty() && begin_.front() == 0 && index.ndim() == 1 &&
                    begin_.back() == std::int64_t(index_.size()) && std::is_sorted(begin_.begin(), begin_.end());
        fits = fits && (!weight || (weight->ndim() == 1 && weight_->size() == index_.size()));
        require(fits, "begin must ascend from 0 to the number of edges, each with one index and one weight");
        check_graph(graph());
    }
    Graph graph() const {
        return {index_.data(), begin_.data(), weight_ ? weight_->data() : nullptr, std::int64_t(begin_.size()) - 1};
    }

  private:
    std::vector<std::int32_t> index_;
    std::vector<std::int64_t> begin_;
    std::optional<std::vector<double>> weight_;
};

}  // namespace kernalign::bindings
