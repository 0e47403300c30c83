// Multiplies with cuBLAS, which is loaded at run time: the few functions that are called, by their names.
#include <dlfcn.h>
#include <library_types.h>
#include <link.h>

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "cuda/current_device.hpp"
#include "cuda/products.hpp"

namespace kernalign::cuda {
namespace {

constexpr const char* kNames[] = {"libcublas.so.13", "libcublas.so.12"};
constexpr std::size_t kWorkspace = std::size_t(32) << 20;
// Of cuBLAS's interface: transposition, triangles, arithmetic, sums that stay in float32, and products that do.
constexpr int kPlain = 0, kTransposed = 1, kLower = 0, kSumsOfFloats = 68, kUsualAlgorithm = -1, kNoReducedSums = 16,
              kPedantic = 2;

using Handle = void*;
template <class T>
using Multiply = int (*)(Handle, int, int, int, int, int, const T*, const T*, int, const T*, int, const T*, T*, int);
template <class T>
using Square = int (*)(Handle, int, int, int, int, const T*, const T*, int, const T*, T*, int);
struct Library {
    std::string path;
    int (*create)(Handle*) = nullptr;
    int (*destroy)(Handle) = nullptr;
    int (*set_stream)(Handle, void*) = nullptr;
    int (*set_mode)(Handle, int) = nullptr;
    int (*set_workspace)(Handle, void*, std::size_t) = nullptr;
    int (*multiply_halves)(Handle, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                           const void*, void*, int, int, int, int) = nullptr;
    Multiply<float> multiply_floats = nullptr;
    Multiply<double> multiply_doubles = nullptr;
    Square<float> square_floats = nullptr;
    Square<double> square_doubles = nullptr;
};

struct Loaded {
    std::mutex mutex;
    std::vector<std::string> paths;
    std::unique_ptr<const Library> library;   // does not change once it is found, so that all may read it
    std::map<int, std::vector<Handle>> idle;  // by device; a handle is dear to make, so it is kept
};
Loaded& loaded() {
    static Loaded* one = new Loaded;  // never destroyed: the driver may be gone by then
    return *one;
}

void* opened(const std::vector<std::string>& paths) {
    for (const char* name : kNames)
        if (void* library = dlopen(name, RTLD_NOW | RTLD_NOLOAD)) return library;
    for (const std::string& path : paths)
        if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    for (const char* name : kNames)
        if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    return nullptr;
}

template <class F>
bool find(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
}

// Null where there is none; it may be loaded by somebody later.
const Library* library() {
    Loaded& l = loaded();
    const std::lock_guard<std::mutex> lock(l.mutex);
    if (l.library) return l.library.get();
    void* found = opened(l.paths);
    if (!found) return nullptr;
    auto made = std::make_unique<Library>();
    link_map* map = nullptr;
    if (find(found, "cublasCreate_v2", made->create) && find(found, "cublasDestroy_v2", made->destroy) &&
        find(found, "cublasSetStream_v2", made->set_stream) && find(found, "cublasSetMathMode", made->set_mode) &&
        find(found, "cublasSetWorkspace_v2", made->set_workspace) &&
        find(found, "cublasGemmEx", made->multiply_halves) && find(found, "cublasSgemm_v2", made->multiply_floats) &&
        find(found, "cublasDgemm_v2", made->multiply_doubles) && find(found, "cublasSsyrk_v2", made->square_floats) &&
        find(found, "cublasDsyrk_v2", made->square_doubles) && dlinfo(found, RTLD_DI_LINKMAP, &map) == 0) {
        made->path = map->l_name;
        l.library = std::move(made);
    }
    return l.library.get();
}

}  // namespace

void look_for_products(const std::vector<std::string>& paths) {
    Loaded& l = loaded();
    const std::lock_guard<std::mutex> lock(l.mutex);
    l.paths = paths;
}

std::string products_path() {
    const Library* cublas = library();
    return cublas ? cublas->path : "";
}

void require_products() {
    if (!has_products())
        throw std::runtime_error(
            "sums of products on a CUDA device need cuBLAS, which was not found: pip install nvidia-cublas brings it");
}

struct Products::State {
    const Library* cublas;
    int device;
    Buffer<char> workspace;
    Handle handle = nullptr;
    bool broken = false;  // a call failed

