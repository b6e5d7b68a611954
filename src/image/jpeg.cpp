// clang-format off
#include <cstdio>  // jpeglib.h needs it
#include <jpeglib.h>
// clang-format on

#include <algorithm>
#include <vector>

#include "src/image/cmyk.h"
#include "src/image/decoders.h"
#include "src/image/jpeg_errors.h"

namespace lfm {
namespace {

// A few kilobytes of progressive JPEG can ask for thousands of passes over the whole picture; real ones have
// about ten.
constexpr int kMaxScans = 500;

// ---- libjpeg's callbacks; all are C++ functions that own nothing ----

void on_source(j_decompress_ptr) {}

// libjpeg asks for more only where the file ends too early. Its own sources feed it an end marker and fill up
// with grey.
boolean on_source_empty(j_decompress_ptr info) {
  trap_of(reinterpret_cast<j_common_ptr>(info))
      .raise(ErrorCode::input, "the JPEG file is truncated",
             "it ends before the picture does; copy or download it again");
}

void on_source_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<std::size_t>(count) > info->src->bytes_in_buffer) on_source_empty(info);
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= static_cast<std::size_t>(count);
}

void on_progress(j_common_ptr common) {
  const auto info = reinterpret_cast<j_decompress_ptr>(common);
  if (common->is_decompressor && info->input_scan_number > kMaxScans) {
    trap_of(common).raise(ErrorCode::input, "the JPEG file is refused", "it has more than 500 scans");
  }
}

/// Owns a decompressor that reads from memory.
class JpegReader {
 public:
  explicit JpegReader(Bytes bytes) {
    trap_jpeg_errors(reinterpret_cast<jpeg_common_struct&>(info_), errors_, trap_);
    trap_.run([this] { jpeg_create_decompress(&info_); });

    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = on_source;
    source_.fill_input_buffer = on_source_empty;
    source_.skip_input_data = on_source_skip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = on_source;
    info_.src = &source_;
    progress_.progress_monitor = on_progress;
    info_.progress = &progress_;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }  // never fails
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  const jpeg_decompress_struct& info() const { return info_; }

  void read_header() {
    trap_.run([this] {
      while (jpeg_read_header(&info_, FALSE) == JPEG_HEADER_TABLES_ONLY) {
      }
    });
  }

  /// Decodes as Pillow asks libjpeg to: accurate integer DCT and smooth chroma upsampling, both the defaults.
  void start(J_COLOR_SPACE colors) {
    trap_.run([this, colors] {
      info_.out_color_space = colors;
      jpeg_start_decompress(&info_);
    });
  }

  void read_row(std::uint8_t* row) {
    trap_.run([this, row] {
      JSAMPROW rows[] = {row};
      while (jpeg_read_scanlines(&info_, rows, 1) != 1) {
      }
    });
  }

 private:
  ErrorTrap trap_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
};

}  // namespace

void decode_jpeg(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  JpegReader reader(bytes);
  reader.read_header();
  const auto& info = reader.info();
  check_size(info.image_width, info.image_height, limits);
  const int components = info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    throw Error(ErrorCode::input, "the JPEG has " + std::to_string(components) +
                                      " components instead of 1, 3 or 4; convert it to RGB first");
  }

  const int width = static_cast<int>(info.image_width), height = static_cast<int>(info.image_height);
  reader.start(components == 4 ? JCS_CMYK : JCS_RGB);
  sink.start(width, height);
  std::vector<std::uint8_t> cmyk(components == 4 ? std::size_t{4} * width : 0);
  for (int y = 0; y < height; ++y) {
    std::uint8_t* row = sink.row();
    reader.read_row(components == 4 ? cmyk.data() : row);
    // Pillow takes every CMYK JPEG as Adobe's.
    for (std::size_t x = 0; 4 * x < cmyk.size(); ++x) cmyk_to_rgb(&cmyk[4 * x], row + 3 * x);
    sink.row_done();
  }
}

}  // namespace lfm
