// Table of contents of the extension modules kernalign._cuda and, in tests, kernalign._cudasim.
#include "bindings/cuda/device_rows.hpp"

PYBIND11_MODULE(KERNALIGN_MODULE, module) {
    using namespace kernalign::bindings;
    module.doc() = "Engines of kernalign on CUDA devices; use the Python functions of kernalign instead.";
    py::module_::import("kernalign._core");  // whose Rows are taken and given
    bind_devices(module);
    bind_device_rows(module);
    bind_search(module);
    bind_device_moments(module);
    bind_device_grams(module);
#ifdef KERNALIGN_SIMULATED
    bind_simulation(module);
#endif
}
