#include "src/metadata/blocks.h"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <new>
#include <string_view>

#include "src/image/boxes.h"
#include "src/image/formats.h"
#include "src/image/heif_layout.h"
#include "src/metadata/exif.h"

namespace lfm {
namespace {

using namespace std::string_view_literals;
using Bytes = std::span<const std::byte>;

constexpr std::size_t kMostBytes = std::size_t{1} << 20, kMostJumbf = std::size_t{1} << 24, kMostBlocks = 100;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The bytes behind the prefix; empty where they don't begin so.
Bytes behind(Bytes bytes, std::string_view prefix) {
  return text_of(bytes).starts_with(prefix) ? bytes.subspan(prefix.size()) : Bytes();
}

class Collector {
 public:
  void exif(Bytes bytes) {
    if (const Bytes rest = behind(bytes, "Exif\0\0"sv); !rest.empty()) bytes = rest;
    if (fits(bytes, blocks_.exif.size(), kMostBytes)) blocks_.exif.emplace_back(bytes.begin(), bytes.end());
  }
  void xmp(Bytes bytes) {
    if (fits(bytes, blocks_.xmp.size(), kMostBytes)) blocks_.xmp.emplace_back(text_of(bytes));
  }
  void jumbf(Bytes bytes) {
    if (fits(bytes, blocks_.jumbf.size(), kMostJumbf)) blocks_.jumbf.emplace_back(bytes.begin(), bytes.end());
  }
  void iptc(Bytes bytes) {
    if (fits(bytes, blocks_.iptc.size(), kMostBytes)) blocks_.iptc.emplace_back(bytes.begin(), bytes.end());
  }
  void text(std::string_view key, std::string_view value) {
    if (value.size() <= kMostBytes && blocks_.texts.size() < kMostBlocks) blocks_.texts.emplace_back(key, value);
  }
  MetadataBlocks finish() { return std::move(blocks_); }

 private:
  static bool fits(Bytes bytes, std::size_t count, std::size_t most) {
    return !bytes.empty() && bytes.size() <= most && count < kMostBlocks;
  }
  MetadataBlocks blocks_;
};

// ---- JPEG ----

/// JUMBF boxes that are spread over segments: the pieces of one have a number in common, and all but the first repeat
/// the box's head.
class JumbfPieces {
 public:
  void add(Bytes segment) {
    const Bytes piece = behind(segment, "JP");
    constexpr std::size_t numbers = 6;  // of the box, and of the piece
    if (piece.size() < numbers + 8) return;
    const std::uint64_t box = big_endian_at(piece, 0, 2);
    const Bytes body = piece.subspan(numbers);
    ByteBlock& whole = boxes_[box];
    const std::size_t head = whole.empty() ? 0 : big_endian_at(body, 0, 4) == 1 ? 16 : 8;
    if (head > body.size() || whole.size() + body.size() > kMostJumbf) return;
    whole.insert(whole.end(), body.begin() + static_cast<std::ptrdiff_t>(head), body.end());
  }
  void finish(Collector& into) const {
    for (const auto& [number, box] : boxes_) into.jumbf(box);
  }

