// Whose kernels compute which stage, as --kernels has it, and where their buffers lie: without a library.
#include "src/engine/cuda/provider.h"

#include <algorithm>
#include <set>
#include <string>

#include "lfm/error.h"
#include "src/engine/cuda/open_library.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/device.h"
#include "tests/catch.h"

namespace lfm {
namespace {

std::string usage_error(const char* text) {
  try {
    static_cast<void>(parse_providers(text));
  } catch (const Error& error) {
    return error.code() == ErrorCode::usage ? error.what() : "not of usage";
  }
  return "none";
}

TEST_CASE("Providers.AreNamedForAllStagesOrOneByOne") {
  CHECK(parse_providers("own") == Providers{});
  CHECK(parse_providers("own").all_own());
  CHECK(description_of({}).empty());
  CHECK(description_of(parse_providers("cudnn")) == "block 2 by cuDNN, block 3 by cuDNN, block 4 by cuDNN");
  CHECK(parse_providers("cublas") ==
        parse_providers("block2=cublas,block3=cublas,block4=cublas,projection=cublas,head=cublas"));
  const Providers some = parse_providers("block3=cudnn,projection=cublas");
  CHECK(description_of(some) == "block 3 by cuDNN, projection by cuBLAS");
  CHECK((some.uses(Provider::cudnn) && some.uses(Provider::cublas) && some.block(1) == Provider::own));
  CHECK(parse_providers("block3=cudnn,block3=own").all_own());
}

TEST_CASE("Providers.ThatAreMistypedAreAnsweredWithWhatThereIs") {
  CHECK_THAT(usage_error("mkl"), ContainsSubstring("'mkl'") && ContainsSubstring("own, cudnn and cublas"));
  CHECK_THAT(usage_error("block3=mkl"), ContainsSubstring("'mkl'"));
  CHECK_THAT(usage_error("block9=cudnn"), ContainsSubstring("'block9'") && ContainsSubstring("block2, block3"));
  CHECK_THAT(usage_error("projection=cudnn"), ContainsSubstring("cuDNN has nothing that computes projection"));
  CHECK_THAT(usage_error("block1=cublas"), ContainsSubstring("cuBLAS has nothing that computes block 1"));
  CHECK_THAT(usage_error("block3=cudnn,head"), ContainsSubstring("''"));
  CHECK_THAT(usage_error(""), ContainsSubstring("''"));
}

TEST_CASE("Providers.AreNamedInProfiles") {
  std::set<std::string> names;
  for (const Stage& stage : kStages) {
    for (const ProviderRow& row : provider_rows()) names.insert(range_name(stage, row.provider));
  }
  CHECK(names.size() == kStages.size() * provider_rows().size());
  CHECK(std::string(range_name(block_stage(2), Provider::cudnn)) == "block 3, cuDNN");
  CHECK(std::string(range_name(block_stage(2), Provider::own)) == "block 3");
}

TEST_CASE("Providers.TakeBothOfWhatIsOneKernel") {
  const Recipe fp32 = choose(90, Precision::fp32), fp16 = choose(90, Precision::fp16);
  CHECK(with_providers(fp32, parse_providers("block4=cudnn")).providers == parse_providers("block4=cudnn"));
  CHECK(with_providers(fp16, parse_providers("block3=cudnn")).fuses_projection);
  for (const char* half : {"projection=cublas", "block4=cublas"}) {
    const Recipe apart = with_providers(fp16, parse_providers(half));
    CHECK_FALSE(apart.fuses_projection);
    CHECK(apart.providers == parse_providers("block4=cublas,projection=cublas"));
  }
  CHECK(with_providers(fp16, parse_providers("cudnn")).providers ==
        parse_providers("block2=cudnn,block3=cudnn,block4=cudnn,projection=cublas"));
}

TEST_CASE("Providers.HaveTheirBuffersPlanned") {
  for (const Recipe& row : recipes()) {
    const std::size_t item = item_bytes(row.precision);
    for (const ProviderRow& provider : provider_rows()) {
      const Recipe recipe = with_providers(row, everywhere(provider.provider));
      const InferencePlan plan = plan_inference({}, 3, 64, 80, recipe, 132);
      const WeightPlan weights = plan_weights({}, recipe);
      const MapSize first = plan.shape.conv[1];
      const bool own = provider.provider == Provider::own;
      const std::size_t positions = static_cast<std::size_t>(3 * first.area());
      CHECK(plan.unpooled.bytes() == (own ? 0 : positions * 128 * item));
      CHECK(plan.unfolded.bytes() == (provider.provider == Provider::cublas ? positions * 4 * 64 * item : 0));
      CHECK(plan.workspace.bytes() == (own ? 0 : kLibraryWorkspace));
      if (own) continue;
      CHECK(plan.blocks[3].bytes() > 0);
      CHECK(plan.scratch.bytes() == 0);
      CHECK(weights.weight[1].bytes() == std::size_t{4} * 64 * 128 * item);
      CHECK(weights.bias[3].bytes() == 512 * item);
      CHECK(weights.projection.count() == 512 * 64);
    }
  }
}

TEST_CASE("Providers.AreRefusedByEnginesWithoutLibraries") {
  EngineOptions options;
  options.kernels = parse_providers("cudnn");
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::reference}) {
    try {
      make_engine({kind}, options);
      FAIL("it was made");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
      CHECK_THAT(error.what(), ContainsSubstring("leave out --kernels"));
    }
  }
}

TEST_CASE("OpenLibrary.SaysWhatIsMissingAndWhereToPutIt") {
  try {
    const OpenLibrary library({"cuNone", "libcunone", "the package nothing"}, 7);
    FAIL("it was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::device);
    for (const char* part : {"cuNone", "libcunone.so.7", "install the package nothing", "LD_LIBRARY_PATH"})
      CHECK_THAT(error.what(), ContainsSubstring(part));
  }
}

}  // namespace
}  // namespace lfm
