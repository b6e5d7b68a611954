// Named tensors read from a file, and what keeps their bytes alive.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/io/mapped_file.h"
#include "src/model/tensor.h"

namespace lfm {

struct TensorFile {
  std::vector<Tensor> tensors;  ///< views into `file` (or bytes it was read from) or `buffers`; names differ
  std::map<std::string, std::string> metadata;  ///< safetensors' "__metadata__"
  MappedFile file;
  std::vector<std::vector<std::byte>> buffers;

  const Tensor* find(std::string_view name) const { return find_tensor(tensors, name); }
};

}  // namespace lfm
