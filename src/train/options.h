// What a training run is told: one structure, and one list of its options that the command line, checkpoints and the
// curves page all read. Defaults are the paper's protocol (docs/METHOD.md, section 6).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lfm/model.h"
#include "lfm/words.h"
#include "src/data/loader.h"
#include "src/engine/device.h"
#include "src/engine/engine.h"

namespace lfm {

/// What makes one epoch's model better than another's; ties go to the lower validation loss.
enum class BestBy { ap, accuracy, loss };

constexpr std::array<Word<BestBy>, 3> words(BestBy) {
  return {{{"ap", BestBy::ap}, {"accuracy", BestBy::accuracy}, {"loss", BestBy::loss}}};
}

constexpr std::array<Word<RbldScale>, 3> words(RbldScale) {
  return {{{"none", RbldScale::none}, {"mean", RbldScale::mean}, {"rank", RbldScale::rank}}};
}

/// Whose network: what else has its value by default (network_defaults()).
enum class Network { lfm, npr, safe };

constexpr std::array<Word<Network>, 3> words(Network) {
  return {{{"lfm", Network::lfm, "the Local Focus Mechanism"},
           {"npr", Network::npr, "NPR's: signed residual, ResNet, average pooling"},
           {"safe", Network::safe, "SAFE's: Haar band, ResNet, average pooling, a softmax of two"}}};
}

/// What can be compared with the teacher (TrainOptions::distill).
inline constexpr std::array<std::string_view, 2> kDistilled = {"maps", "logits"};

struct TrainOptions {
  std::vector<std::filesystem::path> data;
  std::vector<std::filesystem::path> val;
  std::vector<std::string> classes;
  std::filesystem::path out;
  std::filesystem::path init;  ///< model to start from; empty: a fresh network drawn from the seed
  std::string name = "lfm";    ///< of the model, for people

  std::string device = "auto";
  int threads = 0;
  Precision precision = Precision::fp32;  ///< of what the convolutions multiply; parameters and moments are FP32 always

  int epochs = 50;
  std::uint64_t max_steps = 0;  ///< 0: no limit
  std::uint64_t seed = 0;
  int batch = 32;
  int accumulate = 1;  ///< micro-batches that a batch is cut into
  AdamOptions adam;
  float lr_decay = 0.9f;  ///< factor on the learning rate …
  int lr_step = 10;       ///< … every so many epochs …
  float lr_min = 1e-6f;   ///< … down to this

  View view = View::resize;
  int resize = 256;
  int crop = 224;
  int val_crop = 0;  ///< side of the centred crop in validation; 0: none with View::resize, else 256
  RandomAugmentation augmentation;
  bool balance = false;
  int cache_mb = 0;

  Network network = Network::lfm;
  Architecture architecture;  ///< head and normalisation are the network's
  TrainingOptions regularisation;

  std::filesystem::path teacher;  ///< model to learn from; empty: none
  std::vector<std::string> distill = {"maps", "logits"};
  float distill_weight = 1;  ///< of the distance to the teacher; the labels' loss has the rest

