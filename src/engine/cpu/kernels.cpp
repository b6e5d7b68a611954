// Compiles the vector kernels once per instruction set and keeps the tables. The lowest is whatever the compiler's
// flags allow (NEON on AArch64, plain loops on x86-64): it runs everywhere.
#include "src/engine/cpu/kernels.h"

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/engine/cpu/kernels.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "src/engine/cpu/conv-inl.h"
#include "src/engine/cpu/first_block-inl.h"
#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/topk-inl.h"
#include "src/engine/cpu/winograd-inl.h"
#include "src/engine/cpu/winograd3-inl.h"
#include "src/engine/cpu/winograd_bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3
#define LFM_CPU_NAMES "avx512", "AVX-512"
#elif HWY_TARGET == HWY_AVX2
#define LFM_CPU_NAMES "avx2", "AVX2"
#elif HWY_TARGET == HWY_NEON
#define LFM_CPU_NAMES "neon", "NEON"
#elif HWY_TARGET == HWY_SSE4
#define LFM_CPU_NAMES "sse4", "SSE4"
#else
#define LFM_CPU_NAMES "portable", "no vector instructions"
#endif

template <typename Bf16>
constexpr PrecisionKernels bf16_kernels() {
  return {Precision::bf16,
          kPanel,
          kTile4Out,
          Bf16::kSlabFloats,
          multiply<Bf16>,
          tile4_input<Bf16>,
          tile4_output_pooled<Bf16>,
          tile4_output<Bf16>,
          first_block_row<Bf16, WindowResidual>,
          first_block_row<Bf16, PlainWindow>};
}

const Kernels& table() {
#if LFM_CPU_HAVE_BF16
  constexpr PrecisionKernels bf16 = bf16_kernels<Bf16Native>();
#else
  constexpr PrecisionKernels bf16 = {};
#endif
  constexpr PrecisionKernels fp32 = {Precision::fp32,
                                     kPanel,
                                     kTile6Out,
                                     Fp32::kSlabFloats,
                                     multiply<Fp32>,
                                     tile6_input,
                                     tile6_output_pooled,
                                     tile6_output,
                                     first_block_row<Fp32, WindowResidual>,
                                     first_block_row<Fp32, PlainWindow>};
  static constexpr Kernels kernels = {LFM_CPU_NAMES,
                                      HWY_TARGET,
                                      kMaxRows,
                                      fp32,
                                      bf16_kernels<Bf16Emulated>(),
                                      bf16,
                                      select_largest,
                                      convolve<kSlab>,
                                      convolve<2 * kSlab>,
                                      tile3_input,
                                      tile3_output};
  return kernels;
}
#undef LFM_CPU_NAMES

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "lfm/error.h"
#include "src/machine/vector_targets.h"

namespace lfm::cpu {

std::span<const Kernels* const> supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> tables;
    const auto offer = [&tables](const Kernels& kernels) {
      if (supported_vector_targets() & kernels.target) tables.push_back(&kernels);
    };
#if HWY_TARGETS & HWY_AVX3
    offer(N_AVX3::table());
#endif
#if HWY_TARGETS & HWY_AVX2
    offer(N_AVX2::table());
#endif
#if HWY_TARGETS & HWY_SSE4
    offer(N_SSE4::table());
#endif
#if !(HWY_STATIC_TARGET & (HWY_AVX3 | HWY_AVX2 | HWY_SSE4))
    tables.push_back(&HWY_NAMESPACE::table());
#endif
    return tables;
  }();
  return supported;
}

bool has_bf16(const Kernels& kernels) {
#if defined(__x86_64__)
  return kernels.bf16.multiply != nullptr && __builtin_cpu_supports("avx512bf16");
#else
  return kernels.bf16.multiply != nullptr;
#endif
}

const Kernels& choose_kernels(const char* name) {
  const auto supported = supported_kernels();
  if (name == nullptr || *name == '\0') return *supported.front();
  std::string choices;
  for (const Kernels* kernels : supported) {
    if (std::string_view(name) == kernels->name) return *kernels;
    choices += choices.empty() ? "" : ", ";
    choices += kernels->name;
  }
  throw Error(ErrorCode::usage,
              fmt::format("LFM_CPU={} is not an instruction set this machine runs: choose one of {}, or unset "
                          "it for the best",
                          name, choices));
}

}  // namespace lfm::cpu
#endif
