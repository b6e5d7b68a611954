// The CUDA engine's runtime, on the emulated device or on a GPU: streams that take turns in any order, batches in
// flight, arenas, refusals. What it computes is compared with the reference engine in against_reference_test and with
// the fixtures in parity_inference_test.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/network.h"
#include "tests/cases/deviation.h"
#include "tests/cases/error_bound.h"
#include "tests/engine/engine_under_test.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/memory_limit.h"
#include "tests/catch.h"
#endif

namespace lfm {
namespace {

constexpr int kSide = 48;
constexpr std::size_t kImageBytes = std::size_t{3} * kSide * kSide;

std::vector<float> random_parameters(const Architecture& architecture, unsigned seed) {
  const ParameterTable table = parameter_table(architecture);
  std::vector<float> values(table.total_floats);
  std::mt19937 random(seed);
  for (int id = 0; id < kParameters; ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f,
                                          fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.1f);
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

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.ImagesDoNotDependOnTheirBatch") {
  const auto pixels = random_pixels(3, 1);
  auto engine = engine_under_test();
  engine.load({}, random_parameters({}, 1));
  const auto together = logits_of(engine, batch_of(pixels, 0, 3));
  for (int i = 0; i < 3; ++i) CHECK_MESSAGE(logits_of(engine, batch_of(pixels, i, 1))[0] == together[i], "image " << i);
}

// Three batches enter before anything is waited for, so both upload slots are in use and one is used again; whatever
// the order in which the streams take turns, the first batch, which has gone on to block 2, and the last must each be
// what they are alone.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.BatchesInFlightDoNotMix") {
  const auto pixels = random_pixels(3, 2);
  const auto parameters = random_parameters({}, 2);
  auto alone = engine_under_test();
  alone.load({}, parameters);
  alone.reserve({1, kSide, kSide});
  alone.begin(batch_of(pixels, 0, 1));
  alone.run(block_stage(0));
  alone.run(block_stage(1));
  const auto first_block2 = *alone.read(Activation::block2);
  alone.begin(batch_of(pixels, 2, 1));
  alone.run(block_stage(0));
  const auto last_block1 = *alone.read(Activation::block1);

  for (int seed = 0; seed < 12; ++seed) {
    INFO("stream order of seed " + std::to_string(seed));
    auto engine = engine_under_test(seed);
    engine.load({}, parameters);
    engine.reserve({1, kSide, kSide});
    for (int i = 0; i < 3; ++i) {
      auto passing = pixels;  // the caller's memory may change as soon as the call returns
      engine.begin(batch_of(passing, i, 1));
      engine.run(block_stage(0));
      std::fill(passing.begin(), passing.end(), std::uint8_t{0});
      if (i == 0) engine.run(block_stage(1));
    }
    REQUIRE(*engine.read(Activation::block2) == first_block2);
    REQUIRE(*engine.read(Activation::block1) == last_block1);
  }
}

// Passes follow each other without a wait, as chunks of a large batch do: each one's logits are its own, whatever turns
// the streams take.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.PassesInFlightDoNotMix") {
  constexpr int passes = 3;
  const auto pixels = random_pixels(passes, 6);
  const auto parameters = random_parameters({}, 6);
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    auto alone = engine_under_test(0, precision);
    alone.load({}, parameters);
    std::vector<float> want;
    for (int i = 0; i < passes; ++i) want.push_back(logits_of(alone, batch_of(pixels, i, 1))[0]);
    for (int seed = 1; seed < 3; ++seed) {
      INFO("stream order of seed " + std::to_string(seed));
      auto engine = engine_under_test(seed, precision);
      engine.load({}, parameters);
      engine.reserve({1, kSide, kSide});
      std::vector<float> logits(passes, -1.0f);
      for (int i = 0; i < passes; ++i) {
        infer_pass(engine, batch_of(pixels, i, 1), std::span(logits).subspan(static_cast<std::size_t>(i), 1));
      }
      engine.wait(0);
      CHECK(logits == want);
    }
  }
}

