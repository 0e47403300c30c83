// Contract of devices: memory, copies, launches and errors; device_cuda.cpp keeps it on GPUs, device_sim.cpp on the
// CPU.
//
// Order      What is asked of one Queue happens in that order. Only download and wait return after it has happened, and
//            upload after it has read the caller's memory.
// Errors     OutOfMemory with the bytes wanted and free; std::runtime_error with one sentence for anything else that a
//            device does not do. What was allocated is given back by destructors, after errors too.
// Current    The calling thread's current device is what it was before, when a call returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "monitor.hpp"

namespace kernalign::cuda {

struct DeviceFacts {
    std::string name;
    int major = 0, minor = 0;  // compute capability
    int processors = 0;
    std::size_t memory = 0;  // bytes
};

int device_count();                    // 0 where there is no driver
std::string why_not();                 // why there is no device, or nothing if there is one
DeviceFacts device_facts(int device);  // takes none of its memory
std::size_t free_memory(int device);   // bytes; takes some, if the process had not used the device
int floats_per_double(int device);     // operations of float32 arithmetic in the time of one of float64
// What Queue::work says of so many processors.
inline double work_of(int processors, int floats_per_double) {
    return processors * (floats_per_double > 8 ? 0x1p27 : 0x1p32);
}
std::string driver();         // its version, or nothing
std::string architectures();  // what the kernels were compiled for

class OutOfMemory : public std::bad_alloc {
  public:
    OutOfMemory(int device, std::size_t wanted, std::size_t free)
        : words_("CUDA device " + std::to_string(device) + " is out of memory: " + std::to_string(wanted) +
                 " bytes wanted, " + std::to_string(free) + " free") {}
    const char* what() const noexcept override { return words_.c_str(); }

  private:
    std::string words_;
};

class Queue {
  public:
    explicit Queue(int device);
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    int device() const { return device_; }
    std::intptr_t stream() const;  // as x.__dlpack__(stream=) takes it
    int processors() const { return processors_; }
    // Multiply-adds in float64, outside matrix products, that take a tenth of a second or so: what is asked for between
    // two polls.
    double work() const { return work_; }

    void* allocate(std::size_t bytes);
    void release(void* memory) noexcept;
    void clear(void* at, std::size_t bytes);  // with zeros
    void upload(void* to, const void* from, std::size_t bytes);
    void download(void* to, const void* from, std::size_t bytes);
    // Until all has happened; polls.
    void wait(Monitor* monitor, std::int64_t done = 0, std::int64_t total = 0);

  private:
    struct State;
    int device_, processors_ = 0;
    double work_ = 0;
    std::unique_ptr<State> state_;
};

// Memory on a queue's device, given back in the queue's order.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(Queue& queue, std::int64_t size)
        : queue_(&queue), size_(size), at_(static_cast<T*>(queue.allocate(std::size_t(size) * sizeof(T)))) {}
    Buffer(Queue& queue, const std::vector<T>& values) : Buffer(queue, std::int64_t(values.size())) {
        queue.upload(at_, values.data(), values.size() * sizeof(T));
    }
    ~Buffer() {
        if (at_) queue_->release(at_);
    }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }

    T* get() const { return at_; }
    std::int64_t size() const { return size_; }
    void clear() { queue_->clear(at_, std::size_t(size_) * sizeof(T)); }
    void download(T* to) const { queue_->download(to, at_, std::size_t(size_) * sizeof(T)); }
    std::vector<T> values() const {
        std::vector<T> out(static_cast<std::size_t>(size_));
        download(out.data());
        return out;
    }

  private:
    void swap(Buffer& other) noexcept {
        std::swap(queue_, other.queue_);
        std::swap(size_, other.size_);
        std::swap(at_, other.at_);
    }
    Queue* queue_ = nullptr;
    std::int64_t size_ = 0;
    T* at_ = nullptr;
};

// Waits, when it is left, also by an error, until a queue has read memory that is not in its order.
struct Settled {
    Queue& queue;
    ~Settled() {
        try {
            queue.wait(nullptr);
        } catch (const std::runtime_error&) {  // the error that made us leave, or the next call says so
        }
    }
};

// `count` squares of numbers, of as many rows as there is memory for: half as many until they fit, but not below 512.
template <class T>
Buffer<T> squares_that_fit(Queue& queue, std::int64_t count, std::int64_t& rows) {
    for (;;) {
        try {
            return Buffer<T>(queue, count * rows * rows);
        } catch (const OutOfMemory&) {
            if (rows < 1024) throw;
            rows = rows / 2 / 128 * 128;
        }
    }
}

// Runs a kernel (simt.hpp) once for every block. Defined in the file that holds the kernels (launch.hpp).
template <class K>
void launch(Queue& queue, std::int64_t blocks, const K& kernel);

}  // namespace kernalign::cuda
