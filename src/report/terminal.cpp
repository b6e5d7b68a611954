#include "src/report/terminal.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>

namespace lfm {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  ///< bytes; 0 where the text is no UTF-8
};

/// Decodes the sequence at the start of a non-empty text; overlong forms, surrogates and values past U+10FFFF are no
/// UTF-8.
CodePoint decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {};
  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, length};
}

bool steers_terminal(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x061C;
}

/// The text with what could steer a terminal, and bytes that are no UTF-8, as escape(out, value) writes them.
template <typename Escape>
std::string escaped(std::string_view text, const Escape& escape) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [value, length] = decode(text);
    if (length > 0 && !steers_terminal(value)) {
      out.append(text.substr(0, length));
    } else {
      escape(out, length > 0 ? value : static_cast<std::uint8_t>(text[0]));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  return escaped(text, [](std::string& out, char32_t value) {
    if (value == '\n') {
      out += "\\n";
    } else if (value == '\t') {
      out += "\\t";
    } else if (value < 0x100) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(value));
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(value));
    }
  });
}

std::string json_text(const nlohmann::json& value, int indent) {
  return escaped(value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace),
                 [](std::string& out, char32_t character) {
                   if (character == '\n') {
                     out += '\n';  // between values: in strings it is escaped by now
                   } else {
                     fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(character));
                   }
                 });
}

void write_notice(std::FILE* to, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

}  // namespace lfm
