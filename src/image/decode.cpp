// Hands a picture's bytes to the decoder of their format.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/resize.h"
#include "src/io/mistaken_file.h"

namespace lfm {
namespace {

class ImageSink final : public PixelSink {
 public:
  void take(Image&& image) override { image_ = std::move(image); }
  void start(int width, int height) override {
    image_ = make_image(width, height);
    row_ = image_.rgb.data();
  }
  std::uint8_t* row() override { return row_; }
  void row_done() override { row_ += std::size_t{3} * image_.width; }
  Image finish() { return std::move(image_); }

 private:
  Image image_;
  std::uint8_t* row_ = nullptr;
};

void decode_into(PixelSink& sink, Bytes bytes, const DecodeLimits& limits) {
  const Format* format = find_format(bytes);
  if (format != nullptr && format->decode != nullptr) {
    if (!format->preview) return format->decode(bytes, limits, sink);
    try {
      return format->decode(bytes, limits, sink);
    } catch (const Error& error) {  // one decoder reads them all
      throw Error(error.code(), fmt::format("its format is {}; {}", format->name, error.what()));
    }
  }
  if (format != nullptr) {
    const std::string cause = format->library == nullptr
                                  ? "isn't supported"
                                  : fmt::format("this build doesn't read: it was made without {}", format->library);
    throw Error(ErrorCode::input, fmt::format("its format is {}, which {}; {}", format->name, cause, format->remedy));
  }
  if (const char* mistake = mistaken_file(bytes)) throw Error(ErrorCode::input, fmt::format("the file {}", mistake));
  throw Error(ErrorCode::input, fmt::format("it is no image in a known format ({})", readable_formats()));
}

/// Runs a decoder, and turns a failed allocation into an error that tells what to do about it. libwebp and giflib now
/// and then call the data corrupt when memory was refused to them; malloc's errno tells.
template <typename Function>
auto with_memory(Function&& decode) {
  constexpr auto no_memory = "there isn't enough memory to decode the picture; lower the number of threads";
  errno = 0;
  try {
    return decode();
  } catch (const std::bad_alloc&) {
    throw Unavailable(no_memory);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::input && errno == ENOMEM) throw Unavailable(no_memory);
    throw;
  }
}

}  // namespace

void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits) {
  if (width == 0 || height == 0)
    throw Error(ErrorCode::input, "the picture has no pixels; copy or download the file again");
  // Both sides are at most 2^32 - 1 in every format, so the product can't overflow; libraries count bytes of
  // a row in an int.
  constexpr std::uint64_t max_side = INT_MAX / 8;
  if (width > max_side || height > max_side || width * height > limits.max_pixels) {
    throw Error(ErrorCode::input, fmt::format("the picture claims to have {} x {} pixels, more than the limit of {}; "
                                              "raise --max-pixels if that is right",
                                              width, height, limits.max_pixels));
  }
}

void refuse_variant(const std::string& what) {
  throw Error(ErrorCode::input, fmt::format("it is {}, which isn't supported; convert it to PNG first", what));
}

Image make_image(int width, int height) {
  return {width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
}

Image decode_image(Bytes bytes, const DecodeLimits& limits) {
  return with_memory([&] {
    ImageSink sink;
    decode_into(sink, bytes, limits);
    return sink.finish();
  });
}

int count_pages(Bytes bytes, const DecodeLimits& limits) {
  const Format* const format = find_format(bytes);
  return format == nullptr || format->pages == nullptr ? 1 : with_memory([&] { return format->pages(bytes, limits); });
}

Page decode_page(Bytes bytes, int page, const DecodeLimits& limits) {
  const Format* const format = find_format(bytes);
  return with_memory([&] { return format->page(bytes, page, limits); });
}

ResizedImage decode_image_resized(Bytes bytes, int width, int height, const DecodeLimits& limits) {
  ResizedImage resized;
  with_memory([&] { resized.image = make_image(std::max(width, 0), std::max(height, 0)); });
  const SourceSize source = decode_image_resized_into(bytes, width, height, limits, resized.image.rgb.data());
  resized.source_width = source.width;
  resized.source_height = source.height;
  return resized;
}

SourceSize decode_image_resized_into(Bytes bytes, int width, int height, const DecodeLimits& limits,
                                     std::uint8_t* out) {
  return with_memory([&] {
    ResizeSink sink(width, height, out);
    decode_into(sink, bytes, limits);
    return sink.size();
  });
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return from_file(path, limits, [&](Bytes bytes) { return decode_image(bytes, limits); });
}

ResizedImage read_image_resized(const std::filesystem::path& path, int width, int height, const DecodeLimits& limits) {
  return from_file(path, limits, [&](Bytes bytes) { return decode_image_resized(bytes, width, height, limits); });
}

}  // namespace lfm
