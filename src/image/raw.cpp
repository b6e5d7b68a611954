// Cameras' raw formats, by libraw: of them the JPEG preview that the camera made is read, the largest, not the sensor's
// values.
#include <libraw/libraw.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

constinit const LateLibrary kLibraw("libraw");
LFM_LATE(kLibraw, libraw_close);
LFM_LATE(kLibraw, libraw_init);
LFM_LATE(kLibraw, libraw_open_buffer);
LFM_LATE(kLibraw, libraw_strerror);
LFM_LATE(kLibraw, libraw_unpack_thumb);
#if LIBRAW_VERSION >= LIBRAW_MAKE_VERSION(0, 21, 0)
LFM_LATE(kLibraw, libraw_unpack_thumb_ex);
#endif

void check(int status) {
  if (status == LIBRAW_SUCCESS) return;
  if (status == LIBRAW_UNSUFFICIENT_MEMORY) throw std::bad_alloc();
  if (status == LIBRAW_NO_THUMBNAIL || status == LIBRAW_UNSUPPORTED_THUMBNAIL) {
    throw Error(ErrorCode::input,
                "the raw file holds no preview that can be read; save it as PNG with a raw developer first");
  }
  throw Error(
      ErrorCode::input,
      "libraw can't read the raw file (" + std::string(libraw_strerror(status)) +
          "): it is damaged, or of a camera that it doesn't know; use the JPEG that the camera wrote beside it");
}

/// Unpacks the largest preview that is a JPEG; libraw's older versions choose it themselves.
int unpack_largest(libraw_data_t* raw) {
#if LIBRAW_VERSION >= LIBRAW_MAKE_VERSION(0, 21, 0)
  const libraw_thumbnail_list_t& previews = raw->thumbs_list;
  int largest = -1;
  const auto size = [&](int i) {  // in bytes where libraw can't tell the pixels
    const auto& preview = previews.thumblist[i];
    return std::pair(std::int64_t{preview.twidth} * preview.theight, preview.tlength);
  };
  for (int i = 0; i < std::min<int>(previews.thumbcount, LIBRAW_THUMBNAIL_MAXCOUNT); ++i) {
    const bool is_jpeg = previews.thumblist[i].tformat == LIBRAW_INTERNAL_THUMBNAIL_JPEG;
    if (is_jpeg && (largest < 0 || size(i) > size(largest))) largest = i;
  }
  if (largest >= 0) return libraw_unpack_thumb_ex(raw, largest);
#endif
  return libraw_unpack_thumb(raw);
}

/// Refuses a preview of less than half the picture's width before its pixels are decoded.
class PreviewSink final : public PixelSink {
 public:
  PreviewSink(PixelSink& sink, int width, int height) : sink_(sink), width_(width), height_(height) {}

  void take(Image&& image) override {
    check(image.width, image.height);
    sink_.take(std::move(image));
  }
  void start(int width, int height) override {
    check(width, height);
    sink_.start(width, height);
  }
  std::uint8_t* row() override { return sink_.row(); }
  void row_done() override { sink_.row_done(); }

 private:
  void check(int width, int height) const {
    if (2 * std::int64_t{std::max(width, height)} >= std::max(width_, height_)) return;
    throw Error(ErrorCode::input, "the raw file's preview is too small to tell by, " + std::to_string(width) + " x " +
                                      std::to_string(height) + " of " + std::to_string(width_) + " x " +
                                      std::to_string(height_) + " pixels; save it as PNG with a raw developer first");
  }

  PixelSink& sink_;
  int width_, height_;
};

}  // namespace

void decode_raw(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  const std::unique_ptr<libraw_data_t, decltype(&::libraw_close)> raw(libraw_init(0), libraw_close);
  if (!raw) throw std::bad_alloc();
  check(libraw_open_buffer(raw.get(), const_cast<std::byte*>(bytes.data()), bytes.size()));
  check(unpack_largest(raw.get()));
  const libraw_thumbnail_t& preview = raw->thumbnail;
  if (preview.tformat != LIBRAW_THUMBNAIL_JPEG || preview.thumb == nullptr) check(LIBRAW_UNSUPPORTED_THUMBNAIL);
  PreviewSink checked(sink, raw->sizes.width, raw->sizes.height);
  decode_jpeg({reinterpret_cast<const std::byte*>(preview.thumb), preview.tlength}, limits, checked);
}

}  // namespace lfm
