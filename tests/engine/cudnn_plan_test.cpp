// cuDNN's plans for an H100 without one: that its graphs are what it takes, in every precision, at the network's sizes.
// What they compute is for precision_test.cpp, on a GPU.
#include <optional>

#include "lfm/error.h"
#include "src/engine/cuda/cudnn.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/precision.h"
#include "src/model/architecture.h"
#include "tests/catch.h"

namespace lfm {
namespace {

constexpr const char* kH100 = R"({
  "deviceName": "NVIDIA H100 80GB HBM3", "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "pciDeviceId": 0,
  "multiProcessorCount": 132, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "l2CacheSize": 52428800,
  "totalGlobalMem": 85000000000, "warpSize": 32, "maxGridSize": [2147483647, 65535, 65535],
  "maxBlockSize": [1024, 1024, 64], "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "maxCtasPerSM": 32,
  "regsPerBlock": 65536, "maxRegistersPerSM": 65536, "maxSharedMemoryPerBlock": 49152,
  "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024, "isTccDriver": 0,
  "supportCoopLaunch": 1})";

TEST_CASE("CudnnPlans.AreThereForEveryConvolutionOfTheNetwork") {
  std::optional<Cudnn> cudnn;
  try {
    cudnn.emplace(kH100);
  } catch (const Error& error) {
    SKIP(error.what());
  }
  CHECK(cudnn->version() >= 90000);
  const NetworkShape shape = network_shape({}, 256, 256);
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16, Precision::fp16}) {
    for (const ConvolutionPass pass :
         {ConvolutionPass::forward, ConvolutionPass::input_gradient, ConvolutionPass::weight_gradient}) {
      for (int block = 1; block < kBlocks; ++block) {
        for (const int n : {1, 64}) {
          INFO(precision_name(precision) << ", pass " << static_cast<int>(pass) << ", block " << block << ", " << n);
          const MapSize in = shape.out[block - 1];
          const ConvolutionProblem problem{pass, n, in.h, in.w, kChannels[block], kChannels[block + 1], precision};
          std::optional<CudnnConvolution> plan;
          CHECK_NOTHROW(plan.emplace(*cudnn, problem, kLibraryWorkspace));
          if (plan) CHECK(plan->workspace() <= kLibraryWorkspace);
        }
      }
    }
  }
}

TEST_CASE("CudnnPlans.ThatCannotBeAreToldWithTheReason") {
  std::optional<Cudnn> cudnn;
  try {
    cudnn.emplace(kH100);
  } catch (const Error& error) {
    SKIP(error.what());
  }
  try {
    const CudnnConvolution plan(*cudnn, {ConvolutionPass::forward, 1, 1, 1, 64, 128, Precision::fp16}, 0);
    FAIL("a plan for an output without positions");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::device);
    CHECK_THAT(error.what(), ContainsSubstring("cuDNN 9"));
  }
}

}  // namespace
}  // namespace lfm
