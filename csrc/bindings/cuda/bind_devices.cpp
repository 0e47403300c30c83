// Tells Python which devices there are, and why there are none.
#include "bindings/cuda/device_rows.hpp"
#include "cuda/ceilings.hpp"
#include "cuda/products.hpp"

namespace kernalign::bindings {

void bind_devices(py::module_& module) {
    module.def("count", &cuda::device_count);
    module.def("why_not", &cuda::why_not);
    module.def("look_for_products", &cuda::look_for_products, py::arg("paths"));
    module.def("free_memory", &cuda::free_memory, py::arg("device"));
    module.def("multiplies_floats", &cuda::multiplies_floats, py::arg("device"));
    module.def("facts", [] {
        py::list devices;
        for (int device = 0; device < cuda::device_count(); ++device) {
            const cuda::DeviceFacts facts = cuda::device_facts(device);
            py::dict one;
            one["name"] = facts.name;
            one["capability"] = std::to_string(facts.major) + "." + std::to_string(facts.minor);
            one["processors"] = facts.processors;
            one["multiplies_floats"] = cuda::multiplies_floats(device);
            one["memory"] = facts.memory;
            devices.append(one);
        }
        py::dict all;
        all["architectures"] = cuda::architectures();
        all["driver"] = cuda::driver();
        all["devices"] = devices;
        all["cublas"] = cuda::products_path();
        all["why_not"] = cuda::why_not();
        return all;
    });
    module.def(
        "ceilings",
        [](int device, std::int64_t size) {
            const auto found = without_gil(py::none(), [&](Monitor*) { return cuda::measure_ceilings(device, size); });
            py::dict all;
            all["copied"] = found.copied;
            all["doubles"] = found.doubles;
            all["floats"] = found.floats;
            all["squares"] = found.squares;
            all["halves"] = found.halves;
            return all;
        },
        py::arg("device"), py::arg("size"));
}

}  // namespace kernalign::bindings
