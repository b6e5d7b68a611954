#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

[[noreturn]] void fail(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: throw std::bad_alloc();
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: throw Error(ErrorCode::input, "the WebP file is truncated; copy or download it again");
    default: throw Error(ErrorCode::input, "the WebP data is corrupt; copy or download the file again");
  }
}

/// Decodes one still into the window of the image whose first pixel is given. Alpha is dropped by asking for
/// RGB.
void decode_still(Bytes bytes, std::uint8_t* first_pixel, int width, int height, int stride) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    throw Error(ErrorCode::input, "libwebp differs from the version lfm-cuda was built for; rebuild lfm-cuda");
  }
  const auto data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (const auto status = WebPGetFeatures(data, bytes.size(), &config.input); status != VP8_STATUS_OK) fail(status);
  if (config.input.width != width || config.input.height != height) fail(VP8_STATUS_BITSTREAM_ERROR);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = first_pixel;
  config.output.u.RGBA.stride = stride;
  config.output.u.RGBA.size = static_cast<std::size_t>(stride) * (height - 1) + std::size_t{3} * width;
  if (const auto status = WebPDecode(data, bytes.size(), &config); status != VP8_STATUS_OK) fail(status);
}

/// An animation's first frame on its canvas, which is black around it.
Image decode_first_frame(Bytes bytes, const DecodeLimits& limits) {
  const WebPData data{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (!demuxer) throw Error(ErrorCode::input, "the WebP animation is truncated or corrupt; copy or download it again");
  const std::uint32_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const std::uint32_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  check_size(width, height, limits);

  WebPIterator frame;
  const bool found = WebPDemuxGetFrame(demuxer.get(), 1, &frame) != 0;
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&frame, WebPDemuxReleaseIterator);
  if (!found || frame.complete == 0 || frame.x_offset < 0 || frame.y_offset < 0 || frame.width < 1 ||
      frame.height < 1 || static_cast<std::uint32_t>(frame.width) > width ||
      static_cast<std::uint32_t>(frame.height) > height ||
      static_cast<std::uint32_t>(frame.x_offset) > width - frame.width ||
      static_cast<std::uint32_t>(frame.y_offset) > height - frame.height) {
    throw Error(ErrorCode::input, "the WebP animation's first frame is missing or corrupt; copy or download it again");
  }
  Image image = make_image(static_cast<int>(width), static_cast<int>(height));
  const std::size_t offset = (static_cast<std::size_t>(frame.y_offset) * width + frame.x_offset) * 3;
  decode_still({reinterpret_cast<const std::byte*>(frame.fragment.bytes), frame.fragment.size}, &image.rgb[offset],
               frame.width, frame.height, image.width * 3);
  return image;
}

}  // namespace

void decode_webp(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  WebPBitstreamFeatures features;
  const auto status = WebPGetFeatures(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &features);
  if (status != VP8_STATUS_OK) fail(status);
  if (features.has_animation != 0) return sink.take(decode_first_frame(bytes, limits));
  check_size(features.width, features.height, limits);
  Image image = make_image(features.width, features.height);
  decode_still(bytes, image.rgb.data(), image.width, image.height, image.width * 3);
  sink.take(std::move(image));
}

}  // namespace lfm
