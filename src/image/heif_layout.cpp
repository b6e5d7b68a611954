#include "src/image/heif_layout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "src/image/boxes.h"
#include "src/image/orientation.h"

namespace lfm {
namespace {

using Bytes = std::span<const std::byte>;
constexpr std::size_t kVersionAndFlags = 4;

struct FullBox {
  unsigned version = 0;
  std::uint64_t flags = 0;
  Bytes body;
};
FullBox full(Bytes box) {
  return {static_cast<unsigned>(big_endian_at(box, 0, 1)), big_endian_at(box, 1, 3), bytes_from(box, kVersionAndFlags)};
}

/// Reads numbers one after the other; 0 beyond the end.
struct Numbers {
  Bytes bytes;
  std::uint64_t at = 0;
  std::uint64_t next(unsigned count) {
    const std::uint64_t value = big_endian_at(bytes, at, count);
    at += count;
    return value;
  }
  bool done() const { return at >= bytes.size(); }
};

/// Indices from 1 on into ipco, of the item.
std::vector<std::size_t> properties_of(Bytes association, std::uint64_t item) {
  const FullBox box = full(association);
  Numbers in{box.body};
  std::vector<std::size_t> indices;
  for (std::uint64_t entries = in.next(4); entries > 0 && !in.done(); --entries) {
    const bool wanted = in.next(box.version < 1 ? 2 : 4) == item;
    for (std::uint64_t count = in.next(1); count > 0 && !in.done(); --count) {
      const bool wide = (box.flags & 1) != 0;
      const std::uint64_t index = in.next(wide ? 2 : 1) & (wide ? 0x7fff : 0x7f);
      if (wanted) indices.push_back(static_cast<std::size_t>(index));
    }
  }
  return indices;
}

/// Of a codec's configuration, hvcC or av1C; of a picture put together of tiles it is the tiles'.
HeifLayout::Chroma chroma_of(const Box& property) {
  using Chroma = HeifLayout::Chroma;
  if (property.type == "hvcC" && property.body.size() > 16) {
    constexpr Chroma formats[] = {Chroma::none, Chroma::half, Chroma::half_width, Chroma::full};
    return formats[big_endian_at(property.body, 16, 1) & 3];
  }
  if (property.type == "av1C" && property.body.size() > 2) {
    const std::uint64_t bits = big_endian_at(property.body, 2, 1);
    if ((bits & 0x10) != 0) return Chroma::none;
    return (bits & 8) == 0 ? Chroma::full : (bits & 4) == 0 ? Chroma::half_width : Chroma::half;
  }
  return Chroma::unknown;
}

Bytes meta_of(Bytes file) { return bytes_from(box_body(file, "meta"), kVersionAndFlags); }

/// By number, without their places.
std::map<std::uint64_t, HeifItem> items_of(Bytes information) {
  const FullBox list = full(information);
  std::map<std::uint64_t, HeifItem> items;
  for (const Box& entry : boxes_in(bytes_from(list.body, list.version == 0 ? 2 : 4), 1 << 17)) {
    if (entry.type != "infe") continue;
    const FullBox box = full(entry.body);
    if (box.version < 2) continue;
    const std::uint64_t number_bytes = box.version == 2 ? 2 : 4;
    const Bytes rest = bytes_from(box.body, number_bytes + 2);
    const std::string_view words(reinterpret_cast<const char*>(rest.data()), rest.size());
    const std::uint64_t number = big_endian_at(box.body, 0, static_cast<unsigned>(number_bytes));
    const bool is_xmp = words.starts_with("mime") && words.find("application/rdf+xml") != std::string_view::npos;
    items[number] = {number, words.substr(0, 4), is_xmp, {}};
  }
  return items;
}

/// Tells where items lie, piece by piece.
template <typename Visit>
void visit_pieces(Bytes location, Bytes file, Bytes data, Visit&& visit) {
  const FullBox box = full(location);
  Numbers in{box.body};
  const std::uint64_t sizes = in.next(2);
  const auto offset_size = static_cast<unsigned>(sizes >> 12 & 15),
             length_size = static_cast<unsigned>(sizes >> 8 & 15), base_size = static_cast<unsigned>(sizes >> 4 & 15),
             index_size = static_cast<unsigned>(box.version > 0 ? sizes & 15 : 0);
  if (offset_size > 8 || length_size > 8 || base_size > 8 || index_size > 8) return;
  for (std::uint64_t count = in.next(box.version < 2 ? 2 : 4); count > 0 && !in.done(); --count) {
    const std::uint64_t item = in.next(box.version < 2 ? 2 : 4);
    const std::uint64_t method = box.version > 0 ? in.next(2) & 15 : 0;
    in.next(2);
    const bool takes_room =
        index_size + offset_size + length_size > 0;  // else a few bytes would stand for any number of pieces
    const std::uint64_t base = in.next(base_size),
                        extents = std::min<std::uint64_t>(in.next(2), takes_room ? UINT16_MAX : 1);
    for (std::uint64_t e = 0; e < extents && !in.done(); ++e) {
      in.next(index_size);
      const std::uint64_t offset = in.next(offset_size), length = in.next(length_size);
      const Bytes whole = method == 0 ? file : method == 1 ? data : Bytes();
      const Bytes from = offset <= UINT64_MAX - base ? bytes_from(whole, base + offset) : Bytes();
      if (length <= from.size()) visit(item, from.first(static_cast<std::size_t>(length == 0 ? from.size() : length)));
    }
  }
}

}  // namespace

Window HeifLayout::clean_aperture(int width, int height) const {
  const Window whole{0, 0, width, height};
  if (aperture.size() != 8) return whole;
  for (int i = 1; i < 8; i += 2) {
    if (aperture[static_cast<std::size_t>(i)] <= 0) return whole;
  }
  const auto ratio = [&](std::size_t i) {
    return static_cast<double>(aperture[i]) / static_cast<double>(aperture[i + 1]);
  };
  const double w = std::floor(ratio(0)), h = std::floor(ratio(2));
  const double x = std::floor(ratio(4) + (width - w) / 2), y = std::floor(ratio(6) + (height - h) / 2);
  if (!(w >= 1 && h >= 1 && x >= 0 && y >= 0 && x + w <= width && y + h <= height)) return whole;
  return {static_cast<int>(x), static_cast<int>(y), static_cast<int>(w), static_cast<int>(h)};
}

HeifLayout heif_layout(Bytes file) {
  HeifLayout layout;
  const Bytes meta = meta_of(file);
  const FullBox primary = full(box_body(meta, "pitm"));
  const std::uint64_t item = big_endian_at(primary.body, 0, primary.version == 0 ? 2 : 4);
  const Bytes properties = box_body(meta, "iprp");
  const std::vector<Box> all = boxes_in(box_body(properties, "ipco"));
  for (const std::size_t index : properties_of(box_body(properties, "ipma"), item)) {
    if (index == 0 || index > all.size()) continue;
    const Box& property = all[index - 1];
    if (layout.chroma == HeifLayout::Chroma::unknown) layout.chroma = chroma_of(property);
    const auto first = static_cast<unsigned>(big_endian_at(property.body, 0, 1));
    // irot counts quarter turns against the clock; imir exchanges top and bottom where its bit is 0, as libheif and
    // libavif read it, else left and right.
    if (property.type == "ispe") {
      layout.stored_width = static_cast<std::uint32_t>(big_endian_at(property.body, kVersionAndFlags, 4));
      layout.stored_height = static_cast<std::uint32_t>(big_endian_at(property.body, kVersionAndFlags + 4, 4));
    }
    if (property.type == "irot") {
      constexpr int turned[] = {1, 8, 3, 6};
      layout.orientation = then_turned(layout.orientation, turned[first & 3]);
    }
    if (property.type == "imir") layout.orientation = then_turned(layout.orientation, (first & 1) == 0 ? 4 : 2);
    if (property.type == "clap" && property.body.size() >= 32 && layout.orientation == 1) {
      for (unsigned i = 0; i < 8; ++i)
        layout.aperture.push_back(static_cast<std::int32_t>(big_endian_at(property.body, 4 * i, 4)));
      layout.aperture.resize(8);
    }
  }
  for (const Box& property : all) {
    if (property.type == "av1C") layout.is_av1 = true;
    if (layout.chroma == HeifLayout::Chroma::unknown) layout.chroma = chroma_of(property);
  }
  for (const HeifItem& found : heif_items(file)) {
    if (found.pieces.size() != 1) continue;
    if (found.is_xmp) layout.xmp.push_back(found.pieces[0]);
    if (found.type != "Exif") continue;
    // The TIFF header lies behind an offset to it.
    const Bytes exif = bytes_from(found.pieces[0], 4 + big_endian_at(found.pieces[0], 0, 4));
    if (!exif.empty()) layout.exif.push_back(exif);
  }
  return layout;
}

std::vector<HeifItem> heif_items(Bytes file) {
  const Bytes meta = meta_of(file);
  std::map<std::uint64_t, HeifItem> items = items_of(box_body(meta, "iinf"));
  visit_pieces(box_body(meta, "iloc"), file, box_body(meta, "idat"), [&](std::uint64_t number, Bytes piece) {
    if (const auto found = items.find(number); found != items.end()) found->second.pieces.push_back(piece);
  });
  std::vector<HeifItem> all;
  for (auto& [number, item] : items) all.push_back(std::move(item));
  return all;
}

std::vector<Box> heif_properties(Bytes file) { return boxes_in(box_body(box_body(meta_of(file), "iprp"), "ipco")); }

}  // namespace lfm
