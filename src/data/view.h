// From a decoded image to the square of pixels that the network is served.
//
// In this order; each of the optional steps happens with its own probability, per image:
//   1. random rescale    by a factor of its range
//   2. the view          resize: to resize x resize, aspect ratio not kept; otherwise the pixels as they are
//   3. Gaussian blur     sigma of its range
//   4. re-compression    as JPEG, as WebP, or as one after the other; quality of its range
//   5. crop              at random (training) or centred (validation). An image smaller than the crop is
//   first
//                        enlarged, aspect ratio kept, until it covers it
//   6. horizontal flip
//   7. rotation          of the crop about its centre, black where the crop has nothing
//   8. colour jitter     brightness, contrast, saturation and hue, each of its range
//   9. masking           some patches of the crop turned black, a share of its range
// Steps 3 and 4 come after the resize and before the crop, as in the reference's data pipeline. Without
// resize only a window somewhat larger than the crop goes through steps 1, 3 and 4, so a 12-megapixel photo
// costs little more than its decoding.
#pragma once

#include <cstdint>

#include "lfm/image.h"
#include "lfm/model.h"

namespace lfm {

struct Range {
  float min = 0;
  float max = 0;
};

/// Probabilities per image, and what is drawn uniformly from a range when it happens.
struct RandomAugmentation {
  float flip = 0.5f;
  float blur = 0;
  Range blur_sigma = {0.1f, 3.0f};
  float jpeg = 0;
  Range jpeg_quality = {60, 100};  ///< whole numbers are drawn
  float webp = 0;
  Range webp_quality = {60, 100};
  float rescale = 0;
  Range rescale_factor = {0.5f, 1.5f};
  float rotate = 0;
  Range rotate_angle = {-180, 180};  ///< degrees
  float jitter = 0;
  Range jitter_factor = {0.8f, 1.2f};  ///< of brightness, contrast and saturation, each drawn by itself
  Range jitter_hue = {-0.05f, 0.05f};  ///< parts of the circle
  float mask = 0;
  Range mask_share = {0, 0.75f};  ///< of the patches
  int mask_patch = 16;            ///< side, in pixels
  float untouched = 0;            ///< that neither blur nor re-compression happens, whatever their own probabilities
};

struct ViewOptions {
  View view = View::resize;  ///< native, center and tiles differ only in what the model is later used with
  int resize = 256;          ///< View::resize
  int crop = 224;            ///< side of the square that is served; 0 with View::resize: no crop
};

/// Side of the square that is served.
int served_side(const ViewOptions& options);

/// Throws Error{usage} for sizes, probabilities and ranges that can't be.
void validate(const ViewOptions& view, const RandomAugmentation& augmentation);

/// Philox's key of one image's draws: its place in the epoch, not its name, since a balanced epoch has images
/// twice.
struct ViewKey {
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  std::uint32_t position = 0;
};

/// Writes the augmented square [side][side][3]; and to `original`, where given, the same square without steps 3,
/// 4, 8 and 9.
void training_view(const Image& image, const ViewOptions& view, const RandomAugmentation& augmentation,
                   const ViewKey& key, std::uint8_t* square, std::uint8_t* original = nullptr);

/// Writes the centred square [side][side][3]: nothing is drawn.
void validation_view(const Image& image, const ViewOptions& view, std::uint8_t* square);

}  // namespace lfm
