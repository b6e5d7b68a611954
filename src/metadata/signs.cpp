#include "src/metadata/signs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "src/image/boxes.h"
#include "src/image/formats.h"
#include "src/image/heif_layout.h"
#include "src/image/orientation.h"
#include "src/metadata/blocks.h"
#include "src/metadata/c2pa.h"
#include "src/metadata/exif.h"
#include "src/metadata/jpeg_tables.h"
#include "src/metadata/pixel_traces.h"

namespace lfm {
namespace {

using Bytes = std::span<const std::byte>;

class Signs {
 public:
  void add(std::string source, std::string name, std::string_view value) {
    constexpr std::size_t most_signs = 200, most_bytes = 400;
    if (value.empty() || signs_.size() == most_signs) return;
    std::string text(value.substr(0, most_bytes));
    if (value.size() > most_bytes) {
      while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80)
        text.pop_back();  // not within a letter
      if (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.pop_back();
      text += "…";
    }
    signs_.push_back({std::move(source), std::move(name), std::move(text)});
  }
  std::vector<Sign> finish() { return std::move(signs_); }

 private:
  std::vector<Sign> signs_;
};

void add_c2pa(const MetadataBlocks& blocks, Signs& signs) {
  for (const ByteBlock& jumbf : blocks.jumbf) {
    const std::vector<C2paClaim> claims = c2pa_claims(jumbf);
    if (claims.empty()) {
      signs.add("JUMBF", "box", "present, without a C2PA manifest that can be read");
      continue;
    }
    signs.add("C2PA", "manifest",
              fmt::format("{}, {} in its history; read, not verified", claims.back().manifest, claims.size()));
    for (const C2paClaim& claim : claims) {
      signs.add("C2PA", "claim generator", claim.generator);
      for (const C2paAction& action : claim.actions) {
        signs.add("C2PA", "action", action.agent.empty() ? action.action : action.action + " by " + action.agent);
        signs.add("C2PA", "digitalSourceType", action.digital_source_type);
      }
    }
  }
}

/// A property's value in an XMP packet, an attribute or an element; of several the first. XMP is searched, not parsed.
std::string xmp_value(std::string_view xmp, std::string_view property) {
  for (std::size_t at = xmp.find(property); at != std::string_view::npos; at = xmp.find(property, at + 1)) {
    if (at == 0 || xmp[at - 1] != ':') continue;
    std::string_view rest = xmp.substr(at + property.size());
    std::size_t first = rest.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    char end = '\0';
    if (rest[first] == '=') {
      first = rest.find_first_of("\"'", first);
      if (first == std::string_view::npos) return {};
      end = rest[first];
    } else if (rest[first] == '>') {
      end = '<';
    } else {
      continue;
    }
    rest = rest.substr(first + 1);
    const std::size_t last = rest.find(end);
    if (last == std::string_view::npos) return {};
    const std::string_view value = rest.substr(0, last);
    const std::size_t begin = value.find_first_not_of(" \t\r\n");
    if (begin != std::string_view::npos)
      return std::string(value.substr(begin, value.find_last_not_of(" \t\r\n") + 1 - begin));
  }
  return {};
}

void add_xmp(const MetadataBlocks& blocks, Signs& signs) {
  for (const std::string& xmp : blocks.xmp) {
    for (const char* property : {"DigitalSourceType", "DigitalSourceFileType", "CreatorTool", "Credit", "AISystemUsed",
                                 "AIPromptInformation"}) {
      std::string value = xmp_value(xmp, property);
      if (std::string_view(property).starts_with("DigitalSource")) value.erase(0, value.rfind('/') + 1);
      signs.add("XMP", property, value);
    }
  }
}

/// Data sets of IPTC's IIM, record 2, that tell where a picture comes from. (It has none for the digital source type:
/// XMP has.)
void add_iptc(const MetadataBlocks& blocks, Signs& signs) {
  constexpr std::array<std::pair<std::uint64_t, const char*>, 4> kinds = {
      {{65, "program"}, {70, "program version"}, {110, "credit"}, {115, "source"}}};
  for (const ByteBlock& block : blocks.iptc) {
    for (Bytes sets = block; big_endian_at(sets, 0, 1) == 0x1c;) {
      const std::uint64_t record = big_endian_at(sets, 1, 1), number = big_endian_at(sets, 2, 1),
                          length = big_endian_at(sets, 3, 2);
      const Bytes rest = bytes_from(sets, 5);
      if (length > rest.size()) break;  // longer ones than a text has the top bit set, too
      const auto told = std::ranges::find(kinds, number, &std::pair<std::uint64_t, const char*>::first);
      if (record == 2 && told != kinds.end()) {
        signs.add("IPTC", told->second, {reinterpret_cast<const char*>(rest.data()), static_cast<std::size_t>(length)});
      }
      sets = bytes_from(rest, length);
    }
  }
}

/// PNG's keywords under which generators and editors write, and JPEG's comment.
constexpr std::array kTexts = {"parameters",        "prompt",         "workflow", "Software",    "Comment",
                               "comment",           "Description",    "Source",   "sd-metadata", "generation_data",
                               "invokeai_metadata", "invokeai_graph", "Dream",    "Title",       "negative_prompt"};

void add_texts(const MetadataBlocks& blocks, Signs& signs) {
  for (const auto& [keyword, text] : blocks.texts) {
    if (std::ranges::find(kTexts, std::string_view(keyword)) != kTexts.end())
      signs.add(keyword == "comment" ? "JPEG" : "PNG", keyword, text);
  }
}

/// Most models begin with their maker's name, or with its first word ("NIKON CORPORATION", "NIKON D90").
std::string camera_of(const Exif& exif) {
  const std::string_view maker = std::string_view(exif.make).substr(0, exif.make.find(' '));
  return maker.empty() || exif.model.starts_with(maker) ? exif.model : exif.make + " " + exif.model;
}

void add_exif(const MetadataBlocks& blocks, Bytes file, Signs& signs) {
  std::vector<Exif> all;
  for (const ByteBlock& block : blocks.exif) all.push_back(read_exif(block));
  all.push_back(read_exif(file));  // of a TIFF, and of raw files made of it
  for (const Exif& exif : all) {
    signs.add("EXIF", "camera", camera_of(exif));
    signs.add("EXIF", "lens", exif.lens);
    signs.add("EXIF", "software", exif.software);
    signs.add("EXIF", "description", exif.description);
    signs.add("EXIF", "comment", exif.comment);
  }
}

void add_jpeg(Bytes file, Signs& signs) {
  const auto quality = jpeg_quality(file);
  if (!quality) return;
  signs.add("JPEG", "quality",
            quality->is_exact ? fmt::format("{}, by libjpeg's tables", quality->quality)
                              : fmt::format("about {}, by tables of another program's own", quality->quality));
  const auto gaps = jpeg_gaps(file);
  constexpr int enough = 2;
  if (gaps && *gaps >= enough) {
    signs.add("JPEG", "double compression",
              fmt::format("{} of {} low frequencies have gaps in their histograms: compressed before, with other steps",
                          *gaps, kJpegFrequencies));
  }
}

void add_pixels(const Image& image, bool is_jpeg, Signs& signs) {
  if (const auto grid = jpeg_grid(image); grid && !(is_jpeg && grid->x == 0 && grid->y == 0)) {
    signs.add("pixels", "JPEG grid",
              fmt::format("blocks of 8x8 pixels begin at {},{}: compressed as JPEG before{}", grid->x, grid->y,
                          grid->x == 0 && grid->y == 0 ? "" : ", and cropped since"));
  }
  if (const auto frequency = resampling_frequency(image)) {
    signs.add(
        "pixels", "resampling",
        fmt::format("neighbours depend on each other with a period of {:.2f} pixels: enlarged or otherwise resampled",
                    1 / *frequency));
  }
}

}  // namespace

std::vector<Sign> find_signs(Bytes file, const Image& image) {
  Signs signs;
  const Format* const format = find_format(file);
  const bool is_preview = format != nullptr && format->preview;
  if (is_preview) {
    signs.add("file", "preview",
              fmt::format("{} x {} pixels: the JPEG that the camera embedded was scored, not the raw values",
                          image.width, image.height));
  }
  const MetadataBlocks blocks = metadata_blocks(file);
  add_c2pa(blocks, signs);
  add_xmp(blocks, signs);
  add_iptc(blocks, signs);
  add_texts(blocks, signs);
  add_exif(blocks, format != nullptr ? file : Bytes(), signs);
  const bool is_jpeg = format != nullptr && std::string_view(format->name) == "JPEG";
  if (is_jpeg) add_jpeg(file, signs);
  add_pixels(image, is_jpeg || is_preview, signs);
  return signs.finish();
}

int orientation_of(Bytes file) {
  const Format* const format = find_format(file);
  if (format == nullptr) return 1;
  if (format->orientation != nullptr) return format->orientation(file);
  if (const int own = read_exif(file).orientation; own != 1) return own;
  for (const ByteBlock& block : metadata_blocks(file).exif) return read_exif(block).orientation;
  return 1;
}

}  // namespace lfm
