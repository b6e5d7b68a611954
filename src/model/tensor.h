// A named array in a file: what the weight file, safetensors and PyTorch checkpoints have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lfm {

enum class ElementType { f64, f32, f16, bf16, i64, u64, i32, i16, i8, u8, boolean };

std::size_t element_size(ElementType type);

/// The name safetensors gives it: "F32", "BF16", …
std::string_view element_type_name(ElementType type);
std::optional<ElementType> element_type_from_name(std::string_view name);

using TensorShape = std::vector<std::uint64_t>;

/// "[64, 3, 2, 2]"
std::string shape_text(std::span<const std::uint64_t> shape);

/// Elements of that shape (1 for a scalar), or nothing where their bytes would not fit in 63 bits.
std::optional<std::uint64_t> element_count(ElementType type, std::span<const std::uint64_t> shape);

/// A view: somebody else owns the bytes, which are little-endian, row-major, without gaps, and need not be aligned.
struct Tensor {
  std::string name;
  ElementType type = ElementType::f32;
  TensorShape shape;
  std::span<const std::byte> bytes;

  std::uint64_t count() const { return bytes.size() / element_size(type); }
};

/// The view of an array of floats, which must outlive it.
Tensor float_tensor(std::string name, TensorShape shape, std::span<const float> values);

/// The tensor of that name, or null.
const Tensor* find_tensor(std::span<const Tensor> tensors, std::string_view name);

/// Any element type as FP32; i64, u64, i32 and f64 are rounded.
std::vector<float> to_floats(const Tensor& tensor);

}  // namespace lfm
