// The parity fixtures beside the checkout (../shared/fixtures, its README says how they were made).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/model/tensor_file.h"

namespace lfm::cases {

/// Where the fixtures lie: in ../fixtures from the program, where tools/gpu-bundle carries them, else beside the
/// checkout. Empty where they are missing, and tests then skip with kMissingFixtures.
std::filesystem::path fixtures();
inline constexpr const char* kMissingFixtures = "the parity fixtures (../shared/fixtures) are not on this machine";

/// A tensor's values: F32 and F16 as floats, U8 and I32 as integers. Throws where the file has none of that name.
std::vector<float> floats(const TensorFile& file, const std::string& name);
std::vector<std::int32_t> integers(const TensorFile& file, const std::string& name);

/// Parameters and statistics under the reference's names with a prefix, laid out by the parameter table.
std::vector<float> reference_parameters(const TensorFile& file, const std::string& prefix);

/// [n][3][h][w] -> [n][h][w][3]
std::vector<std::uint8_t> interleave(const std::vector<std::int32_t>& planes, int n, int h, int w);

}  // namespace lfm::cases
