// The stream behind moments.hpp on CPUs: rows go in block by block, the sums come out.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cpu/runtime/parallel.hpp"
#include "memory.hpp"
#include "moments.hpp"
#include "view.hpp"

namespace kernalign {

class Moments {
  public:
    Moments(std::int64_t p, std::int64_t q, Precision precision);

    // Adds rows. Stopped by the monitor, it has taken count() rows and stays usable: what was under way is completed
    // by the next call. Bad values throw std::invalid_argument; rows of earlier chunks of this call may have been
    // taken by then, so callers that must not lose a state check_rows() first.
    void update(const Rows& x, const Rows& y, int threads, Monitor* monitor);
    void merge(const Moments& other);

    // The sums over all rows, waiting ones included, symmetrised and re-based: to the mean if centred, else to shift
    // zero (raw moments). drain() makes no copy and leaves an empty state of one column each.
    MomentSums finish(bool centred, int threads, Monitor* monitor) const;
    MomentSums drain(bool centred, int threads, Monitor* monitor);

    std::int64_t count() const;
    std::int64_t cols(int which) const { return sums_.side[std::size_t(which)].cols; }
    Precision precision() const { return precision_; }

    // Takes the waiting rows into the sums. Blocks are counted anew from here: further bits depend on where this was.
    void settle();

    static Moments of(MomentState state, Precision precision);
    MomentState state() const;

    // All that a saved state must hold, as float64, and back; unpack throws std::invalid_argument on a wrong length.
    std::vector<double> pack() const;
    static Moments unpack(std::int64_t p, std::int64_t q, Precision precision, const std::vector<double>& packed);

  private:
    // Prepared blocks whose products are not yet in the sums.
    struct Block {
        std::int64_t rows = 0;
        double norm_product = 0;
        std::array<SideSums, 2> side;                 // sums of this block alone, about the common shift
        std::array<std::vector<double>, 2> delta;     // (block centre - shift), scaled
        std::array<std::vector<double>, 2> residual;  // sum of the centred rows
        std::array<std::vector<double>, 2> wide;      // float64 copy of the rows, where an outlier needs it
    };
    struct Chunk {
        std::vector<Block> blocks;
        std::array<LargeVector<float>, 2> narrow;  // centred, scaled rows; one of narrow and wide is in use
        std::array<LargeVector<double>, 2> wide;
        std::vector<char> done;  // per tile of the products

        void swap(Chunk& other) noexcept {
            blocks.swap(other.blocks);
            narrow.swap(other.narrow);
            wide.swap(other.wide);
            done.swap(other.done);
        }
    };

    // One side of a block as it is read: T, or float64 where preprocessed rows have more digits than T holds.
    template <class T>
    struct Source {
        const T* rows = nullptr;
        const double* wide = nullptr;
        std::int64_t stride = 0;

        template <class F>
        void visit(F&& f) const;  // f(whichever there is)
    };

    friend MomentSums moment_sums(const Rows& x, const Rows& y, Precision precision, bool centred, int threads,
                                  Monitor* monitor);
    // With last, no rows follow: those that are left are a block.
    void update(const Rows& x, const Rows& y, bool last, int threads, Monitor* monitor);
    template <class T>
    void take(const Rows& x, const Rows& y, bool last, int threads, Progress& progress);
    template <class T>
    void start(const std::array<Source<T>, 2>& source, std::int64_t rows);
    template <class T>
    void prepare(Block& block, const std::array<Source<T>, 2>& source, const std::array<T*, 2>& out) const;
    bool fits(const std::vector<Block>& blocks);
    template <class T>
    void commit(int threads, Progress& progress);
    void complete(int threads, Progress& progress);
    void flush(int threads, Progress& progress);
    std::int64_t blocks_per_chunk() const;
    std::int64_t tiles_per_chunk() const;
    template <class T>
    static std::array<LargeVector<T>, 2>& buffers(Chunk& chunk);

    Precision precision_;
    MomentSums sums_;
    std::int64_t waiting_ = 0;
    std::array<std::vector<double>, 2> waiting_rows_;  // as given, exact in float64
    Chunk chunk_;
};

// What drain() yields after one update(): the same bits, of rows that are read in place to the end.
MomentSums moment_sums(const Rows& x, const Rows& y, Precision precision, bool centred, int threads, Monitor* monitor);

template <>
std::array<LargeVector<float>, 2>& Moments::buffers<float>(Chunk& chunk);
template <>
std::array<LargeVector<double>, 2>& Moments::buffers<double>(Chunk& chunk);

}  // namespace kernalign
