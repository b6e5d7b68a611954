#include "src/image/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "lfm/error.h"
#include "src/image/cmyk.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

constinit const LateLibrary kLibtiff("libtiff");
LFM_LATE(kLibtiff, TIFFClose);
LFM_LATE(kLibtiff, TIFFComputeStrip);
LFM_LATE(kLibtiff, TIFFComputeTile);
LFM_LATE(kLibtiff, TIFFGetField);
LFM_LATE(kLibtiff, TIFFGetFieldDefaulted);
LFM_LATE(kLibtiff, TIFFIsCODECConfigured);
LFM_LATE(kLibtiff, TIFFIsTiled);
LFM_LATE(kLibtiff, TIFFNumberOfDirectories);
LFM_LATE(kLibtiff, TIFFRGBAImageBegin);
LFM_LATE(kLibtiff, TIFFRGBAImageEnd);
LFM_LATE(kLibtiff, TIFFRGBAImageGet);
LFM_LATE(kLibtiff, TIFFRGBAImageOK);
LFM_LATE(kLibtiff, TIFFReadEncodedStrip);
LFM_LATE(kLibtiff, TIFFReadEncodedTile);
LFM_LATE(kLibtiff, TIFFScanlineSize64);
LFM_LATE(kLibtiff, TIFFSetDirectory);
LFM_LATE(kLibtiff, TIFFSetField);
LFM_LATE(kLibtiff, TIFFTileRowSize64);
#if TIFFLIB_VERSION >= 20221213
LFM_LATE(kLibtiff, TIFFClientOpenExt);
LFM_LATE(kLibtiff, TIFFOpenOptionsAlloc);
LFM_LATE(kLibtiff, TIFFOpenOptionsFree);
LFM_LATE(kLibtiff, TIFFOpenOptionsSetErrorHandlerExtR);
LFM_LATE(kLibtiff, TIFFOpenOptionsSetMaxSingleMemAlloc);
LFM_LATE(kLibtiff, TIFFOpenOptionsSetWarningHandlerExtR);
#else
LFM_LATE(kLibtiff, TIFFClientOpen);
LFM_LATE(kLibtiff, TIFFSetErrorHandler);
LFM_LATE(kLibtiff, TIFFSetWarningHandler);
#endif

/// What libtiff is given: the file in memory, and where its words about an error go.
struct Source {
  Bytes bytes;
  std::uint64_t at = 0;
  std::array<char, 200> message{};
};

Source& source_of(thandle_t handle) { return *static_cast<Source*>(handle); }

tmsize_t on_read(thandle_t handle, void* into, tmsize_t count) {
  Source& source = source_of(handle);
  const std::uint64_t left = source.at < source.bytes.size() ? source.bytes.size() - source.at : 0;
  const auto taken = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::max<tmsize_t>(count, 0)));
  if (taken > 0) std::memcpy(into, source.bytes.data() + source.at, taken);
  source.at += taken;
  return static_cast<tmsize_t>(taken);
}
tmsize_t on_write(thandle_t, void*, tmsize_t) { return 0; }
toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = source_of(handle);
  if (whence == SEEK_CUR) offset += source.at;
  if (whence == SEEK_END) offset += source.bytes.size();
  return source.at = offset;
}
int on_close(thandle_t) { return 0; }
toff_t on_size(thandle_t handle) { return source_of(handle).bytes.size(); }
int on_map(thandle_t handle, void** base, toff_t* size) {
  const Source& source = source_of(handle);
  *base = const_cast<std::byte*>(source.bytes.data());  // libtiff's type; the file is open for reading alone
  *size = source.bytes.size();
  return 1;
}
void on_unmap(thandle_t, void*, toff_t) {}

