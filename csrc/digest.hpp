// Contract: BLAKE2b of a stream of bytes in eight lanes, which vector units make side by side.
//
// Lanes     Lane l has the 8-byte words l, l + 8, l + 16, ... of the stream, filled up with zeros to whole rows of
// eight
//           words; its hash is BLAKE2b (RFC 7693) with 64 bytes and no key. Whoever hashes the eight hashes adds how
//           long the stream was. The same for any way to cut the stream.
// Memory    2 KB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kernalign {

class LaneDigest {
  public:
    static constexpr std::size_t kLanes = 8, kBlock = 1024;  // bytes: a block of BLAKE2b for each lane
    using Hashes = std::array<std::uint8_t, kLanes * 64>;

    LaneDigest();
    void update(const void* bytes, std::size_t count);
    Hashes hashes() const;  // of all so far, one after the other

  private:
    std::array<std::uint64_t, 8 * kLanes> state_;  // word by word, each of all lanes
    std::array<unsigned char, kBlock> waiting_;    // what may be the last block, which is marked
    std::size_t filled_ = 0;
    std::uint64_t done_ = 0;  // bytes of each lane
};

}  // namespace kernalign
