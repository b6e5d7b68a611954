// What a GPU of which compute capability computes in. No GPU is needed.
#include "src/engine/cuda/precisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lfm/error.h"

namespace lfm::test {
namespace {

using ::testing::AllOf, ::testing::HasSubstr, ::testing::IsEmpty;

const CudaDevice kTuring{0, "Tesla T4", 7, 5, 0}, kAmpere{0, "A100", 8, 0, 0}, kBlackwell{0, "GeForce RTX 5090", 12, 0, 0};

TEST(CudaPrecisions, TensorCoresOfTuringMultiplyFp16Alone) {
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    for (const CudaDevice& device : {kTuring, kAmpere, kBlackwell}) EXPECT_TRUE(multiplies(device, precision));
  }
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    EXPECT_FALSE(multiplies(kTuring, precision));
    EXPECT_TRUE(multiplies(kAmpere, precision));
    EXPECT_TRUE(multiplies(kBlackwell, precision));
  }
}

TEST(CudaPrecisions, InferenceIsFp16UnlessToldOtherwise) {
  for (const CudaDevice& device : {kTuring, kAmpere, kBlackwell}) {
    EXPECT_EQ(engine_precisions(device, Precision::automatic, Precision::fp32).inference, Precision::fp16);
    EXPECT_EQ(engine_precisions(device, Precision::fp32, Precision::fp32).inference, Precision::fp32);
    EXPECT_EQ(engine_precisions(device, Precision::fp16, Precision::fp32).inference, Precision::fp16);
  }
  EXPECT_EQ(engine_precisions(kAmpere, Precision::bf16, Precision::fp32).inference, Precision::bf16);
  EXPECT_EQ(engine_precisions(kBlackwell, Precision::tf32, Precision::fp32).inference, Precision::tf32);
}

TEST(CudaPrecisions, InferenceOnTuringRefusesWhatTheKernelsCantDo) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    try {
      engine_precisions(kTuring, precision, Precision::fp32);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_THAT(error.what(), AllOf(HasSubstr("Tesla T4"), HasSubstr("fp16")));
    }
  }
}

TEST(CudaPrecisions, TrainingOnTuringFallsBackToFp32AndSaysSo) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const EnginePrecisions turing = engine_precisions(kTuring, Precision::fp32, precision);
    EXPECT_EQ(turing.training, Precision::fp32);
    EXPECT_THAT(turing.note, AllOf(HasSubstr("Tesla T4"), HasSubstr("fp32")));
    const EnginePrecisions ampere = engine_precisions(kAmpere, Precision::fp32, precision);
    EXPECT_EQ(ampere.training, precision);
    EXPECT_THAT(ampere.note, IsEmpty());
  }
  EXPECT_THAT(engine_precisions(kTuring, Precision::automatic, Precision::fp32).note, IsEmpty());
}

}  // namespace
}  // namespace lfm::test