#if TIFFLIB_VERSION >= 20221213
int on_error(TIFF*, void* source, const char*, const char* format, va_list arguments) {
  auto& message = static_cast<Source*>(source)->message;
  std::vsnprintf(message.data(), message.size(), format, arguments);
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

TIFF* open_tiff(Source& source, const DecodeLimits& limits) {
  constexpr std::uint64_t bytes_per_pixel = 8, at_least = 1 << 24;
  const std::unique_ptr<TIFFOpenOptions, decltype(&::TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                   TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &source);
  const std::uint64_t most = std::min<std::uint64_t>(limits.max_pixels, UINT64_C(1) << 40) * bytes_per_pixel;
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(std::max(most, at_least)));
  return TIFFClientOpenExt("", "r", &source, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap,
                           options.get());
}
#else
TIFF* open_tiff(Source& source, const DecodeLimits&) {
  static const bool silent = [] {  // older libraries print, process-wide
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  (void)silent;
  return TIFFClientOpen("", "r", &source, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap);
}
#endif

class TiffReader {
 public:
  TiffReader(Bytes bytes, const DecodeLimits& limits) : source_{bytes}, tiff_(open_tiff(source_, limits), TIFFClose) {
    if (!tiff_) fail();
  }
  TIFF* get() const { return tiff_.get(); }
  [[noreturn]] void fail() const {
    const char* words = source_.message[0] != '\0' ? source_.message.data() : "libtiff can't read it";
    throw Error(ErrorCode::input,
                "the TIFF file is truncated or corrupt (" + std::string(words) + "); copy or download it again");
  }

  /// A field of the directory, or what stands for it where it is missing.
  template <typename T>
  T field(std::uint32_t tag, T missing) const {
    T value{};
    return TIFFGetFieldDefaulted(get(), tag, &value) == 1 ? value : missing;
  }

 private:
  Source source_;
  std::unique_ptr<TIFF, decltype(&::TIFFClose)> tiff_;
};

struct Layout {
  std::uint32_t width = 0, height = 0;
  unsigned bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISBLACK, compression = COMPRESSION_NONE;
  bool separate = false;  ///< a plane a sample
  bool premultiplied = false;
  unsigned used() const {  ///< samples that the colour needs
    if (photometric == PHOTOMETRIC_SEPARATED) return 4;
    return photometric == PHOTOMETRIC_RGB ? (premultiplied ? 4 : 3) : 1;
  }
};

Layout layout_of(const TiffReader& reader) {
  Layout l;
  l.width = reader.field<std::uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  l.height = reader.field<std::uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  l.bits = reader.field<std::uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  l.samples = reader.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  l.compression = reader.field<std::uint16_t>(TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  l.separate =
      reader.field<std::uint16_t>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE && l.samples > 1;
  std::uint16_t photometric = 0, extra = 0;
  std::uint16_t* kinds = nullptr;
  if (TIFFGetField(reader.get(), TIFFTAG_PHOTOMETRIC, &photometric) == 1) {
    l.photometric = photometric;
  } else {
    l.photometric = l.samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
  }
  if (TIFFGetField(reader.get(), TIFFTAG_EXTRASAMPLES, &extra, &kinds) == 1 && extra > 0 &&
      l.photometric == PHOTOMETRIC_RGB) {
    l.premultiplied = kinds[0] == EXTRASAMPLE_ASSOCALPHA && l.samples >= 4;
  }
  return l;
}

/// Refuses by name what has no one reading as 8-bit RGB.
void check_layout(const Layout& l, unsigned sample_format) {
  constexpr unsigned most_samples = 6;  // as in Pillow
  if (l.samples > most_samples) refuse_variant("a TIFF of " + std::to_string(l.samples) + " samples a pixel");
  if (sample_format == SAMPLEFORMAT_IEEEFP) refuse_variant("a TIFF of floating-point samples");
  if (sample_format == SAMPLEFORMAT_COMPLEXINT || sample_format == SAMPLEFORMAT_COMPLEXIEEEFP)
    refuse_variant("a TIFF of complex samples");
  if (l.bits > 16) refuse_variant("a TIFF of " + std::to_string(l.bits) + "-bit samples");
  switch (l.photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
      if (l.bits != 1 && l.bits != 2 && l.bits != 4 && l.bits != 8 && l.bits != 16) {
        refuse_variant("a grey TIFF of " + std::to_string(l.bits) + "-bit samples");
      }
      break;
    case PHOTOMETRIC_PALETTE:
      if (l.bits != 1 && l.bits != 2 && l.bits != 4 && l.bits != 8)
        refuse_variant("a palette TIFF of " + std::to_string(l.bits) + "-bit samples");
      break;
    case PHOTOMETRIC_RGB:
    case PHOTOMETRIC_SEPARATED:
      if (l.bits != 8 && l.bits != 16) refuse_variant("a colour TIFF of " + std::to_string(l.bits) + "-bit samples");
      if (l.samples < l.used()) refuse_variant("a colour TIFF of " + std::to_string(l.samples) + " samples a pixel");
      break;
    case PHOTOMETRIC_YCBCR: break;
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB: refuse_variant("a TIFF in Lab colours");
    default: refuse_variant("a TIFF of photometric interpretation " + std::to_string(l.photometric));
  }
}

/// Sample i of a row of samples of `bits`, as libtiff unpacked them; of 16 bits the high byte.
inline unsigned sample_at(const std::uint8_t* row, std::size_t i, unsigned bits) {
  if (bits == 8) return row[i];
  if (bits == 16) {
    std::uint16_t value = 0;
    std::memcpy(&value, row + 2 * i, 2);
    return value >> 8;
  }
  const std::size_t first = i * bits;
  return row[first / 8] >> (8 - bits - first % 8) & ((1u << bits) - 1);
}

/// The samples that the colour needs, interleaved, 8 bits each; strips and tiles are read one by one.
std::vector<std::uint8_t> read_samples(const TiffReader& reader, const Layout& l, const DecodeLimits& limits) {
  TIFF* const tiff = reader.get();
  const bool tiled = TIFFIsTiled(tiff) != 0;
  std::uint32_t block_width = l.width, block_height = l.height;
  if (tiled) {
    block_width = reader.field<std::uint32_t>(TIFFTAG_TILEWIDTH, 0);
    block_height = reader.field<std::uint32_t>(TIFFTAG_TILELENGTH, 0);
    check_size(block_width, block_height, limits);
  } else {
    block_height =
        std::min(l.height, std::max<std::uint32_t>(1, reader.field<std::uint32_t>(TIFFTAG_ROWSPERSTRIP, l.height)));
  }
  const std::uint64_t row_bytes = tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff);
  const unsigned stride = l.separate ? 1 : l.samples, used = l.used();
  if (row_bytes < (std::uint64_t{block_width} * stride * l.bits + 7) / 8) reader.fail();
  std::vector<std::uint8_t> block(row_bytes * block_height);
  std::vector<std::uint8_t> samples(std::size_t{l.width} * l.height * used);
  for (unsigned plane = 0; plane < (l.separate ? used : 1); ++plane) {
    for (std::uint32_t y0 = 0; y0 < l.height; y0 += block_height) {
      const std::uint32_t rows = std::min(block_height, l.height - y0);
      for (std::uint32_t x0 = 0; x0 < l.width; x0 += block_width) {
        const auto size = static_cast<tmsize_t>(row_bytes * (tiled ? block_height : rows));
        const std::uint32_t index = tiled ? TIFFComputeTile(tiff, x0, y0, 0, static_cast<std::uint16_t>(plane))
                                          : TIFFComputeStrip(tiff, y0, static_cast<std::uint16_t>(plane));
        const tmsize_t read = tiled ? TIFFReadEncodedTile(tiff, index, block.data(), size)
                                    : TIFFReadEncodedStrip(tiff, index, block.data(), size);
        if (read < size) reader.fail();
        const std::uint32_t columns = std::min(block_width, l.width - x0);
        for (std::uint32_t y = 0; y < rows; ++y) {
          const std::uint8_t* const row = &block[y * row_bytes];
          std::uint8_t* const into = &samples[(std::size_t{y0 + y} * l.width + x0) * used];
          for (std::uint32_t x = 0; x < columns; ++x) {
            if (l.separate) {
              into[x * used + plane] = static_cast<std::uint8_t>(sample_at(row, x, l.bits));
            } else {
              for (unsigned c = 0; c < used; ++c)
                into[x * used + c] = static_cast<std::uint8_t>(sample_at(row, std::size_t{x} * stride + c, l.bits));
            }
          }
        }
      }
    }
  }
  return samples;
}

/// What a grey level or palette index of a picture looks like.
std::array<std::array<std::uint8_t, 3>, 256> colors_of(const TiffReader& reader, const Layout& l) {
  std::array<std::array<std::uint8_t, 3>, 256> colors{};
  const unsigned levels = 1u << std::min(l.bits, 8u);
  if (l.photometric == PHOTOMETRIC_PALETTE) {
    std::uint16_t* maps[3] = {};
    if (TIFFGetField(reader.get(), TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]) != 1) {
      throw Error(ErrorCode::input, "the TIFF file is corrupt (its palette is missing); copy or download it again");
    }
    for (unsigned i = 0; i < levels; ++i) {
      for (unsigned c = 0; c < 3; ++c) colors[i][c] = static_cast<std::uint8_t>(maps[c][i] >> 8);
    }
    return colors;
  }
  for (unsigned i = 0; i < levels; ++i) {
    const unsigned level = i * 255 / (levels - 1);
    colors[i].fill(static_cast<std::uint8_t>(l.photometric == PHOTOMETRIC_MINISWHITE ? 255 - level : level));
  }
  return colors;
}

