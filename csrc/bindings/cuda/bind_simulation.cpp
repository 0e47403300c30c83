// Lets tests set the simulated device: the order of its threads, and what fails.
#include "bindings/cuda/device_rows.hpp"
#include "cuda/simulation.hpp"

namespace kernalign::bindings {

namespace simulation = cuda::simulation;

void bind_simulation(py::module_& module) {
    module.def(
        "simulate",
        [](const std::string& order, std::int64_t fail_allocation, std::int64_t fail_launch, std::int64_t fail_product,
           std::size_t memory, int capability, int floats_per_double, double work, bool truncating, bool products) {
            simulation::Settings settings;
            settings.order = order == "reverse"   ? simulation::Order::reverse
                             : order == "random"  ? simulation::Order::random
                             : order == "threads" ? simulation::Order::threads
                                                  : simulation::Order::forward;
            settings.fail_allocation = fail_allocation;
            settings.fail_launch = fail_launch;
            settings.fail_product = fail_product;
            settings.memory = memory;
            settings.capability = capability;
            settings.floats_per_double = floats_per_double;
            settings.work = work;
            settings.truncating = truncating;
            settings.products = products;
            simulation::set(settings);
        },
        py::arg("order") = "forward", py::arg("fail_allocation") = -1, py::arg("fail_launch") = -1,
        py::arg("fail_product") = -1, py::arg("memory") = simulation::Settings().memory, py::arg("capability") = 90,
        py::arg("floats_per_double") = 2, py::arg("work") = 0.0, py::arg("truncating") = false,
        py::arg("products") = true);
    module.def("allocations", &simulation::allocations);
    module.def("launches", &simulation::launches);
    module.def("products", &simulation::products);
    module.def("live", &simulation::live);
}

}  // namespace kernalign::bindings
