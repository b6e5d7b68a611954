#include "lfm/detector.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/eval/calibration.h"
#include "src/eval/threshold_table.h"
#include "src/image/view.h"
#include "src/machine/cores.h"
#include "src/model/combination.h"
#include "src/pipeline/path_source.h"
#include "src/pipeline/picture.h"
#include "src/pipeline/pixel_pool.h"
#include "src/pipeline/stream.h"

namespace lfm {
namespace {

/// Bytes one image's activations may take: most of the machine's memory, for engines that work in it.
std::size_t arena_limit(const Device& device) {
  if (device.kind == DeviceKind::cuda) return 0;
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 0;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page) / 4 * 3;
}

std::vector<std::string> names_of(const std::vector<Delivery>& deliveries) {
  std::vector<std::string> names;
  for (const Delivery& delivery : deliveries) names.push_back(delivery.name());
  return names;
}

}  // namespace

struct Detector::Impl {
  std::vector<std::unique_ptr<Engine>> engines;  ///< of one member after the other: one, or one for each GPU
  std::vector<EngineSet> sets;                   ///< of each device
  std::unique_ptr<PixelPool> pool;               ///< of the first one's memory, which all read
  StreamOptions stream;
  Calibration calibration;
  float threshold = 0.5f;
  bool stable = false;  ///< whatever an input asks for
  std::string verdict_meaning;
  Model model;  ///< the values are for evidence

  float score(float logit) const { return calibrated_score(calibration, logit); }

  /// Whether a member has no finite logit where another has one; where none has, the picture can't be delivered so.
  bool has_broken_member(const Detection& detection) const {
    const auto is_finite = [](float logit) { return std::isfinite(logit); };
    std::span<const float> rest = detection.delivered_member_logits;
    for (; !rest.empty(); rest = rest.subspan(model.members.size())) {
      const auto finite = std::ranges::count_if(rest.first(model.members.size()), is_finite);
      if (finite != 0 && finite != static_cast<std::ptrdiff_t>(model.members.size())) return true;
    }
    return false;
  }

  /// The members' logits become the model's.
  void combine_members(Detection& detection) const {
    const std::size_t members = model.members.size();
    const std::vector<float>& all = detection.delivered_member_logits;
    for (std::size_t d = 0; d < detection.delivered_logits.size(); ++d) {
      if (std::isnan(detection.delivered_logits[d])) continue;
      const auto logits = std::span(all).subspan(d * members, members);
      const Combined combined = combine(model, logits);
      detection.delivered_logits[d] = combined.logit;
      if (!detection.member_logits.empty()) continue;
      detection.member_logits.assign(logits.begin(), logits.end());
      detection.logit = combined.logit;
      detection.decided_by = combined.decided_by;
    }
  }

  /// The median over deliveries; unsure where a verdict differs from its, or it is near the threshold.
  void stabilise(Detection& detection) const {
    std::vector<float> logits;
    for (const float logit : detection.delivered_logits) {
      if (!std::isnan(logit)) logits.push_back(logit);
    }
    std::ranges::sort(logits);
    const std::size_t middle = logits.size() / 2;
    detection.logit = logits.size() % 2 == 1 ? logits[middle] : (logits[middle - 1] + logits[middle]) / 2;
    detection.score = score(detection.logit);
    const bool fake = detection.score > threshold;
    const bool flips = (score(logits.front()) > threshold) != fake || (score(logits.back()) > threshold) != fake;
    constexpr double odds_margin = 1.5;
    const double log_odds = static_cast<double>(detection.logit) / calibration.temperature + calibration.bias;
    const double log_threshold = std::log(static_cast<double>(threshold)) - std::log1p(-static_cast<double>(threshold));
    if (std::abs(log_odds - log_threshold) < std::log(odds_margin)) detection.doubt = Doubt::close;
    if (flips) detection.doubt = Doubt::flips;
  }

  /// Scores and verdict.
  void finish(Detection& detection, bool of_stable) const {
    if (!std::isfinite(detection.logit) || has_broken_member(detection)) {
      detection.error = "the network's output is not finite: the model is damaged or was never trained";
      return;
    }
    if (!model.members.empty()) combine_members(detection);
    for (const float logit : detection.delivered_logits) detection.delivered_scores.push_back(score(logit));
    detection.score = score(detection.logit);
    if (of_stable) stabilise(detection);
    if (detection.empty_windows == detection.windows) detection.doubt = Doubt::no_texture;
    detection.unsure = detection.doubt != Doubt::none;
    detection.fake = detection.score > threshold;
    detection.status = Detection::Status::scored;
  }
};

Detector::Detector(const std::filesystem::path& model, const DetectorOptions& options)
    : Detector(load_model(model), options) {}

