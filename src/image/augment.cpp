#include "src/image/augment.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/image/encode.h"

namespace lfm {
namespace {

void check(bool valid, const char* what, double value) {
  if (!valid) throw Error(ErrorCode::usage, fmt::format("{} can't be {}", what, value));
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

/// Weights of one side: weights[i] belongs to both neighbours at distance i.
std::vector<float> gaussian_weights(double sigma) {
  std::vector<double> weights(static_cast<std::size_t>(4.0 * sigma + 0.5) + 1);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
    sum += i == 0 ? weights[i] : 2 * weights[i];
  }
  std::vector<float> normalised(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) normalised[i] = static_cast<float>(weights[i] / sum);
  return normalised;
}

/// Where index i falls when the axis is mirrored at both ends, edges repeated; any i, however far out.
int mirrored(int i, int size) {
  const int period = 2 * size;
  const int j = (i % period + period) % period;
  return j < size ? j : period - 1 - j;
}

/// One row blurred along its width. padded: room for (width + 2*radius)*3 floats.
void blur_row(const std::uint8_t* row, int width, const std::vector<float>& weights, std::vector<float>& padded,
              float* out) {
  const int radius = static_cast<int>(weights.size()) - 1;
  for (int x = -radius; x < width + radius; ++x) {
    const std::uint8_t* pixel = row + std::size_t{3} * mirrored(x, width);
    for (int c = 0; c < 3; ++c) padded[3 * static_cast<std::size_t>(x + radius) + c] = pixel[c];
  }
  const std::size_t size = std::size_t{3} * width;
  const float* center = padded.data() + std::size_t{3} * radius;
  for (std::size_t j = 0; j < size; ++j) out[j] = weights[0] * center[j];
  for (int i = 1; i <= radius; ++i) {
    const float *before = center - 3 * i, *after = center + 3 * i;
    for (std::size_t j = 0; j < size; ++j) out[j] += weights[i] * (before[j] + after[j]);
  }
}

}  // namespace

Image flip_horizontal(const Image& image) {
  Image flipped = make_image(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::size_t row = static_cast<std::size_t>(y) * image.width;
    for (int x = 0; x < image.width; ++x) {
      std::copy_n(&image.rgb[(row + x) * 3], 3, &flipped.rgb[(row + image.width - 1 - x) * 3]);
    }
  }
  return flipped;
}

Image rescale(const Image& image, double factor) {
  check(factor > 0 && factor <= 1000, "the scale", factor);
  const auto scaled = [factor](int side) {
    const double size = std::round(side * factor);
    check(size < 1'000'000, "a side after scaling", size);
    return std::max(1, static_cast<int>(size));
  };
  return resize_bilinear(image, scaled(image.width), scaled(image.height));
}

Image gaussian_blur(const Image& image, double sigma) {
  check(sigma >= 0 && sigma <= 1000, "the sigma of a blur", sigma);
  const std::vector<float> weights = sigma > 0 ? gaussian_weights(sigma) : std::vector<float>{1.0f};
  const int radius = static_cast<int>(weights.size()) - 1;
  if (radius == 0) return image;

  const std::size_t row_size = std::size_t{3} * image.width;
  std::vector<float> rows(row_size * image.height);  // blurred along the width
  std::vector<float> padded(row_size + std::size_t{6} * radius);
  for (int y = 0; y < image.height; ++y) {
    blur_row(&image.rgb[y * row_size], image.width, weights, padded, &rows[y * row_size]);
  }
  Image blurred = make_image(image.width, image.height);
  std::vector<float> sum(row_size);
  for (int y = 0; y < image.height; ++y) {
    const float* center = &rows[y * row_size];
    for (std::size_t j = 0; j < row_size; ++j) sum[j] = weights[0] * center[j];
    for (int i = 1; i <= radius; ++i) {
      const float* above = &rows[mirrored(y - i, image.height) * row_size];
      const float* below = &rows[mirrored(y + i, image.height) * row_size];
      for (std::size_t j = 0; j < row_size; ++j) sum[j] += weights[i] * (above[j] + below[j]);
    }
    std::transform(sum.begin(), sum.end(), &blurred.rgb[y * row_size], to_byte);
  }
  return blurred;
}

Image rotate(const Image& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, cosine = std::cos(angle), sine = std::sin(angle);
  const double centre_x = (image.width - 1) / 2.0, centre_y = (image.height - 1) / 2.0;
  Image turned{image.width, image.height, std::vector<std::uint8_t>(image.rgb.size())};
  std::uint8_t* to = turned.rgb.data();
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x, to += 3) {
      const double dx = x - centre_x, dy = y - centre_y;  // y grows downwards
      const double from_x = std::round(centre_x + cosine * dx - sine * dy);
      const double from_y = std::round(centre_y + sine * dx + cosine * dy);
      if (from_x < 0 || from_y < 0 || from_x >= image.width || from_y >= image.height) continue;
      const std::size_t at =
          static_cast<std::size_t>(from_y) * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(from_x);
      std::copy_n(image.rgb.data() + 3 * at, 3, to);
    }
  }
  return turned;
}

