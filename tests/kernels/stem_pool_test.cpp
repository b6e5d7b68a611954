#include "kernels/stem_pool.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using StemPoolTest = KernelTest;

struct MapsOf {
  int n, h, w, c;
  int out_h() const { return (h - 1) / 2 + 1; }
  int out_w() const { return (w - 1) / 2 + 1; }
  std::size_t count() const { return static_cast<std::size_t>(n) * h * w * c; }
  std::size_t pooled() const { return static_cast<std::size_t>(n) * out_h() * out_w() * c; }
};

// One value; odd and even sides, so that windows of both kinds are cut off at either end or not.
constexpr MapsOf kMaps[] = {{1, 1, 1, 4}, {2, 2, 3, 64}, {2, 7, 6, 64}, {1, 8, 9, 12}};

/// The largest of a window, where it lies in x, and its tap.
struct Winner {
  float y = 0;
  std::size_t at = 0;
  int tap = -1;
};

struct Case {
  Case(const MapsOf& maps, unsigned seed)
      : m(maps),
        x(uniform(m.count(), seed)),
        scale(uniform(static_cast<std::size_t>(m.c), seed + 1, -1.5f, 1.5f)),
        shift(uniform(static_cast<std::size_t>(m.c), seed + 2)),
        statistics(uniform(static_cast<std::size_t>(2 * m.c), seed + 3)) {
    for (int c = 0; c < m.c; ++c) statistics[static_cast<std::size_t>(m.c + c)] += 1.5f;  // 1/deviation
    for (std::size_t i = 0; i + m.c < x.size(); i += 5) x[i + m.c] = x[i];                // ties in some windows
    scale[1] = 0;                                                                         // and in all
  }
  // In float, as the kernel: which of a window's values wins must not hang on the rounding of a tie.
  float y(std::size_t at) const {
    const std::size_t c = at % m.c;
    return std::fma(x[at] - statistics[c], scale[c] * statistics[m.c + c], shift[c]);
  }
  Winner winner(std::size_t pooled) const {
    const int c = static_cast<int>(pooled) % m.c, column = static_cast<int>(pooled) / m.c % m.out_w(),
              row = static_cast<int>(pooled) / m.c / m.out_w() % m.out_h(),
              image = static_cast<int>(pooled) / m.c / m.out_w() / m.out_h();
    Winner best;
    for (int tap = 0; tap < 9; ++tap) {
      const int r = 2 * row - 1 + tap / 3, s = 2 * column - 1 + tap % 3;
      if (r < 0 || r >= m.h || s < 0 || s >= m.w) continue;
      const std::size_t at = static_cast<std::size_t>(((image * m.h + r) * m.w + s) * m.c + c);
      if (best.tap < 0 || y(at) > best.y) best = {y(at), at, tap};
    }
    return best;
  }
  MapsOf m;
  std::vector<float> x, scale, shift, statistics;
};

struct OnDevice {
  explicit OnDevice(const Case& c) : x(c.x), scale(c.scale), shift(c.shift), statistics(c.statistics), m(c.m) {}
  kernels::BatchNorm<float> norm() const {
    return {x.data(), statistics.data(), scale.data(), shift.data(), m.n, m.h, m.w, m.c};
  }
  DeviceArray<float> x, scale, shift, statistics;
  MapsOf m;
};

std::uint8_t tap_of(const std::vector<std::uint32_t>& winners, std::size_t pooled) {
  return static_cast<std::uint8_t>(winners[pooled / 4] >> (8 * (pooled % 4)));
}

TEST_CASE_METHOD(StemPoolTest, "StemPoolTest.EqualsTheDefinition") {
  for (const MapsOf& m : kMaps) {
    INFO(m.n << " x " << m.h << " x " << m.w << " x " << m.c);
    const Case c(m, static_cast<unsigned>(m.h));
    const OnDevice on(c);
    const DeviceArray<float> other(m.pooled());
    const DeviceArray<std::uint32_t> unread(m.pooled() / 4);
    const auto output = result_of<float>(m.pooled(), [&](float* out, kernels::Stream stream) {
      kernels::stem_pool(out, unread.data(), on.norm(), stream);
    });
    const auto winners = result_of<std::uint32_t>(m.pooled() / 4, [&](std::uint32_t* out, kernels::Stream stream) {
      kernels::stem_pool(other.data(), out, on.norm(), stream);
    });
    for (std::size_t i = 0; i < m.pooled(); ++i) {
      const Winner want = c.winner(i);
      QUICK_REQUIRE(output[i] == std::max(want.y, 0.0f), i);
      QUICK_REQUIRE(tap_of(winners, i) == want.tap, i);
    }
  }
}

TEST_CASE_METHOD(StemPoolTest, "StemPoolTest.BackwardGoesWhereValuesCameFrom") {
  for (const MapsOf& m : kMaps) {
    const Case c(m, static_cast<unsigned>(m.h + 20));
    const OnDevice on(c);
    const auto grad = uniform(m.pooled(), 9);
    const DeviceArray<float> grad_on(grad), pooled(m.pooled());
    const DeviceArray<std::uint32_t> winners(m.pooled() / 4);
    device::Stream stream(context());
    kernels::stem_pool(pooled.data(), winners.data(), on.norm(), stream.handle());
    stream.synchronize();
    const auto got = result_of<float>(m.count(), [&](float* out, kernels::Stream s) {
      kernels::stem_pool_backward(out, grad_on.data(), winners.data(), m.n, m.h, m.w, m.c, s);
    });
    std::vector<Reference> want(m.count());
    for (std::size_t i = 0; i < m.pooled(); ++i) want[c.winner(i).at].add(grad[i]);
    expect_close(got, want, 4, fmt::format("gradient of [{}][{}][{}][{}]", m.n, m.h, m.w, m.c));
  }
}

// A run that diverges must not look healthy.
TEST_CASE_METHOD(StemPoolTest, "StemPoolTest.NaNStays") {
  Case c({1, 1, 1, 4}, 1);
  c.x[2] = std::numeric_limits<float>::quiet_NaN();
  const OnDevice on(c);
  const DeviceArray<float> output(4);
  const DeviceArray<std::uint32_t> winners(1);
  device::Stream stream(context());
  kernels::stem_pool(output.data(), winners.data(), on.norm(), stream.handle());
  stream.synchronize();
  CHECK(std::isnan(output.read()[2]));
}

TEST_CASE_METHOD(StemPoolTest, "StemPoolTest.RefusesShapesItCannotTile") {
  kernels::BatchNorm<float> norm;
  norm.n = 1, norm.h = 4, norm.w = 4, norm.c = 6;
  CHECK_THROWS_AS(kernels::stem_pool(nullptr, nullptr, norm, nullptr), Error);
  CHECK_THROWS_AS(kernels::stem_pool_backward(nullptr, nullptr, nullptr, 1, 0, 4, 64, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
