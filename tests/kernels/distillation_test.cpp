#include "kernels/distillation.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/partial_sums.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using DistillationTest = KernelTest;

constexpr std::size_t kChannels = 64;

double smooth_l1(double d) { return std::abs(d) < 1 ? 0.5 * d * d : std::abs(d) - 0.5; }

TEST_CASE_METHOD(DistillationTest, "DistillationTest.MapsEqualTheDefinition") {
  constexpr float weight = 0.25f;
  for (const auto& [images, positions_of_one] : {std::tuple{1, 4}, {3, 32}, {2, 77}, {1, 200}}) {
    const int n = images, area = positions_of_one;
    const std::size_t positions = static_cast<std::size_t>(area),
                      values = static_cast<std::size_t>(n) * kChannels * positions;
    const int tiles = kernels::distillation_tiles(area);
    const auto student = uniform(values, 1, -2, 2), taught = uniform(values, 2, -2, 2),
               scales = uniform(kChannels, 3, 0.1f, 2);
    const DeviceArray<float> maps(student), teacher(taught), scale(scales),
        other(std::max(values, static_cast<std::size_t>(tiles * n)));

    for (const auto& distill : {kernels::distill_maps, kernels::distill_maps_naive}) {
      const auto gradient = result_of<float>(values, [&](float* out, kernels::Stream s) {
        distill(out, other.data(), maps.data(), teacher.data(), scale.data(), weight, n, area, s);
      });
      const DeviceArray<float> partials(static_cast<std::size_t>(tiles * n));
      const auto distances = result_of<float>(static_cast<std::size_t>(n), [&](float* out, kernels::Stream s) {
        distill(other.data(), partials.data(), maps.data(), teacher.data(), scale.data(), weight, n, area, s);
        kernels::sum_partials(out, partials.data(), tiles, n, false, s);
      });
      std::vector<Reference> want_distances(static_cast<std::size_t>(n)), want_gradient(values);
      for (std::size_t i = 0; i < values; ++i) {
        const std::size_t image = i / positions / kChannels, c = i / positions % kChannels, p = i % positions;
        const double d = (double{student[i]} - taught[i]) * scales[c];
        want_distances[image].add(smooth_l1(d));
        want_distances[image].magnitude += 2 * std::abs(d);  // d's own rounding
        want_gradient[(image * positions + p) * kChannels + c].add(weight * scales[c] * std::clamp(d, -1.0, 1.0));
        want_gradient[(image * positions + p) * kChannels + c].magnitude += weight * scales[c] * scales[c] * 4;
      }
      expect_close(distances, want_distances, kChannels * 32, "distances");
      expect_close(gradient, want_gradient, 4, "gradient");
    }
  }
}

TEST_CASE_METHOD(DistillationTest, "DistillationTest.LogitsAddToTheGradient") {
  const std::vector<float> student = {0.0f, 1.0f, -3.0f, 100.0f, -100.0f}, taught = {0.0f, 1.5f, 2.0f, 1.0f, 1.0f};
  const int n = static_cast<int>(student.size());
  constexpr float scale = 0.5f, weight = 0.25f, before = 3.0f;
  const DeviceArray<float> logits(student), teacher(taught), scale_on(std::vector<float>{scale});
  const DeviceArray<float> gradient(std::vector<float>(student.size(), before)), distances(student.size());
  device::Stream stream(context());
  kernels::distill_logits(distances.data(), gradient.data(), logits.data(), teacher.data(), scale_on.data(), weight, n,
                          stream.handle());
  stream.synchronize();
  const auto got = gradient.read(), got_distances = distances.read();
  for (std::size_t i = 0; i < student.size(); ++i) {
    const double d = (double{student[i]} - taught[i]) * scale;
    CHECK_THAT_MESSAGE(got_distances[i], WithinAbs(smooth_l1(d), 1e-6 * smooth_l1(d)), i);
    CHECK_THAT_MESSAGE(got[i], WithinAbs(before + weight * scale * std::clamp(d, -1.0, 1.0), 1e-6), i);
  }
}

TEST_CASE_METHOD(DistillationTest, "DistillationTest.RefusesAnEmptyBatch") {
  CHECK_THROWS_AS(kernels::distill_maps(nullptr, nullptr, nullptr, nullptr, nullptr, 1, 0, 4, nullptr), Error);
  CHECK_THROWS_AS(kernels::distill_logits(nullptr, nullptr, nullptr, nullptr, nullptr, 1, 0, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
