// The safetensors format: eight bytes of header length, a JSON header, the tensors without gaps.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "src/model/tensor_file.h"

namespace lfm {

/// Maps and verifies a file: sizes against the file, offsets without gaps or overlaps. Throws Error{model} naming the
/// file, the cause and the remedy.
TensorFile read_safetensors(const std::filesystem::path& path);
/// The same of bytes that outlive the result; `name` stands for them in errors.
TensorFile read_safetensors(std::span<const std::byte> bytes, const std::string& name);

/// Writes atomically, in the order the reference implementation uses (wide elements first, then by name).
/// Throws Error{output}.
void write_safetensors(const std::filesystem::path& path, std::span<const Tensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace lfm
