// Which kernels are chosen for which GPU, and how many images go through it together, without one.
#include "src/engine/cuda/recipe.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "kernels/winograd_layout.h"
#include "lfm/error.h"
#include "src/engine/cuda/pass_size.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/network.h"
#include "tests/catch.h"
#include "tests/paths.h"

namespace lfm {
namespace {

constexpr int kTuring = 75, kAmpere = 80, kHopper = 90, kBlackwell = 120;

TEST_CASE("Recipes.Fp32ConvolvesByWinogradUnlessToldOtherwise") {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    CHECK(choose(capability, Precision::fp32).convolution == BlockConvolution::winograd);
    CHECK(choose(capability, Precision::fp32, {.winograd = false}).convolution == BlockConvolution::direct);
  }
}

TEST_CASE("Recipes.HalfPrecisionIsForTensorCoresThatHaveIt") {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    CHECK(choose(capability, Precision::fp16).convolution ==
          (capability == kHopper ? BlockConvolution::wgmma : BlockConvolution::tensor));
    for (const Precision precision : {Precision::bf16, Precision::tf32}) {
      CHECK(multiplies(capability, precision) == (capability >= kAmpere));
      if (capability < kAmpere) {
        CHECK_THROWS_AS(choose(capability, precision), Error);
      } else {
        CHECK(choose(capability, precision).precision == precision);
      }
    }
  }
  {
    INFO("somebody has to decide first");
    CHECK_THROWS_AS(choose(kAmpere, Precision::automatic), Error);
  }
}

TEST_CASE("Recipes.WarpgroupsAreForHopperAlone") {
  for (const Precision precision : {Precision::fp16, Precision::bf16, Precision::tf32}) {
    for (const int capability : {kAmpere, kHopper, kBlackwell}) {
      CHECK((choose(capability, precision, {.wgmma = true}).convolution == BlockConvolution::wgmma) ==
            (capability == kHopper));
      CHECK(choose(capability, precision, {.wgmma = false}).convolution == BlockConvolution::tensor);
    }
  }
}

// No GPU that the program takes is left without a recipe, and each row is reachable.
TEST_CASE("Recipes.AreAllReachable") {
  for (const Recipe& row : recipes()) {
    CHECK_MESSAGE(row.capability_from <= row.capability_to, row.name);
    const RecipeOptions options{.winograd = row.convolution != BlockConvolution::direct,
                                .wgmma = row.convolution == BlockConvolution::wgmma};
    CHECK_MESSAGE(&choose(row.capability_from, row.precision, options) == &row, row.name);
  }
}

TEST_CASE("Recipes.SizeWeightsAndActivations") {
  for (const Recipe& row : recipes()) {
    const WeightPlan weights = plan_weights({}, row);
    CHECK_MESSAGE((weights.projection.bytes() == 0) == row.fuses_projection, row.name);
    CHECK_MESSAGE((plan_inference({}, 2, 64, 64, row).blocks[3].bytes() == 0) == row.fuses_projection, row.name);
    CHECK_MESSAGE(weights.weight[1].count() == static_cast<std::size_t>(row.weight_factors) * 64 * 128, row.name);
    if (row.convolution == BlockConvolution::winograd) {
      CHECK(row.weight_factors == kernels::WinogradTile::kPoints);
    }
  }
}

// What KERNEL-RESOURCES.md, written from the compiled kernels, says of a kernel there: its blocks on a multiprocessor.
int resident_blocks(int capability, const std::string& kernel) {
  std::ifstream table(std::string(test::kSourceFolder) + "/docs/KERNEL-RESOURCES.md");
  bool there = false;
  for (std::string line; std::getline(table, line);) {
    if (line.starts_with("## ")) there = line == "## sm_" + std::to_string(capability);
    if (!there || line.find(kernel) == std::string::npos) continue;
    std::istringstream cells(line);
    std::string cell;
    for (int column = 0; column < 8; ++column) std::getline(cells, cell, '|');
    return std::stoi(cell);
  }
  return 0;
}

TEST_CASE("Recipes.KnowHowManyBlocksAMultiprocessorHolds") {
  for (const Recipe& row : recipes()) {
    const bool winograd = row.convolution == BlockConvolution::winograd;
    for (const int capability : {75, 80, 86, 89, 90, 100, 120}) {
      if (!row.runs_on(capability)) continue;
      const std::string kernel = row.convolution == BlockConvolution::wgmma    ? "last_block_wgmma_kernel<Half, false>"
                                 : row.convolution == BlockConvolution::tensor ? "last_block_tensor_kernel<Half>"
                                 : winograd                                    ? "conv2x2_winograd_kernel<false>"
                                                                               : "conv2x2_direct_kernel<1>";
      CHECK_MESSAGE(row.resident_blocks == resident_blocks(capability, kernel), row.name << " on " << capability);
    }
  }
}

