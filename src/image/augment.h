// Augmentations for training and perturbations for robustness curves: pure functions of the image and
// explicit parameters, so that who draws the parameters (src/data) decides all randomness. Crops are
// lfm::crop.
#pragma once

#include <cstdint>

#include "lfm/image.h"

namespace lfm {

/// What one image is put through, in the order of the members; the defaults leave it as it is. Alike for both
/// classes.
struct Augmentation {
  double scale = 1.0;      ///< rescaled by this factor before anything else
  double blur_sigma = 0;   ///< in pixels; 0: none
  int jpeg_quality = 0;    ///< 1 to 100; 0: none
  int webp_quality = -1;   ///< 0 to 100; -1: none
  double noise_sigma = 0;  ///< in grey levels; 0: none
  std::uint64_t noise_seed = 0;
  int crop_x = 0, crop_y = 0;           ///< top left of the window in the rescaled image
  int crop_width = 0, crop_height = 0;  ///< 0: no crop
  bool flip = false;
};

/// Throws Error{usage} for parameters out of range, or a crop that isn't inside the rescaled image.
Image augment(const Image& image, const Augmentation& augmentation);

/// Left and right exchanged.
Image flip_horizontal(const Image& image);

/// Both sides times factor, rounded to the nearest, at least 1 pixel; resize_bilinear does the rest.
Image rescale(const Image& image, double factor);

/// Gaussian blur, separable. Weights exp(-i*i / (2 sigma^2)) for |i| <= int(4 sigma + 0.5), normalised to sum
/// 1; edges are mirrored with the edge pixel repeated (c b a | a b c). Rows, then columns, in float; one
/// rounding, to nearest, at the end. Equal to scipy.ndimage.gaussian_filter(channel.astype(float), sigma)
/// rounded, but for float's precision.
Image gaussian_blur(const Image& image, double sigma);

/// Turned about its centre by an angle in degrees, counter-clockwise, its size kept: of each pixel the nearest of the
/// picture's, black where there is none. No value is made up.
Image rotate(const Image& image, double degrees);

/// Factors; contrast is about the picture's mean luma, hue is turned by so many parts of the circle.
struct ColourJitter {
  double brightness = 1, contrast = 1, saturation = 1;
  double hue = 0;
};
/// In that order; one rounding at the end. Saturation and hue are those of YIQ's chroma.
Image jitter_colours(const Image& image, const ColourJitter& jitter);

/// A square of the picture, as far as it lies in it.
void blacken(Image& image, int x, int y, int side);

/// Encoded (encode_jpeg, 4:2:0) and decoded again, in memory.
Image recompress_jpeg(const Image& image, int quality);

/// Encoded (encode_webp) and decoded again, in memory.
Image recompress_webp(const Image& image, int quality);

/// Adds an own normal deviate of standard deviation sigma (grey levels) to every sample, rounds and clips.
/// Deviates: Box-Muller on std::mt19937_64(seed), the two of a pair to consecutive samples.
Image add_gaussian_noise(const Image& image, double sigma, std::uint64_t seed);

}  // namespace lfm
