// The container of .lfmw models and of training checkpoints: a JSON header and named tensors.
//
//   offset  bytes
//        0      8  magic: 89 'L' 'F' 'M' 'W' 0D 0A 1A (a transfer that mangles line ends shows)
//        8      4  version, 1
//       12      4  0
//       16      8  size of the file
//       24      8  size of the JSON header, n
//       32      8  XXH3-64 of the file with these eight bytes zero
//       40     24  0
//       64      n  JSON object; "tensors": [{"name", "type": "F32" | "U64" | "U8", "shape", "offset"}, …] in the file's
//                  order
//   then the tensors, each at the next multiple of 64 (its "offset"), row-major; gaps and the end, filled up to a
//   multiple of 64, are 0. Numbers are little-endian, floats IEEE 754.
//
// What a model's header says beyond "tensors": src/model/weight_file.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/io/mapped_file.h"
#include "src/model/tensor.h"

namespace lfm {

inline constexpr std::string_view kContainerMagic{"\x89LFMW\r\n\x1a", 8};
inline constexpr std::uint32_t kContainerVersion = 1;
inline constexpr std::size_t kContainerAlignment = 64;
inline constexpr std::size_t kContainerPrefix = 64;  ///< bytes before the JSON

/// A container opened for reading: mapped and verified in full. Its tensors point into the mapping.
class Container {
 public:
  /// Throws Error{model} naming the file, the cause and the remedy.
  explicit Container(const std::filesystem::path& path);
  /// The same of bytes that outlive it; `name` stands for them in errors.
  Container(std::span<const std::byte> bytes, const std::string& name);
  Container(Container&&) noexcept;
  ~Container();

  const nlohmann::json& header() const { return *header_; }
  std::span<const Tensor> tensors() const { return tensors_; }
  const Tensor* find(std::string_view name) const { return find_tensor(tensors_, name); }
  std::uint64_t checksum() const { return checksum_; }

 private:
  void verify(std::span<const std::byte> file, const std::string& name);

  MappedFile file_;
  std::unique_ptr<nlohmann::json> header_;  // behind a pointer: who reads models need not compile the JSON library
  std::vector<Tensor> tensors_;
  std::uint64_t checksum_ = 0;
};

/// Writes a container atomically; "tensors" is added to the header. Element types F32, U64 and U8; names must differ.
/// Throws Error{output}.
void write_container(const std::filesystem::path& path, nlohmann::json header, std::span<const Tensor> tensors);

/// The checksum as the format defines it, of a whole file in memory (at least 64 bytes).
std::uint64_t container_checksum(std::span<const std::byte> file);

}  // namespace lfm
