// Fuzzes saved Moments states and rows that are added to them: only answers and std::invalid_argument.
#include <stdexcept>

#include "bytes.hpp"
#include "cpu/moments/accumulator.hpp"

using namespace kernalign;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    const std::int64_t p = input.between(1, 4), q = input.between(1, 4), rows = input.between(0, 40);
    const auto precision = input.between(0, 1) ? Precision::f32 : Precision::f64;
    const bool centred = input.between(0, 1);
    try {
        const std::size_t held = std::min<std::size_t>(input.left() / sizeof(double), 4096);
        Moments state = Moments::unpack(p, q, precision, input.many<double>(held));
        fuzz::promise(Moments::unpack(p, q, precision, state.pack()).count() == state.count());
        Rows x, y;
        const std::vector<double> values(std::size_t(rows * std::max(p, q)), 0.5);
        x.view = {values.data(), rows, p, p * 8, 8, DType::f64};
        y.view = {values.data(), rows, q, q * 8, 8, DType::f64};
        const std::int64_t before = state.count();
        if (precision == Precision::f64) state.update(x, y, 1, nullptr);
        fuzz::promise(state.count() == before + (precision == Precision::f64 ? rows : 0));
        state.merge(Moments(state));
        state.finish(centred, 1, nullptr);
    } catch (const std::invalid_argument&) {
        return 0;
    }
    return 0;
}
