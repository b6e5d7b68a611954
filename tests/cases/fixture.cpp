#include "tests/cases/fixture.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "src/model/architecture.h"

namespace lfm::cases {
namespace {

float half_to_float(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>(half >> 15 ? -magnitude : magnitude);
}

}  // namespace

std::filesystem::path fixtures() {
  const std::filesystem::path path = LFM_SHARED "/fixtures";
  return std::filesystem::exists(path) ? path : std::filesystem::path{};
}

TensorFile::TensorFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  bytes_.assign(std::istreambuf_iterator<char>(file), {});
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes_.data(), 8);
  const auto header = nlohmann::json::parse(bytes_.begin() + 8, bytes_.begin() + 8 + static_cast<std::ptrdiff_t>(header_size));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const std::size_t data = 8 + header_size;
    entries_[name] = {entry["dtype"], entry["shape"], data + entry["data_offsets"][0].get<std::size_t>(),
                      data + entry["data_offsets"][1].get<std::size_t>()};
  }
}

std::vector<float> TensorFile::floats(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  const std::size_t size = entry.end - entry.begin;
  if (entry.type == "F16") {
    std::vector<std::uint16_t> halves(size / 2);
    std::memcpy(halves.data(), &bytes_[entry.begin], size);
    std::vector<float> values(halves.size());
    std::ranges::transform(halves, values.begin(), half_to_float);
    return values;
  }
  if (entry.type != "F32") throw std::runtime_error(name + " holds no floats");
  std::vector<float> values(size / 4);
  std::memcpy(values.data(), &bytes_[entry.begin], size);
  return values;
}

std::vector<std::int32_t> TensorFile::integers(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  const std::size_t size = entry.end - entry.begin;
  if (entry.type == "U8") {
    std::vector<std::uint8_t> small(size);
    std::memcpy(small.data(), &bytes_[entry.begin], size);
    return {small.begin(), small.end()};
  }
  if (entry.type != "I32") throw std::runtime_error(name + " holds no integers");
  std::vector<std::int32_t> values(size / 4);
  std::memcpy(values.data(), &bytes_[entry.begin], size);
  return values;
}

std::vector<float> TensorFile::parameters(const std::string& prefix) const {
  const ParameterTable table = parameter_table({});
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < kParameters; ++id) {
    std::ranges::copy(floats(prefix + table[id].reference_name), parameter(std::span(values), table, id).begin());
  }
  return values;
}

std::vector<std::uint8_t> interleave(const std::vector<std::int32_t>& planes, int n, int h, int w) {
  std::vector<std::uint8_t> pixels(planes.size());
  const std::size_t area = static_cast<std::size_t>(h) * w;
  for (std::size_t image = 0; image < static_cast<std::size_t>(n); ++image) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t p = 0; p < area; ++p) {
        pixels[(image * area + p) * 3 + c] = static_cast<std::uint8_t>(planes[(image * 3 + c) * area + p]);
      }
    }
  }
  return pixels;
}

}  // namespace lfm::cases
