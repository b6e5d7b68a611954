// How a picture may reach the detector other than as it left its maker: re-compressed, rescaled, blurred, noisy,
// cropped. The perturbations of `evaluate --perturb` and the re-deliveries of `detect --stable`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lfm/image.h"

namespace lfm {

struct Delivery {
  enum class Kind {
    none,    ///< as it is
    jpeg,    ///< re-compressed; amount = quality 1 … 100
    webp,    ///< re-compressed; amount = quality 0 … 100
    blur,    ///< Gaussian; amount = sigma in pixels
    resize,  ///< rescaled; amount = factor
    noise,   ///< Gaussian; amount = sigma in grey levels
    screen,  ///< as a screenshot of it: shrunk, if it is larger, to a longer side of amount pixels
    social,  ///< as social media pass it on: as screen, then JPEG 75
    shift,  ///< amount columns at the left and rows at the top taken off: cells and compression blocks come to lie elsewhere
  };
  Kind kind = Kind::none;
  double amount = 0;

  std::string name() const;  ///< as it is parsed: "none", "jpeg:90"
  bool operator==(const Delivery&) const = default;
};

/// Words like "none", "jpeg:90" or "jpeg:90,75,50", one delivery a value, in this order. Throws Error{usage}, also for
/// one given twice.
std::vector<Delivery> parse_deliveries(const std::vector<std::string>& words);

/// "none", "jpeg:QUALITY" and so on: every kind, with what its amount is.
std::string delivery_words(std::string_view separator);

/// Mild ones, as pictures meet them on their way: what a verdict should not depend on.
std::vector<Delivery> stable_deliveries();

/// The picture as it arrives. The same picture and delivery give the same pixels, noise included. Throws Error{input}
/// where this picture can't be delivered so: too small to be cut, too large for the format.
Image deliver(const Image& image, const Delivery& delivery);

}  // namespace lfm
