// What a GPU of which compute capability computes in. No GPU is needed.
#include "lfm/error.h"
#include "src/engine/cuda/precisions.h"
#include "tests/catch.h"

namespace lfm::test {
namespace {

const CudaDevice kTuring{0, "Tesla T4", 7, 5, 0}, kAmpere{0, "A100", 8, 0, 0},
    kBlackwell{0, "GeForce RTX 5090", 12, 0, 0};

TEST_CASE("CudaPrecisions.TensorCoresOfTuringMultiplyFp16Alone") {
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    for (const CudaDevice& device : {kTuring, kAmpere, kBlackwell}) CHECK(multiplies(device, precision));
  }
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    CHECK_FALSE(multiplies(kTuring, precision));
    CHECK(multiplies(kAmpere, precision));
    CHECK(multiplies(kBlackwell, precision));
  }
}

TEST_CASE("CudaPrecisions.InferenceIsFp16UnlessToldOtherwise") {
  for (const CudaDevice& device : {kTuring, kAmpere, kBlackwell}) {
    CHECK(engine_precisions(device, Precision::automatic, Precision::fp32).inference == Precision::fp16);
    CHECK(engine_precisions(device, Precision::fp32, Precision::fp32).inference == Precision::fp32);
    CHECK(engine_precisions(device, Precision::fp16, Precision::fp32).inference == Precision::fp16);
  }
  CHECK(engine_precisions(kAmpere, Precision::bf16, Precision::fp32).inference == Precision::bf16);
  CHECK(engine_precisions(kBlackwell, Precision::tf32, Precision::fp32).inference == Precision::tf32);
}

TEST_CASE("CudaPrecisions.InferenceOnTuringRefusesWhatTheKernelsCantDo") {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    try {
      engine_precisions(kTuring, precision, Precision::fp32);
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
      CHECK_THAT(error.what(), ContainsSubstring("Tesla T4") && ContainsSubstring("fp16"));
    }
  }
}

TEST_CASE("CudaPrecisions.TrainingOnTuringFallsBackToFp32AndSaysSo") {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const EnginePrecisions turing = engine_precisions(kTuring, Precision::fp32, precision);
    CHECK(turing.training == Precision::fp32);
    CHECK_THAT(turing.note, ContainsSubstring("Tesla T4") && ContainsSubstring("fp32"));
    const EnginePrecisions ampere = engine_precisions(kAmpere, Precision::fp32, precision);
    CHECK(ampere.training == precision);
    CHECK_THAT(ampere.note, test::ElementsAre());
  }
  CHECK_THAT(engine_precisions(kTuring, Precision::automatic, Precision::fp32).note, test::ElementsAre());
}

}  // namespace
}  // namespace lfm::test
