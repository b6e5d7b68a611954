#include "src/train/options.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "lfm/error.h"
#include "src/io/json.h"
#include "src/model/architecture.h"

namespace lfm {
namespace {

using nlohmann::json;

// The shortest number that reads back as the same float: 0.1, not 0.10000000149011612.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

template <typename T>
json value_to_json(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(word_of(value));
  } else if constexpr (std::is_same_v<T, Range>) {
    return json::array({shortest(value.min), shortest(value.max)});
  } else if constexpr (std::is_same_v<T, float>) {
    return shortest(value);
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return value.string();
  } else if constexpr (std::is_same_v<T, std::vector<std::filesystem::path>>) {
    json list = json::array();
    for (const auto& path : value) list.push_back(path.string());
    return list;
  } else {
    return value;
  }
}

template <typename T>
void value_from_json(const json& from, T& value) {
  if constexpr (std::is_enum_v<T>) {
    for (const auto& row : option_words(value)) {
      if (from == row.word) {
        value = row.value;
        return;
      }
    }
    throw std::runtime_error(fmt::format("{} is unknown; use a newer lfm-cuda", from.dump()));
  } else if constexpr (std::is_same_v<T, Range>) {
    value = {json_number<float>(from.at(0)), json_number<float>(from.at(1))};
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    value = from.get<std::string>();
  } else if constexpr (std::is_same_v<T, std::vector<std::filesystem::path>>) {
    value.clear();
    for (const auto& path : from) value.emplace_back(path.get<std::string>());
  } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    value = json_number<T>(from);
  } else {
    value = from.get<T>();
  }
}

constexpr int kMaxSide = 16384;  ///< of the squares that the network is trained on

void require(bool sensible, const char* option, std::string_view demand) {
  if (!sensible) throw Error(ErrorCode::usage, fmt::format("--{} must be {}", option, demand));
}

bool is_probability(float p) { return p >= 0 && p <= 1; }

bool lies_in(const Range& range, float lowest, float highest) {
  return range.min >= lowest && range.min <= range.max && range.max <= highest;
}

Architecture architecture_of(Network network) {
  switch (network) {
    case Network::lfm: return {};
    case Network::npr: return kNprNetwork;
    case Network::safe: return kSafeNetwork;
  }
  return {};
}

/// What no option says by itself.
void take_head(TrainOptions& o) {
  const Architecture whole = architecture_of(o.network);
  o.architecture.head = whole.head;
  o.architecture.normalisation = whole.normalisation;
}

}  // namespace

std::string distill_words() {
  std::string each, all;
  for (const std::string_view what : kDistilled) {
    each.append(what).append("|");
    all.append(all.empty() ? "" : ",").append(what);
  }
  return each + all;
}

json to_json(const TrainOptions& options) {
  json object = json::object();
  visit_options(options, [&](const OptionText& text, const auto& value) { object[text.name] = value_to_json(value); });
  return object;
}

TrainOptions train_options_from_json(const json& object) {
  TrainOptions options;
  visit_options(options, [&](const OptionText& text, auto& value) {
    if (const auto found = object.find(text.name); found != object.end()) value_from_json(*found, value);
  });
  take_head(options);
  return options;
}

TrainOptions network_defaults(Network network) {
  TrainOptions o;
  o.network = network;
  if (network == Network::lfm) return o;
  o.architecture = architecture_of(network);
  o.architecture.k = Architecture{}.k;  // for who asks for top-k pooling
  if (network == Network::npr) {
    o.adam.learning_rate = 2e-4f;
  } else {
    o.view = View::center;
    o.crop = 256;
    o.augmentation.rotate = o.augmentation.jitter = o.augmentation.mask = 0.5f;
  }
  return o;
}

void apply_network(TrainOptions& options, const std::function<bool(const char* name)>& given) {
  json all = to_json(options);
  const json defaults = to_json(network_defaults(options.network));
  visit_options(options, [&](const OptionText& text, const auto&) {
    if (!given(text.name)) all[text.name] = defaults[text.name];
  });
  options = train_options_from_json(all);
}

