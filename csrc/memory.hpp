// Memory for large arrays: in whole cache lines, on huge pages where the system has them, not cleared before it is
// written.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace kernalign {

template <class T>
struct LargeAllocator {
    using value_type = T;
    static constexpr std::align_val_t kLine{64};  // of the caches: a vector or tile row that straddles two costs double
    LargeAllocator() = default;
    template <class U>
    LargeAllocator(const LargeAllocator<U>&) {}

    T* allocate(std::size_t n) {
        constexpr std::size_t kHuge = std::size_t(1) << 21;
        const std::size_t bytes = n * sizeof(T);
        if (bytes < 2 * kHuge) return static_cast<T*>(::operator new(bytes, kLine));
        if (n > std::size_t(-1) / 2 / sizeof(T)) throw std::bad_alloc();
        void* memory = std::aligned_alloc(kHuge, (bytes + kHuge - 1) / kHuge * kHuge);
        if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
        madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: a refusal changes nothing but speed
#endif
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t n) {
        if (n * sizeof(T) < (std::size_t(1) << 22))
            ::operator delete(memory, kLine);
        else
            std::free(memory);
    }
    // resize(n) leaves new elements as they are; resize(n, value) and assign(n, value) write them.
    template <class U>
    void construct(U* place) {
        ::new (static_cast<void*>(place)) U;
    }
    template <class U, class... Arguments>
    void construct(U* place, Arguments&&... arguments) {
        ::new (static_cast<void*>(place)) U(std::forward<Arguments>(arguments)...);
    }
    bool operator==(const LargeAllocator&) const { return true; }
    bool operator!=(const LargeAllocator&) const { return false; }
};

template <class T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace kernalign