    State(const Library* found, Queue& queue)
        : cublas(found), device(queue.device()), workspace(queue, std::int64_t(kWorkspace)) {
        Loaded& l = loaded();
        const std::lock_guard<std::mutex> lock(l.mutex);
        std::vector<Handle>& idle = l.idle[device];
        if (idle.empty()) return;
        handle = idle.back();
        idle.pop_back();
    }
    ~State() {
        if (!handle) return;
        try {
            if (!broken) {
                Loaded& l = loaded();
                const std::lock_guard<std::mutex> lock(l.mutex);
                l.idle[device].push_back(handle);
                return;
            }
            const CurrentDevice current(device);
            cublas->destroy(handle);
        } catch (const std::exception&) {  // a handle that nobody has room for, or a device that nobody can use
        }
    }
    void check(int status) {
        if (status == 0) return;
        broken = true;
        throw std::runtime_error("CUDA device " + std::to_string(device) + " failed: cuBLAS gave status " +
                                 std::to_string(status));
    }
};

Products::Products(Queue& queue) : queue_(queue) {
    require_products();
    const Library* cublas = library();
    state_ = std::make_unique<State>(cublas, queue);
    const CurrentDevice current(queue.device());
    if (!state_->handle) state_->check(cublas->create(&state_->handle));
    state_->check(cublas->set_stream(state_->handle, reinterpret_cast<void*>(queue.stream())));
    state_->check(cublas->set_workspace(state_->handle, state_->workspace.get(), kWorkspace));
}

Products::~Products() = default;

// Columns are cuBLAS's rows, so that it sees C^T = B A^T.
void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const std::uint16_t* a, const std::uint16_t* b,
                        float* c, std::int64_t ldc) {
    const CurrentDevice current(queue_.device());
    const float one = 1, zero = 0;
    state_->check(state_->cublas->set_mode(state_->handle, kNoReducedSums));
    state_->check(state_->cublas->multiply_halves(state_->handle, kTransposed, kPlain, int(n), int(m), int(k), &one, b,
                                                  CUDA_R_16F, int(k), a, CUDA_R_16F, int(k), &zero, c, CUDA_R_32F,
                                                  int(ldc), kSumsOfFloats, kUsualAlgorithm));
}

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                        const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
    const CurrentDevice current(queue_.device());
    const float one = 1, zero = 0;
    state_->check(state_->cublas->set_mode(state_->handle, kPedantic));
    state_->check(state_->cublas->multiply_floats(state_->handle, kTransposed, kPlain, int(n), int(m), int(k), &one, b,
                                                  int(ldb), a, int(lda), &zero, c, int(ldc)));
}

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                        const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
    const CurrentDevice current(queue_.device());
    const double one = 1, zero = 0;
    state_->check(state_->cublas->multiply_doubles(state_->handle, kTransposed, kPlain, int(n), int(m), int(k), &one, b,
                                                   int(ldb), a, int(lda), &zero, c, int(ldc)));
}

void Products::square(std::int64_t rows, std::int64_t cols, const float* v, float* c) {
    const CurrentDevice current(queue_.device());
    const float one = 1, zero = 0;
    state_->check(state_->cublas->set_mode(state_->handle, kPedantic));
    state_->check(state_->cublas->square_floats(state_->handle, kLower, kPlain, int(cols), int(rows), &one, v,
                                                int(cols), &zero, c, int(cols)));
}

void Products::add_square(std::int64_t rows, std::int64_t cols, const double* v, double* c) {
    const CurrentDevice current(queue_.device());
    const double one = 1;
    state_->check(state_->cublas->square_doubles(state_->handle, kLower, kPlain, int(cols), int(rows), &one, v,
                                                 int(cols), &one, c, int(cols)));
}

}  // namespace kernalign::cuda