void complete_options(TrainOptions& o) {
  take_head(o);
  if (const Contradiction* row = contradiction(o.architecture)) {
    throw Error(ErrorCode::usage,
                fmt::format("--network {} --residual {} --trunk {} asks for {}; use {}", word_of(o.network),
                            word_of(o.architecture.front_end), word_of(o.architecture.trunk), row->what, row->remedy));
  }
  if (!o.teacher.empty() && o.architecture.trunk != Trunk::snet) {
    throw Error(
        ErrorCode::usage,
        fmt::format("--teacher needs --trunk snet: a teacher's 64 maps can't be compared with the {} of --trunk {}",
                    map_channels(o.architecture), word_of(o.architecture.trunk)));
  }
  if (o.architecture.pooling == Pooling::average) {
    o.architecture.k = 1;
    o.regularisation.rbld = o.regularisation.rks = false;
  }
  if (label_weight(o) == 0) o.regularisation.rbld = o.regularisation.rks = false;  // they regularise the labels' loss
  if (o.val_crop == 0 && o.view != View::resize) o.val_crop = 256;

  const TrainingOptions& r = o.regularisation;
  require(!o.data.empty(), "data", "given: a folder with .../0_real/* and .../1_fake/*");
  require(!o.out.empty(), "out", "given: the folder for checkpoints and logs");
  require(o.epochs > 0, "epochs", "at least 1");
  require(o.batch > 0, "batch", "at least 1");
  require(o.accumulate > 0 && o.accumulate <= o.batch, "accumulate", "between 1 and --batch");
  require(o.threads >= 0 && o.threads <= 1024, "threads", "between 0 (all cores) and 1024");
  require(o.adam.learning_rate > 0, "lr", "positive");
  require(o.lr_decay > 0 && o.lr_decay <= 1, "lr-decay", "in (0, 1]");
  require(o.lr_step > 0, "lr-step", "at least 1");
  require(o.lr_min >= 0, "lr-min", "0 or more");
  require(o.adam.beta1 >= 0 && o.adam.beta1 < 1, "beta1", "in [0, 1)");
  require(o.adam.beta2 >= 0 && o.adam.beta2 < 1, "beta2", "in [0, 1)");
  require(o.adam.eps > 0, "eps", "positive");
  require(o.adam.weight_decay >= 0, "weight-decay", "0 or more");
  require(o.architecture.k > 0 && o.architecture.k <= kMaxTopK, "k", "between 1 and 1024");
  require(is_probability(r.p_min) && r.p_min < 1, "p-min", "in [0, 1)");
  require(is_probability(r.p_max) && r.p_max < 1, "p-max", "in [0, 1)");
  require(r.alpha >= 0, "alpha", "0 or more");
  require(o.distill_weight >= 0 && o.distill_weight <= 1, "distill-weight", "in [0, 1]");
  require(!o.distill.empty() &&
              std::ranges::all_of(o.distill,
                                  [](const auto& s) { return std::ranges::find(kDistilled, s) != kDistilled.end(); }),
          "distill", "one of " + distill_words());
  require(o.patience >= 0, "patience", "0 (never stop early) or more");
  require(o.checkpoint_every > 0, "checkpoint-every", "at least 1");
  require(o.patience == 0 || !o.val.empty(), "patience",
          "used with --val: without validation no epoch is better than another");
  require(o.cache_mb >= 0, "cache-mb", "0 or more");
  require(o.loss_limit > 0, "loss-limit", "positive");
  const RandomAugmentation& a = o.augmentation;
  require(is_probability(a.flip), "flip", "in [0, 1]");
  require(is_probability(a.blur), "blur", "in [0, 1]");
  require(is_probability(a.jpeg), "jpeg", "in [0, 1]");
  require(is_probability(a.webp), "webp", "in [0, 1]");
  require(is_probability(a.rescale), "rescale", "in [0, 1]");
  require(lies_in(a.blur_sigma, 0, 20), "blur-sigma", "an ordered range within [0, 20]");
  require(lies_in(a.jpeg_quality, 1, 100), "jpeg-quality", "an ordered range within [1, 100]");
  require(lies_in(a.webp_quality, 1, 100), "webp-quality", "an ordered range within [1, 100]");
  require(lies_in(a.rescale_factor, 0.05f, 8), "rescale-factor", "an ordered range within [0.05, 8]");
  require(is_probability(a.rotate), "rotate", "in [0, 1]");
  require(is_probability(a.jitter), "jitter", "in [0, 1]");
  require(is_probability(a.mask), "mask", "in [0, 1]");
  require(lies_in(a.rotate_angle, -360, 360), "rotate-angle", "an ordered range within [-360, 360]");
  require(lies_in(a.jitter_factor, 0, 10), "jitter-factor", "an ordered range within [0, 10]");
  require(lies_in(a.jitter_hue, -0.5f, 0.5f), "jitter-hue", "an ordered range within [-0.5, 0.5]");
  require(lies_in(a.mask_share, 0, 1), "mask-share", "an ordered range within [0, 1]");
  require(a.mask_patch > 0 && a.mask_patch <= kMaxSide, "mask-patch", "between 1 and 16384");
  require(o.view != View::resize || (o.resize >= kMinImageSide && o.resize <= kMaxSide), "resize",
          "between 48 and 16384");
  require(o.crop <= kMaxSide && (o.crop >= kMinImageSide || (o.crop == 0 && o.view == View::resize)), "crop",
          "between 48 and 16384 (0: none, with --view resize)");
  require(o.view != View::resize || o.crop <= o.resize, "crop", "at most --resize");
  require(o.val_crop <= kMaxSide && (o.val_crop >= kMinImageSide || (o.val_crop == 0 && o.view == View::resize)),
          "val-crop", "between 48 and 16384 (0: the default)");
}

float label_weight(const TrainOptions& o) { return o.teacher.empty() ? 1.0f : 1.0f - o.distill_weight; }

bool distills(const TrainOptions& o, std::string_view what) {
  return !o.teacher.empty() && std::ranges::find(o.distill, what) != o.distill.end();
}

float learning_rate(const TrainOptions& options, std::uint64_t epoch) {
  const auto decays = static_cast<double>(epoch / static_cast<std::uint64_t>(options.lr_step));
  const double rate = options.adam.learning_rate * std::pow(double{options.lr_decay}, decays);
  return static_cast<float>(std::max(rate, double{options.lr_min}));
}

}  // namespace lfm
