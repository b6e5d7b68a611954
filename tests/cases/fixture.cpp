#include "tests/cases/fixture.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <system_error>

#include "src/model/architecture.h"
#include "tests/paths.h"

namespace lfm::cases {

std::filesystem::path fixtures() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const std::filesystem::path& folder :
       {program.parent_path().parent_path() / "fixtures", std::filesystem::path(test::kShared) / "fixtures"}) {
    if (std::filesystem::exists(folder, error)) return folder;
  }
  return {};
}

std::vector<float> floats(const TensorFile& file, const std::string& name) {
  const Tensor* tensor = file.find(name);
  if (!tensor) throw std::runtime_error("no tensor " + name);
  return to_floats(*tensor);
}

std::vector<std::int32_t> integers(const TensorFile& file, const std::string& name) {
  std::vector<std::int32_t> values;
  for (const float value : floats(file, name)) values.push_back(static_cast<std::int32_t>(value));  // all below 2^24
  return values;
}

std::vector<float> reference_parameters(const TensorFile& file, const std::string& prefix) {
  const ParameterTable table = parameter_table({});
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < kParameters; ++id) {
    std::ranges::copy(floats(file, prefix + table[id].reference_name), parameter(std::span(values), table, id).begin());
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