Detector::Detector(const Model& model, const DetectorOptions& options) : impl_(std::make_unique<Impl>()) {
  const Device device = parse_device(options.device);
  const Providers kernels = parse_providers(options.kernels);
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  if (options.batch < 0) throw Error(ErrorCode::usage, "a batch has at least one image");
  StreamOptions& stream = impl_->stream;
  stream.members.clear();
  impl_->model = model;
  for (Model& member : impl_->model.members.empty() ? std::span(&impl_->model, 1) : std::span(impl_->model.members)) {
    const bool is_first = stream.members.empty();
    // What is to be noted is the same for every member: once is enough.
    auto engines = make_engines(device, {.threads = threads,
                                         .precision = options.precision,
                                         .note = is_first ? options.note : nullptr,
                                         .kernels = kernels});
    impl_->sets.resize(engines.size());
    for (std::size_t i = 0; i < engines.size(); ++i) {
      engines[i]->load(member.architecture, member.values);
      impl_->sets[i].push_back(engines[i].get());
      impl_->engines.push_back(std::move(engines[i]));
    }
    stream.members.push_back({member.architecture, member.values});
  }
  Engine& first = *impl_->engines[0];
  impl_->calibration = model.calibration;
  const View view = options.view.value_or(model.view);
  if (options.threshold && options.threshold_at)
    throw Error(ErrorCode::usage, "give a threshold or a rate of false alarms, not both");
  impl_->threshold = options.threshold_at ? row_at(model, *options.threshold_at, view).threshold
                                          : options.threshold.value_or(model.threshold);
  impl_->verdict_meaning = lfm::verdict_meaning(model.thresholds, view, impl_->threshold);
  impl_->stable = options.stable;
  stream.presentation = {view, options.tiles, parse_deliveries(options.deliveries), options.thumbnails, options.signs};
  if (options.deliveries.empty())
    stream.presentation.deliveries = options.stable ? stable_deliveries() : std::vector<Delivery>{{}};
  stream.stable_deliveries = options.stable ? stream.presentation.deliveries : stable_deliveries();
  if (options.tiles < 1) throw Error(ErrorCode::usage, "a picture has at least one tile");
  stream.limits = options.limits;
  stream.workers = threads;
  stream.batch = options.batch > 0 ? options.batch : first.inference().chunk(kViewSide, kViewSide);
  stream.features = options.features;
  stream.evidence = options.evidence;
  stream.arena_limit = arena_limit(device);
  if (first.prefers_own_memory()) {
    impl_->pool = std::make_unique<PixelPool>(*impl_->engines[0], std::size_t{3} * kViewSide * kViewSide);
    stream.presentation.source = impl_->pool.get();
  }
}

Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

Detection Detector::detect(const Image& image) {
  const StreamOptions& stream = impl_->stream;
  Detection detection;
  InputViews views = present(image, stream.presentation);
  take_facts(views, detection);
  Picture picture = cut_up(std::move(views), stream.presentation, stream.members, stream.evidence);
  std::vector<float> features, maps;
  for (Piece& piece : picture.pieces) {
    const bool wants_evidence = piece.delivery == 0 && !picture.evidence.empty();
    const ViewImage& pixels = piece.pixels;
    for (std::size_t m = 0; m < stream.members.size(); ++m) {
      const Architecture& architecture = stream.members[m].architecture;
      float logit = 0;
      features.resize(stream.features ? static_cast<std::size_t>(lfm::feature_count(architecture)) : 0);
      const int positions = map_size(architecture, pixels.image.height, pixels.image.width).area();
      maps.resize(wants_evidence ? static_cast<std::size_t>(map_channels(architecture) * positions) : 0);
      infer(*impl_->sets[0][m], architecture, {pixels.data(), 1, pixels.image.height, pixels.image.width},
            std::span(&logit, 1), features, maps);
      if (wants_evidence) add_evidence(picture, piece, maps, stream.members, m);
      add_score(piece, logit, features);
    }
  }
  if (!put_together(picture, detection)) throw Error(ErrorCode::input, detection.error);
  impl_->finish(detection, impl_->stable);
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
  score_stream(
      impl_->sets, impl_->stream, source,
      [this](Detection& d, const Input& input) { impl_->finish(d, impl_->stable || input.stable); }, sink);
}

std::vector<float> Detector::logits(const Windows& windows) {
  if (windows.n < 1) throw Error(ErrorCode::usage, "there are no windows to score");
  const StreamOptions& stream = impl_->stream;
  const PixelBatch batch{windows.pixels, windows.n, windows.height, windows.width,
                         windows.on_gpu ? PixelMemory::device : PixelMemory::host};
  const auto n = static_cast<std::size_t>(windows.n), members = stream.members.size();
  std::vector<float> of_members(n * members);  // [members][n]
  for (std::size_t m = 0; m < members; ++m) {
    const Architecture& architecture = stream.members[m].architecture;
    Engine& engine = *impl_->sets[0][m];
    if (windows.on_gpu) engine.adopt(batch);
    infer(engine, architecture, batch, std::span(of_members).subspan(m * n, n));
  }
  if (impl_->model.members.empty()) return of_members;
  std::vector<float> logits(n), one(members);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t m = 0; m < members; ++m) one[m] = of_members[m * n + i];
    logits[i] = combine(impl_->model, one).logit;
  }
  return logits;
}

float Detector::score(float logit) const { return impl_->score(logit); }

View Detector::view() const { return impl_->stream.presentation.view; }
std::vector<std::string> Detector::deliveries() const { return names_of(impl_->stream.presentation.deliveries); }
std::vector<std::string> Detector::deliveries_when_stable() const { return names_of(impl_->stream.stable_deliveries); }
float Detector::threshold() const { return impl_->threshold; }
std::string Detector::verdict_meaning() const { return impl_->verdict_meaning; }
std::size_t Detector::feature_count() const {
  std::size_t count = 0;
  for (const Member& member : impl_->stream.members)
    count += static_cast<std::size_t>(lfm::feature_count(member.architecture));
  return count;
}
std::vector<std::string> Detector::members() const {
  std::vector<std::string> names;
  for (std::size_t m = 0; m < members_of(impl_->model).size(); ++m) names.push_back(member_name(impl_->model, m));
  return names;
}
std::string Detector::description() const {
  std::string all;
  for (const EngineSet& set : impl_->sets) all += (all.empty() ? "" : " + ") + set[0]->description();
  return all;
}

}  // namespace lfm
