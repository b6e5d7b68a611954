// How far the tensor-core precisions lie from FP32. Derivation of the limit: rounding to a significand whose unit
// roundoff is u moves an activation or a weight by at most u of itself, independently of the others. So a sum of
// products moves by about u times the root of the sum of its squared terms, less than u times the typical size of what
// it sums; each of the four convolutions and the projection adds as much again (weights and activations: a factor of
// sqrt(2)), hence about sqrt(2 * 5) u = 3.2 u of the size of the terms that the maps' values sum. Of 1024 features the
// worst lies several times as far out, and a feature is the smaller the more its terms cancel: its limit is 32 u times
// the larger of 1 and the feature. The logit sums the features, whose errors cancel in part: 16 u. Trained weights keep
// both small beside the logit: 4 u of it. All of it scales with u: fp16 and tf32 share limits, bf16's are eight times
// as wide.

#include "src/engine/precision.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lfm/image.h"
#include "src/engine/network.h"
#include "src/model/initialise.h"
#include "src/model/safetensors.h"
#include "tests/cases/cases.h"
#include "tests/cases/deviation.h"
#include "tests/cases/device_under_test.h"
#include "tests/cases/fixture.h"
#include "tests/cases/random_network.h"
#include "tests/catch.h"

namespace lfm {
namespace {

// In unit roundoffs.
constexpr double kFeatureLimit = 32, kLogitLimit = 16, kTrainedLogitLimit = 4;

double unit_roundoff(Precision precision) { return precision == Precision::bf16 ? 0x1p-8 : 0x1p-11; }

constexpr Precision kTensorCores[] = {Precision::fp16, Precision::bf16, Precision::tf32};

class PrecisionTest {
 protected:
  explicit PrecisionTest(Precision precision) : precision_(precision) {
    cases::skip_unless_device_runs(precision);
#if defined(LFM_TARGET_EMULATED)
    engine_ = make_emulated_engine(precision);
#else
    engine_ = make_cuda_engine(0, precision);
#endif
  }
  double limit(double roundoffs) const { return roundoffs * unit_roundoff(precision_); }

