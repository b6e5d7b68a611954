// Cameras' raw formats, by libraw: of them the JPEG preview that the camera made is read, not the sensor's values.
#include <libraw/libraw.h>

#include <algorithm>
#include <memory>
#include <string>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

void check(int status) {
  if (status == LIBRAW_SUCCESS) return;
  if (status == LIBRAW_UNSUFFICIENT_MEMORY) throw std::bad_alloc();
  if (status == LIBRAW_NO_THUMBNAIL || status == LIBRAW_UNSUPPORTED_THUMBNAIL) {
    throw Error(ErrorCode::input, "the raw file holds no preview that can be read; save it as PNG with a raw developer first");
  }
  throw Error(ErrorCode::input, "libraw can't read the raw file (" + std::string(libraw_strerror(status)) +
                                    "): it is damaged, or of a camera that it doesn't know; use the JPEG that the camera wrote beside it");
}

}  // namespace

void decode_raw(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  const auto raw = std::make_unique<LibRaw>();  // too large for a thread's stack
  check(raw->open_buffer(const_cast<std::byte*>(bytes.data()), bytes.size()));
  check(raw->unpack_thumb());
  const libraw_thumbnail_t& preview = raw->imgdata.thumbnail;
  if (preview.tformat != LIBRAW_THUMBNAIL_JPEG || preview.thumb == nullptr) check(LIBRAW_UNSUPPORTED_THUMBNAIL);
  const int longer = std::max(preview.twidth, preview.theight), whole = std::max(raw->imgdata.sizes.width, raw->imgdata.sizes.height);
  if (2 * longer < whole) {
    throw Error(ErrorCode::input, "the raw file's preview is too small to tell by, " + std::to_string(preview.twidth) + " x " +
                                      std::to_string(preview.theight) + " of " + std::to_string(raw->imgdata.sizes.width) + " x " +
                                      std::to_string(raw->imgdata.sizes.height) + " pixels; save it as PNG with a raw developer first");
  }
  decode_jpeg({reinterpret_cast<const std::byte*>(preview.thumb), preview.tlength}, limits, sink);
}

}  // namespace lfm
