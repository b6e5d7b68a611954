// Writes PyTorch files as torch.save does, and wrong ones as it does not: for tests of the reader.
#pragma once

#include <zip.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/model/tensor.h"
#include "tests/model/pickled_tensor.h"

namespace lfm::test {

/// A zip archive of entries under "archive/", stored, or deflated on request.
inline void write_archive(const std::filesystem::path& path, const std::map<std::string, std::string>& entries,
                          bool deflate = false) {
  std::filesystem::remove(path);
  int error = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  if (!zip) throw std::runtime_error("zip_open");
  for (const auto& [name, content] : entries) {
    zip_source_t* source = zip_source_buffer(zip, content.data(), content.size(), 0);
    const zip_int64_t index = zip_file_add(zip, ("archive/" + name).c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) throw std::runtime_error("zip_file_add");
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  if (zip_close(zip) != 0) throw std::runtime_error("zip_close");
}

/// A dict of contiguous FP32 tensors, each in a storage of its own, as archive entries.
inline std::map<std::string, std::string> state_dict_entries(std::span<const Tensor> tensors) {
  std::map<std::string, std::string> entries;
  std::string pickle("\x80\x02}(", 4);
  for (const Tensor& tensor : tensors) {
    const std::string key = std::to_string(entries.size());
    std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.end()), strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) stride *= shape[i], strides[i] = stride / shape[i];
    pickle += pickled(tensor.name);
    pickle += pickled_tensor(tensor.type == ElementType::f32 ? "FloatStorage" : "LongStorage", key,
                             static_cast<std::int64_t>(tensor.count()), 0, shape, strides);
    entries["data/" + key] = {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()};
  }
  entries["data.pkl"] = pickle + "u.";
  entries["byteorder"] = "little";
  return entries;
}

}  // namespace lfm::test
