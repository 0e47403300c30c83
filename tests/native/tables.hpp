// The instruction sets that this CPU can run, and values on which a different order of summation would show.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "cpu/simd/simd.hpp"

namespace check {

using kernalign::Simd;

inline std::vector<const Simd*> tables() {
    std::vector<const Simd*> all = {&kernalign::simd_baseline};
#ifdef KERNALIGN_X86_KERNELS
    __builtin_cpu_init();
    const auto add = [&](const Simd& table, bool runs) {
        if (runs)
            all.push_back(&table);
        else
            std::printf("SKIP table %s: this CPU cannot run it\n", table.name);
    };
    add(kernalign::simd_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    add(kernalign::simd_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"));
#else
    std::printf("SKIP tables avx2 and avx512: not built\n");
#endif
    return all;
}

// Values over many magnitudes, so that any other order of summation would show.
template <class T>
std::vector<T> values(std::int64_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    std::vector<T> out(std::size_t(n + 1), T(12345));  // one guard element
    for (std::int64_t j = 0; j < n; ++j) out[std::size_t(j)] = T(normal(generator) * std::exp(3 * normal(generator)));
    return out;
}

// Values between -0.5 and 0.5.
template <class T>
std::vector<T> uniform(std::int64_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::vector<T> out(static_cast<std::size_t>(n));
    for (T& value : out) value = T(std::uniform_real_distribution<double>(-0.5, 0.5)(generator));
    return out;
}

constexpr std::int64_t kLongest = 70;  // of the arrays that loops are run on

// run(table, n) gives the same bits for every instruction set.
inline void all_tables_agree(std::vector<double> (*run)(const Simd& table, std::int64_t n)) {
    for (std::int64_t n = 0; n <= kLongest; ++n) {
        const std::vector<double> expected = run(kernalign::simd_baseline, n);
        for (const Simd* table : tables()) {
            const std::vector<double> got = run(*table, n);
            if (got.size() != expected.size() ||
                std::memcmp(got.data(), expected.data(), expected.size() * sizeof(double)) != 0)
                fail(table->name, 0, "other bits than baseline at n = " + std::to_string(n));
        }
    }
}

}  // namespace check
