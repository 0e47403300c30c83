// Gram sums as a value: packed for a file and unpacked.
#include <cmath>

#include "error.hpp"
#include "grams.hpp"

namespace kernalign {
namespace {

constexpr std::size_t kHeader = 2, kNumbers = 5;  // n and sides; what a side has beside its vectors

bool whole(double value, double most) { return value >= 0 && value <= most && value == std::floor(value); }

}  // namespace

std::vector<double> GramSums::pack() const {
    std::vector<double> packed{double(n), double(sides.size())};
    for (const Side& side : sides) {
        packed.insert(packed.end(), {double(side.exponent), side.pilot, side.plain, double(side.widened), side.total});
        for (const std::vector<double>* v : {&side.diagonal, &side.sums, &side.hollow}) {
            require(v->size() == std::size_t(n), "a side must have a sum of every row");
            packed.insert(packed.end(), v->begin(), v->end());
        }
    }
    packed.insert(packed.end(), off_diagonal.begin(), off_diagonal.end());
    return packed;
}

GramSums GramSums::unpack(const std::vector<double>& packed) {
    require(packed.size() >= kHeader && whole(packed[0], 1e12) && whole(packed[1], 1e6), "no packed Gram sums");
    const std::size_t rows = std::size_t(packed[0]), count = std::size_t(packed[1]);
    const double wanted = double(kHeader) + double(count) * (double(kNumbers) + 3.0 * double(rows) + double(count));
    require(wanted == double(packed.size()), "packed Gram sums of another length");
    auto from = packed.begin() + kHeader;
    GramSums made;
    made.n = std::int64_t(rows);
    for (std::size_t s = 0; s < count; ++s) {
        require(std::abs(from[0]) <= 1e6 && from[0] == std::floor(from[0]), "packed Gram sums with a bad exponent");
        Side side;
        side.exponent = int(from[0]);
        side.pilot = from[1];
        side.plain = from[2];
        side.widened = from[3] != 0;
        side.total = from[4];
        from += std::ptrdiff_t(kNumbers);
        for (std::vector<double>* v : {&side.diagonal, &side.sums, &side.hollow}) {
            v->assign(from, from + std::ptrdiff_t(rows));
            from += std::ptrdiff_t(rows);
        }
        made.sides.push_back(std::move(side));
    }
    made.off_diagonal.assign(from, packed.end());
    return made;
}

}  // namespace kernalign
