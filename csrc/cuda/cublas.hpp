// Finds cuBLAS at run time: where the process has it already, else in its wheel, else where the system looks.
#pragma once

#include <string>
#include <vector>

namespace kernalign::cuda {

// Where cuBLAS is, trying `paths` before what the system finds; empty if there is none. Loads it.
std::string find_cublas(const std::vector<std::string>& paths);

}  // namespace kernalign::cuda
