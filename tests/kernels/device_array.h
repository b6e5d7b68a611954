// What the kernel tests share: arrays on the device under test, every order of the emulated threads, error bounds.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "src/engine/cuda/device.h"
#include "src/engine/cuda/precisions.h"
#include "tests/cases/device_under_test.h"
#include "tests/cases/error_bound.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/grid.h"
#include "tests/catch.h"
#endif

namespace lfm::test {

/// The device under test.
inline const device::Context& context() {
  static const device::Context instance(0);
  return instance;
}

class KernelTest {
 protected:
  KernelTest() { cases::skip_unless_device_runs(Precision::fp32); }
};

/// Of kernels that multiply T.
template <typename T>
class TensorKernelTest : public KernelTest {
 protected:
  TensorKernelTest() { cases::skip_unless_device_runs(kPrecisionOf<T>); }
};

/// An array in the device's memory; copies wait.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count), memory_(context(), count * sizeof(T)) {}
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    const device::PinnedMemory pinned(context(), count_ * sizeof(T));
    std::memcpy(pinned.data(), values.data(), count_ * sizeof(T));
    device::Stream stream(context());
    stream.copy_to_device(memory_.data(), pinned.data(), count_ * sizeof(T));
    stream.synchronize();
  }
  T* data() const { return reinterpret_cast<T*>(memory_.data()); }
  std::vector<T> read() const {
    const device::PinnedMemory pinned(context(), count_ * sizeof(T));
    device::Stream stream(context());
    stream.copy_to_host(pinned.data(), memory_.data(), count_ * sizeof(T));
    stream.synchronize();
    std::vector<T> values(count_);
    std::memcpy(values.data(), pinned.data(), count_ * sizeof(T));
    return values;
  }

 private:
  std::size_t count_;
  device::Memory memory_;
};

/// What a launcher leaves in an output of `count` values. launch(T* output, stream) runs in every order of the emulated
/// threads, and all orders must agree bit for bit; on a GPU it runs twice.
template <typename T, typename Launch>
std::vector<T> result_of(std::size_t count, Launch launch) {
  const auto run = [&] {
    DeviceArray<T> output(count);
    device::Stream stream(context());
    launch(output.data(), stream.handle());
    stream.synchronize();
    return output.read();
  };
  const std::vector<T> first = run();
  const auto expect_same_bits = [&](const std::vector<T>& other, const std::string& what) {
    CHECK_MESSAGE(std::memcmp(first.data(), other.data(), count * sizeof(T)) == 0, "results differ: " << what);
  };
#if defined(LFM_TARGET_EMULATED)
  for (const simt::Schedule& schedule : {simt::Schedule{simt::Order::descending, 0}, {simt::Order::shuffled, 1}}) {
    const simt::ScopedSchedule scoped(schedule);
    expect_same_bits(
        run(), schedule.order == simt::Order::descending ? "threads in descending order" : "threads shuffled, seed 1");
  }
#else
  expect_same_bits(run(), "two runs");
#endif
  return first;
}

/// Uniform values in [low, high); the same for the same seed.
inline std::vector<float> uniform(std::size_t count, unsigned seed, float low = -1.0f, float high = 1.0f) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(count);
  for (float& v : values) v = distribution(random);
  return values;
}

/// A sum in double, and the same sum over absolute values, which bounds the rounding of any order of summation.
struct Reference {
  double value = 0;
  double magnitude = 0;
  void add(double product) {
    value += product;
    magnitude += std::abs(product);
  }
};

/// Every element within the computed bound of tests/cases/error_bound.h in FP32; prints the margin used, fails with the
/// worst one.
inline void expect_close(std::span<const float> got, std::span<const Reference> want, double depth,
                         const std::string& what) {
  REQUIRE_MESSAGE(got.size() == want.size(), what);
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size() && !std::isnan(worst); ++i) {
    const double error = std::abs(got[i] - want[i].value);
    const double share = error == 0 ? 0 : error / cases::error_bound(cases::kRoundoffFp32, depth, want[i].magnitude);
    if (!(share <= worst)) worst = share, at = i;  // also where the result is no number
  }
  CHECK_MESSAGE(worst <= 1.0, what << ": worst at " << at << ", got " << got[at] << ", want " << want[at].value);
  fmt::print("    {}: {:.2f} of the limit\n", what, worst);
}

}  // namespace lfm::test
