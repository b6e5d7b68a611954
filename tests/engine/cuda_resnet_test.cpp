// The CUDA engine with the ResNet trunk, on the emulated device or on a GPU: every part that goes with it against the
// reference, passes under way, graphs, plans, refusals. The rivals' fixtures are in parity_inference_test.

#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "lfm/error.h"
#include "src/engine/network.h"
#include "src/model/front_end.h"
#include "src/model/initialise.h"
#include "tests/cases/deviation.h"
#include "tests/cases/error_bound.h"
#include "tests/engine/engine_under_test.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/memory_limit.h"
#endif

namespace lfm {
namespace {

using CudaResnetTest = CudaEngineTest;

constexpr int kHeight = 49, kWidth = 58;
constexpr std::size_t kImageBytes = std::size_t{3} * kHeight * kWidth;
constexpr Precision kTensorCores[] = {Precision::fp16, Precision::bf16, Precision::tf32};
constexpr Architecture kTopK = {Pooling::topk, 3, FrontEnd::npr, Trunk::resnet, Head::softmax};

std::vector<std::uint8_t> random_pixels(int images, unsigned seed) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(images) * kImageBytes);
  std::mt19937 random(seed);
  for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
  return pixels;
}

PixelBatch batch_of(const std::vector<std::uint8_t>& pixels, int first, int n) {
  return {pixels.data() + static_cast<std::size_t>(first) * kImageBytes, n, kHeight, kWidth};
}

std::vector<float> logits_of(Engine& engine, const PixelBatch& batch) {
  std::vector<float> logits(static_cast<std::size_t>(batch.n));
  infer(engine, engine.architecture(), batch, logits);
  return logits;
}

// Every residual with every pooling; heads and normalisations in turn.
TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.EveryNetworkAgreesWithTheReference") {
  const auto pixels = random_pixels(2, 1);
  const auto reference = make_reference_engine();
  auto engine = engine_under_test();
  unsigned seed = 0;
  for (const FrontEndRow& row : front_ends()) {
    for (const Pooling pooling : {Pooling::average, Pooling::topk}) {
      Architecture architecture = pooling == Pooling::topk ? kTopK : kNprNetwork;
      architecture.front_end = row.kind;
      if (row.kind == FrontEnd::haar_hh) architecture.normalisation = Normalisation::unit;
      INFO(row.word << (pooling == Pooling::topk ? ", top-k" : ", average"));
      const std::vector<float> values = initial_values(architecture, ++seed);
      const auto pass = [&](Engine& any) {
        any.load(architecture, values);
        std::vector<float> all(2), features(2 * static_cast<std::size_t>(feature_count(architecture)));
        infer(any, architecture, batch_of(pixels, 0, 2), all, features);
        all.insert(all.end(), features.begin(), features.end());
        return all;
      };
      CHECK(cases::close_relative("logits and features", pass(engine), pass(*reference), 1e-5));
    }
  }
}

// The limits of precision_test, derived there, for 24 convolutions in place of five: they grow with the root.
TEST_CASE_FOR_EACH(const Precision precision, kTensorCores, "CudaResnetTest.TensorCoresKeepTheirPrecision") {
  cases::skip_unless_device_runs(precision);
  const double unit = precision == Precision::bf16 ? cases::kRoundoffBf16 : cases::kRoundoffFp16;
  const double deeper = std::sqrt(static_cast<double>(kTrunkConvolutions.size()) / 5);
  const auto pixels = random_pixels(2, 11);
  const auto reference = make_reference_engine();
  auto engine = engine_under_test(0, precision);
  for (const Architecture& architecture : {kSafeNetwork, kTopK}) {
    const std::vector<float> values = initial_values(architecture, 11);
    const auto pass = [&](Engine& any) {
      any.load(architecture, values);
      std::vector<float> logits(2), features(2 * static_cast<std::size_t>(feature_count(architecture)));
      infer(any, architecture, batch_of(pixels, 0, 2), logits, features);
      return std::pair(logits, features);
    };
    const auto got = pass(engine), want = pass(*reference);
    CHECK(cases::close_relative("logits", got.first, want.first, 16 * deeper * unit));
    CHECK(cases::close_relative("features", got.second, want.second, 32 * deeper * unit));
  }
  // Whatever the batch, the same bits.
  const auto both = logits_of(engine, batch_of(pixels, 0, 2));
  CHECK(logits_of(engine, batch_of(pixels, 1, 1))[0] == both[1]);
}

