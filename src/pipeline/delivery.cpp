#include "src/pipeline/delivery.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "lfm/error.h"
#include "src/image/augment.h"
#include "src/image/file.h"

namespace lfm {
namespace {

struct KindSpec {
  Delivery::Kind kind;
  std::string_view word;
  std::string_view value;  ///< what its amount is, for help texts
  double low, high;
  bool whole;  ///< the amount is a whole number
};

constexpr std::array kKinds = {
    KindSpec{Delivery::Kind::jpeg, "jpeg", "QUALITY", 1, 100, true},
    KindSpec{Delivery::Kind::webp, "webp", "QUALITY", 0, 100, true},
    KindSpec{Delivery::Kind::blur, "blur", "SIGMA", 0, 100, false},
    KindSpec{Delivery::Kind::resize, "resize", "FACTOR", 0.01, 16, false},
    KindSpec{Delivery::Kind::noise, "noise", "SIGMA", 0, 255, false},
    KindSpec{Delivery::Kind::shift, "shift", "PIXELS", 0, 4096, true},
    KindSpec{Delivery::Kind::screen, "screen", "PIXELS", 48, 16384, true},
    KindSpec{Delivery::Kind::social, "social", "PIXELS", 48, 16384, true},
};

constexpr int kSocialQuality = 75;

[[noreturn]] void refuse(const std::string& word, const std::string& why) {
  throw Error(ErrorCode::usage, fmt::format("'{}': {}; perturbations are {}, values separated by commas", word, why,
                                            delivery_words(", ")));
}

double parse_amount(const KindSpec& spec, const std::string& word, std::string_view text) {
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (error != std::errc() || end != text.data() + text.size()) refuse(word, fmt::format("'{}' is no number", text));
  if (!(amount >= spec.low && amount <= spec.high))
    refuse(word, fmt::format("{} lies in {} … {}", spec.word, spec.low, spec.high));
  if (spec.whole && amount != std::floor(amount)) refuse(word, fmt::format("{} takes whole numbers", spec.word));
  return amount;
}

}  // namespace

std::string delivery_words(std::string_view separator) {
  std::string words = "none";
  for (const KindSpec& spec : kKinds) words += fmt::format("{}{}:{}", separator, spec.word, spec.value);
  return words;
}

std::string Delivery::name() const {
  const auto spec = std::ranges::find(kKinds, kind, &KindSpec::kind);
  return spec == kKinds.end()
             ? "none"
             : fmt::format("{}:{}", spec->word, amount);  // the shortest text that reads back as the amount
}

std::vector<Delivery> parse_deliveries(const std::vector<std::string>& words) {
  std::vector<Delivery> deliveries;
  const auto add = [&](const std::string& word, const Delivery& delivery) {
    if (std::ranges::find(deliveries, delivery) != deliveries.end()) refuse(word, delivery.name() + " is given twice");
    deliveries.push_back(delivery);
  };
  for (const std::string& word : words) {
    if (word == "none") {
      add(word, {});
      continue;
    }
    const std::string_view text = word;
    const std::size_t colon = std::min(text.find(':'), text.size());
    const auto spec = std::ranges::find(kKinds, text.substr(0, colon), &KindSpec::word);
    if (spec == kKinds.end()) refuse(word, "there is no such perturbation");
    if (colon == text.size()) refuse(word, "its value is missing");
    for (std::size_t begin = colon + 1; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      add(word, {spec->kind, parse_amount(*spec, word, text.substr(begin, end - begin))});
      begin = end + 1;
    }
  }
  return deliveries;
}

std::vector<Delivery> stable_deliveries() {
  using Kind = Delivery::Kind;
  return {{}, {Kind::jpeg, 85}, {Kind::webp, 80}, {Kind::resize, 0.75}, {Kind::shift, 3}};
}

Image deliver(const Image& image, const Delivery& delivery) {
  Augmentation augmentation;
  switch (delivery.kind) {
    case Delivery::Kind::none: return image;
    case Delivery::Kind::jpeg: augmentation.jpeg_quality = static_cast<int>(delivery.amount); break;
    case Delivery::Kind::webp: augmentation.webp_quality = static_cast<int>(delivery.amount); break;
    case Delivery::Kind::blur: augmentation.blur_sigma = delivery.amount; break;
    case Delivery::Kind::resize: augmentation.scale = delivery.amount; break;
    case Delivery::Kind::noise:
      augmentation.noise_sigma = delivery.amount;
      augmentation.noise_seed = XXH3_64bits(image.rgb.data(), image.rgb.size());
      break;
    case Delivery::Kind::screen:
    case Delivery::Kind::social:
      augmentation.scale = std::min(1.0, delivery.amount / std::max({image.width, image.height, 1}));
      if (delivery.kind == Delivery::Kind::social) augmentation.jpeg_quality = kSocialQuality;
      break;
    case Delivery::Kind::shift: {
      const int shift = static_cast<int>(delivery.amount);
      augmentation.crop_x = augmentation.crop_y = shift;
      augmentation.crop_width = image.width - shift;
      augmentation.crop_height = image.height - shift;
      break;
    }
  }
  const bool is_cut_away = augmentation.crop_x > 0 && (augmentation.crop_width <= 0 || augmentation.crop_height <= 0);
  if (is_cut_away)
    throw Error(ErrorCode::input,
                fmt::format("{} x {} pixels are too few for {}", image.width, image.height, delivery.name()));
  try {
    return augment(image, augmentation);
  } catch (const Unavailable&) {
    throw;  // says nothing of the picture
  } catch (const Error& error) {
    throw Error(ErrorCode::input, fmt::format("{}: {}", delivery.name(), error.what()));
  }
}

}  // namespace lfm
