#include "src/engine/cuda/pack.h"

#include <cstring>

#include "kernels/element.h"
#include "kernels/winograd_layout.h"

namespace lfm {

namespace {

template <typename T>
std::vector<float> decode(std::span<const std::byte> values) {
  std::vector<float> floats(values.size() / sizeof(T));
  for (std::size_t i = 0; i < floats.size(); ++i) {
    T element;
    std::memcpy(&element, values.data() + i * sizeof(T), sizeof(T));
    floats[i] = kernels::to_float(element);
  }
  return floats;
}

template <typename T>
std::vector<std::byte> encode(std::span<const float> values) {
  std::vector<std::byte> elements(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T element = kernels::round_to<T>(values[i]);
    std::memcpy(elements.data() + i * sizeof(T), &element, sizeof(T));
  }
  return elements;
}

}  // namespace

std::vector<float> pack_weight(std::span<const float> weight, int oc, int ic, int taps) {
  std::vector<float> packed(weight.size());
  for (int o = 0; o < oc; ++o) {
    for (int i = 0; i < ic; ++i) {
      for (int t = 0; t < taps; ++t) packed[(t * ic + i) * oc + o] = weight[(o * ic + i) * taps + t];
    }
  }
  return packed;
}

std::vector<float> pack_channels_last(std::span<const float> weight, int oc, int ic, int taps) {
  std::vector<float> packed(weight.size());
  for (int o = 0; o < oc; ++o) {
    for (int i = 0; i < ic; ++i) {
      for (int t = 0; t < taps; ++t) packed[(o * taps + t) * ic + i] = weight[(o * ic + i) * taps + t];
    }
  }
  return packed;
}

std::vector<float> pack_winograd(std::span<const float> weight, int oc, int ic) {
  using Tile = kernels::WinogradTile;
  constexpr double transform[3][2] = {{1, 0}, {1, 1}, {0, 1}};  // G
  std::vector<float> packed(weight.size() / 4 * Tile::kPoints);
  for (int o = 0; o < oc; ++o) {
    for (int c = 0; c < ic; ++c) {
      for (int point = 0; point < Tile::kPoints; ++point) {
        double sum = 0;
        for (int tap = 0; tap < 4; ++tap)
          sum += transform[point / 3][tap / 2] * transform[point % 3][tap % 2] * weight[(o * ic + c) * 4 + tap];
        packed[kernels::winograd_weight_at(point, c, o, ic)] = static_cast<float>(sum);
      }
    }
  }
  return packed;
}

std::vector<float> unpack_weight(std::span<const float> packed, int oc, int ic, int taps) {
  std::vector<float> weight(packed.size());
  for (int o = 0; o < oc; ++o) {
    for (int i = 0; i < ic; ++i) {
      for (int t = 0; t < taps; ++t) weight[(o * ic + i) * taps + t] = packed[(t * ic + i) * oc + o];
    }
  }
  return weight;
}

std::vector<float> to_floats(std::span<const std::byte> values, Precision precision) {
  switch (precision) {
    case Precision::fp16: return decode<kernels::Half>(values);
    case Precision::bf16: return decode<kernels::Bfloat16>(values);
    default: return decode<kernels::Tf32>(values);  // TF32 is FP32 with zeros at its end
  }
}

std::vector<std::byte> from_floats(std::span<const float> values, Precision precision) {
  switch (precision) {
    case Precision::fp16: return encode<kernels::Half>(values);
    case Precision::bf16: return encode<kernels::Bfloat16>(values);
    case Precision::tf32: return encode<kernels::Tf32>(values);
    default: {
      const std::span<const std::byte> bytes = std::as_bytes(values);
      return {bytes.begin(), bytes.end()};
    }
  }
}

std::vector<float> channels_first(std::span<const float> values, int n, int area, int c) {
  std::vector<float> out(values.size());
  for (int image = 0; image < n; ++image) {
    const std::size_t first = static_cast<std::size_t>(image) * area * c;
    for (int p = 0; p < area; ++p) {
      for (int i = 0; i < c; ++i)
        out[first + static_cast<std::size_t>(i) * area + p] = values[first + static_cast<std::size_t>(p) * c + i];
    }
  }
  return out;
}

}  // namespace lfm