  BestBy best_by = BestBy::ap;
  int patience = 0;                      ///< epochs without a better model before stopping; 0: never
  std::uint64_t checkpoint_every = 500;  ///< steps; besides, every epoch ends with one
  double loss_limit = 1000;              ///< a step's mean loss above it counts as exploded
};

/// "maps|logits|maps,logits"
std::string distill_words();

struct OptionText {
  const char* name;  ///< on the command line, after "--", and in JSON
  const char* group;
  const char* help;
  bool may_change = false;  ///< when a run is resumed
  std::string words = {};   ///< those that the option takes, "|" between them, where its type does not tell
};

/// Calls visit(OptionText, field) for every option. Options is TrainOptions, const or not. A bool that defaults to true
/// is switched off by --no-<name>.
template <typename Options, typename Visitor>
void visit_options(Options& o, Visitor&& visit) {
  using Text = OptionText;
  auto& a = o.augmentation;
  visit(Text{"data", "Data", "Folder with .../0_real/* and .../1_fake/* at any depth; may be repeated", true}, o.data);
  visit(Text{"val", "Data", "The same, for validation after every epoch", true}, o.val);
  visit(Text{"classes", "Data", "Keep only these class folders"}, o.classes);
  visit(Text{"out", "Data", "Folder for checkpoints, best.lfmw, log.jsonl and curves.html", true}, o.out);
  visit(Text{"init", "Data", "Start from this model (fine-tuning)"}, o.init);
  visit(Text{"name", "Data", "The model's name, for people", true}, o.name);
  visit(Text{"balance", "Data", "As many reals as fakes per epoch"}, o.balance);
  visit(Text{"cache-mb", "Data", "Megabytes of decoded images to keep in memory", true}, o.cache_mb);

  visit(Text{"device", "Machine", "auto: a GPU if there is one, else the CPU; to check results: reference, emulated",
             true, device_words(Devices::one)},
        o.device);
  visit(
      Text{"threads", "Machine",
           "Threads of the CPU engine and the loader; 0: all cores, shared with the host's other processes of the run",
           true},
      o.threads);
  visit(Text{"precision", "Machine",
             "What the convolutions multiply; tf32 and bf16 use tensor cores of GPUs from compute capability 8.0 on, "
             "older ones train in fp32"},
        o.precision);

  visit(Text{"epochs", "Optimisation", "Passes over the data", true}, o.epochs);
  visit(Text{"max-steps", "Optimisation", "Stop after so many steps; 0: after the last epoch", true}, o.max_steps);
  visit(Text{"seed", "Optimisation", "Of everything that is drawn"}, o.seed);
  visit(Text{"batch", "Optimisation", "Images per step, of each process"}, o.batch);
  visit(Text{"accumulate", "Optimisation",
             "Pass each batch through memory in so many parts, each with its own batch-norm statistics"},
        o.accumulate);
  visit(Text{"lr", "Optimisation", "Adam's learning rate"}, o.adam.learning_rate);
  visit(Text{"lr-decay", "Optimisation", "Factor on the learning rate every --lr-step epochs"}, o.lr_decay);
  visit(Text{"lr-step", "Optimisation", "Epochs between two decays"}, o.lr_step);
  visit(Text{"lr-min", "Optimisation", "Floor of the learning rate"}, o.lr_min);
  visit(Text{"beta1", "Optimisation", "Adam's decay of the mean gradient"}, o.adam.beta1);
  visit(Text{"beta2", "Optimisation", "Adam's decay of the mean squared gradient"}, o.adam.beta2);
  visit(Text{"eps", "Optimisation", "Adam's term against division by zero"}, o.adam.eps);
  visit(Text{"weight-decay", "Optimisation", "L2 penalty"}, o.adam.weight_decay);
  visit(Text{"loss-limit", "Optimisation", "A step's loss above this stops the run as exploded", true}, o.loss_limit);

  visit(Text{"view", "Images", "How an image becomes input"}, o.view);
  visit(Text{"resize", "Images", "Side that images are resized to with --view resize"}, o.resize);
  visit(Text{"crop", "Images", "Side of the random crop"}, o.crop);
  visit(Text{"val-crop", "Images", "Side of the centred crop in validation; 0: none when resizing, else 256"},
        o.val_crop);
  visit(Text{"flip", "Images", "Probability of a horizontal flip"}, a.flip);
  visit(Text{"blur", "Images", "Probability of a Gaussian blur"}, a.blur);
  visit(Text{"blur-sigma", "Images", "Range of its sigma"}, a.blur_sigma);
  visit(Text{"jpeg", "Images", "Probability of JPEG re-compression"}, a.jpeg);
  visit(Text{"jpeg-quality", "Images", "Range of its quality"}, a.jpeg_quality);
  visit(Text{"webp", "Images", "Probability of WebP re-compression"}, a.webp);
  visit(Text{"webp-quality", "Images", "Range of its quality"}, a.webp_quality);
  visit(Text{"rescale", "Images", "Probability of a random rescale"}, a.rescale);
  visit(Text{"rescale-factor", "Images", "Range of its factor"}, a.rescale_factor);
  visit(Text{"untouched", "Images",
             "Share of images that are neither blurred nor re-compressed, whatever --blur, --jpeg and --webp say"},
        a.untouched);
  visit(Text{"rotate", "Images", "Probability of a rotation of the crop; what lies outside is black"}, a.rotate);
  visit(Text{"rotate-angle", "Images", "Range of its angle, in degrees"}, a.rotate_angle);
  visit(Text{"jitter", "Images", "Probability of a colour jitter"}, a.jitter);
  visit(Text{"jitter-factor", "Images", "Range of its factors of brightness, contrast and saturation"},
        a.jitter_factor);
  visit(Text{"jitter-hue", "Images", "Range of its turn of the hue, in parts of the circle"}, a.jitter_hue);
  visit(Text{"mask", "Images", "Probability that patches of the crop are masked: black"}, a.mask);
  visit(Text{"mask-share", "Images", "Range of the share of patches"}, a.mask_share);
  visit(Text{"mask-patch", "Images", "Side of a patch"}, a.mask_patch);

  visit(Text{"network", "Method",
             "Whose: the defaults of --residual, --trunk and --pool, and of how a rival's authors train it"},
        o.network);
  visit(Text{"residual", "Method", "What the network sees of the pixels"}, o.architecture.front_end);
  visit(Text{"trunk", "Method",
             "Its convolutions: LFM's SNet, or NPR's and SAFE's, which --device cpu and reference train"},
        o.architecture.trunk);
  visit(Text{"pool", "Method", "average: global average pooling, without RBLD and RKS"}, o.architecture.pooling);
  visit(Text{"k", "Method", "Values kept per channel"}, o.architecture.k);
  visit(Text{"rbld", "Method", "Without rank-based linear dropout"}, o.regularisation.rbld);
  visit(Text{"p-min", "Method", "RBLD: drop probability of the smallest of the k"}, o.regularisation.p_min);
  visit(Text{"p-max", "Method", "RBLD: of the largest"}, o.regularisation.p_max);
  visit(Text{"rbld-scale", "Method", "RBLD: scale of kept values; none as the paper, mean as its code"},
        o.regularisation.rbld_scale);
  visit(Text{"rks", "Method", "Without the auxiliary branch of randomly selected values"}, o.regularisation.rks);
  visit(Text{"alpha", "Method", "RKS: weight of its loss"}, o.regularisation.alpha);

  visit(
      Text{"teacher", "Distillation",
           "Learn what this model says of each crop before blur and re-compression; pictures need no label then", true},
      o.teacher);
  visit(Text{"distill", "Distillation", "What is compared with the teacher", false, distill_words()}, o.distill);
  visit(Text{"distill-weight", "Distillation",
             "Share of the distance to the teacher in the loss; 1: labels have none, RBLD and RKS are off"},
        o.distill_weight);

  visit(Text{"best-by", "Keeping", "What best.lfmw is best in, by validation"}, o.best_by);
  visit(Text{"patience", "Keeping", "Stop after so many epochs without a better model; 0: never", true}, o.patience);
  visit(Text{"checkpoint-every", "Keeping", "Steps between checkpoints, besides one per epoch", true},
        o.checkpoint_every);
}

/// The values of an option that takes one of an enum's; of precisions, those that training has.
template <typename Enum>
std::vector<Word<Enum>> option_words(Enum) {
  const auto all = words(Enum{});
  return {all.begin(), all.end()};
}
inline std::vector<Word<Precision>> option_words(Precision) {
  constexpr std::array trained = {Precision::fp32, Precision::tf32, Precision::bf16};
  std::vector<Word<Precision>> some;
  for (const Word<Precision>& row : words(Precision{})) {
    if (std::ranges::find(trained, row.value) != trained.end()) some.push_back(row);
  }
  return some;
}

/// An object with one member per option.
nlohmann::json to_json(const TrainOptions& options);
/// Options that the object doesn't name keep their defaults. Throws nlohmann::json exceptions and std::runtime_error.
TrainOptions train_options_from_json(const nlohmann::json& object);

/// What a network's authors give it: what its options are where they are not given. Of lfm, TrainOptions{}.
TrainOptions network_defaults(Network network);
/// Sets all options but the given ones, by their names, to the defaults of options.network.
void apply_network(TrainOptions& options, const std::function<bool(const char* name)>& given);

/// Settles what follows from other options (average pooling has k = 1 and neither RBLD nor RKS; val_crop's default).
/// Throws Error{usage} naming the option that makes no sense.
void complete_options(TrainOptions& options);

/// Of the labels' loss: 1 without a teacher.
float label_weight(const TrainOptions& options);
/// Whether the teacher's maps, or "logits", are compared.
bool distills(const TrainOptions& options, std::string_view what);

/// Of an epoch, from 0: lr * decay^(epoch / step), not below the floor.
float learning_rate(const TrainOptions& options, std::uint64_t epoch);

}  // namespace lfm
