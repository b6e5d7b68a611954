// What the CPU engine promises beyond right numbers: the same bits however the work is split, bounded and exactly planned memory.
#include <gtest/gtest.h>

#include <random>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/engine/cpu/cpu_engine.h"
#include "src/engine/network.h"
#include "src/model/safetensors.h"
#include "tests/cases/deviation.h"
#include "tests/cases/fixture.h"
#include "tests/model/random_model.h"

namespace lfm::cpu {
namespace {

std::vector<std::uint8_t> random_pixels(int n, int height, int width, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::uint8_t> pixels(std::size_t{3} * n * height * width);
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
  return pixels;
}

class CpuEngineTest : public ::testing::TestWithParam<const Kernels*> {
 protected:
  std::vector<float> features(int threads, const PixelBatch& batch) const {
    CpuEngine engine(threads, *GetParam());
    engine.load(model_.architecture, model_.values);
    std::vector<float> logits(batch.n), values(static_cast<std::size_t>(batch.n) * feature_count(model_.architecture));
    infer(engine, model_.architecture, batch, logits, values);
    return values;
  }
  const Model model_ = test::random_model({}, 7);
};

TEST_P(CpuEngineTest, SameBitsWhateverTheThreadsAndTheBatch) {
  constexpr int n = 5, height = 75, width = 131;
  const auto pixels = random_pixels(n, height, width, 3);
  const auto one = features(1, {pixels.data(), n, height, width});
  EXPECT_EQ(features(2, {pixels.data(), n, height, width}), one);
  EXPECT_EQ(features(7, {pixels.data(), n, height, width}), one);
  const std::size_t image = std::size_t{3} * height * width;
  for (std::size_t i = 0; i < n; ++i) {
    const auto alone = features(3, {pixels.data() + i * image, 1, height, width});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), one.begin() + static_cast<std::ptrdiff_t>(i * alone.size()))) << "image " << i;
  }
}

TEST_P(CpuEngineTest, NativeImagesMatchTheFixtures) {
  if (cases::fixtures().empty()) GTEST_SKIP() << cases::kMissingFixtures;
  const TensorFile expected = read_safetensors(cases::fixtures() / "inference.safetensors");
  CpuEngine engine(2, *GetParam());
  engine.load({}, cases::reference_parameters(read_safetensors(cases::fixtures() / "lfm_official.safetensors"), ""));
  for (const std::string name : {"astronaut", "coffee", "chelsea", "noise", "odd_size"}) {
    for (const std::string view : {"native", "resize256"}) {
      Image image = read_image(cases::fixtures() / "images" / (name + ".png"));
      if (view == "resize256") image = resize_bilinear(image, 256, 256);
      std::vector<float> logit(1), got(1024);
      infer(engine, {}, {image.rgb.data(), 1, image.height, image.width}, logit, got);
      EXPECT_TRUE(cases::close_relative(name + " " + view, got, cases::floats(expected, name + "." + view + ".features"), 2e-4));
    }
  }
}

TEST_P(CpuEngineTest, StripsOfALargeImageGiveItsFeatures) {
  constexpr int height = 411, width = 243;
  const auto pixels = random_pixels(1, height, width, 5);
  const PixelBatch batch{pixels.data(), 1, height, width};
  const auto whole = features(2, batch);
  for (const std::int64_t strip_pixels : {width * 48, width * 100, width * 300}) {
    CpuEngine engine(2, *GetParam(), strip_pixels);
    engine.load(model_.architecture, model_.values);
    std::vector<float> logit(1), got(whole.size());
    infer(engine, model_.architecture, batch, logit, got);
    EXPECT_FALSE(engine.read(Activation::block1).has_value());
    EXPECT_TRUE(cases::close_relative(fmt::format("strips of {} pixels", strip_pixels), got, whole, 1e-4));
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, CpuEngineTest, ::testing::ValuesIn(supported_kernels().begin(), supported_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

TEST(CpuEngine, MemoryGrowsWithPixelsAndStaysSmallAtTheCommonSize) {
  CpuEngine engine(2, *supported_kernels().front());
  const auto bytes = [&](int n, int side) { return static_cast<double>(engine.arena_bytes({n, side, side, PlanMode::inference})); };
  EXPECT_LT(bytes(1, 256), 24e6);
  EXPECT_LT(bytes(1, 4096), 240e6);  // strips: beyond them, the maps alone grow
  EXPECT_LT(bytes(8, 256), 8 * bytes(1, 256));
}

TEST(CpuEngine, RefusesABatchItHasNoRoomFor) {
  CpuEngine engine(1, *supported_kernels().front());
  engine.load({}, test::random_model({}, 1).values);
  engine.reserve({1, 64, 64, PlanMode::inference});
  const auto pixels = random_pixels(2, 64, 96, 1);
  EXPECT_THROW(engine.infer_first_block({pixels.data(), 2, 64, 64}), Error);
  EXPECT_THROW(engine.infer_first_block({pixels.data(), 1, 64, 96}), Error);
}

}  // namespace
}  // namespace lfm::cpu
