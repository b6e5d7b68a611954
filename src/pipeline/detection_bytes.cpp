#include "src/pipeline/detection_bytes.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace lfm {
namespace {

/// Both directions walk the same list of fields: a field is written, or read, by pass() for its type.
class Writer {
 public:
  explicit Writer(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  static constexpr bool kReads = false;
  void raw(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  template <typename Container>
  void size(Container& container) {
    const std::uint64_t count = container.size();
    raw(&count, sizeof count);
  }

 private:
  std::vector<std::byte>& bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte>& bytes) : bytes_(bytes) {}
  static constexpr bool kReads = true;
  void raw(void* data, std::size_t size) {
    if (size > bytes_.size()) throw std::runtime_error("a message from another process is cut off");
    if (size > 0) std::memcpy(data, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  template <typename Container>
  void size(Container& container) {
    std::uint64_t count = 0;
    raw(&count, sizeof count);
    if (count > bytes_.size())
      throw std::runtime_error("a message from another process is cut off");  // an element has a byte at least
    container.resize(count);
  }

 private:
  std::span<const std::byte>& bytes_;
};

template <typename Archive, typename T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T>
void pass(Archive& archive, T& value) { archive.raw(&value, sizeof value); }

template <typename Archive>
void pass(Archive& archive, std::string& text) {
  archive.size(text);
  archive.raw(text.data(), text.size());
}

template <typename Archive>
void pass(Archive& archive, std::filesystem::path& path) {
  std::string text = path.string();
  pass(archive, text);
  if constexpr (Archive::kReads) path = text;
}

template <typename Archive, typename T>
void pass(Archive& archive, std::optional<T>& value) {
  bool given = value.has_value();
  pass(archive, given);
  if constexpr (Archive::kReads) value = given ? std::optional<T>(T{}) : std::nullopt;
  if (given) pass(archive, *value);
}

template <typename Archive>
void pass(Archive& archive, Sign& sign);
template <typename Archive>
void pass(Archive& archive, Evidence& evidence);

template <typename Archive, typename T>
void pass(Archive& archive, std::vector<T>& values) {
  archive.size(values);
  for (T& value : values) pass(archive, value);
}

template <typename Archive, typename... Fields>
void pass_all(Archive& archive, Fields&... fields) {
  (pass(archive, fields), ...);
}

// Each structure is taken apart into all its members, so that none that is added later is forgotten: the number has to
// be right.
template <typename Archive>
void pass(Archive& archive, Sign& sign) {
  auto& [source, name, value] = sign;
  pass_all(archive, source, name, value);
}

template <typename Archive>
void pass(Archive& archive, Evidence& evidence) {
  auto& [x, y, width, height, view_width, view_height, rows, columns, contributions, grad_cam, member, stride, side,
         before] = evidence;
  pass_all(archive, x, y, width, height, view_width, view_height, rows, columns, contributions, grad_cam, member,
           stride, side, before);
}

template <typename Archive>
void pass(Archive& archive, Detection& detection) {
  auto& [status, path, ticket, error, part, width, height, orientation, logit, score, fake, unsure, doubt, texture,
         windows, empty_windows, features, delivered_logits, delivered_scores, member_logits, delivered_member_logits,
         decided_by, evidence, thumbnail, signs] = detection;
  pass_all(archive, status, path, ticket, error, part, width, height, orientation, logit, score, fake, unsure, doubt,
           texture, windows, empty_windows, features, delivered_logits, delivered_scores, member_logits,
           delivered_member_logits, decided_by, evidence, thumbnail, signs);
}

template <typename Archive>
void pass(Archive& archive, Input& input) {
  auto& [path, from_folder, error, view, part, image, orientation, bytes, ticket, stable, evidence] = input;
  if (image || bytes) throw std::logic_error("a picture in memory can't be sent to another process");
  pass_all(archive, path, from_folder, error, view, part, orientation, ticket, stable, evidence);
}

template <typename T>
T take(std::span<const std::byte>& bytes) {
  T value;
  Reader reader(bytes);
  pass(reader, value);
  return value;
}

}  // namespace

void append_bytes(std::vector<std::byte>& bytes, const Input& input) {
  Writer writer(bytes);
  pass(writer, const_cast<Input&>(input));  // a writer only looks
}
void append_bytes(std::vector<std::byte>& bytes, const Detection& detection) {
  Writer writer(bytes);
  pass(writer, const_cast<Detection&>(detection));
}
Input take_input(std::span<const std::byte>& bytes) { return take<Input>(bytes); }
Detection take_detection(std::span<const std::byte>& bytes) { return take<Detection>(bytes); }

}  // namespace lfm
