#include "src/model/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "src/io/atomic_file.h"
#include "src/io/json.h"

namespace lfm {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // as the reference implementation
constexpr const char* kMetadata = "__metadata__";

// The readers below throw std::runtime_error with the cause; read_safetensors names the file.

std::uint64_t unsigned_of(const nlohmann::json& value, const std::string& name) {
  if (!value.is_number_unsigned())
    throw std::runtime_error(fmt::format("tensor \"{}\" has a malformed shape or offset", name));
  return value.get<std::uint64_t>();
}

Tensor read_entry(const std::string& name, const nlohmann::json& entry, std::span<const std::byte> data) {
  Tensor tensor;
  tensor.name = name;
  const std::string type = entry.at("dtype").get<std::string>();
  const auto known = element_type_from_name(type);
  if (!known)
    throw std::runtime_error(fmt::format("tensor \"{}\" has element type {}, which is not supported", name, type));
  tensor.type = *known;
  if (!entry.at("shape").is_array()) throw std::runtime_error(fmt::format("tensor \"{}\" has a malformed shape", name));
  for (const auto& side : entry.at("shape")) tensor.shape.push_back(unsigned_of(side, name));
  const std::uint64_t begin = unsigned_of(entry.at("data_offsets").at(0), name);
  const std::uint64_t end = unsigned_of(entry.at("data_offsets").at(1), name);
  const auto count = element_count(tensor.type, tensor.shape);
  if (entry.at("data_offsets").size() != 2 || begin > end || end > data.size()) {
    throw std::runtime_error(
        fmt::format("tensor \"{}\" at {}…{} reaches beyond the {} bytes of data", name, begin, end, data.size()));
  }
  if (!count || *count * element_size(tensor.type) != end - begin) {
    throw std::runtime_error(fmt::format("tensor \"{}\" {} {} does not fill its {} bytes", name, type,
                                         shape_text(tensor.shape), end - begin));
  }
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

void check_gapless(std::span<const Tensor> tensors, std::span<const std::byte> data) {
  const std::byte* at = data.data();
  for (const Tensor& tensor : tensors) {
    if (tensor.bytes.data() != at)
      throw std::runtime_error(fmt::format("a gap or an overlap precedes tensor \"{}\"", tensor.name));
    at += tensor.bytes.size();
  }
  if (at != data.data() + data.size()) throw std::runtime_error("bytes follow its last tensor");
}

void read_into(TensorFile& result, std::span<const std::byte> bytes) {
  if (bytes.size() < 8) throw std::runtime_error("it is too short");
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);
  if (header_size > kMaxHeader || header_size > bytes.size() - 8) {
    throw std::runtime_error(
        fmt::format("its header is said to be {} bytes long, the file has {}", header_size, bytes.size()));
  }
  const auto header = parse_json_object({reinterpret_cast<const char*>(bytes.data()) + 8, header_size});
  const auto data = bytes.subspan(8 + header_size);
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) {
      result.metadata = entry.get<std::map<std::string, std::string>>();
    } else {
      result.tensors.push_back(read_entry(name, entry, data));
    }
  }
  // In the file's order; an empty tensor comes before the one that begins where it stands.
  std::sort(result.tensors.begin(), result.tensors.end(), [](const Tensor& a, const Tensor& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  check_gapless(result.tensors, data);
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& path) {
  MappedFile file(path, ErrorCode::model);
  TensorFile result = read_safetensors(file.bytes(), path.string());
  result.file = std::move(file);
  return result;
}

TensorFile read_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  TensorFile result;
  std::string cause;
  try {
    read_into(result, bytes);
    return result;
  } catch (const nlohmann::json::exception& error) {
    cause = fmt::format("its header is incomplete or malformed ({})", error.what());
  } catch (const std::runtime_error& error) {
    cause = error.what();
  }
  throw Error(ErrorCode::model,
              fmt::format("{}: is not a whole safetensors file: {}; copy or export it again", name, cause));
}

void write_safetensors(const std::filesystem::path& path, std::span<const Tensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto fail = [&](const std::string& cause) {
    throw Error(ErrorCode::output, fmt::format("{}: not written: {}", path.string(), cause));
  };
  std::vector<const Tensor*> order;
  for (const Tensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    const auto size_a = element_size(a->type), size_b = element_size(b->type);
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::uint64_t offset = 0;
  for (const Tensor* tensor : order) {
    if (header.contains(tensor->name)) fail(fmt::format("two tensors are named \"{}\"", tensor->name));
    const std::uint64_t end = offset + tensor->bytes.size();
    header[tensor->name] = {
        {"dtype", element_type_name(tensor->type)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string json;
  try {
    json = header.dump();
  } catch (const nlohmann::json::exception& error) {
    fail(fmt::format("a name in it is not valid UTF-8 ({})", error.what()));
  }
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_size = json.size();

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_size, 1)));
  file.write(json);
  for (const Tensor* tensor : order) file.write(tensor->bytes);
  file.commit();
}

}  // namespace lfm
