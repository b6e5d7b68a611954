// The ways the CPU engine can compute on this machine: every instruction set in every precision, as parameters for
// tests.
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "src/engine/cpu/bf16.h"
#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"

namespace lfm::cases {

struct CpuPath {
  std::string name;
  const cpu::Kernels* kernels;
  const cpu::PrecisionKernels* precision;

  bool is_bf16() const { return precision->precision == Precision::bf16; }

  /// Values as the kernels keep them; with BF16, rounded. An even number of them.
  cpu::Buffer stored(const std::vector<float>& values) const {
    const std::size_t each = is_bf16() ? 2 : 1;
    cpu::Buffer buffer(values.size() / each);
    for (std::size_t i = 0; i < buffer.size(); ++i) {
      buffer.data()[i] = is_bf16() ? cpu::bf16_pair(values[2 * i], values[2 * i + 1]) : values[i];
    }
    return buffer;
  }
  /// The values that are kept at p.
  std::vector<float> values(const float* p, std::size_t count) const {
    std::vector<float> out(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = is_bf16() ? cpu::stored_bf16(p, i) : p[i];
    return out;
  }
};

inline const std::vector<CpuPath>& cpu_paths() {
  static const std::vector<CpuPath> all = [] {
    std::vector<CpuPath> list;
    for (const cpu::Kernels* kernels : cpu::supported_kernels()) {
      const std::string name = kernels->name;
      list.push_back({name + "_fp32", kernels, &kernels->fp32});
      if (cpu::has_bf16(*kernels)) list.push_back({name + "_bf16", kernels, &kernels->bf16});
      list.push_back({name + "_bf16_emulated", kernels, &kernels->bf16_emulated});
    }
    return list;
  }();
  return all;
}

}  // namespace lfm::cases
