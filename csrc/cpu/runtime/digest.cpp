// Cuts a stream of bytes into the blocks that eight lanes of BLAKE2b take.
#include "digest.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/simd/simd.hpp"

namespace kernalign {

LaneDigest::LaneDigest() : waiting_{} {
    constexpr std::uint64_t kParameters = 0x01010040;  // 64 bytes of digest, no key, a tree of one leaf
    for (std::size_t word = 0; word < 8; ++word)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            state_[word * kLanes + lane] = kDigestStart[word] ^ (word == 0 ? kParameters : 0);
}

void LaneDigest::update(const void* bytes, std::size_t count) {
    const auto* from = static_cast<const unsigned char*>(bytes);
    while (count > 0) {
        if (filled_ == kBlock) {  // and not the last
            simd().digest_blocks(state_.data(), waiting_.data(), 1, done_, false);
            done_ += kBlock / kLanes;
            filled_ = 0;
        }
        if (filled_ == 0 && count > kBlock) {
            const std::size_t blocks = (count - 1) / kBlock;
            simd().digest_blocks(state_.data(), from, std::int64_t(blocks), done_, false);
            done_ += blocks * kBlock / kLanes;
            from += blocks * kBlock;
            count -= blocks * kBlock;
        }
        const std::size_t taken = std::min(count, kBlock - filled_);
        std::memcpy(waiting_.data() + filled_, from, taken);
        filled_ += taken;
        from += taken;
        count -= taken;
    }
}

LaneDigest::Hashes LaneDigest::hashes() const {
    auto state = state_;
    auto last = waiting_;
    std::fill(last.begin() + std::ptrdiff_t(filled_), last.end(), static_cast<unsigned char>(0));
    constexpr std::size_t kRow = kLanes * sizeof(std::uint64_t);
    const std::uint64_t bytes = (filled_ + kRow - 1) / kRow * sizeof(std::uint64_t);
    simd().digest_blocks(state.data(), last.data(), 1, done_ + bytes - kBlock / kLanes, true);
    Hashes found{};
    for (std::size_t lane = 0; lane < kLanes; ++lane)
        for (std::size_t word = 0; word < 8; ++word)
            for (std::size_t byte = 0; byte < 8; ++byte)
                found[lane * 64 + word * 8 + byte] =
                    static_cast<std::uint8_t>(state[word * kLanes + lane] >> (8 * byte));
    return found;
}

}  // namespace kernalign