TEST_CASE("Recipes.KnowHowManyBlocksOfTheResnetTrunkAMultiprocessorHolds") {
  const auto grids = resnet_grids(plan_inference(kNprNetwork, 1, 256, 256).resnet);
  REQUIRE(grids.size() == kTrunkConvolutions.size() - 1);
  CHECK(grids[0].blocks == 32);  // 4096 positions, 64 channels
  double multiply_adds = 0;
  for (const ImageGrid& grid : grids) multiply_adds += grid.multiply_adds;
  double of_stages = 0;
  for (const Stage& stage : stages(kNprNetwork, 256, 256)) {
    if (stage.kind == StageKind::bottleneck) of_stages += static_cast<double>(stage.multiply_adds);
  }
  CHECK(multiply_adds == of_stages);
  for (const int capability : {75, 80, 86, 89, 90, 100, 120}) {
    for (const char* kernel : {"padded_conv_kernel<1, 128, false>", "padded_conv_kernel<3, 64, false>"})
      CHECK_MESSAGE(grids[0].resident == resident_blocks(capability, kernel), kernel << " on " << capability);
  }
}

struct Gpu {
  const char* name;
  int capability, multiprocessors;
  int images;  // of a pass at 256x256 in FP16
};

constexpr Gpu kGpus[] = {
    {"T4", 75, 40, 95},               // its last block's waves carry 5 images
    {"A100", 80, 108, 81},            // 27
    {"RTX A6000", 86, 84, 84},        // 21: 64 would leave 24 % of the last block's fourth wave and more unused
    {"RTX 3060 Laptop", 86, 30, 96},  // 7.5
    {"RTX 4090", 89, 128, 96},        // 32
    {"L4", 89, 58, 87},               // 14.5
    {"RTX 4050 Laptop", 89, 20, 95},  // 5
    {"H100 SXM", 90, 132, 66},        // 33
    {"H100 PCIe", 90, 114, 85},       // 28.5
    {"B200", 100, 148, 74},           // 37
    {"RTX 5090", 120, 170, 85},       // 42.5
};

TEST_CASE("PassSize.FillsTheWavesOfEveryGpu") {
  for (const Gpu& gpu : kGpus) {
    const auto grids = convolution_grids(choose(gpu.capability, Precision::fp16), network_shape({}, 256, 256));
    CHECK_MESSAGE(images_of_a_pass(grids, 96, gpu.multiprocessors) == gpu.images, gpu.name);
    CHECK_MESSAGE(busy_share(grids, gpu.images, gpu.multiprocessors) > 0.99, gpu.name);
  }
}

TEST_CASE("PassSize.CountsTheLastBlocksWaves") {
  const auto grids = convolution_grids(choose(86, Precision::fp16), network_shape({}, 256, 256));
  const std::vector<ImageGrid> last = {grids.back()};
  CHECK(last[0].blocks == 8);
  CHECK(std::abs(busy_share(last, 64, 84) - 512.0 / 672) < 1e-12);
  for (const int images : {63, 84}) CHECK(busy_share(last, images, 84) == 1);
}

TEST_CASE("PassSize.SplitsWhatLeavesHalfOfAGpuIdle") {
  CHECK(images_that_are_split(8, 132) == 8);
  CHECK(images_that_are_split(8, 84) == 5);
  CHECK(images_that_are_split(8, 20) == 1);
  CHECK(images_that_are_split(128, 132) == 0);  // a large image's tiles are enough
  const InferencePlan few = plan_inference({}, 2, 256, 256, choose(90, Precision::fp16), 132);
  CHECK(few.split_images == 8);
  CHECK(few.scratch.bytes() == 2 * 8 * 128 * 512 * sizeof(std::uint16_t));
  CHECK(plan_inference({}, 64, 256, 256, choose(90, Precision::fp16), 132).scratch.shape[0] == 8);
  CHECK(plan_inference({}, 2, 256, 256, choose(90, Precision::fp16)).scratch.bytes() == 0);
  CHECK(plan_inference({}, 2, 256, 256, choose(90, Precision::fp32), 132).scratch.bytes() == 0);
}

TEST_CASE("PassSize.StaysWithinItsBound") {
  for (const Recipe& row : recipes()) {
    for (const int side : {48, 256, 1024, 4000}) {
      const auto grids = convolution_grids(row, network_shape({}, side, side));
      for (int most = 1; most <= 96; ++most) {
        const int images = images_of_a_pass(grids, most, 132);
        CHECK_MESSAGE((images <= most && 2 * images > most), row.name << ", " << side << ", " << most);
      }
    }
  }
}

TEST_CASE("PassSize.BatchesAreCutIntoWholePasses") {
  for (int n = 1; n < 200; ++n) {
    for (int chunk = 1; chunk < 100; ++chunk) {
      const std::vector<BatchPart> parts = parts_of_batch(n, chunk);
      int next = 0;
      bool whole = static_cast<int>(parts.size()) == (n + chunk - 1) / chunk;
      for (const BatchPart& part : parts) {
        whole = whole && part.first == next && part.n > 0 && part.n == std::min(chunk, n - next);
        next += part.n;
      }
      if (!whole || next != n) FAIL("a batch of " << n << " in passes of " << chunk);
    }
  }
}

}  // namespace
}  // namespace lfm
