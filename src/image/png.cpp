#include <png.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "src/image/decoders.h"
#include "src/image/error_trap.h"

namespace lfm {
namespace {

void on_error(png_structp png, png_const_charp text) {
  auto& trap = *static_cast<ErrorTrap*>(png_get_error_ptr(png));
  if (strcasestr(text, "memory") != nullptr)
    trap.raise_no_memory();  // libpng tells its errors apart by their words alone
  trap.raise(ErrorCode::input, "the PNG data is corrupt", text);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep destination, std::size_t count) {
  auto& left = *static_cast<Bytes*>(png_get_io_ptr(png));
  if (count > left.size()) {
    static_cast<ErrorTrap*>(png_get_error_ptr(png))
        ->raise(ErrorCode::input, "the PNG file is truncated",
                "it ends before the picture does; copy or download it again");
  }
  std::memcpy(destination, left.data(), count);
  left = left.subspan(count);
}

/// Owns a libpng reader over bytes in memory. Rows come out as 8-bit grey, 8-bit RGB, or palette indices.
class PngReader {
 public:
  explicit PngReader(Bytes bytes) : left_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trap_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, &left_, on_read);
    // A file may state a smaller window than it was compressed with, which Pillow and browsers read all the same.
    png_set_option(png_, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // sizes are checked against our own limits
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Reads up to the pixel data; the accessors below are then good.
  void read_header() {
    trap_.run([this] {
      // Text, profiles and the like are of no use here, and a thousand compressed ones of them would grow to gigabytes:
      // -1 stands for every chunk but those that hold the picture.
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      png_read_info(png_, info_);
    });
  }
  std::uint32_t width() const { return png_get_image_width(png_, info_); }
  std::uint32_t height() const { return png_get_image_height(png_, info_); }
  bool is_palette() const { return png_get_color_type(png_, info_) == PNG_COLOR_TYPE_PALETTE; }
  bool is_gray() const { return (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) == 0; }
  bool is_interlaced() const { return png_get_interlace_type(png_, info_) != PNG_INTERLACE_NONE; }

  /// The palette, entries that the file doesn't define black, as Pillow has them.
  std::array<png_color, 256> palette() {
    std::array<png_color, 256> entries{};
    trap_.run([this, &entries] {
      png_colorp colors = nullptr;
      int count = 0;
      if (png_get_PLTE(png_, info_, &colors, &count) != 0) std::copy_n(colors, std::min(count, 256), entries.begin());
    });
    return entries;
  }

  void start() {
    trap_.run([this] {
      if (is_palette()) {
        png_set_packing(png_);
      } else {
        if (is_gray()) png_set_expand_gray_1_2_4_to_8(png_);
        png_set_strip_16(png_);  // keeps the high byte
        png_set_strip_alpha(png_);
      }
      if (is_interlaced()) png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
  }

  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

  void read_row(std::uint8_t* row) {
    trap_.run([this, row] { png_read_row(png_, row, nullptr); });
  }

  void read_interlaced(std::vector<png_bytep>& rows) {
    trap_.run([this, &rows] { png_read_image(png_, rows.data()); });
  }

 private:
  ErrorTrap trap_;
  Bytes left_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

/// Turns rows as libpng gives them into RGB.
class RowConverter {
 public:
  explicit RowConverter(PngReader& reader)
      : palette_(reader.is_palette() ? reader.palette() : std::array<png_color, 256>{}),
        bytes_per_pixel_(reader.is_palette() || reader.is_gray() ? 1 : 3),
        is_palette_(reader.is_palette()) {}

  bool is_rgb() const { return bytes_per_pixel_ == 3; }

  void convert(const std::uint8_t* row, int width, std::uint8_t* rgb) const {
    if (is_rgb()) {
      std::copy_n(row, std::size_t{3} * width, rgb);
    } else if (is_palette_) {
      for (int x = 0; x < width; ++x, rgb += 3) {
        const png_color& color = palette_[row[x]];
        rgb[0] = color.red, rgb[1] = color.green, rgb[2] = color.blue;
      }
    } else {
      for (int x = 0; x < width; ++x, rgb += 3) rgb[0] = rgb[1] = rgb[2] = row[x];
    }
  }

 private:
  std::array<png_color, 256> palette_;
  int bytes_per_pixel_;
  bool is_palette_;
};

}  // namespace

void decode_png(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  PngReader reader(bytes);
  reader.read_header();
  check_size(reader.width(), reader.height(), limits);
  const int width = static_cast<int>(reader.width()), height = static_cast<int>(reader.height());
  const RowConverter converter(reader);
  reader.start();
  sink.start(width, height);

  // What follows the last pixel isn't read: a missing end chunk costs nothing.
  if (reader.is_interlaced()) {
    std::vector<std::uint8_t> pixels(reader.row_bytes() * height);
    std::vector<png_bytep> rows(height);
    for (int y = 0; y < height; ++y) rows[y] = &pixels[y * reader.row_bytes()];
    reader.read_interlaced(rows);
    for (int y = 0; y < height; ++y) {
      converter.convert(rows[y], width, sink.row());
      sink.row_done();
    }
    return;
  }
  std::vector<std::uint8_t> row(converter.is_rgb() ? 0 : reader.row_bytes());
  for (int y = 0; y < height; ++y) {
    std::uint8_t* rgb = sink.row();
    if (converter.is_rgb()) {
      reader.read_row(rgb);
    } else {
      reader.read_row(row.data());
      converter.convert(row.data(), width, rgb);
    }
    sink.row_done();
  }
}

}  // namespace lfm
