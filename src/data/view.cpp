#include "src/data/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "src/image/augment.h"
#include "src/model/architecture.h"
#include "src/random/philox.h"

namespace lfm {
namespace {

// Added to the crop's side where blur or re-compression happen without resize: they see real neighbours, and
// the crop lands anywhere on the compression's block grid.
constexpr int kMargin = 32;

/// The draws of one image, four words a block; who draws what is fixed, so an option that is switched on
/// leaves the others' draws as they were.
class Draws {
 public:
  enum Block : std::uint32_t {
    kRescaleAndBlur = 0,
    kCompression = 1,
    kPlace = 2,
    kFlip = 3,
    kRotation = 4,
    kJitter = 5,
    kHueAndMask = 6,
    kPatches = 16,  // and on: a word a patch
  };

  explicit Draws(const ViewKey& key) : key_(key) {}

  bool happens(Block block, int word, float probability) const { return uniform(block, word) < probability; }
  float within(Block block, int word, const Range& range) const {
    return range.min + uniform(block, word) * (range.max - range.min);
  }
  int whole_within(Block block, int word, const Range& range) const {
    const int lowest = static_cast<int>(range.min), highest = static_cast<int>(range.max);
    return lowest + below(block, word, highest - lowest + 1);
  }
  /// Of [0, n), count different ones, in any order.
  std::vector<int> some_of(Block first, int n, int count) const {
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    for (int i = 0; i < count; ++i) {
      const Block block = static_cast<Block>(first + static_cast<std::uint32_t>(i) / 4);
      std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(i + below(block, i % 4, n - i))]);
    }
    all.resize(static_cast<std::size_t>(count));
    return all;
  }
  int below(Block block, int word, int n) const {
    return static_cast<int>(uniform_below(bits(block, word), static_cast<std::uint32_t>(n)));
  }

 private:
  std::uint32_t bits(Block block, int word) const {
    return draw_block(key_.seed, key_.epoch, key_.position, Stream::augmentation, block).word[word];
  }
  float uniform(Block block, int word) const { return uniform01(bits(block, word)); }

  const ViewKey& key_;
};

int scaled(int side, double factor) { return std::max(1, static_cast<int>(std::lround(side * factor))); }

/// Enlarges an image that is smaller than side x side until it covers it.
void enlarge_to_cover(Image& image, int side) {
  if (image.width >= side && image.height >= side) return;
  const double factor = static_cast<double>(side) / std::min(image.width, image.height);
  image =
      resize_bilinear(image, std::max(side, scaled(image.width, factor)), std::max(side, scaled(image.height, factor)));
}

void write_square(const Image& image, int x, int y, int side, bool flip, std::uint8_t* square) {
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(side);
  for (int line = 0; line < side; ++line, square += row) {
    const std::uint8_t* source =
        image.rgb.data() +
        3 * (static_cast<std::size_t>(y + line) * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(x));
    if (!flip) {
      std::memcpy(square, source, row);
      continue;
    }
    for (int column = 0; column < side; ++column) {
      std::memcpy(square + 3 * column, source + 3 * (side - 1 - column), 3);
    }
  }
}

Image resized(const Image& image, const ViewOptions& view) {
  if (image.width == view.resize && image.height == view.resize) return image;
  return resize_bilinear(image, view.resize, view.resize);
}

/// Steps 1 and 2: the image rescaled and resized, or the window of it that the later steps look at.
Image base_of(const Image& image, const ViewOptions& view, const RandomAugmentation& augmentation, const Draws& draws,
              bool is_filtered) {
  const bool rescale = draws.happens(Draws::kRescaleAndBlur, 0, augmentation.rescale);
  const float factor = rescale ? draws.within(Draws::kRescaleAndBlur, 1, augmentation.rescale_factor) : 1.0f;
  if (view.view == View::resize) {
    if (!rescale) return resized(image, view);
    return resized(resize_bilinear(image, scaled(image.width, factor), scaled(image.height, factor)), view);
  }
  const int margin = is_filtered ? kMargin : 0;
  const int wanted = static_cast<int>(std::ceil(static_cast<float>(view.crop + margin) / factor));
  const int width = std::min(image.width, wanted), height = std::min(image.height, wanted);
  Image window = crop(image, draws.below(Draws::kPlace, 0, image.width - width + 1),
                      draws.below(Draws::kPlace, 1, image.height - height + 1), width, height);
  if (rescale) window = resize_bilinear(window, scaled(width, factor), scaled(height, factor));
  return window;
}

ColourJitter jitter_of(const RandomAugmentation& augmentation, const Draws& draws) {
  const auto factor = [&](int word) { return double{draws.within(Draws::kJitter, word, augmentation.jitter_factor)}; };
  return {factor(1), factor(2), factor(3), double{draws.within(Draws::kHueAndMask, 0, augmentation.jitter_hue)}};
}

void mask(Image& square, const RandomAugmentation& augmentation, const Draws& draws) {
  const int along = (square.width + augmentation.mask_patch - 1) / augmentation.mask_patch;  // the last may be cut
  const float share = draws.within(Draws::kHueAndMask, 2, augmentation.mask_share);
  const int count = static_cast<int>(std::lround(share * static_cast<float>(along * along)));
  for (const int patch : draws.some_of(Draws::kPatches, along * along, count)) {
    blacken(square, patch % along * augmentation.mask_patch, patch / along * augmentation.mask_patch,
            augmentation.mask_patch);
  }
}

