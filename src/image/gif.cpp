#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

[[noreturn]] void fail(int error) {
  if (error == D_GIF_ERR_NOT_ENOUGH_MEM) throw std::bad_alloc();
  const char* text = GifErrorString(error);
  throw Error(ErrorCode::input, std::string("the GIF file is truncated or corrupt (") +
                                    (text != nullptr ? text : "no frame") + "); copy or download it again");
}

int on_read(GifFileType* gif, GifByteType* destination, int count) {
  auto& left = *static_cast<Bytes*>(gif->UserData);
  const std::size_t n = std::min(left.size(), static_cast<std::size_t>(std::max(count, 0)));
  if (n != 0) std::memcpy(destination, left.data(), n);
  left = left.subspan(n);
  return static_cast<int>(n);
}

struct GifCloser {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

/// Reads records up to the first frame's description; returns its transparent palette index, if it has one.
std::optional<int> seek_first_frame(GifFileType* gif) {
  std::optional<int> transparent;
  for (;;) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) fail(gif->Error);
    if (record == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) == GIF_ERROR) fail(gif->Error);
      return transparent;
    }
    if (record != EXTENSION_RECORD_TYPE) fail(gif->Error);  // the trailer: no frame at all
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) fail(gif->Error);
    while (block != nullptr) {  // block[0] is its length
      if (code == GRAPHICS_EXT_FUNC_CODE && block[0] >= 4 && (block[1] & 1) != 0) transparent = block[4];
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) fail(gif->Error);
    }
  }
}

/// The colours of a palette, those beyond its end black; a grey ramp where the file has none.
std::array<GifColorType, 256> colors_of(const ColorMapObject* map) {
  std::array<GifColorType, 256> colors{};
  if (map == nullptr) {
    for (int i = 0; i < 256; ++i) colors[i].Red = colors[i].Green = colors[i].Blue = static_cast<GifByteType>(i);
  } else {
    std::copy_n(map->Colors, std::min(map->ColorCount, 256), colors.begin());
  }
  return colors;
}

}  // namespace

void decode_gif(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  int error = 0;
  Bytes left = bytes;
  const std::unique_ptr<GifFileType, GifCloser> gif(DGifOpen(&left, on_read, &error));
  if (!gif) fail(error);
  const std::optional<int> transparent = seek_first_frame(gif.get());
  const GifImageDesc& frame = gif->Image;
  if (frame.Left < 0 || frame.Top < 0 || frame.Width < 1 || frame.Height < 1) fail(D_GIF_ERR_NO_IMAG_DSCR);

  // A frame that reaches beyond the screen widens it, as in Pillow.
  const std::uint64_t width = std::max<std::uint64_t>(gif->SWidth, std::uint64_t(frame.Left) + frame.Width);
  const std::uint64_t height = std::max<std::uint64_t>(gif->SHeight, std::uint64_t(frame.Top) + frame.Height);
  check_size(width, height, limits);
  Image image = make_image(static_cast<int>(width), static_cast<int>(height));

  const auto colors = colors_of(frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap);
  const auto paint = [&](std::size_t pixel, int index) {
    std::uint8_t* rgb = &image.rgb[pixel * 3];
    rgb[0] = colors[index].Red, rgb[1] = colors[index].Green, rgb[2] = colors[index].Blue;
  };
  // Outside the frame the screen shows the transparent index's colour, or index 0's.
  const bool covers =
      static_cast<std::uint64_t>(frame.Width) == width && static_cast<std::uint64_t>(frame.Height) == height;
  if (!covers) {
    for (std::size_t i = 0; i < width * height; ++i) paint(i, transparent.value_or(0));
  }

  // Interlaced frames come in four passes: every 8th row from 0, every 8th from 4, every 4th from 2, every
  // 2nd from 1.
  struct Pass {
    int first, step;
  };
  constexpr Pass interlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, sequential[] = {{0, 1}};
  std::vector<GifPixelType> row(static_cast<std::size_t>(frame.Width));
  for (const Pass& pass : frame.Interlace ? std::span<const Pass>(interlaced) : std::span<const Pass>(sequential)) {
    for (int y = pass.first; y < frame.Height; y += pass.step) {
      if (DGifGetLine(gif.get(), row.data(), frame.Width) == GIF_ERROR) fail(gif->Error);
      const std::size_t first = (static_cast<std::size_t>(frame.Top) + y) * width + frame.Left;
      for (int x = 0; x < frame.Width; ++x) paint(first + x, row[x]);
    }
  }
  sink.take(std::move(image));
}

}  // namespace lfm
