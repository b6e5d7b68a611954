// The CUDA engine's runtime on the emulated device: streams that take turns in any order, batches in flight, arenas, refusals.
// What it computes is compared with the reference engine in against_reference_test and with the fixtures in parity_inference_test.
#include "src/engine/cuda/cuda_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/network.h"
#include "tests/cases/deviation.h"

namespace lfm {
namespace {

using ::testing::ElementsAre;

constexpr int kSide = 48;
constexpr std::size_t kImageBytes = std::size_t{3} * kSide * kSide;

std::vector<float> random_parameters(const Architecture& architecture, unsigned seed) {
  const ParameterTable table = parameter_table(architecture);
  std::vector<float> values(table.total_floats);
  std::mt19937 random(seed);
  for (int id = 0; id < kParameters; ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f, fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.1f);
    for (float& v : parameter(std::span(values), table, id)) v = noise(random);
  }
  return values;
}

std::vector<std::uint8_t> random_pixels(int images, unsigned seed) {
  std::vector<std::uint8_t> pixels(images * kImageBytes);
  std::mt19937 random(seed);
  for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
  return pixels;
}

PixelBatch batch_of(const std::vector<std::uint8_t>& pixels, int first, int n) {
  return {pixels.data() + first * kImageBytes, n, kSide, kSide};
}

std::vector<float> logits_of(Engine& engine, const PixelBatch& batch) {
  std::vector<float> logits(static_cast<std::size_t>(batch.n));
  infer(engine, {}, batch, logits);
  return logits;
}

TEST(CudaEngine, ImagesDoNotDependOnTheirBatch) {
  const auto pixels = random_pixels(3, 1);
  CudaEngine engine(0, "emulated");
  engine.load({}, random_parameters({}, 1));
  const auto together = logits_of(engine, batch_of(pixels, 0, 3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(logits_of(engine, batch_of(pixels, i, 1))[0], together[i]) << "image " << i;
}

// Three batches enter before anything is waited for, so both upload slots are in use and one is used again; whatever the order in
// which the streams take turns, the first batch, which has gone on to block 2, and the last must each be what they are alone.
TEST(CudaEngine, BatchesInFlightDoNotMix) {
  const auto pixels = random_pixels(3, 2);
  const auto parameters = random_parameters({}, 2);
  CudaEngine alone(0, "emulated");
  alone.load({}, parameters);
  alone.reserve({1, kSide, kSide});
  alone.infer_first_block(batch_of(pixels, 0, 1));
  alone.infer_block(1);
  const auto first_block2 = *alone.read(Activation::block2);
  alone.infer_first_block(batch_of(pixels, 2, 1));
  const auto last_block1 = *alone.read(Activation::block1);

  for (int seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("stream order of seed " + std::to_string(seed));
    CudaEngine engine(seed, "emulated");
    engine.load({}, parameters);
    engine.reserve({1, kSide, kSide});
    for (int i = 0; i < 3; ++i) {
      auto passing = pixels;  // the caller's memory may change as soon as the call returns
      engine.infer_first_block(batch_of(passing, i, 1));
      std::fill(passing.begin(), passing.end(), std::uint8_t{0});
      if (i == 0) engine.infer_block(1);
    }
    ASSERT_EQ(*engine.read(Activation::block2), first_block2);
    ASSERT_EQ(*engine.read(Activation::block1), last_block1);
  }
}

TEST(CudaEngine, AveragePoolingAgreesWithTheReference) {
  const Architecture architecture{Pooling::average, 1};
  const auto pixels = random_pixels(2, 3);
  const auto parameters = random_parameters(architecture, 3);
  CudaEngine engine(0, "emulated");
  const auto reference = make_reference_engine();
  std::vector<float> got(2), want(2);
  for (auto [e, logits] : {std::pair<Engine*, std::vector<float>*>{&engine, &got}, {reference.get(), &want}}) {
    e->load(architecture, parameters);
    infer(*e, architecture, batch_of(pixels, 0, 2), *logits);
  }
  EXPECT_TRUE(cases::close_relative("logits", got, want, 2e-4));
}

TEST(CudaEngine, ReadsWhatTheLastPassComputed) {
  CudaEngine engine(0, "emulated");
  EXPECT_EQ(engine.read(Activation::block1), std::nullopt);
  engine.load({}, random_parameters({}, 4));
  engine.reserve({2, kSide, kSide});
  EXPECT_EQ(engine.read(Activation::maps), std::nullopt);
  logits_of(engine, batch_of(random_pixels(1, 4), 0, 1));  // fits the room for two
  const NetworkShape shape = network_shape({}, kSide, kSide);
  for (int b = 0; b < kBlocks; ++b) {
    const auto values = engine.read(static_cast<Activation>(static_cast<int>(Activation::block1) + b));
    ASSERT_TRUE(values);
    EXPECT_EQ(values->size(), static_cast<std::size_t>(shape.out[b].area()) * kChannels[b + 1]);
  }
  EXPECT_EQ(engine.read(Activation::maps)->size(), static_cast<std::size_t>(shape.maps().area()) * kMapChannels);
  EXPECT_EQ(engine.read(Activation::features)->size(), 1024u);
  EXPECT_EQ(engine.read(Activation::grad_maps), std::nullopt);
}

TEST(CudaEngine, Refusals) {
  CudaEngine engine(0, "emulated");
  EXPECT_THROW(engine.load({}, std::vector<float>(5)), Error);
  const Architecture wide{Pooling::topk, 129};
  EXPECT_THROW(engine.load(wide, random_parameters(wide, 5)), Error);
  engine.load({}, random_parameters({}, 5));
  const auto pixels = random_pixels(2, 5);
  EXPECT_THROW(engine.infer_first_block(batch_of(pixels, 0, 1)), Error) << "nothing is reserved";
  engine.reserve({1, kSide, kSide});
  EXPECT_THROW(engine.infer_first_block(batch_of(pixels, 0, 2)), Error) << "more than reserved";
  EXPECT_THROW(engine.reserve({1, kSide - 1, kSide}), Error) << "too small an image";
}

TEST(CudaPlan, RegionsFollowEachOtherAndAreAligned) {
  const InferencePlan plan = plan_inference({}, 3, 49, 63);
  const Region regions[] = {plan.pixels[0], plan.pixels[1], plan.blocks[0], plan.blocks[1], plan.blocks[2],
                            plan.blocks[3], plan.maps,      plan.features,  plan.logits};
  std::size_t end = 0;
  for (const Region& region : regions) {
    EXPECT_EQ(region.offset % 256, 0u) << region.name;
    EXPECT_GE(region.offset, end) << region.name;
    end = region.offset + region.bytes();
  }
  EXPECT_LE(end, plan.bytes);
  EXPECT_THAT(plan.blocks[0].shape, ElementsAre(3, 23, 30, 64));
  EXPECT_THAT(plan.blocks[3].shape, ElementsAre(3, 4, 5, 512));
  EXPECT_EQ(CudaEngine(0, "emulated").arena_bytes({3, 49, 63}), plan.bytes);
}

TEST(CudaEngine, ChunksFitTheirBudgetButHoldAnImage) {
  const CudaEngine engine(0, "emulated");
  EXPECT_EQ(engine.inference_chunk(kSide, kSide), 256);
  EXPECT_EQ(engine.inference_chunk(8000, 8000), 1);
  const int chunk = engine.inference_chunk(256, 256);
  EXPECT_LE(engine.arena_bytes({chunk, 256, 256}), std::size_t{1} << 30);
  EXPECT_GT(engine.arena_bytes({chunk + 2, 256, 256}), std::size_t{1} << 30);
}

TEST(CudaPack, TransposesWeightsAndActivations) {
  const std::vector<float> weight = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};  // [oc 2][ic 3][taps 2]
  EXPECT_THAT(pack_weight(weight, 2, 3, 2), ElementsAre(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11));
  EXPECT_THAT(channels_first(weight, 2, 2, 3), ElementsAre(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11));
}

TEST(CudaDevices, AreListedOrTheReasonIsGiven) {
  const CudaDevices found = cuda_devices();
  EXPECT_NE(found.devices.empty(), found.reason.empty()) << found.reason;
#if defined(LFM_HAVE_CUDA)
  EXPECT_THROW(make_cuda_engine(1000), Error);
#endif
}

}  // namespace
}  // namespace lfm