Image jitter_colours(const Image& image, const ColourJitter& jitter) {
  const double turn = 2 * std::numbers::pi * jitter.hue;
  const double cosine = jitter.saturation * std::cos(turn), sine = jitter.saturation * std::sin(turn);
  const auto luma = [](const auto* p) { return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]; };
  double sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) sum += luma(&image.rgb[i]);
  const double mean = 3 * sum / static_cast<double>(image.rgb.size());
  const double gain = jitter.brightness * jitter.contrast, offset = jitter.brightness * mean * (1 - jitter.contrast);
  Image result = image;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    double p[3];
    for (std::size_t c = 0; c < 3; ++c) p[c] = std::clamp(gain * image.rgb[i + c] + offset, 0.0, 255.0);
    const double y = luma(p);
    const double i0 = 0.595716 * p[0] - 0.274453 * p[1] - 0.321263 * p[2];
    const double q0 = 0.211456 * p[0] - 0.522591 * p[1] + 0.311135 * p[2];
    const double in_phase = cosine * i0 - sine * q0, quadrature = sine * i0 + cosine * q0;
    result.rgb[i] = to_byte(static_cast<float>(y + 0.9563 * in_phase + 0.6210 * quadrature));
    result.rgb[i + 1] = to_byte(static_cast<float>(y - 0.2721 * in_phase - 0.6474 * quadrature));
    result.rgb[i + 2] = to_byte(static_cast<float>(y - 1.1070 * in_phase + 1.7046 * quadrature));
  }
  return result;
}

void blacken(Image& image, int x, int y, int side) {
  const int width = std::min(side, image.width - x), last = std::min(y + side, image.height);
  for (int row = y; row < last; ++row) {
    const std::size_t at =
        static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(x);
    std::fill_n(image.rgb.data() + 3 * at, 3 * static_cast<std::size_t>(width), std::uint8_t{0});
  }
}

Image recompress_jpeg(const Image& image, int quality) { return decode_image(encode_jpeg(image, quality)); }

Image recompress_webp(const Image& image, int quality) { return decode_image(encode_webp(image, quality)); }

Image add_gaussian_noise(const Image& image, double sigma, std::uint64_t seed) {
  check(sigma >= 0 && sigma <= 1000, "the sigma of the noise", sigma);
  std::mt19937_64 generator(seed);
  // 53 random bits in (0, 1]: the logarithm stays finite.
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 1.0) * 0x1p-53; };
  Image noisy = image;
  for (std::size_t i = 0; i < noisy.rgb.size(); i += 2) {
    const double radius = sigma * std::sqrt(-2.0 * std::log(uniform()));
    const double angle = 2.0 * std::numbers::pi * uniform();
    const double deviates[2] = {radius * std::cos(angle), radius * std::sin(angle)};
    for (std::size_t j = i; j < std::min(i + 2, noisy.rgb.size()); ++j) {
      noisy.rgb[j] = to_byte(static_cast<float>(noisy.rgb[j] + deviates[j - i]));
    }
  }
  return noisy;
}

Image augment(const Image& image, const Augmentation& a) {
  Image result = a.scale == 1.0 ? image : rescale(image, a.scale);
  if (a.blur_sigma != 0) result = gaussian_blur(result, a.blur_sigma);
  if (a.jpeg_quality != 0) result = recompress_jpeg(result, a.jpeg_quality);
  if (a.webp_quality != -1) result = recompress_webp(result, a.webp_quality);
  if (a.noise_sigma != 0) result = add_gaussian_noise(result, a.noise_sigma, a.noise_seed);
  if (a.crop_width != 0 || a.crop_height != 0) result = crop(result, a.crop_x, a.crop_y, a.crop_width, a.crop_height);
  if (a.flip) result = flip_horizontal(result);
  return result;
}

}  // namespace lfm