Image to_rgb(const TiffReader& reader, const Layout& l, const std::vector<std::uint8_t>& samples) {
  Image image = make_image(static_cast<int>(l.width), static_cast<int>(l.height));
  const std::size_t pixels = std::size_t{l.width} * l.height;
  std::uint8_t* rgb = image.rgb.data();
  if (l.used() == 1) {
    const auto colors = colors_of(reader, l);
    for (std::size_t i = 0; i < pixels; ++i, rgb += 3) std::copy_n(colors[samples[i]].data(), 3, rgb);
  } else if (l.photometric == PHOTOMETRIC_SEPARATED) {
    for (std::size_t i = 0; i < pixels; ++i, rgb += 3) {
      std::array<std::uint8_t, 4> inverted{};
      for (unsigned c = 0; c < 4; ++c) inverted[c] = static_cast<std::uint8_t>(255 - samples[4 * i + c]);
      cmyk_to_rgb(inverted.data(), rgb);
    }
  } else if (l.premultiplied) {
    for (std::size_t i = 0; i < pixels; ++i, rgb += 3) {
      const unsigned alpha = samples[4 * i + 3];
      for (unsigned c = 0; c < 3; ++c) {
        rgb[c] = static_cast<std::uint8_t>(alpha == 0 ? 0 : std::min(255u, samples[4 * i + c] * 255u / alpha));
      }
    }
  } else {
    image.rgb = samples;
  }
  return image;
}

