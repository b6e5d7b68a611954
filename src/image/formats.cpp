#include "src/image/formats.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

#include "src/image/heif_layout.h"
#include "src/image/jxl.h"
#include "src/image/tga.h"
#include "src/image/tiff.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

using namespace std::string_view_literals;

constexpr const char* kConvert = "convert it to PNG first";
constexpr const char* kDevelop =
    "save it as PNG with a raw developer first, or use the JPEG that the camera wrote beside it";
constexpr const char* kHeif = "libheif (package libheif-dev)";
constexpr const char* kTiff = "libtiff (package libtiff-dev)";
constexpr const char* kJxl = "libjxl (package libjxl-dev)";
constexpr const char* kRaw = "libraw (package libraw-dev)";
constexpr Decoder* kReadHeif = LFM_HAVE_HEIF ? decode_heif : nullptr;
constexpr Decoder* kReadTiff = LFM_HAVE_TIFF ? decode_tiff : nullptr;
constexpr Decoder* kReadJxl = LFM_HAVE_JXL ? decode_jxl : nullptr;
constexpr Decoder* kReadRaw = LFM_HAVE_RAW ? decode_raw : nullptr;
constexpr auto* kTurnJxl = LFM_HAVE_JXL ? jxl_orientation : nullptr;
constexpr auto* kUnpackJxl = LFM_HAVE_JXL ? jxl_packed_boxes : nullptr;
constexpr auto* kCountPages = LFM_HAVE_TIFF ? count_tiff_pages : nullptr;
constexpr auto* kReadPage = LFM_HAVE_TIFF ? decode_tiff_page : nullptr;
constexpr const char* kExtractFrames =
    "score its frames with lfm-cuda detect --every 1s, or extract them as PNG first (ffmpeg -i FILE frame-%05d.png)";

std::string_view text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool has_at(Bytes head, std::size_t at, std::string_view signature) {
  return head.size() >= at + signature.size() && std::memcmp(head.data() + at, signature.data(), signature.size()) == 0;
}

bool begins_with(Bytes head, std::initializer_list<std::string_view> signatures) {
  return std::any_of(signatures.begin(), signatures.end(), [&](std::string_view s) { return has_at(head, 0, s); });
}

unsigned byte_at(Bytes head, std::size_t at) { return at < head.size() ? static_cast<unsigned>(head[at]) : 0; }

std::uint32_t number_at(Bytes head, std::size_t at, unsigned count, bool big_endian) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < count; ++i) value = value << 8 | byte_at(head, at + (big_endian ? i : count - 1 - i));
  return value;
}

/// Whether the ftyp box, which opens ISO media files (HEIF, AVIF, MP4, …), lists one of the brands, as the major one
/// or another.
bool has_brand(Bytes head, std::initializer_list<std::string_view> brands) {
  constexpr std::size_t major = 8, minor_version = 12, brand_bytes = 4;
  if (!has_at(head, 4, "ftyp")) return false;
  const std::uint32_t stated = number_at(head, 0, 4, true);  // 0: to the file's end
  const std::size_t end = std::min<std::size_t>(head.size(), stated == 0 ? head.size() : stated);
  for (std::size_t at = major; at + brand_bytes <= end; at += brand_bytes) {
    if (at == minor_version) continue;
    if (std::find(brands.begin(), brands.end(), text(head.subspan(at, brand_bytes))) != brands.end()) return true;
  }
  return false;
}

bool is_tiff(Bytes head) { return begins_with(head, {"II*\0"sv, "MM\0*"sv}); }

/// Whether a TIFF's first directory has the tag.
bool has_tag(Bytes head, std::uint32_t tag) {
  const bool big_endian = head[0] == std::byte{'M'};
  const std::size_t directory = number_at(head, 4, 4, big_endian);
  const std::uint32_t entries = number_at(head, directory, 2, big_endian);
  for (std::uint32_t i = 0; i < entries && directory + 2 + 12 * i < head.size(); ++i) {
    if (number_at(head, directory + 2 + 12 * i, 2, big_endian) == tag) return true;
  }
  return false;
}

bool is_dng(Bytes head) {
  constexpr std::uint32_t dng_version = 0xc612;
  return is_tiff(head) && has_tag(head, dng_version);
}

/// A camera's raw picture in a TIFF, as NEF and ARW: the first directory is a small copy made by a camera, the raw one
/// lies below it.
bool is_raw_tiff(Bytes head) {
  constexpr std::uint32_t subfile_type = 0xfe, maker = 0x10f, directories_below = 0x14a;
  return is_tiff(head) && has_tag(head, subfile_type) && has_tag(head, maker) && has_tag(head, directories_below);
}

/// "BM", and a header size of less than 256: many a text begins with these letters.
bool is_bmp(Bytes head) {
  constexpr std::size_t header_size = 14;
  if (!has_at(head, 0, "BM") || head.size() < header_size + 4) return false;
  const std::uint32_t size = number_at(head, header_size, 4, false);
  return size >= 12 && size < 256;
}

