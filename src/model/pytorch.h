// Tensors of a PyTorch checkpoint (.pth, .pt), read without running any of its pickle code.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "src/model/tensor_file.h"

namespace lfm {

/// Reads a file that torch.save wrote (PyTorch 1.6 and later: a zip archive) of dicts of tensors, nested or not: names
/// are the keys, joined by dots; items of lists and tuples are numbered. What is no tensor (numbers, text, objects of
/// any class) is left alone. Throws Error{model} naming the file, the cause and the remedy; a file that would run
/// commands where PyTorch loads it is refused by name.
TensorFile read_pytorch(const std::filesystem::path& path);
/// The same of a file in memory, which the result doesn't refer to; `name` stands for it in errors.
TensorFile read_pytorch(std::span<const std::byte> bytes, const std::string& name);

}  // namespace lfm
