// The parity fixtures beside the checkout (../shared/fixtures, its README says how they were made).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lfm::cases {

/// Where the fixtures lie; empty where they are missing, and tests then skip with missing_fixtures.
std::filesystem::path fixtures();
inline constexpr const char* kMissingFixtures = "the parity fixtures (../shared/fixtures) are not on this machine";

/// A file of named tensors, widened to float or 32-bit integers.
class TensorFile {
 public:
  explicit TensorFile(const std::filesystem::path& path);
  bool has(const std::string& name) const { return entries_.count(name) > 0; }
  std::vector<int> shape(const std::string& name) const { return entries_.at(name).shape; }
  std::vector<float> floats(const std::string& name) const;                ///< from F32 or F16
  std::vector<std::int32_t> integers(const std::string& name) const;       ///< from I32 or U8

  /// Parameters and statistics under the reference's names with a prefix, laid out by the parameter table.
  std::vector<float> parameters(const std::string& prefix) const;

 private:
  struct Entry {
    std::string type;
    std::vector<int> shape;
    std::size_t begin = 0, end = 0;
  };
  std::vector<char> bytes_;
  std::map<std::string, Entry> entries_;
};

/// [n][3][h][w] -> [n][h][w][3]
std::vector<std::uint8_t> interleave(const std::vector<std::int32_t>& planes, int n, int h, int w);

}  // namespace lfm::cases
