#include "src/train/teacher.h"

#include <fmt/core.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "lfm/error.h"
#include "lfm/words.h"
#include "src/engine/network.h"
#include "src/model/architecture.h"
#include "src/model/combination.h"
#include "src/model/interchange.h"
#include "src/train/run_folder.h"
#include "src/train/run_setup.h"

namespace lfm {
namespace {

constexpr std::size_t kScales = kMapChannels + 1;  // the last is the logits'
constexpr int kMeasuredImages = 256;
constexpr double kFloor = 1e-3;  // of the channels' root mean square deviation

}  // namespace

std::uint64_t teacher_fingerprint(const Model& teacher) {
  const Architecture& a = teacher.architecture;
  const std::uint64_t pooling = a.pooling == Pooling::average ? 0 : static_cast<std::uint64_t>(a.k);
  const std::uint64_t seed = pooling | static_cast<std::uint64_t>(a.front_end) << 32;
  return XXH3_64bits_withSeed(teacher.values.data(), teacher.values.size() * sizeof(float), seed);
}

std::unique_ptr<Model> share_teacher(const ProcessGroup& group, SavedRun& run, bool resumed) {
  std::uint64_t has_teacher = run.options.teacher.empty() ? 0 : 1;
  share(group, has_teacher);
  if (!has_teacher) return nullptr;
  auto teacher = std::make_unique<Model>();
  on_root(group, [&] {
    *teacher = one_network(import_model(run.options.teacher), run.options.teacher.string());
    if (teacher->architecture.trunk != Trunk::snet) {
      throw Error(
          ErrorCode::usage,
          fmt::format(
              "--teacher: {} has the trunk of ResNet, whose maps this network's can't be compared to; give one of LFM",
              run.options.teacher.string()));
    }
    const int crop = run.options.crop;
    const auto maps = [crop](const Architecture& a) { return network_shape(a, crop, crop).maps(); };
    if (maps(teacher->architecture) != maps(run.options.architecture)) {
      throw Error(
          ErrorCode::usage,
          fmt::format("--crop {}: the teacher's maps of it have another size than this run's, because their residuals "
                      "differ; give an even side, or --residual {}",
                      crop, word_of(teacher->architecture.front_end)));
    }
    const std::uint64_t fingerprint = teacher_fingerprint(*teacher);
    if (resumed && fingerprint != run.state.teacher_fingerprint) {
      throw Error(
          ErrorCode::usage,
          fmt::format("{}: not the teacher that the run began with, so it can't go on as it would have; name that one "
                      "with --teacher, or start a new run with --init {}",
                      run.options.teacher.string(), RunFiles{run.options.out}.last().string()));
    }
    run.state.teacher_fingerprint = fingerprint;
  });
  share_model(group, *teacher);
  return teacher;
}

Teacher::Teacher(const Model& model, std::unique_ptr<Engine> engine, const TrainOptions& options)
    : architecture_(model.architecture),
      engine_(std::move(engine)),
      compares_maps_(distills(options, "maps")),
      compares_logits_(distills(options, "logits")) {
  engine_->load(architecture_, model.values);
}

void Teacher::infer_into_buffers(const PixelBatch& images) {
  const NetworkShape shape = network_shape(architecture_, images.height, images.width);
  logits_.resize(static_cast<std::size_t>(images.n));
  maps_.resize(logits_.size() * kMapChannels * static_cast<std::size_t>(shape.maps().area()));
  infer(*engine_, architecture_, images, logits_, {}, maps_);
}

Distillation Teacher::teach(const PixelBatch& images, float weight) {
  infer_into_buffers(images);
  Distillation said{{}, {}, scale_, weight};
  if (compares_maps_) said.maps = maps_;
  if (compares_logits_) said.logits = logits_;
  return said;
}

std::vector<float> Teacher::measure_scale(Loader& loader, const ProcessGroup& group) {
  std::vector<double> count(kScales), sum(kScales), squares(kScales);
  const auto add = [&](std::size_t which, float value) {
    count[which] += 1;
    sum[which] += double{value};
    squares[which] += double{value} * double{value};
  };
  loader.start(0, 0, 1);
  Batch batch;
  for (int seen = 0; seen < kMeasuredImages && loader.next(batch); seen += batch.global_n) {
    infer_into_buffers({teacher_pixels(batch).data(), batch.n, batch.height, batch.width});
    const std::size_t area = maps_.size() / logits_.size() / kMapChannels;
    for (std::size_t i = 0; i < maps_.size(); ++i) add(i / area % kMapChannels, maps_[i]);
    for (const float logit : logits_) add(kMapChannels, logit);
  }
  for (auto* part : {&count, &sum, &squares}) group.communicator.sum(std::span(*part));

  std::vector<double> deviation(kScales);
  double of_channels = 0;
  for (std::size_t i = 0; i < kScales; ++i) {
    const double mean = sum[i] / count[i];
    const double variance = std::max(0.0, squares[i] / count[i] - mean * mean);
    deviation[i] = std::sqrt(variance);
    if (i < kMapChannels) of_channels += variance / kMapChannels;
  }
  std::vector<float> scale(kScales, 1.0f);
  const double least = kFloor * std::sqrt(of_channels);
  for (std::size_t i = 0; i < kScales; ++i) {
    const double unit = i < kMapChannels ? std::max(deviation[i], least) : deviation[i];
    if (unit > 0) scale[i] = static_cast<float>(1 / unit);
  }
  return scale;
}

}  // namespace lfm