/// "P1" to "P6", white space, and what may follow it.
bool is_pnm(Bytes head) {
  if (head.size() < 3 || !has_at(head, 0, "P") || byte_at(head, 1) < '1' || byte_at(head, 1) > '6') return false;
  const std::size_t next = text(head).find_first_not_of(" \t\r\n\v\f", 2);
  if (next == 2) return false;
  return next == std::string_view::npos || byte_at(head, next) == '#' ||
         (byte_at(head, next) >= '0' && byte_at(head, next) <= '9');
}

bool is_pam(Bytes head) {
  return begins_with(head, {"P7\n", "P7\r\n"}) && text(head).find("WIDTH") != std::string_view::npos;
}

bool is_pfm(Bytes head) { return begins_with(head, {"PF\n", "Pf\n", "PF ", "Pf "}) && byte_at(head, 3) - '0' < 10; }

bool is_png(Bytes head) { return begins_with(head, {"\x89PNG\r\n\x1a\n"sv}); }

bool is_heif(Bytes head) {
  return has_brand(head, {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1", "miaf"});
}

/// QuickTime's older files open with another box than ftyp.
bool is_quicktime(Bytes head) {
  return has_brand(head, {"qt  "}) || has_at(head, 4, "moov") || has_at(head, 4, "mdat") || has_at(head, 4, "wide");
}

bool is_ico(Bytes head) {
  const std::uint32_t pictures = number_at(head, 4, 2, false);
  return begins_with(head, {"\0\0\1\0"sv, "\0\0\2\0"sv}) && head.size() >= 22 && pictures > 0 && pictures < 256 &&
         head[9] == std::byte{0};
}

bool is_pcx(Bytes head) {
  const unsigned bits = byte_at(head, 3);
  return head.size() >= 128 && byte_at(head, 0) == 10 && byte_at(head, 1) <= 5 && byte_at(head, 2) == 1 &&
         (bits == 1 || bits == 2 || bits == 4 || bits == 8) && head[64] == std::byte{0};
}

bool is_sgi(Bytes head) {
  return begins_with(head, {"\x01\xda"sv}) && byte_at(head, 2) <= 1 && byte_at(head, 3) - 1 < 2 &&
         number_at(head, 4, 2, true) - 1 < 3;
}

int heif_orientation(Bytes file) { return heif_layout(file).orientation; }

// clang-format off
constexpr Format kFormats[] = {
    // Pictures that are read. TGA, which has no signature, comes last of all.
    {"JPEG", [](Bytes b) { return begins_with(b, {"\xff\xd8\xff"sv}); }, decode_jpeg},
    {"iOS-optimised PNG (CgBI)", [](Bytes b) { return is_png(b) && has_at(b, 12, "CgBI"); }, nullptr,
     "undo it first (pngcrush -revert-iphone-optimizations FILE NEW.png)"},
    {"PNG", is_png, decode_png},
    {"WebP", [](Bytes b) { return begins_with(b, {"RIFF"}) && has_at(b, 8, "WEBP"); }, decode_webp},
    {"GIF", [](Bytes b) { return begins_with(b, {"GIF87a", "GIF89a"}); }, decode_gif},
    {"BMP", is_bmp, decode_bmp},
    {"PSD", [](Bytes b) { return begins_with(b, {"8BPS"}); }, decode_psd},
    {"PNM", is_pnm, decode_pnm},
    {"AVIF", [](Bytes b) { return has_brand(b, {"avif", "avis"}); }, kReadHeif, kConvert, kHeif, heif_orientation},
    {"CR3", [](Bytes b) { return has_brand(b, {"crx "}); }, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"HEIF (HEIC)", is_heif, kReadHeif, kConvert, kHeif, heif_orientation},
    {"JPEG XL", [](Bytes b) { return begins_with(b, {"\xff\x0a"sv, "\0\0\0\x0cJXL \r\n\x87\n"sv}); }, kReadJxl, kConvert, kJxl, kTurnJxl, nullptr,
     nullptr, false, false, kUnpackJxl},
    {"CR2", [](Bytes b) { return is_tiff(b) && has_at(b, 8, "CR"); }, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"DNG", is_dng, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"NEF or ARW", is_raw_tiff, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"TIFF", [](Bytes b) { return is_tiff(b) || begins_with(b, {"II+\0"sv, "MM\0+"sv}); }, kReadTiff, kConvert, kTiff,
     nullptr, kCountPages, kReadPage},
    {"RAF", [](Bytes b) { return begins_with(b, {"FUJIFILMCCD-RAW"}); }, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"ORF", [](Bytes b) { return begins_with(b, {"IIRO", "IIRS", "MMOR"}); }, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},
    {"RW2", [](Bytes b) { return begins_with(b, {"IIU\0"sv}); }, kReadRaw, kDevelop, kRaw, nullptr, nullptr, nullptr, false, true},

    // Pictures that aren't.
    {"JPEG 2000", [](Bytes b) { return begins_with(b, {"\0\0\0\x0cjP  \r\n\x87\n"sv, "\xff\x4f\xff\x51"sv}); },
     nullptr, kConvert},
    {"X3F, a camera's raw format", [](Bytes b) { return begins_with(b, {"FOVb"}); }, nullptr, kDevelop},
    {"MRW, a camera's raw format", [](Bytes b) { return begins_with(b, {"\0MRM"sv}); }, nullptr, kDevelop},
    {"JPEG XR", [](Bytes b) { return begins_with(b, {"II\xbc\x01"sv, "II\xbc\0"sv}); }, nullptr, kConvert},
    {"PAM (P7)", is_pam, nullptr, kConvert},
    {"PFM", is_pfm, nullptr, kConvert},
    {"OS/2 bitmap array", [](Bytes b) { return begins_with(b, {"BA"}) && has_at(b, 14, "BM"); }, nullptr, kConvert},
    {"MNG or JNG", [](Bytes b) { return begins_with(b, {"\x8aMNG\r\n"sv, "\x8bJNG\r\n"sv}); }, nullptr, kConvert},
    {"QOI", [](Bytes b) { return begins_with(b, {"qoif"}); }, nullptr, kConvert},
    {"ICO or CUR", is_ico, nullptr, kConvert},
    {"ICNS", [](Bytes b) { return begins_with(b, {"icns"}); }, nullptr, kConvert},
    {"DDS", [](Bytes b) { return begins_with(b, {"DDS \x7c"}); }, nullptr, kConvert},
    {"OpenEXR", [](Bytes b) { return begins_with(b, {"\x76\x2f\x31\x01"sv}); }, nullptr, kConvert},
    {"Radiance HDR", [](Bytes b) { return begins_with(b, {"#?RADIANCE", "#?RGBE"}); }, nullptr, kConvert},
    {"XCF, GIMP's own format", [](Bytes b) { return begins_with(b, {"gimp xcf "}); }, nullptr, kConvert},
    {"FITS", [](Bytes b) { return begins_with(b, {"SIMPLE  ="}); }, nullptr, kConvert},
    {"DICOM", [](Bytes b) { return has_at(b, 128, "DICM"); }, nullptr, kConvert},
    {"Sun raster", [](Bytes b) { return begins_with(b, {"\x59\xa6\x6a\x95"sv}); }, nullptr, kConvert},
    {"DjVu", [](Bytes b) { return begins_with(b, {"AT&TFORM"}); }, nullptr, kConvert},
    {"BPG", [](Bytes b) { return begins_with(b, {"BPG\xfb"sv}); }, nullptr, kConvert},
    {"PCX", is_pcx, nullptr, kConvert},
    {"SGI", is_sgi, nullptr, kConvert},
    {"PDF", [](Bytes b) { return begins_with(b, {"%PDF-"}); }, nullptr,
     "extract its pictures first (pdfimages -all FILE PREFIX)"},
    {"PostScript", [](Bytes b) { return begins_with(b, {"%!PS", "\xc5\xd0\xd3\xc6"sv}); }, nullptr, kConvert},

    // Films.
    {"QuickTime film (MOV)", is_quicktime, nullptr, kExtractFrames, nullptr, nullptr, nullptr, nullptr, true},
    {"MPEG-4 film", [](Bytes b) { return has_at(b, 4, "ftyp"); }, nullptr, kExtractFrames, nullptr, nullptr, nullptr, nullptr, true},
    {"AVI film", [](Bytes b) { return begins_with(b, {"RIFF"}) && has_at(b, 8, "AVI "); }, nullptr, kExtractFrames, nullptr, nullptr, nullptr, nullptr, true},
    {"Matroska or WebM film", [](Bytes b) { return begins_with(b, {"\x1a\x45\xdf\xa3"sv}); }, nullptr, kExtractFrames, nullptr, nullptr, nullptr, nullptr, true},

    {"TGA", is_tga, decode_tga},
};
// clang-format on

}  // namespace

const Format* find_format(Bytes head) {
  head = head.first(std::min(head.size(), kFormatHeadBytes));
  const auto* found =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return f.matches(head); });
  return found == std::end(kFormats) ? nullptr : found;
}

std::span<const Format> known_formats() { return kFormats; }

std::string why_not_read(const Format& format) {
  if (format.decode == nullptr || format.library == nullptr) return {};
  const std::string_view words = format.library;
  return LateLibrary(std::string(words.substr(0, words.find(' '))).c_str()).missing();
}

std::string readable_formats() {
  std::string names;
  for (const Format& format : kFormats) {
    if (format.decode != nullptr) names += (names.empty() ? "" : ", ") + std::string(format.name);
  }
  return names;
}

}  // namespace lfm