// Passes follow each other without a wait, the second time as a graph: each one's logits are its own, and those of the
// image alone, whatever turns the streams take.
TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.PassesInFlightDoNotMix") {
  constexpr int images = 3;
  const auto pixels = random_pixels(images, 2);
  const std::vector<float> values = initial_values(kTopK, 2);
  auto together = engine_under_test();
  together.load(kTopK, values);
  const auto want = logits_of(together, batch_of(pixels, 0, images));
  for (int seed = 1; seed < 3; ++seed) {
    INFO("stream order of seed " << seed);
    auto engine = engine_under_test(seed);
    engine.load(kTopK, values);
    engine.reserve({1, kHeight, kWidth});
    std::vector<float> logits(2 * images, -1.0f);
    for (int i = 0; i < 2 * images; ++i) {
      infer_pass(engine, batch_of(pixels, i % images, 1), std::span(logits).subspan(static_cast<std::size_t>(i), 1));
    }
    engine.wait(0);
    for (int i = 0; i < 2 * images; ++i)
      CHECK_MESSAGE(logits[static_cast<std::size_t>(i)] == want[static_cast<std::size_t>(i % images)], "pass " << i);
  }
}

TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.ReadsWhatTheLastPassComputed") {
  auto engine = engine_under_test();
  engine.load(kSafeNetwork, initial_values(kSafeNetwork, 4));
  engine.reserve({2, kHeight, kWidth});
  CHECK(engine.read(Activation::maps) == std::nullopt);
  logits_of(engine, batch_of(random_pixels(1, 4), 0, 1));  // fits the room for two
  for (const auto& [activation, floats] : {std::pair{Activation::block1, 13 * 15 * 64},
                                           {Activation::block2, 13 * 15 * 256},
                                           {Activation::maps, 7 * 8 * 512},
                                           {Activation::features, 512}}) {
    const auto values = engine.read(activation);
    REQUIRE(values);
    CHECK(values->size() == static_cast<std::size_t>(floats));
    CHECK(std::none_of(values->begin(), values->end(), [](float v) { return std::isnan(v); }));
  }
  for (const Activation activation : {Activation::block3, Activation::block4, Activation::grad_maps})
    CHECK(engine.read(activation) == std::nullopt);
}

TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.MarksTellTheTimeOfEachStage") {
  auto engine = engine_under_test();
  engine.load(kNprNetwork, initial_values(kNprNetwork, 5));
  engine.reserve({1, kHeight, kWidth});
  const auto pixels = random_pixels(1, 5);
  std::vector<float> logits(1);
  infer_pass(engine, batch_of(pixels, 0, 1), logits, [&](int stage) { engine.mark(static_cast<std::size_t>(stage)); });
  const std::vector<ObservedStage> stages = inference_stages(kNprNetwork);
  for (std::size_t stage = 0; stage < stages.size(); ++stage)
    CHECK_MESSAGE(engine.milliseconds_between(stage, stage + 1) > 0, stages[stage].name);
  engine.wait(0);
}

TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.NotANumberReachesTheLogit") {
  const auto pixels = random_pixels(1, 6);
  const ParameterTable table = parameter_table(kNprNetwork);
  auto engine = engine_under_test();
  for (const int id :
       {trunk_weight(0), trunk_shift(3), trunk_variance(trunk_convolution_count() - 1), table.head_bias()}) {
    std::vector<float> values = initial_values(kNprNetwork, 6);
    values[table[id].offset] = std::nanf("");
    engine.load(kNprNetwork, values);
    CHECK_MESSAGE(std::isnan(logits_of(engine, batch_of(pixels, 0, 1))[0]), table[id].name);
  }
}

