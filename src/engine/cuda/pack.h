// Weights and activations between the canonical layouts of the parameter table and those of the kernels, on the host.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "lfm/precision.h"
#include "src/engine/plan.h"

namespace lfm {

/// [oc][ic][taps] -> [tap][ic][oc], so that a GEMM reads consecutive output channels. taps: 4 for 2x2, 1 for 1x1.
std::vector<float> pack_weight(std::span<const float> weight, int oc, int ic, int taps);

/// [oc][ic][taps] -> [oc][tap][ic], as libraries read it.
std::vector<float> pack_channels_last(std::span<const float> weight, int oc, int ic, int taps);

/// [oc][ic][4] -> for conv2x2_winograd: each 2x2 kernel transformed to nine points, in the kernel's stages
/// (kernels/winograd_layout.h). The sums of two or four weights are rounded once.
std::vector<float> pack_winograd(std::span<const float> weight, int oc, int ic);

/// Copies packed values to their region of `memory`.
template <typename Values>
void put(std::byte* memory, const Region& region, const Values& values) {
  std::memcpy(memory + region.offset, values.data(), region.bytes());
}

/// The way back from pack_weight().
std::vector<float> unpack_weight(std::span<const float> packed, int oc, int ic, int taps);

/// Activations as they lie on a device of this precision.
std::vector<float> to_floats(std::span<const std::byte> values, Precision precision);

/// Values as they lie on a device of this precision, rounded.
std::vector<std::byte> from_floats(std::span<const float> values, Precision precision);

/// [n][area][c] -> [n][c][area].
std::vector<float> channels_first(std::span<const float> values, int n, int area, int c);

}  // namespace lfm
