// Images through the library's own entry points. A PNG is decoded twice: as it is, and with its checksums made right,
// for otherwise libpng refuses nearly every change.
#include "lfm/image.h"

#include <zlib.h>

#include <algorithm>

#include "fuzz/fuzz.h"
#include "src/image/decoders.h"
#include "src/image/formats.h"

namespace lfm::fuzz {
namespace {

constexpr DecodeLimits kLimits{.max_pixels = 1 << 18};  // large pictures are slow, and no other code
constexpr int kSide = 24;

void decode(Bytes bytes) {
  Image image;
  ResizedImage resized;
  const bool whole = accepts([&] { image = decode_image(bytes, kLimits); });
  const bool streamed = accepts([&] { resized = decode_image_resized(bytes, kSide, kSide, kLimits); });
  demand(whole == streamed, "decode_image and decode_image_resized take the same files");
  if (!whole) return;
  demand(image.width > 0 && image.height > 0 && image.rgb.size() == std::size_t{3} * image.width * image.height,
         "as many bytes as pixels");
  demand(static_cast<std::uint64_t>(image.width) * image.height <= kLimits.max_pixels, "no picture beyond the limit");
  demand(resized.source_width == image.width && resized.source_height == image.height, "the same size both ways");
  demand(resized.image.rgb == resize_bilinear(image, kSide, kSide).rgb, "the same pixels both ways");
}

std::uint32_t big_endian(const std::byte* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint32_t>(at[i]);
  return value;
}

/// The checksum of every whole chunk made right.
void repair_png(std::span<std::byte> file) {
  constexpr std::size_t signature = 8, around = 12;  // length, type, checksum
  for (std::size_t at = signature; at + around <= file.size();) {
    const std::size_t length = big_endian(&file[at]);
    if (length > file.size() - at - around) return;
    const auto sum = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(&file[at + 4]), static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += around + length;
  }
}

void decode_pages(Bytes bytes) {
  constexpr int most = 3;
  int pages = 0;
  if (!accepts([&] { pages = count_pages(bytes, kLimits); })) return;
  demand(pages >= 1, "a picture at least");
  for (int i = 0; pages > 1 && i < std::min(pages, most); ++i) {
    accepts([&] {
      const Page page = decode_page(bytes, i, kLimits);
      demand(page.orientation >= 1 && page.orientation <= 8, "an orientation of EXIF's");
      demand(static_cast<std::uint64_t>(page.image.width) * page.image.height <= kLimits.max_pixels,
             "no page beyond the limit");
    });
  }
}

}  // namespace
}  // namespace lfm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm::fuzz;
  const Bytes bytes = bytes_of(data, size);
  decode(bytes);
  decode_pages(bytes);
  if (const lfm::Format* format = lfm::find_format(bytes); format != nullptr && format->decode == lfm::decode_png) {
    std::vector<std::byte> repaired = copy_of(bytes);
    repair_png(repaired);
    decode(repaired);
  }
  return 0;
}
