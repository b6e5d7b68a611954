// Tells formats apart and dispatches to their decoders.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <string_view>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/image/file.h"
#include "src/image/resize.h"

namespace lfm {
namespace {

class ImageSink final : public PixelSink {
 public:
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

bool starts_with(Bytes bytes, std::string_view signature, std::size_t at = 0) {
  return bytes.size() >= at + signature.size() &&
         std::memcmp(bytes.data() + at, signature.data(), signature.size()) == 0;
}

/// For files that people take for supported ones.
const char* unsupported_format(Bytes bytes) {
  using namespace std::string_view_literals;
  if (starts_with(bytes, "II*\0"sv) || starts_with(bytes, "MM\0*"sv)) return "a TIFF file";
  if (starts_with(bytes, "ftypavi", 4)) return "an AVIF file";
  if (starts_with(bytes, "ftyphe", 4) || starts_with(bytes, "ftypmif", 4)) return "a HEIC file";
  if (starts_with(bytes, "\xff\x0a"sv) || starts_with(bytes, "\0\0\0\x0cJXL "sv)) return "a JPEG XL file";
  if (starts_with(bytes, "\0\0\0\x0cjP  "sv) || starts_with(bytes, "\xff\x4f\xff\x51"sv))
    return "a JPEG 2000 file";
  if (bytes.size() >= 2 && bytes[0] == std::byte{'P'} && bytes[1] >= std::byte{'1'} &&
      bytes[1] <= std::byte{'7'}) {
    return "a PNM file of a kind other than P5 and P6";
  }
  return nullptr;
}

[[noreturn]] void fail_unknown(Bytes bytes) {
  if (bytes.empty()) throw Error(ErrorCode::input, "the file is empty; copy or download it again");
  const char* format = unsupported_format(bytes);
  throw Error(ErrorCode::input,
              format != nullptr
                  ? fmt::format("it is {}, which isn't supported; convert it to PNG first", format)
                  : "it is no image in a known format (JPEG, PNG, WebP, GIF, BMP, PSD, PNM, TGA)");
}

/// Runs a decoder, and turns a failed allocation into an error that tells what to do about it. libwebp and giflib now and then call the data
/// corrupt when memory was refused to them; malloc's errno tells.
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

/// Names the file in whatever goes wrong while its bytes are decoded.
template <typename Function>
auto from_file(const std::filesystem::path& path, const DecodeLimits& limits, Function&& decode) {
  const std::vector<std::byte> bytes = read_file(path, limits.max_file_bytes);
  try {
    return decode(Bytes(bytes));
  } catch (const Unavailable& error) {
    throw Unavailable(fmt::format("{}: {}", path.string(), error.what()));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", path.string(), error.what()));
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
    throw Error(ErrorCode::input,
                fmt::format("the picture claims to have {} x {} pixels, more than the limit of {}; "
                            "raise --max-pixels if that is right",
                            width, height, limits.max_pixels));
  }
}

Image make_image(int width, int height) {
  return {width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
}

ImageFormat sniff_image(Bytes bytes) {
  using namespace std::string_view_literals;
  if (starts_with(bytes, "\xff\xd8\xff"sv)) return ImageFormat::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n"sv)) return ImageFormat::png;
  if (starts_with(bytes, "RIFF"sv) && starts_with(bytes, "WEBP"sv, 8)) return ImageFormat::webp;
  if (starts_with(bytes, "GIF87a"sv) || starts_with(bytes, "GIF89a"sv)) return ImageFormat::gif;
  if (starts_with(bytes, "8BPS"sv)) return ImageFormat::psd;
  if (starts_with(bytes, "P5"sv) || starts_with(bytes, "P6"sv)) return ImageFormat::pnm;
  if (starts_with(bytes, "BM"sv)) return ImageFormat::bmp;
  if (unsupported_format(bytes) == nullptr && is_stb_image(bytes)) return ImageFormat::tga;
  return ImageFormat::unknown;
}

Image decode_image(Bytes bytes, const DecodeLimits& limits) {
  return with_memory([&]() -> Image {
    ImageSink sink;
    switch (sniff_image(bytes)) {
      case ImageFormat::jpeg:
        decode_jpeg(bytes, limits, sink);
        return sink.finish();
      case ImageFormat::png:
        decode_png(bytes, limits, sink);
        return sink.finish();
      case ImageFormat::webp:
        return decode_webp(bytes, limits);
      case ImageFormat::gif:
        return decode_gif(bytes, limits);
      case ImageFormat::bmp:
      case ImageFormat::psd:
      case ImageFormat::pnm:
      case ImageFormat::tga:
        return decode_stb(bytes, limits);
      case ImageFormat::unknown:
        break;
    }
    fail_unknown(bytes);
  });
}

ResizedImage decode_image_resized(Bytes bytes, int width, int height, const DecodeLimits& limits) {
  return with_memory([&]() -> ResizedImage {
    const ImageFormat format = sniff_image(bytes);
    if (format == ImageFormat::jpeg || format == ImageFormat::png) {
      ResizeSink sink(width, height);
      (format == ImageFormat::jpeg ? decode_jpeg : decode_png)(bytes, limits, sink);
      return sink.finish();
    }
    const Image image = decode_image(bytes, limits);
    return {resize_bilinear(image, width, height), image.width, image.height};
  });
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return from_file(path, limits, [&](Bytes bytes) { return decode_image(bytes, limits); });
}

ResizedImage read_image_resized(const std::filesystem::path& path, int width, int height,
                                const DecodeLimits& limits) {
  return from_file(path, limits,
                   [&](Bytes bytes) { return decode_image_resized(bytes, width, height, limits); });
}

}  // namespace lfm