 private:
  std::map<std::uint64_t, ByteBlock> boxes_;
};

/// XMP beyond the 64 KB of a segment: pieces of packets that are told apart by a digest, each with the packet's length
/// and its place in it.
class XmpPieces {
 public:
  void add(Bytes segment) {
    constexpr std::size_t digest = 32, most_packets = 4;
    if (segment.size() <= digest + 8) return;
    const std::uint64_t length = big_endian_at(segment, digest, 4), offset = big_endian_at(segment, digest + 4, 4);
    const Bytes piece = segment.subspan(digest + 8);
    if (length > kMostBytes || offset > length || piece.size() > length - offset) return;
    const std::string name(text_of(segment.first(digest)));
    if (packets_.size() == most_packets && !packets_.contains(name)) return;
    ByteBlock& packet = packets_[name];
    if (packet.size() < length) packet.resize(static_cast<std::size_t>(length));
    std::ranges::copy(piece, packet.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void finish(Collector& into) const {
    for (const auto& [digest, packet] : packets_) into.xmp(packet);
  }

 private:
  std::map<std::string, ByteBlock> packets_;
};

/// Photoshop's image resources: a signature, a number, a name and data, each padded to an even length.
void read_resources(Bytes resources, Collector& into) {
  constexpr std::uint64_t iptc = 0x0404, exif = 0x0422, xmp = 0x0424;
  for (int i = 0; i < 1000 && resources.size() >= 12 && text_of(resources).starts_with("8BIM"); ++i) {
    const std::uint64_t name = big_endian_at(resources, 6, 1) + 1, data = 6 + name + name % 2;
    const std::uint64_t length = big_endian_at(resources, data, 4);
    const Bytes rest = bytes_from(resources, data + 4);
    if (length > rest.size()) return;
    const std::uint64_t number = big_endian_at(resources, 4, 2);
    const Bytes data_of_it = rest.first(static_cast<std::size_t>(length));
    if (number == iptc) into.iptc(data_of_it);
    if (number == exif) into.exif(data_of_it);
    if (number == xmp) into.xmp(data_of_it);
    resources = bytes_from(rest, length + length % 2);
  }
}

void read_jpeg(Bytes file, Collector& into) {
  JumbfPieces jumbf;
  XmpPieces xmp;
  for (std::size_t at = 2; at + 4 <= file.size() && file[at] == std::byte{0xff};) {
    const auto marker = static_cast<unsigned>(file[at + 1]);
    if (marker == 0xff) {  // fill
      ++at;
      continue;
    }
    const std::uint64_t length = big_endian_at(file, at + 2, 2);
    if (marker == 0xda || marker == 0xd9 || length < 2 || length > file.size() - at - 2) break;
    const Bytes segment = file.subspan(at + 4, static_cast<std::size_t>(length) - 2);
    if (marker == 0xe1) {
      if (text_of(segment).starts_with("Exif\0\0"sv)) into.exif(segment);
      into.xmp(behind(segment, "http://ns.adobe.com/xap/1.0/\0"sv));
    }
    if (marker == 0xe1) xmp.add(behind(segment, "http://ns.adobe.com/xmp/extension/\0"sv));
    if (marker == 0xed) read_resources(behind(segment, "Photoshop 3.0\0"sv), into);
    if (marker == 0xeb) jumbf.add(segment);
    if (marker == 0xfe) into.text("comment", text_of(segment));
    at += 2 + static_cast<std::size_t>(length);
  }
  jumbf.finish(into);
  xmp.finish(into);
}

// ---- PNG ----

std::string inflated(Bytes bytes) {
  std::string text(kMostBytes, '\0');
  uLongf size = text.size();
  const int status = uncompress(reinterpret_cast<Bytef*>(text.data()), &size,
                                reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  text.resize(status == Z_OK ? size : 0);
  return text;
}

/// "keyword\0…" cut at the zero.
std::pair<std::string_view, Bytes> cut(Bytes bytes) {
  const std::string_view all = text_of(bytes);
  const std::size_t zero = all.find('\0');
  if (zero == std::string_view::npos) return {{}, {}};
  return {all.substr(0, zero), bytes.subspan(zero + 1)};
}

/// ImageMagick's way: "Raw profile type exif", and as text a name, a length and bytes in hexadecimal digits.
void read_raw_profile(std::string_view kind, std::string_view text, Collector& into) {
  for (int line = 0; line < 3; ++line) {  // one is empty
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
  ByteBlock bytes;
  unsigned digits = 1;  // with a mark in front
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    digits = digits << 4 | static_cast<unsigned>(digit);
    if (digits < 0x100) continue;
    bytes.push_back(static_cast<std::byte>(digits & 0xff));
    digits = 1;
  }
  const Bytes xmp = kind == "xmp" ? Bytes(bytes) : behind(bytes, "http://ns.adobe.com/xap/1.0/\0"sv);
  if (!xmp.empty()) into.xmp(xmp);
  if (xmp.empty() && (kind == "exif" || kind == "APP1")) into.exif(bytes);
  if (kind == "iptc") read_resources(bytes, into);
}

void read_png(Bytes file, Collector& into) {
  constexpr std::string_view raw_profile = "Raw profile type ";
  constexpr std::size_t signature = 8, around = 12;  // length, type, checksum
  int inflations = 0;
  const auto inflate_some = [&](Bytes bytes) { return ++inflations > 20 ? std::string() : inflated(bytes); };
  for (std::size_t at = signature; at + around <= file.size();) {
    const std::uint64_t length = big_endian_at(file, at, 4);
    if (length > file.size() - at - around) break;
    const std::string_view type = text_of(file.subspan(at + 4, 4));
    const Bytes chunk = file.subspan(at + 8, static_cast<std::size_t>(length));
    if (type == "eXIf") into.exif(chunk);
    if (type == "caBX") into.jumbf(chunk);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
      const auto [keyword, rest] = cut(chunk);
      if (type != "iTXt") {
        const std::string grown = type == "zTXt" && !rest.empty() ? inflate_some(rest.subspan(1)) : std::string();
        const std::string_view text = type == "zTXt" ? std::string_view(grown) : text_of(rest);
        keyword.starts_with(raw_profile) ? read_raw_profile(keyword.substr(raw_profile.size()), text, into)
                                         : into.text(keyword, text);
      }
      if (type == "iTXt" && rest.size() >= 2) {
        const bool compressed = rest[0] != std::byte{0};
        const Bytes text = cut(cut(rest.subspan(2)).second).second;  // behind language and translated keyword
        const std::string grown = compressed ? inflate_some(text) : std::string();
        const Bytes plain = compressed ? std::as_bytes(std::span(grown)) : text;
        keyword == "XML:com.adobe.xmp" ? into.xmp(plain) : into.text(keyword, text_of(plain));
      }
    }
    at += around + static_cast<std::size_t>(length);
  }
}

// ---- the others ----

void read_webp(Bytes file, Collector& into) {
  for (std::size_t at = 12; at + 8 <= file.size();) {
    std::uint64_t length = 0;  // least significant byte first
    for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<std::uint64_t>(file[at + 4 + i]);
    if (length > file.size() - at - 8) break;
    const std::string_view type = text_of(file.subspan(at, 4));
    const Bytes chunk = file.subspan(at + 8, static_cast<std::size_t>(length));
    if (type == "EXIF") into.exif(chunk);
    if (type == "XMP ") into.xmp(chunk);
    if (type == "C2PA") into.jumbf(chunk);
    at += 8 + static_cast<std::size_t>(length + length % 2);
  }
}

void read_psd(Bytes file, Collector& into) {
  constexpr std::uint64_t header = 26;
  const Bytes behind_colors = bytes_from(file, header + 4 + big_endian_at(file, header, 4));
  const std::uint64_t length = big_endian_at(behind_colors, 0, 4);
  const Bytes rest = bytes_from(behind_colors, 4);
  read_resources(rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(length, rest.size()))), into);
}

void read_tiff(Bytes file, Collector& into) {
  const Exif exif = read_exif(file);
  into.xmp(exif.xmp);
  into.jumbf(exif.jumbf);
  into.iptc(exif.iptc);
  read_resources(exif.resources, into);
}

/// Fujifilm's raw files: the camera's JPEG says it all; where it lies and how long it is stand at fixed places.
void read_raf(Bytes file, Collector& into) {
  const Bytes jpeg = bytes_from(file, big_endian_at(file, 84, 4));
  read_jpeg(jpeg.first(static_cast<std::size_t>(std::min<std::uint64_t>(jpeg.size(), big_endian_at(file, 88, 4)))),
            into);
}

/// Canon's newer raw files: a box of Canon's own in moov has what is EXIF's first directory elsewhere.
void read_cr3(Bytes file, Collector& into) {
  constexpr std::string_view canon = "\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48"sv;
  for (const Box& box : boxes_in(box_body(file, "moov"))) {
    if (box.type == "uuid") into.exif(box_body(behind(box.body, canon), "CMT1"));
  }
}

/// The TIFF that a box holds behind an offset to it, which some programs leave out.
Bytes exif_in(Bytes body) {
  const std::string_view text = text_of(body);
  if (text.starts_with("II*\0"sv) || text.starts_with("MM\0*"sv) || text.starts_with("Exif\0\0"sv)) return body;
  return bytes_from(body, 4 + big_endian_at(body, 0, 4));
}

/// HEIF, AVIF, films and JPEG XL in its container.
void read_boxes(Bytes file, Collector& into) {
  constexpr std::string_view c2pa = "\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81"sv;
  constexpr std::string_view xmp = "\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac"sv;
  bool is_packed = false;
  for (const Box& box : boxes_in(file)) {
    if (box.type == "brob") is_packed = true;
    if (box.type == "Exif") into.exif(exif_in(box.body));
    if (box.type == "xml ") into.xmp(box.body);
    if (box.type == "jumb") {  // with its head, which stands before the body
      const std::byte* const begin = box.body.data() - 8;
      into.jumbf({begin, box.body.size() + 8});
    }
    if (box.type == "uuid") {
      const Bytes body = behind(box.body, c2pa);
      const auto [purpose, rest] = cut(bytes_from(body, 4));  // behind version and flags
      if (purpose == "manifest") into.jumbf(bytes_from(rest, 8));
      into.xmp(behind(box.body, xmp));
    }
  }
  const Format* const format = is_packed ? find_format(file) : nullptr;
  if (format != nullptr && format->packed_boxes != nullptr) {
    for (const PackedBox& box : format->packed_boxes(file, kMostBytes)) {
      if (box.type == "Exif") into.exif(exif_in(box.body));
      if (box.type == "xml ") into.xmp(box.body);
    }
  }
  const HeifLayout layout = heif_layout(file);
  for (const Bytes exif : layout.exif) into.exif(exif);
  for (const Bytes packet : layout.xmp) into.xmp(packet);
}

}  // namespace

MetadataBlocks metadata_blocks(Bytes file) {
  Collector into;
  const std::string_view head = text_of(file.first(std::min<std::size_t>(file.size(), 16)));
  if (head.starts_with("\xff\xd8\xff"sv)) read_jpeg(file, into);
  if (head.starts_with("\x89PNG\r\n\x1a\n"sv)) read_png(file, into);
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP") read_webp(file, into);
  if (head.starts_with("II*\0"sv) || head.starts_with("MM\0*"sv)) read_tiff(file, into);
  if (head.size() >= 8 && (head.substr(4, 4) == "ftyp" || head.substr(4, 4) == "JXL ")) read_boxes(file, into);
  if (head.size() >= 12 && head.substr(4, 8) == "ftypcrx ") read_cr3(file, into);
  if (head.starts_with("FUJIFILMCCD-RAW")) read_raf(file, into);
  if (head.starts_with("8BPS")) read_psd(file, into);
  return into.finish();
}

}  // namespace lfm