// As benchmarks and detect do it: the next batch is begun before the first is waited for. Pinned pixels are read late:
// whoever overwrites them too early would see it here.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.BatchesThatOverlapDoNotMix") {
  constexpr int batches = 4, images = 3;
  const auto pixels = random_pixels(images + batches, 20);
  const auto parameters = random_parameters({}, 20);
  const Architecture architecture;
  auto alone = engine_under_test(0, Precision::fp16);
  alone.load({}, parameters);
  const auto want = logits_of(alone, batch_of(pixels, 0, images + batches));
  for (const PixelMemory memory : {PixelMemory::host, PixelMemory::pinned}) {
    INFO((memory == PixelMemory::host ? "pageable" : "pinned"));
    auto engine = engine_under_test(7, Precision::fp16);
    engine.load({}, parameters);
    REQUIRE(engine.batches_under_way() == 2);
    const PixelBuffer buffers[] = {engine.host_memory(images * kImageBytes), engine.host_memory(images * kImageBytes)};
    std::vector<std::vector<float>> logits(batches, std::vector<float>(images, -1.0f));
    {
      InferenceQueue queue(engine, architecture);
      for (int i = 0; i < batches; ++i) {
        if (queue.under_way() == 2) queue.finish();  // the batch whose buffer comes next
        std::uint8_t* buffer = buffers[i % 2].get();
        std::copy_n(pixels.data() + i * kImageBytes, images * kImageBytes, buffer);
        queue.begin({buffer, images, kSide, kSide, memory}, logits[static_cast<std::size_t>(i)]);
        if (memory == PixelMemory::host) std::fill_n(buffer, images * kImageBytes, std::uint8_t{0});
      }
      queue.finish();
      CHECK(queue.under_way() == 1);
    }  // waits for the last
    for (int i = 0; i < batches; ++i) {
      CHECK_MESSAGE(
          logits[static_cast<std::size_t>(i)] == std::vector<float>(want.begin() + i, want.begin() + i + images),
          "batch " << i);
    }
  }
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.FinishedLogitsAreThereWhileTheNextBatchIsUnderWay") {
  const auto pixels = random_pixels(2, 21);
  const Architecture architecture;
  auto engine = engine_under_test(3, Precision::fp16);
  engine.load({}, random_parameters({}, 21));
  const auto want = logits_of(engine, batch_of(pixels, 0, 2));
  std::vector<float> first(1, -1.0f), second(1, -1.0f);
  InferenceQueue queue(engine, architecture);
  queue.begin(batch_of(pixels, 0, 1), first);
  CHECK_MESSAGE(first[0] == -1.0f, "nobody has waited");
  queue.begin(batch_of(pixels, 1, 1), second);
  queue.finish();
  CHECK(first[0] == want[0]);
  CHECK(second[0] == -1.0f);
  queue.finish();
  CHECK(second[0] == want[1]);
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.PixelsOnTheDeviceGiveTheSameLogits") {
  const auto pixels = random_pixels(2, 23);
  auto engine = engine_under_test(5, Precision::fp16);
  engine.load({}, random_parameters({}, 23));
  const auto want = logits_of(engine, batch_of(pixels, 0, 2));
  PixelBatch batch = batch_of(pixels, 0, 2);
  const PixelBuffer placed = engine.place(batch);
  batch.pixels = placed.get();
  batch.memory = PixelMemory::device;
  for (int pass = 0; pass < 3; ++pass)
    CHECK_MESSAGE(logits_of(engine, batch) == want, "pass " << pass);  // the second records a graph
  infer_pass(engine, batch, {});                                       // logits stay on the device
  engine.wait(0);
  CHECK(engine.read(Activation::features));
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.MarksTellTheTimeOfEachStage") {
  const auto pixels = random_pixels(1, 24);
  auto engine = engine_under_test(0, Precision::fp16);
  engine.load({}, random_parameters({}, 24));
  const auto want = logits_of(engine, batch_of(pixels, 0, 1));
  std::vector<float> logits(1);
  infer_pass(engine, batch_of(pixels, 0, 1), logits, [&](int stage) { engine.mark(static_cast<std::size_t>(stage)); });
  double all = 0;
  const std::vector<ObservedStage> stages = inference_stages();
  for (std::size_t stage = 0; stage + 1 < stages.size(); ++stage) {  // the head is part of pooling
    const double ms = engine.milliseconds_between(stage, stage + 1);
    CHECK_MESSAGE(ms > 0, stages[stage].name);
    all += ms;
  }
  CHECK(engine.milliseconds_between(0, stages.size()) >= all * 0.999);
  engine.wait(0);
  CHECK_MESSAGE(logits == want, "marks change nothing");
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.GraphsComputeWhatSingleLaunchesDo") {
  const auto pixels = random_pixels(2, 7);
  const auto parameters = random_parameters({}, 7);
  setenv("LFM_CUDA_GRAPHS", "off", 1);
  auto single = engine_under_test(0, Precision::fp16);
  unsetenv("LFM_CUDA_GRAPHS");
  auto engine = engine_under_test(0, Precision::fp16);
  single.load({}, parameters);
  engine.load({}, parameters);
  const auto both = logits_of(single, batch_of(pixels, 0, 2));
  for (const int n : {1, 1, 2, 1, 1}) {  // both slots see one image twice
    CHECK(logits_of(engine, batch_of(pixels, 0, n))[0] == both[0]);
  }
  const auto others = random_parameters({}, 8);
  single.load({}, others);
  engine.load({}, others);
  CHECK_MESSAGE(logits_of(engine, batch_of(pixels, 1, 1)) == logits_of(single, batch_of(pixels, 1, 1)),
                "with other weights");
}

