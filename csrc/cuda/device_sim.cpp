// Keeps the contract of devices on the CPU: two devices whose memory is exact allocations, whose calls fail on request.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "cuda/device.hpp"
#include "cuda/simulation.hpp"

namespace kernalign::cuda {
namespace {

constexpr int kDevices = 2, kProcessors = 4;
constexpr std::int64_t kMostBlocks = (std::int64_t(1) << 31) - 1;  // of a launch, and at least one

struct World {
    std::mutex mutex;
    simulation::Settings settings;
    std::int64_t allocations = 0, launches = 0, products = 0;
    std::map<void*, std::pair<int, std::size_t>> live;  // device and bytes

    std::size_t used(int device) const {
        std::size_t sum = 0;
        for (const auto& [at, block] : live) sum += block.first == device ? block.second : 0;
        return sum;
    }
};

World& world() {
    static World one;
    return one;
}

struct Pending {
    std::vector<std::function<void()>> works;
    void happen() {
        for (const auto& work : works) work();
        works.clear();
    }
};

struct InOrder : ThreadOrder {
    simulation::Order order;
    std::mt19937 random;

    InOrder(simulation::Order of, std::int64_t block) : order(of), random(unsigned(block)) {}
    void run(int threads, const void* f, void (*call)(const void* f, int thread)) override {
        if (order == simulation::Order::threads) {
            std::thread other([&] {
                for (int t = 1; t < threads; t += 2) call(f, t);
            });
            for (int t = 0; t < threads; t += 2) call(f, t);
            other.join();
            return;
        }
        std::vector<int> at(static_cast<std::size_t>(threads));
        for (int t = 0; t < threads; ++t)
            at[std::size_t(t)] = order == simulation::Order::reverse ? threads - 1 - t : t;
        if (order == simulation::Order::random)
            for (std::size_t t = at.size() - 1; t > 0; --t) std::swap(at[t], at[random() % (t + 1)]);
        for (const int t : at) call(f, t);
    }
};

}  // namespace

namespace simulation {

void set(const Settings& settings) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    w.settings = settings;
    w.allocations = w.launches = w.products = 0;
}
Settings settings() {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    return w.settings;
}
void begin_product(int device) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    if (w.products++ == w.settings.fail_product)
        throw std::runtime_error("CUDA device " + std::to_string(device) + " failed: simulated");
}
std::int64_t allocations() { return world().allocations; }
std::int64_t launches() { return world().launches; }
std::int64_t products() { return world().products; }
std::int64_t live() { return std::int64_t(world().live.size()); }

void begin_launch(int device, std::int64_t blocks) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    if (w.launches++ == w.settings.fail_launch || blocks < 1 || blocks > kMostBlocks)
        throw std::runtime_error("CUDA device " + std::to_string(device) + " did not start a kernel: simulated");
}

void later(Queue& queue, std::function<void()> work) {
    reinterpret_cast<Pending*>(queue.stream())->works.push_back(std::move(work));
}

void run_blocks(std::int64_t blocks, const std::function<void(std::int64_t block, ThreadOrder& order)>& block) {
    const Order order = settings().order;
    const auto run = [&](std::int64_t begin, std::int64_t step) {
        for (std::int64_t b = begin; b < blocks; b += step) {
            InOrder threads(order, b);
            block(order == Order::reverse ? blocks - 1 - b : b, threads);
        }
    };
    if (order != Order::threads) return run(0, 1);
    std::thread other([&] { run(1, 2); });
    run(0, 2);
    other.join();
}

}  // namespace simulation

struct Queue::State : Pending {};

int device_count() { return kDevices; }
std::string why_not() { return {}; }
std::string driver() { return "simulated"; }
std::string architectures() { return "simulated"; }

std::size_t free_memory(int device) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    return w.settings.memory - std::min(w.used(device), w.settings.memory);
}

DeviceFacts device_facts(int) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    return {"simulated", w.settings.capability / 10, w.settings.capability % 10, kProcessors, w.settings.memory};
}

int floats_per_double(int) { return simulation::settings().floats_per_double; }

Queue::Queue(int device) : device_(device), processors_(kProcessors), state_(std::make_unique<State>()) {
    const simulation::Settings settings = simulation::settings();
    work_ = settings.work > 0 ? settings.work : work_of(kProcessors, settings.floats_per_double);
    if (device < 0 || device >= kDevices)
        throw std::runtime_error("there is no CUDA device " + std::to_string(device) + ", only 2");
}
Queue::~Queue() { state_->happen(); }

std::intptr_t Queue::stream() const { return reinterpret_cast<std::intptr_t>(static_cast<Pending*>(state_.get())); }

void* Queue::allocate(std::size_t bytes) {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    const std::size_t used = w.used(device_), free = w.settings.memory - std::min(used, w.settings.memory);
    if (w.allocations++ == w.settings.fail_allocation || bytes > free) throw OutOfMemory(device_, bytes, free);
    void* at = std::malloc(bytes ? bytes : 1);
    if (!at) throw OutOfMemory(device_, bytes, free);
    std::memset(at, 0xff, bytes);
    w.live[at] = {device_, bytes};
    return at;
}

void Queue::release(void* memory) noexcept {
    World& w = world();
    const std::lock_guard<std::mutex> lock(w.mutex);
    const auto block = w.live.find(memory);
    const auto give_back = [memory, bytes = block->second.second] {
        std::memset(memory, 0xff, bytes);  // whoever still reads it shall see that
        std::free(memory);
    };
    w.live.erase(block);
    if (state_->works.empty())
        give_back();  // as early as a device may, where other queues have work left
    else
        state_->works.emplace_back(give_back);
}

void Queue::clear(void* at, std::size_t bytes) {
    state_->works.emplace_back([at, bytes] { std::memset(at, 0, bytes); });
}
void Queue::upload(void* to, const void* from, std::size_t bytes) {
    const auto* first = static_cast<const char*>(from);
    state_->works.emplace_back([to, staged = std::vector<char>(first, first + bytes)] {
        if (!staged.empty()) std::memcpy(to, staged.data(), staged.size());
    });
}
void Queue::download(void* to, const void* from, std::size_t bytes) {
    state_->happen();
    if (bytes) std::memcpy(to, from, bytes);
}
void Queue::wait(Monitor* monitor, std::int64_t done, std::int64_t total) {
    if (monitor) monitor->poll(done, total);  // who leaves here leaves work behind
    state_->happen();
}

}  // namespace kernalign::cuda
