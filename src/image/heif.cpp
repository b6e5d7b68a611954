// HEIF with HEVC pictures (HEIC) and with AV1 pictures (AVIF), by libheif.
#include <libheif/heif.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/image/heif_coded_sizes.h"
#include "src/image/heif_layout.h"
#include "src/image/ycbcr.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

constinit const LateLibrary kLibheif("libheif");
LFM_LATE(kLibheif, heif_context_alloc);
LFM_LATE(kLibheif, heif_context_free);
LFM_LATE(kLibheif, heif_context_get_primary_image_handle);
LFM_LATE(kLibheif, heif_context_read_from_memory_without_copy);
LFM_LATE(kLibheif, heif_decode_image);
LFM_LATE(kLibheif, heif_decoding_options_alloc);
LFM_LATE(kLibheif, heif_decoding_options_free);
LFM_LATE(kLibheif, heif_image_get_bits_per_pixel_range);
LFM_LATE(kLibheif, heif_image_get_chroma_format);
LFM_LATE(kLibheif, heif_image_get_colorspace);
LFM_LATE(kLibheif, heif_image_get_height);
LFM_LATE(kLibheif, heif_image_get_nclx_color_profile);
LFM_LATE(kLibheif, heif_image_get_plane_readonly);
LFM_LATE(kLibheif, heif_image_get_width);
LFM_LATE(kLibheif, heif_image_handle_get_ispe_height);
LFM_LATE(kLibheif, heif_image_handle_get_ispe_width);
LFM_LATE(kLibheif, heif_image_handle_release);
LFM_LATE(kLibheif, heif_image_release);
LFM_LATE(kLibheif, heif_nclx_color_profile_free);
#if LIBHEIF_NUMERIC_VERSION >= 0x010d0000
LFM_LATE(kLibheif, heif_context_set_max_decoding_threads);
#endif
#if LIBHEIF_NUMERIC_VERSION >= 0x01130000
LFM_LATE(kLibheif, heif_context_get_security_limits);
#endif

void check(const heif_error& error) {
  if (error.code == heif_error_Ok) return;
  if (error.code == heif_error_Memory_allocation_error && error.subcode != heif_suberror_Security_limit_exceeded)
    throw std::bad_alloc();
  const std::string words = error.message != nullptr ? error.message : "";
  if (error.code == heif_error_Unsupported_filetype || error.code == heif_error_Unsupported_feature ||
      error.code == heif_error_Decoder_plugin_error) {
    throw Error(ErrorCode::input,
                "libheif can't decode this HEIF or AVIF file (" + words +
                    "); it may need a plug-in package of libheif, libheif-plugin-libde265 for HEIC or "
                    "libheif-plugin-dav1d for AVIF, else convert it to PNG first");
  }
  throw Error(ErrorCode::input,
              "the HEIF or AVIF file is truncated or corrupt (" + words + "); copy or download it again");
}

/// libheif takes a failed allocation now and then for a picture without a colour profile, or for one that it can't
/// convert, and would give other pixels: malloc's errno, which decode_image clears, tells.
void check_memory() {
  if (errno == ENOMEM) throw std::bad_alloc();
}

using HeifImage = std::unique_ptr<heif_image, decltype(&::heif_image_release)>;

/// A decoder's threads can't tell that memory was refused to them: only what fails twice is the file's fault.
heif_error decode_twice(const heif_image_handle* handle, heif_image** decoded, heif_colorspace space,
                        heif_chroma chroma, const heif_decoding_options* options) {
  const heif_error error = heif_decode_image(handle, decoded, space, chroma, options);
  return error.code == heif_error_Decoder_plugin_error ? heif_decode_image(handle, decoded, space, chroma, options)
                                                       : error;
}

/// Shares of red and blue in the luma, by the code of the matrix (ISO/IEC 23091-2); none for what isn't made so.
std::optional<std::pair<double, double>> luma_shares(int matrix) {
  switch (matrix) {
    case 1: return std::pair(0.2126, 0.0722);
    case 2:  // not told
    case 5:
    case 6: return std::pair(0.299, 0.114);
    case 9: return std::pair(0.2627, 0.0593);
    default: return std::nullopt;
  }
}