/// Steps 7 to 9 of a square in place; only the first of an original.
void finish(std::uint8_t* square, int side, const RandomAugmentation& augmentation, const Draws& draws,
            bool is_original) {
  const bool rotated = draws.happens(Draws::kRotation, 0, augmentation.rotate);
  const bool jittered = !is_original && draws.happens(Draws::kJitter, 0, augmentation.jitter);
  const bool masked = !is_original && draws.happens(Draws::kHueAndMask, 1, augmentation.mask);
  if (!rotated && !jittered && !masked) return;
  const std::size_t bytes = std::size_t{3} * static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  Image image{side, side, {square, square + bytes}};
  if (rotated) image = rotate(image, double{draws.within(Draws::kRotation, 1, augmentation.rotate_angle)});
  if (jittered) image = jitter_colours(image, jitter_of(augmentation, draws));
  if (masked) mask(image, augmentation, draws);
  std::copy_n(image.rgb.begin(), bytes, square);
}

void check_probability(const char* name, float p) {
  if (!(p >= 0 && p <= 1)) {
    throw Error(ErrorCode::usage, fmt::format("the probability of {} is {}; it must lie in [0, 1]", name, p));
  }
}

void check_range(const char* name, const Range& range, float lowest, float highest) {
  if (!(range.min >= lowest && range.min <= range.max && range.max <= highest)) {
    throw Error(ErrorCode::usage, fmt::format("the range of {} is {} to {}; it must be ordered and lie in [{}, {}]",
                                              name, range.min, range.max, lowest, highest));
  }
}

}  // namespace

int served_side(const ViewOptions& options) { return options.crop > 0 ? options.crop : options.resize; }

void validate(const ViewOptions& view, const RandomAugmentation& augmentation) {
  const int side = served_side(view);
  if (view.view == View::resize) {
    if (view.crop < 0 || view.crop > view.resize) {
      throw Error(ErrorCode::usage, fmt::format("a crop of {0} x {0} can't be cut from images resized to {1} x {1}",
                                                view.crop, view.resize));
    }
  } else if (view.crop <= 0) {
    throw Error(ErrorCode::usage, "images that are not resized differ in size: a batch of them needs a crop");
  }
  if (side < kMinImageSide) {
    throw Error(ErrorCode::usage,
                fmt::format("{0} x {0} pixels are too few; the network takes {1} x {1} or more", side, kMinImageSide));
  }
  check_probability("flip", augmentation.flip);
  check_probability("blur", augmentation.blur);
  check_probability("JPEG re-compression", augmentation.jpeg);
  check_probability("WebP re-compression", augmentation.webp);
  check_probability("rescaling", augmentation.rescale);
  check_probability("rotation", augmentation.rotate);
  check_probability("colour jitter", augmentation.jitter);
  check_probability("masking", augmentation.mask);
  check_probability("untouched pictures", augmentation.untouched);
  check_range("blur's sigma", augmentation.blur_sigma, 0.0f, 20.0f);
  check_range("JPEG quality", augmentation.jpeg_quality, 1, 100);
  check_range("WebP quality", augmentation.webp_quality, 1, 100);
  check_range("the rescaling factor", augmentation.rescale_factor, 0.05f, 8.0f);
  check_range("the rotation's angle", augmentation.rotate_angle, -360, 360);
  check_range("the colour jitter's factors", augmentation.jitter_factor, 0, 10);
  check_range("the colour jitter's hue", augmentation.jitter_hue, -0.5f, 0.5f);
  check_range("the share of masked patches", augmentation.mask_share, 0, 1);
  if (augmentation.mask_patch < 1)
    throw Error(ErrorCode::usage,
                fmt::format("a masked patch has a side of 1 or more, not {}", augmentation.mask_patch));
}

void training_view(const Image& image, const ViewOptions& view, const RandomAugmentation& augmentation,
                   const ViewKey& key, std::uint8_t* square, std::uint8_t* original) {
  const Draws draws(key);
  const bool touched = !draws.happens(Draws::kFlip, 1, augmentation.untouched);
  const bool blur = touched && draws.happens(Draws::kRescaleAndBlur, 2, augmentation.blur);
  const bool jpeg = touched && draws.happens(Draws::kCompression, 0, augmentation.jpeg);
  const bool webp = touched && draws.happens(Draws::kCompression, 2, augmentation.webp);
  const int side = served_side(view);

  Image base = base_of(image, view, augmentation, draws, blur || jpeg || webp);
  enlarge_to_cover(base, side);
  const int x = draws.below(Draws::kPlace, 2, base.width - side + 1);
  const int y = draws.below(Draws::kPlace, 3, base.height - side + 1);
  const bool flip = draws.happens(Draws::kFlip, 0, augmentation.flip);
  if (original) {
    write_square(base, x, y, side, flip, original);
    finish(original, side, augmentation, draws, true);
  }
  if (blur) base = gaussian_blur(base, draws.within(Draws::kRescaleAndBlur, 3, augmentation.blur_sigma));
  if (jpeg) base = recompress_jpeg(base, draws.whole_within(Draws::kCompression, 1, augmentation.jpeg_quality));
  if (webp) base = recompress_webp(base, draws.whole_within(Draws::kCompression, 3, augmentation.webp_quality));
  write_square(base, x, y, side, flip, square);
  finish(square, side, augmentation, draws, false);
}

void validation_view(const Image& image, const ViewOptions& view, std::uint8_t* square) {
  const int side = served_side(view);
  Image enlarged;
  const Image* base = &image;
  if (view.view == View::resize || image.width < side || image.height < side) {
    enlarged = view.view == View::resize ? resized(image, view) : image;
    enlarge_to_cover(enlarged, side);
    base = &enlarged;
  }
  write_square(*base, (base->width - side) / 2, (base->height - side) / 2, side, false, square);
}

}  // namespace lfm
