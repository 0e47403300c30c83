// Multiplies with cuBLAS, which is loaded at run time: the few functions that are called, by their names.
#include <dlfcn.h>
#include <library_types.h>
#include <link.h>

#include <map>
#include <mutex>
#include <stdexcept>

#include "cuda/current_device.hpp"
#include "cuda/products.hpp"

namespace kernalign::cuda {
namespace {

constexpr const char* kNames[] = {"libcublas.so.13", "libcublas.so.12"};
constexpr std::size_t kWorkspace = std::size_t(32) << 20;
// Of cuBLAS's interface: transposition, triangles, arithmetic, and sums that stay in float32.
constexpr int kPlain = 0, kTransposed = 1, kLower = 0, kSumsOfFloats = 68, kUsualAlgorithm = -1, kNoReducedSums = 16;

using Handle = void*;
struct Library {
    std::string path;
    int (*create)(Handle*) = nullptr;
    int (*set_stream)(Handle, void*) = nullptr;
    int (*set_mode)(Handle, int) = nullptr;
    int (*set_workspace)(Handle, void*, std::size_t) = nullptr;
    int (*multiply)(Handle, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                    const void*, void*, int, int, int, int) = nullptr;
    int (*multiply_doubles)(Handle, int, int, int, int, int, const double*, const double*, int, const double*, int,
                            const double*, double*, int) = nullptr;
    int (*square)(Handle, int, int, int, int, const double*, const double*, int, const double*, double*, int) = nullptr;
};

struct Loaded {
    std::mutex mutex;
    std::vector<std::string> paths;
    Library library;
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

const Library& library() {
    Loaded& l = loaded();
    const std::lock_guard<std::mutex> lock(l.mutex);
    if (!l.library.path.empty()) return l.library;  // else somebody may have loaded it meanwhile
    void* found = opened(l.paths);
    if (!found) return l.library;
    Library made;
    link_map* map = nullptr;
    if (find(found, "cublasCreate_v2", made.create) && find(found, "cublasSetStream_v2", made.set_stream) &&
        find(found, "cublasSetMathMode", made.set_mode) && find(found, "cublasSetWorkspace_v2", made.set_workspace) &&
        find(found, "cublasGemmEx", made.multiply) && find(found, "cublasDgemm_v2", made.multiply_doubles) &&
        find(found, "cublasDsyrk_v2", made.square) && dlinfo(found, RTLD_DI_LINKMAP, &map) == 0)
        made.path = map->l_name;
    l.library = made;
    return l.library;
}

void check(int status, int device) {
    if (status != 0)
        throw std::runtime_error("CUDA device " + std::to_string(device) + " failed: cuBLAS gave status " +
                                 std::to_string(status));
}

}  // namespace

void look_for_products(const std::vector<std::string>& paths) {
    Loaded& l = loaded();
    const std::lock_guard<std::mutex> lock(l.mutex);
    l.paths = paths;
}

std::string products_path() { return library().path; }

void require_products() {
    if (!has_products())
        throw std::runtime_error(
            "sums of products on a CUDA device need cuBLAS, which was not found: pip install nvidia-cublas brings it");
}

struct Products::State {
    int device;
    Handle handle = nullptr;
    Buffer<char> workspace;

    ~State() {
        Loaded& l = loaded();
        const std::lock_guard<std::mutex> lock(l.mutex);
        if (handle) l.idle[device].push_back(handle);
    }
};

Products::Products(Queue& queue) : queue_(queue), state_(std::make_unique<State>()) {
    state_->device = queue.device();
    state_->workspace = Buffer<char>(queue, kWorkspace);
    const Library& cublas = library();
    {
        Loaded& l = loaded();
        const std::lock_guard<std::mutex> lock(l.mutex);
        std::vector<Handle>& idle = l.idle[queue.device()];
        if (!idle.empty()) {
            state_->handle = idle.back();
            idle.pop_back();
        }
    }
    const CurrentDevice current(queue.device());
    if (!state_->handle) check(cublas.create(&state_->handle), queue.device());
    check(cublas.set_stream(state_->handle, reinterpret_cast<void*>(queue.stream())), queue.device());
    check(cublas.set_workspace(state_->handle, state_->workspace.get(), kWorkspace), queue.device());
    check(cublas.set_mode(state_->handle, kNoReducedSums), queue.device());
}

Products::~Products() = default;

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const std::uint16_t* a, const std::uint16_t* b,
                        float* c, std::int64_t ldc) {
    const CurrentDevice current(queue_.device());
    const float one = 1, zero = 0;
    // Columns are cuBLAS's rows, so that it sees C^T = B A^T.
    check(library().multiply(state_->handle, kTransposed, kPlain, int(n), int(m), int(k), &one, b, CUDA_R_16F, int(k),
                             a, CUDA_R_16F, int(k), &zero, c, CUDA_R_32F, int(ldc), kSumsOfFloats, kUsualAlgorithm),
          queue_.device());
}

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                        const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
    const CurrentDevice current(queue_.device());
    const double one = 1, zero = 0;
    check(library().multiply_doubles(state_->handle, kTransposed, kPlain, int(n), int(m), int(k), &one, b, int(ldb), a,
                                     int(lda), &zero, c, int(ldc)),
          queue_.device());
}

void Products::add_square(std::int64_t rows, std::int64_t cols, const double* v, double* c) {
    const CurrentDevice current(queue_.device());
    const double one = 1;
    check(
        library().square(state_->handle, kLower, kPlain, int(cols), int(rows), &one, v, int(cols), &one, c, int(cols)),
        queue_.device());
}

}  // namespace kernalign::cuda
