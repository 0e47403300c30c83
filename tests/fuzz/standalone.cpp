// Runs a fuzz target where the compiler has no libFuzzer: its seeds, then mutants of them, by the same options.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "bytes.hpp"

// Of the sanitizers, which end the process without a signal.
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

namespace {

using Input = std::vector<std::uint8_t>;

const Input* current = nullptr;
std::string broken;  // where the current input goes if it breaks something

void keep_current() {
    if (!current) return;
    if (std::FILE* file = std::fopen(broken.c_str(), "wb")) {
        std::fwrite(current->data(), 1, current->size(), file);
        std::fclose(file);
        std::fprintf(stderr, "broken by the input in %s: give its name to run it again\n", broken.c_str());
    }
    current = nullptr;
}

void at_signal(int number) {
    std::signal(number, SIG_DFL);
    keep_current();
    std::raise(number);
}

void watch() {
    std::vector<int> signals = {SIGILL, SIGTRAP, SIGABRT};
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_current);
    else
        signals.insert(signals.end(), {SIGSEGV, SIGBUS, SIGFPE});
    for (const int number : signals) std::signal(number, at_signal);
}

void run(const Input& input) {
    current = &input;
    LLVMFuzzerTestOneInput(input.data(), input.size());
    current = nullptr;
}

Input mutated(Input input, const std::vector<Input>& seeds, std::mt19937_64& generator) {
    const auto below = [&](std::size_t count) { return std::size_t(generator() % std::max<std::size_t>(count, 1)); };
    static const double odd[] = {0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0, 1e308, 5e-324, -0.0, 1.0, 9007199254740993.0};
    for (std::size_t times = 1 + below(6); times > 0; --times) {
        const std::size_t at = below(input.size());
        switch (below(7)) {
            case 0:
                if (!input.empty()) input[at] = std::uint8_t(input[at] ^ (1u << below(8)));
                break;
            case 1:
                if (!input.empty()) input[at] = std::uint8_t(generator());
                break;
            case 2: {
                const std::size_t copies = 1 + below(9);
                const auto value = std::uint8_t(generator());
                input.insert(input.begin() + std::ptrdiff_t(at), copies, value);
                break;
            }
            case 3:
                input.resize(at);
                break;
            case 4: {  // a number at a whole place
                const std::size_t place = at / 8 * 8, width = below(2) ? 8 : 4;
                const double value = odd[below(8)];
                const auto narrow = float(value);
                if (place + 8 <= input.size())
                    std::memcpy(input.data() + place, width == 8 ? static_cast<const void*>(&value) : &narrow, width);
                break;
            }
            case 5: {  // a part of another seed
                const Input& other = seeds[below(seeds.size())];
                const std::size_t from = below(other.size()), count = std::min(other.size() - from, below(64));
                input.insert(input.end(), other.begin() + std::ptrdiff_t(from),
                             other.begin() + std::ptrdiff_t(from + count));
                break;
            }
            default:
                input.erase(input.begin() + std::ptrdiff_t(at),
                            input.begin() + std::ptrdiff_t(std::min(input.size(), at + below(9))));
        }
    }
    return input;
}

// A file, or all of a folder.
void add(const std::string& word, std::vector<std::filesystem::path>& paths) {
    if (!std::filesystem::is_directory(word)) return paths.push_back(word);
    for (const auto& file : std::filesystem::directory_iterator(word)) paths.push_back(file.path());
}

}  // namespace

int main(int count, char** words) {
    long runs = 10000, seconds = 1000000, seed = 1;
    std::vector<std::filesystem::path> paths;
    std::vector<Input> seeds;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const auto after = [&](const char* option) { return std::atol(word.c_str() + std::strlen(option)); };
        if (word.rfind("-runs=", 0) == 0)
            runs = after("-runs=");
        else if (word.rfind("-max_total_time=", 0) == 0)
            seconds = after("-max_total_time="), runs = 1000000000;
        else if (word.rfind("-seed=", 0) == 0)
            seed = after("-seed=");
        else
            add(word, paths);
    }
    std::sort(paths.begin(), paths.end());  // the same mutants everywhere
    for (const auto& path : paths) {
        std::ifstream stream(path, std::ios::binary);
        seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    if (seeds.empty()) seeds.emplace_back(64, std::uint8_t(1));
    broken = "broken-" + std::filesystem::path(words[0]).filename().string();
    watch();
    for (const Input& one : seeds) run(one);
    std::mt19937_64 generator{std::uint64_t(seed)};
    const auto begun = std::chrono::steady_clock::now();
    long done = 0;
    for (; done < runs && std::chrono::steady_clock::now() - begun < std::chrono::seconds(seconds); ++done) {
        const Input& from = seeds[generator() % seeds.size()];
        run(mutated(from, seeds, generator));
    }
    std::printf("%zu seeds and %ld mutants of seed %ld: nothing broken\n", seeds.size(), done, seed);
    return 0;
}
