// Table of contents of the extension module kernalign._core.
#include "bindings/arrays.hpp"

PYBIND11_MODULE(_core, module) {
    using namespace kernalign::bindings;
    module.doc() = "Engines of kernalign; use the Python functions of kernalign instead.";
    bind_arrays(module);
    bind_runtime(module);
    bind_statistics(module);
    bind_moments(module);
    bind_grams(module);
    bind_neighbors(module);
    bind_lists(module);
    bind_rescoring(module);
    bind_permuted(module);
    bind_decompositions(module);
}
