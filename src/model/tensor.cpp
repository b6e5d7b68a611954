#include "src/model/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace lfm {
namespace {

static_assert(std::endian::native == std::endian::little, "the files' byte order is the machine's");
static_assert(std::numeric_limits<float>::is_iec559);

struct TypeInfo {
  std::string_view name;
  std::size_t size;
};

// In the order of ElementType.
constexpr std::array<TypeInfo, 11> kTypes = {{{"F64", 8},
                                              {"F32", 4},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"I64", 8},
                                              {"U64", 8},
                                              {"I32", 4},
                                              {"I16", 2},
                                              {"I8", 1},
                                              {"U8", 1},
                                              {"BOOL", 1}}};

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1Fu;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact in FP32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFFu : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

template <typename Stored, typename Convert>
void convert_each(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

}  // namespace

std::size_t element_size(ElementType type) { return kTypes[static_cast<std::size_t>(type)].size; }

std::string_view element_type_name(ElementType type) { return kTypes[static_cast<std::size_t>(type)].name; }

std::optional<ElementType> element_type_from_name(std::string_view name) {
  const auto it = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeInfo& info) { return info.name == name; });
  if (it == kTypes.end()) return std::nullopt;
  return static_cast<ElementType>(it - kTypes.begin());
}

std::string shape_text(std::span<const std::uint64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::optional<std::uint64_t> element_count(ElementType type, std::span<const std::uint64_t> shape) {
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) return 0;
  const std::uint64_t limit = std::uint64_t{std::numeric_limits<std::int64_t>::max()} / element_size(type);
  std::uint64_t count = 1;
  for (const std::uint64_t side : shape) {
    if (side > limit / count) return std::nullopt;
    count *= side;
  }
  return count;
}

Tensor float_tensor(std::string name, TensorShape shape, std::span<const float> values) {
  return {std::move(name), ElementType::f32, std::move(shape), std::as_bytes(values)};
}

const Tensor* find_tensor(std::span<const Tensor> tensors, std::string_view name) {
  const auto it =
      std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& tensor) { return tensor.name == name; });
  return it == tensors.end() ? nullptr : &*it;
}

std::vector<float> to_floats(const Tensor& tensor) {
  std::vector<float> out(tensor.count());
  const auto as_float = [](auto value) { return static_cast<float>(value); };
  switch (tensor.type) {
    case ElementType::f64: convert_each<double>(tensor.bytes, out, as_float); break;
    case ElementType::f32: convert_each<float>(tensor.bytes, out, as_float); break;
    case ElementType::f16: convert_each<std::uint16_t>(tensor.bytes, out, half_to_float); break;
    case ElementType::bf16:
      convert_each<std::uint16_t>(tensor.bytes, out, [](std::uint16_t stored) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(stored) << 16);
      });
      break;
    case ElementType::i64: convert_each<std::int64_t>(tensor.bytes, out, as_float); break;
    case ElementType::u64: convert_each<std::uint64_t>(tensor.bytes, out, as_float); break;
    case ElementType::i32: convert_each<std::int32_t>(tensor.bytes, out, as_float); break;
    case ElementType::i16: convert_each<std::int16_t>(tensor.bytes, out, as_float); break;
    case ElementType::i8: convert_each<std::int8_t>(tensor.bytes, out, as_float); break;
    case ElementType::u8:
    case ElementType::boolean: convert_each<std::uint8_t>(tensor.bytes, out, as_float); break;
  }
  return out;
}

}  // namespace lfm
