#include "src/train/run_setup.h"

#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "lfm/error.h"
#include "lfm/words.h"
#include "src/model/combination.h"
#include "src/model/initialise.h"
#include "src/model/weight_file.h"

namespace lfm {
namespace {

LoaderOptions loader_options(const TrainOptions& o, const ProcessGroup& group) {
  LoaderOptions l;
  l.batch = o.batch;
  l.seed = o.seed;
  l.view = {o.view, o.resize, o.crop};
  l.augmentation = o.augmentation;
  l.balance = o.balance;
  l.threads = thread_count(o, group);
  l.cache_bytes = static_cast<std::size_t>(o.cache_mb) << 20;
  return l;
}

}  // namespace

Dataset training_data(const TrainOptions& o) {
  Dataset dataset = scan_dataset(o.data, o.classes, o.teacher.empty() ? Unlabelled::leave_out : Unlabelled::take);
  if (label_weight(o) > 0) require_both_labels(dataset);
  return dataset;
}

Dataset validation_data(const TrainOptions& o) {
  Dataset dataset = scan_dataset(o.val, o.classes);
  require_both_labels(dataset);
  return dataset;
}

std::string count_text(const Dataset& data) {
  std::string text = fmt::format("{} reals and {} fakes", data.reals, data.fakes);
  if (data.unlabelled > 0) text += fmt::format(" and {} unlabelled", data.unlabelled);
  return text;
}

int thread_count(const TrainOptions& o, const ProcessGroup& group) { return o.threads > 0 ? o.threads : group.threads; }

LoaderOptions training_loader_options(const TrainOptions& o, const ProcessGroup& group,
                                      std::pmr::memory_resource* pixel_memory) {
  LoaderOptions l = loader_options(o, group);
  l.pixel_memory = pixel_memory;
  l.batch *= group.size();
  l.rank = group.communicator.rank;
  l.size = group.size();
  const RandomAugmentation& a = o.augmentation;
  l.originals = !o.teacher.empty() && (a.blur > 0 || a.jpeg > 0 || a.webp > 0 || a.jitter > 0 || a.mask > 0);
  return l;
}

LoaderOptions validation_loader_options(const TrainOptions& o, const ProcessGroup& group) {
  LoaderOptions l = loader_options(o, group);
  l.training = false;
  l.drop_last = false;
  l.view.crop = o.val_crop;
  return l;
}

Model initial_model(const TrainOptions& o) {
  Model model;
  if (o.init.empty()) {
    model.values = initial_values(o.architecture, o.seed);
  } else {
    model = one_network(load_model(o.init), o.init.string());
    if (const Architecture& a = model.architecture; a != o.architecture) {
      const Network network = a.head == Head::softmax    ? Network::safe
                              : a.trunk == Trunk::resnet ? Network::npr
                                                         : Network::lfm;
      throw Error(ErrorCode::usage,
                  fmt::format("{}: the model has another residual, trunk, pooling or head than this run; use --network "
                              "{} --residual {} --trunk {} --pool {} --k {}",
                              o.init.string(), word_of(network), word_of(a.front_end), word_of(a.trunk),
                              word_of(a.pooling), a.k));
    }
    // Fitted to the weights it came with:
    model.calibration = {};
    model.thresholds = {};
    model.threshold = Model{}.threshold;
  }
  model.architecture = o.architecture;
  model.view = o.view;
  model.name = o.name;
  return model;
}

void share_model(const ProcessGroup& group, Model& model) {
  Architecture& a = model.architecture;
  const auto share_part = [&](auto& part) {
    auto number = static_cast<std::uint64_t>(part);
    share(group, number);
    part = static_cast<std::remove_reference_t<decltype(part)>>(number);
  };
  auto& [pooling, k, front_end, trunk, head, normalisation] = a;  // all of them
  share_part(pooling);
  share_part(k);
  share_part(front_end);
  share_part(trunk);
  share_part(head);
  share_part(normalisation);
  share(group, model.values);
}

Device device_of(const TrainOptions& o, const ProcessGroup& group) {
  return parse_device(device_of_process(group, o.device));
}

void deal_out(SavedRun& run, int processes) {
  const std::int64_t images = std::int64_t{run.options.batch} * run.state.processes;
  if (images % processes != 0 || !std::in_range<int>(images)) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: a step of this run takes {} images, which can't be dealt out evenly to {} processes",
                            run.options.out.string(), images, processes));
  }
  run.options.batch = static_cast<int>(images / processes);
  run.state.processes = processes;
}

TrainOptions changed_options(const TrainOptions& saved, const nlohmann::json& given,
                             const std::filesystem::path& folder) {
  nlohmann::json options = to_json(saved);
  visit_options(saved, [&](const OptionText& text, const auto&) {
    const auto found = given.find(text.name);
    if (found == given.end() || *found == options[text.name]) return;
    if (!text.may_change) {
      throw Error(ErrorCode::usage,
                  fmt::format("--{} {} contradicts the run in {}, which has {}; leave it out, or start a new run with "
                              "--init {}",
                              text.name, found->dump(), folder.string(), options[text.name].dump(),
                              (folder / "last.lfmw").string()));
    }
    options[text.name] = *found;
  });
  return train_options_from_json(options);
}

}  // namespace lfm
