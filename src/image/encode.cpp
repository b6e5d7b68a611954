#include "src/image/encode.h"

// clang-format off
#include <cstdio>  // jpeglib.h needs it
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <fmt/core.h>
#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>

#include "src/image/error_trap.h"

namespace lfm {
namespace {

std::vector<std::byte> to_vector(const std::uint8_t* bytes, std::size_t size) {
  std::vector<std::byte> result(size);
  if (size != 0) std::memcpy(result.data(), bytes, size);
  return result;
}

/// max_side: what the format's size fields hold.
void check_image(const Image& image, int max_side, const char* format) {
  if (image.width < 1 || image.height < 1 || image.width > max_side || image.height > max_side) {
    throw Error(ErrorCode::output, fmt::format("{} x {} pixels can't be written as {}: a side has 1 to {} pixels there",
                                               image.width, image.height, format, max_side));
  }
}

void check_quality(int quality, int lowest) {
  if (quality < lowest || quality > 100) {
    throw Error(ErrorCode::usage, fmt::format("quality {} isn't between {} and 100", quality, lowest));
  }
}

void on_jpeg_error(j_common_ptr info) {
  ErrorTrap& trap = *static_cast<ErrorTrap*>(info->client_data);
  if (info->err->msg_code == JERR_OUT_OF_MEMORY) trap.raise_no_memory();
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  trap.raise(ErrorCode::output, "the JPEG can't be written", text);
}

/// Owns a compressor that writes to memory.
class JpegWriter {
 public:
  JpegWriter() {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_jpeg_error;
    info_.client_data = &trap_;
    trap_.run([this] {
      jpeg_create_compress(&info_);
      jpeg_mem_dest(&info_, &bytes_, &size_);
    });
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&info_);
    std::free(bytes_);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  std::vector<std::byte> write(const Image& image, int quality) {
    trap_.run([&] {
      info_.image_width = static_cast<JDIMENSION>(image.width);
      info_.image_height = static_cast<JDIMENSION>(image.height);
      info_.input_components = 3;
      info_.in_color_space = JCS_RGB;
      jpeg_set_defaults(&info_);  // YCbCr, 4:2:0
      jpeg_set_quality(&info_, quality, TRUE);
      jpeg_start_compress(&info_, TRUE);
      while (info_.next_scanline < info_.image_height) {
        const std::size_t first = std::size_t{3} * info_.next_scanline * image.width;
        JSAMPROW rows[] = {const_cast<JSAMPROW>(&image.rgb[first])};  // libjpeg only reads it
        jpeg_write_scanlines(&info_, rows, 1);
      }
      jpeg_finish_compress(&info_);
    });
    return to_vector(bytes_, size_);
  }

 private:
  ErrorTrap trap_;
  jpeg_compress_struct info_{};
  jpeg_error_mgr errors_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

/// A whole tEXt chunk.
std::vector<std::byte> software_chunk(std::string_view software) {
  using namespace std::string_view_literals;
  std::vector<std::byte> chunk;
  const auto append = [&](std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    chunk.insert(chunk.end(), bytes.begin(), bytes.end());
  };
  const auto append_big_endian = [&](std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) chunk.push_back(static_cast<std::byte>(value >> shift));
  };
  constexpr std::string_view keyword = "Software\0"sv;
  append_big_endian(static_cast<std::uint32_t>(keyword.size() + software.size()));
  append("tEXt");
  append(keyword);
  append(software);
  const auto* checked = reinterpret_cast<const Bytef*>(chunk.data() + sizeof(std::uint32_t));
  append_big_endian(
      static_cast<std::uint32_t>(crc32(0, checked, static_cast<uInt>(chunk.size() - sizeof(std::uint32_t)))));
  return chunk;
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image, std::string_view software) {
  check_image(image, 1'000'000, "PNG");  // libpng's own limit
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<std::byte> bytes(size);
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) == 0) {
    throw std::bad_alloc();  // its only failure for a picture of valid size
  }
  bytes.resize(size);
  if (!software.empty()) {
    constexpr std::ptrdiff_t after_header = 33;  // signature and IHDR
    const std::vector<std::byte> chunk = software_chunk(software);
    bytes.insert(bytes.begin() + after_header, chunk.begin(), chunk.end());
  }
  return bytes;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  check_image(image, JPEG_MAX_DIMENSION, "JPEG");
  check_quality(quality, 1);
  return JpegWriter().write(image, quality);
}

std::vector<std::byte> encode_webp(const Image& image, int quality) {
  check_image(image, WEBP_MAX_DIMENSION, "WebP");
  check_quality(quality, 0);
  std::uint8_t* bytes = nullptr;
  const std::size_t size =
      WebPEncodeRGB(image.rgb.data(), image.width, image.height, image.width * 3, static_cast<float>(quality), &bytes);
  const std::unique_ptr<std::uint8_t, decltype(&WebPFree)> owner(bytes, WebPFree);
  if (size == 0) throw std::bad_alloc();  // its only failure for a picture of valid size
  return to_vector(bytes, size);
}

}  // namespace lfm
