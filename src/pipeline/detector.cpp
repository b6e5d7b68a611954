#include "lfm/detector.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <thread>
#include <utility>

#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/pipeline/path_source.h"
#include "src/pipeline/picture.h"
#include "src/pipeline/stream.h"

namespace lfm {
namespace {

/// Cores this process may use, which is fewer than the machine has under taskset or in a container.
int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// Bytes one image's activations may take: most of the machine's memory, for engines that work in it.
std::size_t arena_limit(const Device& device) {
  if (device.kind == DeviceKind::cuda) return 0;
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 0;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page) / 4 * 3;
}

}  // namespace

struct Detector::Impl {
  std::unique_ptr<Engine> engine;
  StreamOptions stream;
  Calibration calibration;
  float threshold = 0.5f;

  float score(float logit) const {
    const double x = static_cast<double>(logit) / calibration.temperature + calibration.bias;
    return static_cast<float>(1.0 / (1.0 + std::exp(-x)));
  }

  /// Scores and verdict.
  void finish(Detection& detection) const {
    if (!std::isfinite(detection.logit)) {
      detection.error = "the network's output is not finite: the model is damaged or was never trained";
      return;
    }
    for (const float logit : detection.delivered_logits) detection.delivered_scores.push_back(score(logit));
    detection.score = score(detection.logit);
    detection.fake = detection.score > threshold;
    detection.status = Detection::Status::scored;
  }
};

Detector::Detector(const std::filesystem::path& model, const DetectorOptions& options)
    : Detector(load_model(model), options) {}

Detector::Detector(const Model& model, const DetectorOptions& options) : impl_(std::make_unique<Impl>()) {
  const Device device = parse_device(options.device);
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  if (options.batch < 0) throw Error(ErrorCode::usage, "a batch has at least one image");
  impl_->engine = make_engine(device, {threads, options.precision, options.note});
  impl_->engine->load(model.architecture, model.values);
  impl_->calibration = model.calibration;
  impl_->threshold = options.threshold.value_or(model.threshold);
  StreamOptions& stream = impl_->stream;
  stream.architecture = model.architecture;
  stream.presentation = {options.view.value_or(model.view), options.tiles, parse_deliveries(options.deliveries)};
  if (stream.presentation.deliveries.empty()) stream.presentation.deliveries.push_back({});
  if (options.tiles < 1) throw Error(ErrorCode::usage, "a picture has at least one tile");
  stream.limits = options.limits;
  stream.workers = threads;
  stream.batch = options.batch > 0 ? options.batch : std::clamp(impl_->engine->inference_chunk(256, 256), 1, 64);
  stream.features = options.features;
  stream.arena_limit = arena_limit(device);
}

Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

Detection Detector::detect(const Image& image) {
  Detection detection;
  detection.width = image.width;
  detection.height = image.height;
  Picture picture = cut_up(present(image, impl_->stream.presentation), impl_->stream.architecture);
  std::vector<float> features(impl_->stream.features ? feature_count() : 0);
  for (const Piece& piece : picture.pieces) {
    float logit = 0;
    infer(*impl_->engine, impl_->stream.architecture, {piece.pixels.rgb.data(), 1, piece.pixels.height, piece.pixels.width},
          std::span(&logit, 1), features);
    add_score(picture, piece, logit, features);
  }
  if (!put_together(picture, detection)) throw Error(ErrorCode::input, detection.error);
  impl_->finish(detection);
  return detection;
}

std::vector<Detection> Detector::detect_files(const std::vector<std::filesystem::path>& inputs) {
  std::vector<Detection> detections;
  PathSource source(inputs);
  detect_stream(source, [&](Detection&& detection) {
    if (detection.status != Detection::Status::skipped) detections.push_back(std::move(detection));
  });
  return detections;
}

void Detector::detect_stream(InputSource& source, const std::function<void(Detection&&)>& sink) {
  score_stream(*impl_->engine, impl_->stream, source, [this](Detection& d) { impl_->finish(d); }, sink);
}

View Detector::view() const { return impl_->stream.presentation.view; }
float Detector::threshold() const { return impl_->threshold; }
std::size_t Detector::feature_count() const {
  return static_cast<std::size_t>(lfm::feature_count(impl_->stream.architecture));
}
std::string Detector::description() const { return impl_->engine->description(); }

}  // namespace lfm
