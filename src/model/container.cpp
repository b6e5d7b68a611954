#include "src/model/container.h"

#include <fmt/core.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>

#include "lfm/error.h"
#include "src/io/atomic_file.h"
#include "src/io/json.h"
#include "src/io/mistaken_file.h"

namespace lfm {
namespace {

constexpr std::size_t kVersionOffset = 8;
constexpr std::size_t kFileSizeOffset = 16;
constexpr std::size_t kJsonSizeOffset = 24;
constexpr std::size_t kChecksumOffset = 32;
constexpr std::uint64_t kMaxJson = 64 << 20;

constexpr std::uint64_t align_up(std::uint64_t offset) {
  return (offset + kContainerAlignment - 1) / kContainerAlignment * kContainerAlignment;
}

bool storable(ElementType type) {
  return type == ElementType::f32 || type == ElementType::u64 || type == ElementType::u8;
}

template <typename T>
T load(std::span<const std::byte> file, std::size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

class Checksum {
 public:
  Checksum() : state_(XXH3_createState(), XXH3_freeState) {
    if (!state_ || XXH3_64bits_reset(state_.get()) != XXH_OK) throw std::bad_alloc();
  }
  void add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

/// What is wrong with a file; Container adds its name.
struct Refusal {
  std::string cause_and_remedy;
};

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Refusal{fmt::format(format, std::forward<Args>(args)...)};
}

constexpr const char* kFetchAgain = "copy or download it again";

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

void check_magic(std::span<const std::byte> file) {
  if (file.size() >= kContainerMagic.size() &&
      std::memcmp(file.data(), kContainerMagic.data(), kContainerMagic.size()) == 0)
    return;
  const bool zip = file.size() >= 4 && std::memcmp(file.data(), "PK\3\4", 4) == 0;
  const bool safetensors = file.size() >= 9 && file[8] == std::byte{'{'};
  if (zip || safetensors) {
    refuse("looks like a {} file, not .lfmw; convert it first: lfm-cuda convert FILE MODEL.lfmw",
           zip ? "PyTorch" : "safetensors");
  }
  if (const char* mistake = mistaken_file(file)) refuse("{}", mistake);
  refuse("is not an .lfmw file: its first bytes are others; give a file that lfm-cuda wrote");
}

/// Everything before the tensors, and the checksum. Returns where the JSON ends.
std::uint64_t check_prefix(std::span<const std::byte> file) {
  check_magic(file);
  if (file.size() < kContainerPrefix) refuse("is truncated: {} bytes; {}", file.size(), kFetchAgain);
  if (const auto version = load<std::uint32_t>(file, kVersionOffset); version != kContainerVersion) {
    refuse("has format version {}, this lfm-cuda reads version {}; use the lfm-cuda that wrote it, or a newer one",
           version, kContainerVersion);
  }
  const auto size = load<std::uint64_t>(file, kFileSizeOffset);
  if (file.size() < size) refuse("is truncated: {} of {} bytes; {}", file.size(), size, kFetchAgain);
  if (file.size() > size) refuse("is damaged: {} bytes follow its end; {}", file.size() - size, kFetchAgain);
  if (container_checksum(file) != load<std::uint64_t>(file, kChecksumOffset)) {
    refuse("is damaged: its checksum does not match; {}", kFetchAgain);
  }
  const auto json_size = load<std::uint64_t>(file, kJsonSizeOffset);
  if (json_size > kMaxJson || json_size > size - kContainerPrefix) {
    refuse("is malformed: a header of {} bytes in a file of {}; {}", json_size, size, kFetchAgain);
  }
  if (load<std::uint32_t>(file, kVersionOffset + 4) != 0 ||
      !all_zero(file.subspan(kChecksumOffset + 8, kContainerPrefix - kChecksumOffset - 8))) {
    refuse("is malformed: reserved bytes are not zero; {}", kFetchAgain);
  }
  return kContainerPrefix + json_size;
}

Tensor read_entry(const nlohmann::json& entry, std::uint64_t expected_offset, std::span<const std::byte> file) {
  Tensor tensor;
  std::uint64_t offset = 0;
  std::string type;
  try {
    tensor.name = entry.at("name").get<std::string>();
    type = entry.at("type").get<std::string>();
    for (const auto& side : entry.at("shape")) {
      if (!side.is_number_unsigned()) refuse("is malformed: a side of tensor \"{}\" is not a count", tensor.name);
      tensor.shape.push_back(side.get<std::uint64_t>());
    }
    if (!entry.at("offset").is_number_unsigned())
      refuse("is malformed: the offset of \"{}\" is not a count", tensor.name);
    offset = entry.at("offset").get<std::uint64_t>();
  } catch (const nlohmann::json::exception& error) {
    refuse("is malformed: an entry of its tensor table is incomplete ({})", error.what());
  }
  const auto known = element_type_from_name(type);
  if (!known || !storable(*known)) refuse("has a tensor \"{}\" of unknown type {}", tensor.name, type);
  tensor.type = *known;
  const auto count = element_count(tensor.type, tensor.shape);
  if (offset != expected_offset || !count || offset > file.size() ||
      *count * element_size(tensor.type) > file.size() - offset) {
    refuse("is malformed: tensor \"{}\" {} at {} does not fit the file", tensor.name, shape_text(tensor.shape), offset);
  }
  tensor.bytes = file.subspan(offset, *count * element_size(tensor.type));
  return tensor;
}

std::vector<Tensor> read_table(const nlohmann::json& header, std::uint64_t end, std::span<const std::byte> file) {
  const auto table = header.find("tensors");
  if (table == header.end() || !table->is_array()) refuse("is malformed: its header has no tensor table");
  std::vector<Tensor> tensors;
  std::set<std::string> names;
  for (const auto& entry : *table) {
    tensors.push_back(read_entry(entry, align_up(end), file));
    const Tensor& tensor = tensors.back();
    if (!names.insert(tensor.name).second) refuse("is malformed: it names tensor \"{}\" twice", tensor.name);
    const auto begin = static_cast<std::uint64_t>(tensor.bytes.data() - file.data());
    if (!all_zero(file.subspan(end, begin - end))) refuse("is malformed: a gap between tensors is not zero");
    end = begin + tensor.bytes.size();
  }
  if (file.size() != align_up(end) || !all_zero(file.subspan(end))) refuse("is malformed: data follow its last tensor");
  return tensors;
}

}  // namespace

std::uint64_t container_checksum(std::span<const std::byte> file) {
  constexpr std::array<std::byte, 8> zeros{};
  Checksum checksum;
  checksum.add(file.first(kChecksumOffset));
  checksum.add(zeros);
  checksum.add(file.subspan(kChecksumOffset + zeros.size()));
  return checksum.value();
}

Container::Container(const std::filesystem::path& path) : file_(path, ErrorCode::model) {
  verify(file_.bytes(), path.string());
}

Container::Container(std::span<const std::byte> bytes, const std::string& name) { verify(bytes, name); }

void Container::verify(std::span<const std::byte> file, const std::string& name) {
  try {
    const std::uint64_t json_end = check_prefix(file);
    const char* text = reinterpret_cast<const char*>(file.data()) + kContainerPrefix;
    try {
      header_ = std::make_unique<nlohmann::json>(parse_json_object({text, json_end - kContainerPrefix}));
    } catch (const std::runtime_error& error) {
      refuse("is malformed: {}", error.what());
    }
    tensors_ = read_table(*header_, json_end, file);
    checksum_ = load<std::uint64_t>(file, kChecksumOffset);
  } catch (const Refusal& refusal) {
    throw Error(ErrorCode::model, fmt::format("{}: {}", name, refusal.cause_and_remedy));
  }
}

Container::Container(Container&&) noexcept = default;
Container::~Container() = default;

void write_container(const std::filesystem::path& path, nlohmann::json header, std::span<const Tensor> tensors) {
  const auto fail = [&](const std::string& cause) {
    throw Error(ErrorCode::output, fmt::format("{}: not written: {}", path.string(), cause));
  };
  for (const Tensor& tensor : tensors) {
    const auto count = element_count(tensor.type, tensor.shape);
    if (!storable(tensor.type) || !count || *count * element_size(tensor.type) != tensor.bytes.size()) {
      fail(fmt::format("tensor \"{}\" {} of {} bytes can't be stored", tensor.name, shape_text(tensor.shape),
                       tensor.bytes.size()));
    }
  }

  // The offsets stand in the JSON, whose length moves them. Both only grow from pass to pass; they settle in two or
  // three.
  std::string json;
  std::uint64_t start = kContainerPrefix, end = 0;
  for (std::uint64_t previous = 0; previous != start;) {
    previous = start;
    auto& table = header["tensors"] = nlohmann::json::array();
    end = start;
    for (const Tensor& tensor : tensors) {
      const std::uint64_t offset = align_up(end);
      table.push_back({{"name", tensor.name},
                       {"type", element_type_name(tensor.type)},
                       {"shape", tensor.shape},
                       {"offset", offset}});
      end = offset + tensor.bytes.size();
    }
    try {
      json = header.dump();
    } catch (const nlohmann::json::exception& error) {
      fail(fmt::format("its description is not valid UTF-8 ({})", error.what()));
    }
    start = align_up(kContainerPrefix + json.size());
    if (tensors.empty()) end = kContainerPrefix + json.size();
  }

  std::vector<std::byte> prefix(start);
  const auto store = [&](std::size_t offset, auto value) { std::memcpy(prefix.data() + offset, &value, sizeof value); };
  std::memcpy(prefix.data(), kContainerMagic.data(), kContainerMagic.size());
  store(kVersionOffset, kContainerVersion);
  store(kFileSizeOffset, align_up(end));
  store(kJsonSizeOffset, std::uint64_t{json.size()});
  std::memcpy(prefix.data() + kContainerPrefix, json.data(), json.size());

  constexpr std::array<std::byte, kContainerAlignment> zeros{};
  const auto for_each_piece = [&](const auto& piece) {
    piece(std::span<const std::byte>(prefix));
    for (const Tensor& tensor : tensors) {
      piece(tensor.bytes);
      piece(std::span(zeros).first(align_up(tensor.bytes.size()) - tensor.bytes.size()));
    }
  };
  Checksum checksum;
  for_each_piece([&](std::span<const std::byte> bytes) { checksum.add(bytes); });
  store(kChecksumOffset, checksum.value());
  AtomicFile file(path);
  for_each_piece([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

}  // namespace lfm
