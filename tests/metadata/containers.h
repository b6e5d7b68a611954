// Pieces of picture files that carry metadata, put together byte by byte.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lfm::test {

inline std::string big(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}
inline std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string box(const std::string& type, const std::string& body) {
  return big(8 + body.size(), 4) + type + body;
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  return big(data.size(), 4) + checked +
         big(crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size())), 4);
}

/// A PNG with chunks put in behind its header.
inline std::string with_chunks(const std::string& png, const std::string& chunks) {
  constexpr std::size_t header = 8 + 25;
  return png.substr(0, header) + chunks + png.substr(header);
}

inline std::string jpeg_segment(int marker, const std::string& data) {
  return std::string("\xff") + static_cast<char>(marker) + big(data.size() + 2, 2) + data;
}

/// A JPEG with segments put in at its beginning.
inline std::string with_segments(const std::string& jpeg, const std::string& segments) {
  return jpeg.substr(0, 2) + segments + jpeg.substr(2);
}

/// A little-endian EXIF block of one directory: texts by tag, and the orientation.
inline std::string exif_block(const std::vector<std::pair<int, std::string>>& texts, int orientation = 1) {
  const std::size_t entries = texts.size() + 1;
  std::string directory = little(entries, 2), values;
  const std::size_t behind = 8 + 2 + 12 * entries + 4;
  directory += little(0x112, 2) + little(3, 2) + little(1, 4) + little(static_cast<std::uint64_t>(orientation), 4);
  for (const auto& [tag, text] : texts) {
    std::string value = text + '\0';
    directory += little(static_cast<std::uint64_t>(tag), 2) + little(2, 2) + little(value.size(), 4);
    if (value.size() <= 4) {
      value.resize(4);
      directory += value;
    } else {
      directory += little(behind + values.size(), 4);
      values += value;
    }
  }
  return std::string("II*\0", 4) + little(8, 4) + directory + little(0, 4) + values;
}

/// A little-endian TIFF of uncompressed RGB pages of one size, [height][width][3] each, with their orientations.
inline std::string tiff_pages(int width, int height, const std::vector<std::pair<std::string, int>>& pages) {
  constexpr std::size_t entries = 10, directory_bytes = 2 + 12 * entries + 4;
  std::string file("II*\0", 4);
  std::size_t at = 8;
  file += little(at, 4);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const auto& [rgb, orientation] = pages[i];
    const std::size_t bits = at + directory_bytes, pixels = bits + 6, next = pixels + rgb.size() + rgb.size() % 2;
    const auto entry = [&](int tag, int type, std::size_t count, std::size_t value) {
      file += little(static_cast<std::uint64_t>(tag), 2) + little(static_cast<std::uint64_t>(type), 2) +
              little(count, 4) + little(value, 4);
    };
    file += little(entries, 2);
    entry(256, 4, 1, static_cast<std::size_t>(width));
    entry(257, 4, 1, static_cast<std::size_t>(height));
    entry(258, 3, 3, bits);
    entry(259, 3, 1, 1);  // not compressed
    entry(262, 3, 1, 2);  // RGB
    entry(273, 4, 1, pixels);
    entry(274, 3, 1, static_cast<std::size_t>(orientation));
    entry(277, 3, 1, 3);
    entry(278, 4, 1, static_cast<std::size_t>(height));
    entry(279, 4, 1, rgb.size());
    file += little(i + 1 < pages.size() ? next : 0, 4) + little(8, 2) + little(8, 2) + little(8, 2) + rgb +
            std::string(rgb.size() % 2, '\0');
    at = next;
  }
  return file;
}

// ---- CBOR and JUMBF ----

inline std::string cbor_head(int kind, std::size_t count) {
  if (count < 24) return std::string(1, static_cast<char>(kind << 5 | static_cast<int>(count)));
  if (count < 256) return static_cast<char>(kind << 5 | 24) + big(count, 1);
  return static_cast<char>(kind << 5 | 25) + big(count, 2);
}
inline std::string cbor_text(const std::string& text) { return cbor_head(3, text.size()) + text; }
inline std::string cbor_map(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string all = cbor_head(5, members.size());
  for (const auto& [key, value] : members) all += cbor_text(key) + value;
  return all;
}
inline std::string cbor_array(const std::vector<std::string>& values) {
  std::string all = cbor_head(4, values.size());
  for (const std::string& value : values) all += value;
  return all;
}

inline std::string superbox(const std::string& label, const std::string& content) {
  return box("jumb", box("jumd", std::string(16, 'u') + '\3' + label + '\0') + content);
}

/// A store of one manifest, as a generator writes it.
inline std::string c2pa_store() {
  const std::string action = cbor_map(
      {{"action", cbor_text("c2pa.created")},
       {"softwareAgent", cbor_map({{"name", cbor_text("Painter")}, {"version", cbor_text("3")}})},
       {"digitalSourceType", cbor_text("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia")}});
  const std::string actions = superbox("c2pa.actions.v2", box("cbor", cbor_map({{"actions", cbor_array({action})}})));
  const std::string claim = superbox(
      "c2pa.claim.v2", box("cbor", cbor_map({{"claim_generator_info", cbor_map({{"name", cbor_text("Paintery")}})},
                                             {"signature", cbor_text("self#jumbf=c2pa.signature")}})));
  return superbox("c2pa", superbox("urn:c2pa:1", superbox("c2pa.assertions", actions) + claim +
                                                     superbox("c2pa.signature", box("cbor", "\x40"))));
}

}  // namespace lfm::test