/// YCbCr that isn't JPEG's, and JPEG of the old kind: libtiff's own conversion, which Pillow uses too.
Image decode_by_libtiff(const TiffReader& reader, const Layout& l) {
  std::array<char, 1024> words{};
  TIFFRGBAImage converter;
  if (TIFFRGBAImageOK(reader.get(), words.data()) == 0 ||
      TIFFRGBAImageBegin(&converter, reader.get(), 1, words.data()) == 0) {
    refuse_variant("a TIFF that libtiff can't convert (" + std::string(words.data()) + ")");
  }
  const std::unique_ptr<TIFFRGBAImage, decltype(&::TIFFRGBAImageEnd)> end(&converter, TIFFRGBAImageEnd);
  converter.req_orientation = converter.orientation;  // rows and columns stay as they are stored
  std::vector<std::uint32_t> raster(std::size_t{l.width} * l.height);
  if (TIFFRGBAImageGet(&converter, raster.data(), l.width, l.height) == 0) reader.fail();
  Image image = make_image(static_cast<int>(l.width), static_cast<int>(l.height));
  for (std::size_t i = 0; i < raster.size(); ++i) {
    image.rgb[3 * i] = static_cast<std::uint8_t>(TIFFGetR(raster[i]));
    image.rgb[3 * i + 1] = static_cast<std::uint8_t>(TIFFGetG(raster[i]));
    image.rgb[3 * i + 2] = static_cast<std::uint8_t>(TIFFGetB(raster[i]));
  }
  return image;
}

Image decode_directory(const TiffReader& reader, const DecodeLimits& limits) {
  Layout l = layout_of(reader);
  check_size(l.width, l.height, limits);
  check_layout(l, reader.field<std::uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT));
  if (TIFFIsCODECConfigured(static_cast<std::uint16_t>(l.compression)) == 0) {
    refuse_variant("a TIFF of compression " + std::to_string(l.compression));
  }
  if (l.photometric == PHOTOMETRIC_YCBCR && l.compression == COMPRESSION_JPEG) {
    TIFFSetField(reader.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    l.photometric = PHOTOMETRIC_RGB;
    check_layout(l, SAMPLEFORMAT_UINT);
  }
  if (l.photometric == PHOTOMETRIC_YCBCR || l.compression == COMPRESSION_OJPEG) return decode_by_libtiff(reader, l);
  return to_rgb(reader, l, read_samples(reader, l, limits));
}

}  // namespace

void decode_tiff(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  const TiffReader reader(bytes, limits);
  sink.take(decode_directory(reader, limits));
}

int count_tiff_pages(Bytes bytes, const DecodeLimits& limits) {
  const TiffReader reader(bytes, limits);
  return static_cast<int>(TIFFNumberOfDirectories(reader.get()));
}

Page decode_tiff_page(Bytes bytes, int page, const DecodeLimits& limits) {
  const TiffReader reader(bytes, limits);
  if (TIFFSetDirectory(reader.get(), static_cast<std::uint16_t>(page)) == 0) reader.fail();
  const auto orientation = reader.field<std::uint16_t>(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  return {decode_directory(reader, limits), orientation >= 1 && orientation <= 8 ? orientation : 1};
}

}  // namespace lfm