  Precision precision_;
  std::unique_ptr<Engine> engine_;
};

TEST_CASE_METHOD_FOR_EACH(PrecisionTest, kTensorCores, "PrecisionTest.RandomNetworksOnOddImages") {
  const auto reference = make_reference_engine();
  for (std::size_t i = 0; i < cases::kNetworkTests.size(); ++i) {
    const auto& c = cases::kNetworkTests[i];
    const auto network = cases::random_network(c, static_cast<unsigned>(i));
    Architecture architecture;
    architecture.front_end = i + 1 < cases::kNetworkTests.size() ? FrontEnd::npr : FrontEnd::haar_hh;
    engine_->load(architecture, network.values);
    reference->load(architecture, network.values);
    const PixelBatch batch{network.pixels.data(), c.n, c.h, c.w};
    const std::size_t n = static_cast<std::size_t>(c.n);
    std::vector<float> got(n), got_features(n * 1024), expected(n), expected_features(n * 1024);
    infer(*engine_, architecture, batch, got, got_features);
    infer(*reference, architecture, batch, expected, expected_features);
    CHECK(cases::close_relative("logits " + to_string(c), got, expected, limit(kLogitLimit)));
    CHECK(cases::close_relative("features " + to_string(c), got_features, expected_features, limit(kFeatureLimit)));
  }
}

/// Stages given to libraries: on a GPU to cuDNN and cuBLAS, emulated to what stands in for them.
struct LibraryCase {
  const char* kernels;
  Precision precision;
};
constexpr LibraryCase kLibraryCases[] = {
    {"cudnn", Precision::fp32},
    {"cublas", Precision::fp32},
    {"block2=cublas,block3=cudnn,projection=cublas", Precision::fp32},
    {"cudnn", Precision::fp16},
    {"cublas", Precision::fp16},
    {"block3=cudnn,head=cublas", Precision::fp16},
    {"block2=cudnn,projection=cublas", Precision::bf16},
    {"block3=cublas,block4=cudnn", Precision::tf32},
};
std::string case_name(const LibraryCase& c) { return std::string(precision_name(c.precision)) + " " + c.kernels; }

TEST_CASE_FOR_EACH(const LibraryCase& c, kLibraryCases, "PrecisionTest.StagesOfLibraries") {
  cases::skip_unless_device_runs(c.precision);
  const Providers providers = parse_providers(c.kernels);
#if defined(LFM_TARGET_EMULATED)
  const auto engine = make_emulated_engine(c.precision, {}, Precision::fp32, providers);
#else
  std::unique_ptr<Engine> engine;
  try {
    engine = make_cuda_engine(0, c.precision, {}, Precision::fp32, providers);
  } catch (const Error& error) {
    if (std::getenv("LFM_REQUIRE") && std::string(std::getenv("LFM_REQUIRE")).find("libraries") != std::string::npos)
      throw;
    SKIP(error.what());
  }
#endif
  const auto reference = make_reference_engine();
  const double unit = c.precision == Precision::fp32 ? 2e-4 / kFeatureLimit : unit_roundoff(c.precision);
  constexpr unsigned kNetwork = 2;  // of those above
  const cases::NetworkCase& sizes = cases::kNetworkTests[kNetwork];
  const auto network = cases::random_network(sizes, kNetwork);
  // A pass of fewer images than there is room for has calls of its own; the last comes as a graph. A top-k model's head
  // is ours with the pooling, an average's is a kernel by itself.
  const std::pair<Pooling, std::vector<int>> passes[] = {{Pooling::topk, {2, 1, 2}}, {Pooling::average, {2}}};
  for (const auto& [pooling, counts] : passes) {
    Architecture architecture;
    architecture.pooling = pooling;
    if (pooling == Pooling::average) architecture.k = 1;
    const std::vector<float> values = pooling == Pooling::topk ? network.values : initial_values(architecture, 5);
    engine->load(architecture, values);
    reference->load(architecture, values);
    const auto pass = [&](Engine& any, int n) {
      const auto count = static_cast<std::size_t>(n);
      std::vector<float> logits(count), features(count * static_cast<std::size_t>(feature_count(architecture)));
      infer(any, architecture, {network.pixels.data(), n, sizes.h, sizes.w}, logits, features);
      return std::pair(logits, features);
    };
    const auto expected = pass(*reference, sizes.n);
    for (const int n : counts) {
      const auto got = pass(*engine, n);
      const auto first = [](const std::vector<float>& all, std::size_t count) {
        return std::vector<float>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
      };
      CHECK(cases::close_relative("logits", got.first, first(expected.first, got.first.size()), unit * kLogitLimit));
      CHECK(cases::close_relative("features", got.second, first(expected.second, got.second.size()),
                                  unit * kFeatureLimit));
    }
  }
  CHECK(engine->computed_by(stage_of(StageKind::pooling)).empty());
  CHECK_THAT(engine->description(), ContainsSubstring(" by cu"));
}

TEST_CASE_METHOD_FOR_EACH(PrecisionTest, kTensorCores, "PrecisionTest.OfficialWeightsOnAPhotograph") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  engine_->load({}, cases::reference_parameters(read_safetensors(cases::fixtures() / "lfm_official.safetensors"), ""));
  std::ifstream file(cases::fixtures() / "inference.json");
  for (const auto& record : nlohmann::json::parse(file)) {
    if (record["mode"] != "resize256" || record["image"] != "chelsea") continue;
    const std::string name = record["image"];
    const Image image = resize_bilinear(read_image(cases::fixtures() / "images" / (name + ".png")), 256, 256);
    std::vector<float> logit(1);
    infer(*engine_, {}, {image.rgb.data(), 1, image.height, image.width}, logit);
    CHECK(cases::close_relative(name + " logit", logit, {record["logit"].get<float>()}, limit(kTrainedLogitLimit)));
  }
}

}  // namespace
}  // namespace lfm