// Both kinds of FP32 are as near to double as FP32 sums of the last convolution's length may be.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.WinogradCanBeSwitchedOff") {
  const auto pixels = random_pixels(2, 14);
  const auto parameters = random_parameters({}, 14);
  auto winograd = engine_under_test();
  setenv("LFM_CUDA_WINOGRAD", "off", 1);
  auto direct = engine_under_test();
  unsetenv("LFM_CUDA_WINOGRAD");
  const auto reference = make_reference_engine();
  std::vector<std::vector<float>> maps;
  for (Engine* engine : {reference.get(), static_cast<Engine*>(&direct), static_cast<Engine*>(&winograd)}) {
    engine->load({}, parameters);
    logits_of(*engine, batch_of(pixels, 0, 2));
    maps.push_back(*engine->inference().read(Activation::maps));
  }
  const double limit = cases::error_bound(cases::kRoundoffFp32, 4.0 * kChannels[kBlocks - 1], 1);
  CHECK(cases::close_to_largest("direct", maps[1], maps[0], limit));
  CHECK(cases::close_to_largest("Winograd", maps[2], maps[0], limit));
  CHECK(maps[1] != maps[2]);
}

// Both sum the same products in FP32, and round what a block gives to FP16.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.WarpgroupsComputeTheSame") {
  const auto pixels = random_pixels(2, 16);
  const auto parameters = random_parameters({}, 16);
  std::vector<std::vector<float>> maps;
  for (const char* wgmma : {"off", "on"}) {
    setenv("LFM_CUDA_WGMMA", wgmma, 1);
    auto engine = engine_under_test(0, Precision::fp16);
    unsetenv("LFM_CUDA_WGMMA");
    engine.load({}, parameters);
    logits_of(engine, batch_of(pixels, 0, 2));
    maps.push_back(*engine.inference().read(Activation::maps));
  }
  CHECK(cases::close_to_largest("warpgroups", maps[1], maps[0], 4 * cases::kRoundoffFp16));
}

// What an image gives does not tell whether its last block was split: neither between engines nor between batches.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.FewImagesSplitGiveTheSameBits") {
  const auto pixels = random_pixels(3, 15);
  const auto parameters = random_parameters({}, 15);
  auto split = engine_under_test(0, Precision::fp16);
  setenv("LFM_CUDA_SPLIT", "off", 1);
  auto whole = engine_under_test(0, Precision::fp16);
  unsetenv("LFM_CUDA_SPLIT");
  CHECK(split.plan({1, kSide, kSide}).bytes > whole.plan({1, kSide, kSide}).bytes);
  for (CudaEngine* engine : {&split, &whole}) engine->load({}, parameters);
  const auto want = logits_of(whole, batch_of(pixels, 0, 3));
  for (const int n : {1, 2, 3})
    CHECK(logits_of(split, batch_of(pixels, 0, n)) == std::vector<float>(want.begin(), want.begin() + n));
}

#if defined(LFM_TARGET_EMULATED)  // whose memory can be made scarce, and is NaN until something is written there

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.WithoutRoomForTheBatchHalvesItAndSaysSo") {
  const auto pixels = random_pixels(5, 9);
  const auto parameters = random_parameters({}, 9);
  std::vector<std::string> notes;
  auto roomy = engine_under_test(),
       engine = engine_under_test(0, Precision::fp32, [&](const std::string&note) { notes.push_back(note); });
  roomy.load({}, parameters);
  engine.load({}, parameters);
  const simt::ScopedMemoryLimit limit(engine.plan({2, kSide, kSide}).bytes);
  CHECK(logits_of(engine, batch_of(pixels, 0, 5)) == [&] {
    const simt::ScopedMemoryLimit none(SIZE_MAX);
    return logits_of(roomy, batch_of(pixels, 0, 5));
  }());
  REQUIRE(notes.size() == 1u);
  CHECK_THAT(notes[0], ContainsSubstring("going on with batches of 2"));
  logits_of(engine, batch_of(pixels, 0, 5));
  CHECK_MESSAGE(notes.size() == 1u, "it is remembered");
  const simt::ScopedMemoryLimit tiny(1000);
  auto hopeless = engine_under_test();
  CHECK_THROWS_AS(hopeless.load({}, parameters), Error);
}