// Another model, and another size of images, after the first: nothing is left of it.
TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.GoesFromTrunkToTrunk") {
  const auto pixels = random_pixels(1, 7);
  auto engine = engine_under_test(), fresh = engine_under_test();
  const std::vector<float> snet = initial_values({}, 7), resnet = initial_values(kNprNetwork, 7);
  fresh.load(kNprNetwork, resnet);
  const auto want = logits_of(fresh, batch_of(pixels, 0, 1));
  engine.load({}, snet);
  const auto first = logits_of(engine, batch_of(pixels, 0, 1));
  engine.load(kNprNetwork, resnet);
  CHECK(logits_of(engine, batch_of(pixels, 0, 1)) == want);
  engine.load({}, snet);
  CHECK(logits_of(engine, batch_of(pixels, 0, 1)) == first);
}

#if defined(LFM_TARGET_EMULATED)
TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.WithoutRoomForTheBatchHalvesIt") {
  const auto pixels = random_pixels(4, 8);
  const std::vector<float> values = initial_values(kSafeNetwork, 8);
  std::vector<std::string> notes;
  auto roomy = engine_under_test(),
       engine = engine_under_test(0, Precision::fp32, [&](const std::string&note) { notes.push_back(note); });
  roomy.load(kSafeNetwork, values);
  engine.load(kSafeNetwork, values);
  const auto want = logits_of(roomy, batch_of(pixels, 0, 4));
  const simt::ScopedMemoryLimit limit(engine.plan({2, kHeight, kWidth}).bytes);
  CHECK(logits_of(engine, batch_of(pixels, 0, 4)) == want);
  REQUIRE(notes.size() == 1u);
  CHECK_THAT(notes[0], ContainsSubstring("going on with batches of 2"));
}
#endif

TEST_CASE("CudaResnetPlan.RegionsFollowEachOtherAndAreAligned") {
  const InferencePlan plan = plan_inference(kSafeNetwork, 3, 256, 203);
  std::size_t end = 0;
  for (const Region& region : plan.arena.regions) {
    CHECK_MESSAGE(region.offset % 256 == 0u, region.name);
    CHECK_MESSAGE(region.offset >= end, region.name);
    end = region.offset + region.bytes();
  }
  CHECK(end <= plan.arena.bytes);
  CHECK_THAT(plan.resnet.stem.shape, test::ElementsAre(3, 64, 51, 64));
  CHECK_THAT(plan.resnet.layer1.shape, test::ElementsAre(3, 64, 51, 256));
  CHECK_THAT(plan.resnet.layer2.shape, test::ElementsAre(3, 32, 26, 512));
  CHECK_THAT(plan.resnet.reduced.shape, test::ElementsAre(3, 64, 51, 128));  // of layer2.0
  CHECK_THAT(plan.resnet.spatial.shape, test::ElementsAre(3, 64, 51, 64));   // of layer1
  CHECK_THAT(plan.maps.shape, test::ElementsAre(3, 512, 32, 26));
  CHECK(plan.blocks[0].bytes() == 0u);
}

TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.ChunksFitTheirBudgetButHoldAnImage") {
  auto engine = engine_under_test();
  engine.load(kNprNetwork, initial_values(kNprNetwork, 9));
  CHECK(engine.chunk(kHeight, kWidth) >= 48);
  CHECK(engine.chunk(8000, 8000) == 1);
  const int chunk = engine.chunk(512, 512);
  CHECK(engine.plan({chunk, 512, 512}).bytes <= std::size_t{1} << 30);
  CHECK(engine.plan({2 * chunk, 512, 512}).bytes > std::size_t{1} << 30);
}

TEST_CASE_METHOD(CudaResnetTest, "CudaResnetTest.Refusals") {
  const auto refusal = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  auto engine = engine_under_test();
  const std::vector<float> values = initial_values(kNprNetwork, 10);
  engine.load(kNprNetwork, values);
  Architecture wide = kTopK;
  wide.k = 129;
  CHECK_THAT(refusal([&] { engine.load(wide, initial_values(wide, 1)); }), ContainsSubstring("k = 129"));
#if defined(LFM_TARGET_EMULATED)
  const auto with_libraries = make_emulated_engine(Precision::fp32, {}, Precision::fp32, everywhere(Provider::cublas));
  CHECK_THAT(refusal([&] { with_libraries->load(kNprNetwork, values); }), ContainsSubstring("leave out --kernels"));
#endif
}

}  // namespace
}  // namespace lfm
