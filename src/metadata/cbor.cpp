#include "src/metadata/cbor.h"

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "src/image/boxes.h"

namespace lfm {
namespace {

using nlohmann::json;

struct Malformed {};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  json value(int depth) {
    constexpr int most_depth = 32, most_parts = 100'000;
    if (depth > most_depth || ++parts_ > most_parts) throw Malformed();
    const auto first = static_cast<unsigned>(take(1)[0]);
    const unsigned kind = first >> 5, detail = first & 31;
    const bool open = detail == 31;  // ends with a break
    switch (kind) {
      case 0: return argument(detail);
      case 1: return -1 - static_cast<double>(argument(detail));
      case 2: text(2, detail, open, depth); return nullptr;
      case 3: return text(3, detail, open, depth);
      case 4: return array(open ? UINT64_MAX : argument(detail), open, depth);
      case 5: return map(open ? UINT64_MAX : argument(detail), open, depth);
      case 6: argument(detail); return value(depth + 1);
      default: return simple(detail);
    }
  }

 private:
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size()) throw Malformed();
    const auto taken = bytes_.first(static_cast<std::size_t>(count));
    bytes_ = bytes_.subspan(static_cast<std::size_t>(count));
    return taken;
  }

  std::uint64_t argument(unsigned detail) {
    if (detail < 24) return detail;
    if (detail > 27) throw Malformed();
    const unsigned count = 1u << (detail - 24);
    return big_endian_at(take(count), 0, count);
  }

  bool at_break(bool open) {
    if (!open) return false;
    if (bytes_.empty()) throw Malformed();
    if (bytes_[0] != std::byte{0xff}) return false;
    take(1);
    return true;
  }

  std::string text(unsigned kind, unsigned detail, bool open, int depth) {
    if (!open) {
      const auto bytes = take(argument(detail));
      return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    std::string whole;
    while (!at_break(true)) {
      const auto first = static_cast<unsigned>(take(1)[0]);
      if (first >> 5 != kind || (first & 31) == 31 || depth > 32) throw Malformed();
      whole += text(kind, first & 31, false, depth);
    }
    return whole;
  }

  json array(std::uint64_t count, bool open, int depth) {
    json values = json::array();
    for (std::uint64_t i = 0; i < count && !at_break(open); ++i) values.push_back(value(depth + 1));
    return values;
  }

  json map(std::uint64_t count, bool open, int depth) {
    json values = json::object();
    for (std::uint64_t i = 0; i < count && !at_break(open); ++i) {
      const json key = value(depth + 1);
      json held = value(depth + 1);
      if (key.is_string()) values[key.get_ref<const std::string&>()] = std::move(held);
    }
    return values;
  }

  json simple(unsigned detail) {
    switch (detail) {
      case 20: return false;
      case 21: return true;
      case 25:
      case 26:
      case 27:  // numbers with a point: none of them matters here
        take(1u << (detail - 24));
        return nullptr;
      case 24: take(1); return nullptr;
      case 28:
      case 29:
      case 30:
      case 31: throw Malformed();
      default: return nullptr;
    }
  }

  std::span<const std::byte> bytes_;
  int parts_ = 0;
};

}  // namespace

std::optional<json> read_cbor(std::span<const std::byte> bytes) {
  try {
    return Reader(bytes).value(0);
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

}  // namespace lfm