/// The planes of a picture in YCbCr or grey; none where libheif has to convert it.
std::optional<YcbcrPlanes> planes_of(const heif_image* image) {
  const heif_colorspace space = heif_image_get_colorspace(image);
  const heif_chroma chroma = heif_image_get_chroma_format(image);
  const bool grey = space == heif_colorspace_monochrome;
  if (!grey && (space != heif_colorspace_YCbCr ||
                (chroma != heif_chroma_420 && chroma != heif_chroma_422 && chroma != heif_chroma_444))) {
    return std::nullopt;
  }
  YcbcrPlanes planes;
  heif_color_profile_nclx* profile = nullptr;
  if (heif_image_get_nclx_color_profile(image, &profile).code == heif_error_Ok && profile != nullptr) {
    const std::unique_ptr<heif_color_profile_nclx, decltype(&::heif_nclx_color_profile_free)> release(
        profile, heif_nclx_color_profile_free);
    planes.full_range = profile->full_range_flag != 0;
    const auto shares = luma_shares(profile->matrix_coefficients);
    if (!shares && !grey) return std::nullopt;
    if (shares) std::tie(planes.kr, planes.kb) = *shares;
  }
  planes.width = heif_image_get_width(image, heif_channel_Y);
  planes.height = heif_image_get_height(image, heif_channel_Y);
  planes.bits = heif_image_get_bits_per_pixel_range(image, heif_channel_Y);
  planes.half_width = chroma == heif_chroma_420 || chroma == heif_chroma_422;
  planes.half_height = chroma == heif_chroma_420;
  const heif_channel channels[] = {heif_channel_Y, heif_channel_Cb, heif_channel_Cr};
  for (std::size_t c = 0; c < (grey ? 1u : 3u); ++c) {
    int stride = 0;
    planes.planes[c] = heif_image_get_plane_readonly(image, channels[c], &stride);
    planes.strides[c] = static_cast<std::size_t>(std::max(stride, 0));
    const auto side = [&](int length, bool half) { return c > 0 && half ? (length + 1) / 2 : length; };
    const bool fits = planes.planes[c] != nullptr &&
                      heif_image_get_width(image, channels[c]) >= side(planes.width, planes.half_width) &&
                      heif_image_get_height(image, channels[c]) >= side(planes.height, planes.half_height) &&
                      heif_image_get_bits_per_pixel_range(image, channels[c]) == planes.bits;
    if (!fits) return std::nullopt;
  }
  const bool known = planes.bits >= 8 && planes.bits <= 16 && planes.width > 0 && planes.height > 0;
  return known ? std::optional(planes) : std::nullopt;
}

/// As the codec stores it, converted here; an empty picture where that can't be.
Image decode_planes(const heif_image_handle* handle, const heif_decoding_options* options, const HeifLayout& layout,
                    const DecodeLimits& limits) {
  using Chroma = HeifLayout::Chroma;
  const Chroma chroma = layout.chroma;
  if (chroma == Chroma::unknown) return {};
  const bool grey = chroma == Chroma::none;
  const heif_chroma stored = grey                           ? heif_chroma_monochrome
                             : chroma == Chroma::half       ? heif_chroma_420
                             : chroma == Chroma::half_width ? heif_chroma_422
                                                            : heif_chroma_444;
  heif_image* decoded = nullptr;
  const heif_error error =
      decode_twice(handle, &decoded, grey ? heif_colorspace_monochrome : heif_colorspace_YCbCr, stored, options);
  check_memory();
  if (error.code == heif_error_Unsupported_feature && error.subcode == heif_suberror_Unsupported_color_conversion)
    return {};
  check(error);
  const HeifImage image(decoded, heif_image_release);
  std::optional<YcbcrPlanes> planes = planes_of(decoded);
  check_memory();
  if (!planes) return {};
  check_size(static_cast<std::uint64_t>(planes->width), static_cast<std::uint64_t>(planes->height), limits);
  planes->interpolates = layout.is_av1;
  return to_rgb(*planes);
}

