// What the CPU engine promises beyond right numbers: the same bits however the work is split, bounded and exactly
// planned memory.

#include "src/engine/cpu/cpu_engine.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/engine/network.h"
#include "src/model/safetensors.h"
#include "tests/cases/cases.h"
#include "tests/cases/cpu_paths.h"
#include "tests/cases/deviation.h"
#include "tests/cases/fixture.h"
#include "tests/catch.h"
#include "tests/model/random_model.h"

namespace lfm::cpu {
namespace {

std::vector<std::uint8_t> random_pixels(int n, int height, int width, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::uint8_t> pixels(std::size_t{3} * n * height * width);
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
  return pixels;
}

// What BF16 may cost on the reference's weights: the logit, and a feature as a share of the image's largest. Documented
// in docs/lfm-cuda.1 and --help.
constexpr double kBf16Logit = 0.2;
constexpr double kBf16Features = 2e-2;

class CpuEngineTest {
 protected:
  explicit CpuEngineTest(const cases::CpuPath& path) : path_(path) {}

  std::vector<float> features(int threads, const PixelBatch& batch, const Architecture& architecture = {}) const {
    CpuEngine engine(threads, *path_.kernels, *path_.precision);
    engine.load(architecture, model_.values);
    std::vector<float> logits(batch.n), values(static_cast<std::size_t>(batch.n) * feature_count(architecture));
    infer(engine, architecture, batch, logits, values);
    return values;
  }
  const cases::CpuPath& path_;
  const Model model_ = test::random_model({}, 7);
};

TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.SameBitsWhateverTheThreadsAndTheBatch") {
  constexpr int n = 5, height = 75, width = 131;
  const auto pixels = random_pixels(n, height, width, 3);
  const auto one = features(1, {pixels.data(), n, height, width});
  CHECK(features(2, {pixels.data(), n, height, width}) == one);
  CHECK(features(7, {pixels.data(), n, height, width}) == one);
  const std::size_t image = std::size_t{3} * height * width;
  for (std::size_t i = 0; i < n; ++i) {
    const auto alone = features(3, {pixels.data() + i * image, 1, height, width});
    CHECK_MESSAGE(std::equal(alone.begin(), alone.end(), one.begin() + static_cast<std::ptrdiff_t>(i * alone.size())),
                  "image " << i);
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.NativeImagesMatchTheFixtures") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  const TensorFile expected = read_safetensors(cases::fixtures() / "inference.safetensors");
  CpuEngine engine(2, *path_.kernels, *path_.precision);
  const auto weights =
      cases::reference_parameters(read_safetensors(cases::fixtures() / "lfm_official.safetensors"), "");
  engine.load({}, weights);
  const auto head = [&weights](const std::vector<float>& features) {
    const ParameterTable table = parameter_table({});
    const auto weight = parameter(std::span(weights), table, kHeadWeight);
    return std::inner_product(features.begin(), features.end(), weight.begin(),
                              double{parameter(std::span(weights), table, kHeadBias)[0]});
  };
  for (const std::string name : {"astronaut", "coffee", "chelsea", "noise", "odd_size"}) {
    for (const std::string view : {"native", "resize256"}) {
      Image image = read_image(cases::fixtures() / "images" / (name + ".png"));
      if (view == "resize256") image = resize_bilinear(image, 256, 256);
      std::vector<float> logit(1), got(1024);
      infer(engine, {}, {image.rgb.data(), 1, image.height, image.width}, logit, got);
      const auto features = cases::floats(expected, name + "." + view + ".features");
      if (path_.is_bf16()) {
        CHECK(cases::close_to_largest(name + " " + view, got, features, kBf16Features));
        CHECK_THAT_MESSAGE(logit[0], WithinAbs(head(features), kBf16Logit), name << " " << view);
        fmt::print("  {} {}: logit {:.3f}, off by {:.3f}\n", name, view, logit[0], logit[0] - head(features));
      } else {
        CHECK(cases::close_relative(name + " " + view, got, features, 2e-4));
      }
    }
  }
}

/// A fresh network's weights: of the scale that keeps activations' own from block to block.
Model fresh_model(unsigned seed) {
  Model model = test::random_model({}, seed);
  const ParameterTable table = parameter_table({});
  std::mt19937 generator(seed);
  for (int id = 0; id < kParameters; ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f,
                                          fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.1f);
    for (float& value : parameter(std::span(model.values), table, id)) value = noise(generator);
  }
  return model;
}

TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.SmallOddImagesStayNearTheReference") {
  unsigned seed = 40;
  for (const auto& c : cases::kNetworkTests) {
    const Model model = fresh_model(++seed);
    const auto pixels = random_pixels(c.n, c.h, c.w, seed);
    const auto engine = make_reference_engine();
    const std::size_t n = static_cast<std::size_t>(c.n);
    std::vector<float> logits(n), expected_logits(n), got(n * 1024), expected(n * 1024);
    engine->load({}, model.values);
    infer(*engine, {}, {pixels.data(), c.n, c.h, c.w}, expected_logits, expected);
    CpuEngine cpu(2, *path_.kernels, *path_.precision);
    cpu.load({}, model.values);
    infer(cpu, {}, {pixels.data(), c.n, c.h, c.w}, logits, got);
    const std::string what = fmt::format("{}, seed {}", cases::to_string(c), seed);
    CHECK(cases::close_to_largest(what, got, expected, path_.is_bf16() ? kBf16Features : 1e-4));
    CHECK(cases::close_relative(what, logits, expected_logits, path_.is_bf16() ? kBf16Logit : 2e-4));
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.StripsOfALargeImageGiveItsFeatures") {
  constexpr int height = 411, width = 243;
  const auto pixels = random_pixels(1, height, width, 5);
  const PixelBatch batch{pixels.data(), 1, height, width};
  // Of the wavelet's band a value's place depends on the whole picture's size.
  for (const FrontEnd front_end : {FrontEnd::npr, FrontEnd::haar_hh}) {
    Architecture architecture;
    architecture.front_end = front_end;
    const auto whole = features(2, batch, architecture);
    for (const std::int64_t strip_pixels : {width * 48, width * 100, width * 300}) {
      CpuEngine engine(2, *path_.kernels, *path_.precision, strip_pixels);
      engine.load(architecture, model_.values);
      std::vector<float> logit(1), got(whole.size());
      infer(engine, architecture, batch, logit, got);
      CHECK_FALSE(engine.read(Activation::block1).has_value());
      CHECK(cases::close_relative(fmt::format("strips of {} pixels", strip_pixels), got, whole,
                                  path_.is_bf16() ? 2e-3 : 1e-4));
    }
  }
}

// A damaged model must not pass for a scored image: no ReLU, maximum or top-k may hide what is no number.
TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.ADamagedWeightMakesTheLogitNoNumber") {
  const auto pixels = random_pixels(1, 64, 64, 8);
  const ParameterTable table = parameter_table(model_.architecture);
  CpuEngine engine(2, *path_.kernels, *path_.precision);
  for (const int id : {conv_weight(0), conv_bias(0), conv_weight(1), norm_scale(2), conv_weight(3), norm_shift(3),
                       +kProjection, +kHeadWeight}) {
    std::vector<float> values = model_.values;
    parameter(std::span(values), table, id)[7] = std::numeric_limits<float>::quiet_NaN();
    engine.load(model_.architecture, values);
    std::vector<float> logit(1);
    infer(engine, model_.architecture, {pixels.data(), 1, 64, 64}, logit);
    CHECK_MESSAGE(!std::isfinite(logit[0]), table[id].name << ": " << logit[0]);
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuEngineTest, cases::cpu_paths(), "CpuEngineTest.TrainsInFp32WhateverItInfersIn") {
  if (!path_.is_bf16()) SKIP("FP32 itself");
  const auto pixels = random_pixels(2, 64, 64, 6);
  const std::vector<std::uint8_t> labels = {0, 1};
  const auto gradients = [&](const PrecisionKernels& precision) {
    CpuEngine engine(2, *path_.kernels, precision);
    engine.load(model_.architecture, model_.values);
    forward_backward(engine, {{pixels.data(), 2, 64, 64}, labels}, {}, {}, 0.5f, GradientMode::overwrite);
    std::vector<float> read(parameter_table(model_.architecture).trainable_floats);
    engine.training().read_gradients(read);
    return read;
  };
  CHECK(gradients(*path_.precision) == gradients(path_.kernels->fp32));
}

TEST_CASE("CpuEngine.MemoryGrowsWithPixelsAndStaysSmallAtTheCommonSize") {
  CpuEngine engine(2, *supported_kernels().front(), supported_kernels().front()->fp32);
  const auto bytes = [&](int n, int side) {
    return static_cast<double>(engine.plan({n, side, side, PlanMode::inference}).bytes);
  };
  CHECK(bytes(1, 256) < 24e6);
  CHECK(bytes(1, 4096) < 240e6);  // strips: beyond them, the maps alone grow
  CHECK(bytes(8, 256) < 8 * bytes(1, 256));
}

TEST_CASE("CpuEngine.TakesBf16WhereTheProcessorHasIt") {
  const Kernels& kernels = choose_kernels(std::getenv("LFM_CPU"));
  if (has_bf16(kernels)) {
    CHECK(make_cpu_engine(1, Precision::bf16)->description().find("BF16") != std::string::npos);
  } else {
    CHECK_THROWS_AS(make_cpu_engine(1, Precision::bf16), Error);
  }
  for (const Precision precision : {Precision::automatic, Precision::fp32}) {
    CHECK(make_cpu_engine(1, precision)->description().find("BF16") == std::string::npos);
  }
  CHECK_THROWS_AS(make_cpu_engine(1, Precision::fp16), Error);
}

TEST_CASE("CpuEngine.RefusesABatchItHasNoRoomFor") {
  CpuEngine engine(1, *supported_kernels().front(), supported_kernels().front()->fp32);
  engine.load({}, test::random_model({}, 1).values);
  engine.reserve({1, 64, 64, PlanMode::inference});
  const auto pixels = random_pixels(2, 64, 96, 1);
  CHECK_THROWS_AS(infer_pass(engine, {pixels.data(), 2, 64, 64}, {}), Error);
  CHECK_THROWS_AS(infer_pass(engine, {pixels.data(), 1, 64, 96}, {}), Error);
}

}  // namespace
}  // namespace lfm::cpu
