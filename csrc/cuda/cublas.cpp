// Finds cuBLAS at run time: where the process has it already, else in its wheel, else where the system looks.
#include "cuda/cublas.hpp"

#include <dlfcn.h>
#include <link.h>

namespace kernalign::cuda {
namespace {

constexpr const char* kNames[] = {"libcublas.so.13", "libcublas.so.12"};

std::string path_of(void* library) {
    link_map* map = nullptr;
    return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map ? map->l_name : "";
}

}  // namespace

std::string find_cublas(const std::vector<std::string>& paths) {
    for (const char* name : kNames)
        if (void* library = dlopen(name, RTLD_NOW | RTLD_NOLOAD)) return path_of(library);
    for (const std::string& path : paths)
        if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return path_of(library);
    for (const char* name : kNames)
        if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return path_of(library);
    return {};
}

}  // namespace kernalign::cuda
