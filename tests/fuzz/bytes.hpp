// What a fuzz target makes of its input: numbers off its front, zeros when it has ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fuzz {

class Bytes {
  public:
    Bytes(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

    template <class T>
    T take() {
        T value{};
        const std::size_t size = std::min(left_, sizeof value);
        if (size > 0) std::memcpy(&value, at_, size);
        at_ += size;
        left_ -= size;
        return value;
    }
    template <class T>
    std::vector<T> many(std::size_t count) {
        std::vector<T> values(count);
        for (T& value : values) value = take<T>();
        return values;
    }
    // From least to most, both included.
    std::int64_t between(std::int64_t least, std::int64_t most) {
        return least + take<std::uint8_t>() % (most - least + 1);
    }
    std::size_t left() const { return left_; }

  private:
    const std::uint8_t* at_;
    std::size_t left_;
};

// Ends the process: a promise was broken.
inline void promise(bool held) {
    if (!held) __builtin_trap();
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
