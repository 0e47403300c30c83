// Tells Python what was built and what this CPU runs.
#include "bindings/arrays.hpp"
#include "cpu/products/bfloat_product.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign::bindings {

void bind_runtime(py::module_& module) {
    py::class_<Unstoppable>(module, "Unstoppable").def(py::init<>());
    module.def("set_threads", &set_threads, py::arg("chosen"), py::arg("most"));
    module.def("build_info", [] {
        py::dict info;
        info["version"] = KERNALIGN_VERSION;
        info["compiler"] = KERNALIGN_COMPILER;
        info["build_type"] = KERNALIGN_BUILD_TYPE;
        info["simd"] = std::string(simd().name) + (bfloat::available() ? "+amx" : "");
        info["blas"] = blas::description();
        info["threads"] = resolve_threads(0);
        return info;
    });
}

}  // namespace kernalign::bindings