// A batch that finds no room must take nothing from the one under way.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.ABatchThatFailsLeavesTheOneUnderWayAlone") {
  const auto pixels = random_pixels(1, 22);
  const std::vector<std::uint8_t> large(std::size_t{3} * 400 * 400);
  const Architecture architecture;
  auto engine = engine_under_test(0, Precision::fp16);
  engine.load({}, random_parameters({}, 22));
  const auto want = logits_of(engine, batch_of(pixels, 0, 1));
  std::vector<float> first(1, -1.0f), second(1, -1.0f);
  const simt::ScopedMemoryLimit limit(engine.plan({1, kSide, kSide}).bytes);
  InferenceQueue queue(engine, architecture);
  queue.begin(batch_of(pixels, 0, 1), first);
  CHECK_THROWS_AS(queue.begin({large.data(), 1, 400, 400}, second), Error);
  CHECK(queue.under_way() == 1);
  queue.finish();
  CHECK(first == want);
  CHECK(second[0] == -1.0f);
}

// As a benchmark does that times the layers one by one.
TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.LaunchesTheStagesAskedForAlone") {
  const auto pixels = random_pixels(1, 13);
  std::vector<float> logits(1);
  auto engine = engine_under_test(0, Precision::fp16);
  engine.load({}, random_parameters({}, 13));
  engine.reserve({1, kSide, kSide});
  engine.begin(batch_of(pixels, 0, 1));
  engine.run(block_stage(0));
  engine.run(stage_of(StageKind::head));
  engine.end(logits);
  engine.wait(0);
  const auto block1 = *engine.read(Activation::block1), maps = *engine.read(Activation::maps);
  CHECK(std::none_of(block1.begin(), block1.end(), [](float v) { return std::isnan(v); }));
  CHECK(std::all_of(maps.begin(), maps.end(), [](float v) { return std::isnan(v); }));
}

#endif

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.GoesInTheMiddleOfAPass") {
  const auto pixels = random_pixels(1, 10);
  std::vector<float> logits(1);
  auto engine = engine_under_test();
  engine.load({}, random_parameters({}, 10));
  engine.reserve({1, kSide, kSide});
  engine.begin(batch_of(pixels, 0, 1));
  engine.run(block_stage(0));
  engine.run(stage_of(StageKind::head));
  engine.end(logits);
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.NotANumberReachesTheLogit") {
  const auto pixels = random_pixels(1, 11);
  auto parameters = random_parameters({}, 11);
  const ParameterTable table = parameter_table({});
  parameter(std::span(parameters), table, conv_bias(1))[3] = std::nanf("");
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16}) {
    auto engine = engine_under_test(0, precision);
    engine.load({}, parameters);
    CHECK_MESSAGE(std::isnan(logits_of(engine, batch_of(pixels, 0, 1))[0]), static_cast<int>(precision));
  }
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.TensorCoresKeepTheLastBlockOnTheChip") {
  auto engine = engine_under_test(0, Precision::fp16);
  engine.load({}, random_parameters({}, 12));
  logits_of(engine, batch_of(random_pixels(1, 12), 0, 1));
  CHECK(engine.read(Activation::block3));
  CHECK(engine.read(Activation::block4) == std::nullopt);
  const auto fp32 = engine_under_test();
  constexpr int n = 32;  // more than are split, whose sums do go through memory, on any GPU of today
  CHECK(2 * engine.plan({n, 256, 256}).bytes < fp32.plan({n, 256, 256}).bytes + std::size_t{n} * 4 * 3 * 256 * 256);
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.AveragePoolingAgreesWithTheReference") {
  const Architecture architecture{Pooling::average, 1};
  const auto pixels = random_pixels(2, 3);
  const auto parameters = random_parameters(architecture, 3);
  auto engine = engine_under_test();
  const auto reference = make_reference_engine();
  std::vector<float> got(2), want(2);
  for (auto [e, logits] : {std::pair<Engine*, std::vector<float>*>{&engine, &got}, {reference.get(), &want}}) {
    e->load(architecture, parameters);
    infer(*e, architecture, batch_of(pixels, 0, 2), *logits);
  }
  CHECK(cases::close_relative("logits", got, want, 2e-4));
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.ReadsWhatTheLastPassComputed") {
  auto engine = engine_under_test();
  CHECK(engine.read(Activation::block1) == std::nullopt);
  engine.load({}, random_parameters({}, 4));
  engine.reserve({2, kSide, kSide});
  CHECK(engine.read(Activation::maps) == std::nullopt);
  logits_of(engine, batch_of(random_pixels(1, 4), 0, 1));  // fits the room for two
  const NetworkShape shape = network_shape({}, kSide, kSide);
  for (int b = 0; b < kBlocks; ++b) {
    const auto values = engine.read(static_cast<Activation>(static_cast<int>(Activation::block1) + b));
    REQUIRE(values);
    CHECK(values->size() == static_cast<std::size_t>(shape.out[b].area()) * kChannels[b + 1]);
  }
  CHECK(engine.read(Activation::maps)->size() == static_cast<std::size_t>(shape.maps().area()) * kMapChannels);
  CHECK(engine.read(Activation::features)->size() == 1024u);
  CHECK(engine.read(Activation::grad_maps) == std::nullopt);
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.Refusals") {
  auto engine = engine_under_test();
  CHECK_THROWS_AS(engine.load({}, std::vector<float>(5)), Error);
  const Architecture wide{Pooling::topk, 129};
  CHECK_THROWS_AS(engine.load(wide, random_parameters(wide, 5)), Error);
  engine.load({}, random_parameters({}, 5));
  const auto pixels = random_pixels(2, 5);
  {
    INFO("nothing is reserved");
    CHECK_THROWS_AS(infer_pass(engine, batch_of(pixels, 0, 1), {}), Error);
  }
  engine.reserve({1, kSide, kSide});
  {
    INFO("more than reserved");
    CHECK_THROWS_AS(infer_pass(engine, batch_of(pixels, 0, 2), {}), Error);
  }
  {
    INFO("too small an image");
    CHECK_THROWS_AS(engine.reserve({1, kSide - 1, kSide}), Error);
  }
}