/// Of RGB pictures, rare matrices and, in older versions, those with alpha.
Image decode_by_libheif(const heif_image_handle* handle, const heif_decoding_options* options) {
  heif_image* decoded = nullptr;
  check(decode_twice(handle, &decoded, heif_colorspace_RGB, heif_chroma_444, options));
  const HeifImage image(decoded, heif_image_release);
  check_memory();
  const int width = heif_image_get_width(decoded, heif_channel_R),
            height = heif_image_get_height(decoded, heif_channel_R);
  Image rgb = make_image(std::max(width, 0), std::max(height, 0));
  const heif_channel channels[] = {heif_channel_R, heif_channel_G, heif_channel_B};
  for (std::size_t c = 0; c < 3; ++c) {
    int stride = 0;
    const std::uint8_t* const plane = heif_image_get_plane_readonly(decoded, channels[c], &stride);
    const bool fits = plane != nullptr && heif_image_get_width(decoded, channels[c]) == width &&
                      heif_image_get_height(decoded, channels[c]) == height &&
                      heif_image_get_bits_per_pixel_range(decoded, channels[c]) == 8;
    if (!fits || rgb.rgb.empty())
      throw Error(ErrorCode::input, "libheif gave no 8-bit RGB pixels; convert the file to PNG first");
    for (int y = 0; y < height; ++y) {
      const std::uint8_t* const row = plane + static_cast<std::size_t>(y) * static_cast<std::size_t>(stride);
      std::uint8_t* into = &rgb.rgb[std::size_t{3} * static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + c];
      for (int x = 0; x < width; ++x, into += 3) *into = row[x];
    }
  }
  return rgb;
}

}  // namespace

void decode_heif(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  const std::unique_ptr<heif_context, decltype(&::heif_context_free)> context(heif_context_alloc(), heif_context_free);
  if (!context) throw std::bad_alloc();
#if LIBHEIF_NUMERIC_VERSION >= 0x010d0000
  heif_context_set_max_decoding_threads(context.get(), 0);  // pictures are decoded side by side already
#endif
#if LIBHEIF_NUMERIC_VERSION >= 0x01130000
  heif_security_limits* const security = heif_context_get_security_limits(context.get());
  security->max_image_size_pixels = limits.max_pixels;
#endif
  check(heif_context_read_from_memory_without_copy(context.get(), bytes.data(), bytes.size(), nullptr));
  heif_image_handle* primary = nullptr;
  check(heif_context_get_primary_image_handle(context.get(), &primary));
  const std::unique_ptr<heif_image_handle, decltype(&::heif_image_handle_release)> handle(primary,
                                                                                          heif_image_handle_release);
  const auto size = [&](int width, int height) {
    check_size(static_cast<std::uint64_t>(std::max(width, 0)), static_cast<std::uint64_t>(std::max(height, 0)), limits);
  };
  const int width = heif_image_handle_get_ispe_width(primary), height = heif_image_handle_get_ispe_height(primary);
  size(width, height);
  for (const CodedSize& coded : heif_coded_sizes(bytes)) {
    constexpr std::uint64_t padding = 128;  // codecs work in blocks of up to so many pixels
    const bool is_padded = coded.width < static_cast<std::uint64_t>(width) + padding &&
                           coded.height < static_cast<std::uint64_t>(height) + padding;
    if (!is_padded)
      check_size(std::max<std::uint64_t>(coded.width, 1), std::max<std::uint64_t>(coded.height, 1), limits);
  }

  const std::unique_ptr<heif_decoding_options, decltype(&::heif_decoding_options_free)> options(
      heif_decoding_options_alloc(), heif_decoding_options_free);
  if (!options) throw std::bad_alloc();
  options->ignore_transformations = 1;  // the pixel grid as it is stored; who shows the picture turns it
  const HeifLayout layout = heif_layout(bytes);
  Image rgb = decode_planes(primary, options.get(), layout, limits);
  if (rgb.rgb.empty()) {
    options->convert_hdr_to_8bit = 1;
    rgb = decode_by_libheif(primary, options.get());
  }
  const Window window = layout.clean_aperture(rgb.width, rgb.height);
  const bool whole = window.width == rgb.width && window.height == rgb.height;
  sink.take(whole ? std::move(rgb) : crop(rgb, window.x, window.y, window.width, window.height));
}

}  // namespace lfm
