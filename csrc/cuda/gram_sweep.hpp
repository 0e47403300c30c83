// Contract of the Grams engine on a device: the sums of grams.hpp, of float64 products to 1e-12 of the CPU's, of
// float32 ones to what these are good for on the CPU.
//
// Rows       are shifted where grams.hpp shifts them, divided by a power of two, and held in the products' type.
// Values     Each tile of a source is multiplied once, becomes kernel values where it is, and is summed by row, by
//            column and with the tiles of all other sources; close distances are taken from differences. The pilot is
//            that of grams.hpp, of 128 rows, as are the levels.
// Precision  Products and values of kernels in float32 or float64 as the source says, and float64 anyway where
//            grams.hpp has it so; all else in float64. Squared distances below 1e-6 of the squared lengths, in float32
//            1e-3, are taken from differences. Lengths are those of what is multiplied.
// Memory     4np or 8np bytes and O(n) for each source; tiles of all sources, 1 GB at most together, and one of float32
//            products.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device.hpp"
#include "grams.hpp"
#include "kernel.hpp"
#include "view.hpp"

namespace kernalign::cuda {

struct DeviceSource {
    Queue* queue = nullptr;  // on which rows are read first
    Rows rows;               // in its memory
    Kernel kernel;
    Precision precision = Precision::f64;
};

constexpr std::int64_t kLargestTile = 4096, kCollected = 1 << 25;

// All sources are on one device. `tile` changes no more than rounding.
GramSums gram_sums(const std::vector<DeviceSource>& sources, bool centred, std::int64_t tile, Monitor* monitor);

// As in grams.hpp: after a sample of 2^21 pairs or 16n, one pass over the tiles to about 130,000 rows and two to a
// million, more only if the sample misleads. At most `collected` distances are held at a time, 256 MB, and the sample.
double median_distance(const DeviceSource& source, bool off_diagonal, std::int64_t tile, std::int64_t collected,
                       Monitor* monitor);

}  // namespace kernalign::cuda