TEST_CASE("CudaPlan.RegionsFollowEachOtherAndAreAligned") {
  const InferencePlan plan = plan_inference({}, 3, 49, 63);
  const Region regions[] = {plan.pixels[0], plan.pixels[1], plan.blocks[0], plan.blocks[1], plan.blocks[2],
                            plan.blocks[3], plan.maps,      plan.features,  plan.logits};
  std::size_t end = 0;
  for (const Region& region : regions) {
    CHECK_MESSAGE(region.offset % 256 == 0u, region.name);
    CHECK_MESSAGE(region.offset >= end, region.name);
    end = region.offset + region.bytes();
  }
  CHECK(end <= plan.arena.bytes);
  CHECK_THAT(plan.blocks[0].shape, test::ElementsAre(3, 23, 30, 64));
  CHECK_THAT(plan.blocks[3].shape, test::ElementsAre(3, 4, 5, 512));
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.ItsArenaIsThePlans") {
  CHECK(engine_under_test().plan({3, 49, 63}).bytes == plan_inference({}, 3, 49, 63).arena.bytes);
}

TEST_CASE_METHOD(CudaEngineTest, "CudaEngineTest.ChunksFitTheirBudgetButHoldAnImage") {
  const auto engine = engine_under_test();
  CHECK(engine.chunk(kSide, kSide) >= 64);
  CHECK(engine.chunk(8000, 8000) == 1);
  const int chunk = engine.chunk(512, 512);
  CHECK(engine.plan({chunk, 512, 512}).bytes <= std::size_t{1} << 30);
  CHECK(engine.plan({2 * chunk, 512, 512}).bytes > std::size_t{1} << 30);
}

TEST_CASE("CudaPack.TransposesWeightsAndActivations") {
  const std::vector<float> weight = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};  // [oc 2][ic 3][taps 2]
  CHECK_THAT(pack_weight(weight, 2, 3, 2), test::ElementsAre(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11));
  CHECK_THAT(channels_first(weight, 2, 2, 3), test::ElementsAre(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11));
}

TEST_CASE("CudaDevices.AreListedOrTheReasonIsGiven") {
  const CudaDevices found = cuda_devices();
  CHECK_MESSAGE(found.devices.empty() != found.reason.empty(), found.reason);
  CHECK_THROWS_AS(make_cuda_engine(1000), Error);
}

}  // namespace
}  // namespace lfm
