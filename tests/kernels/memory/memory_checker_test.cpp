// The memory checker: right kernels pass, kernels broken in one way are caught, with the line where.
#include "kernels/simt/check/memory_checker.h"

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/simt/check/traffic.h"
#include "tests/catch.h"
#include "tests/kernels/memory/broken_kernels.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {
namespace {

using simt::Access, simt::FindingKind, simt::LaneAccess, simt::MemoryChecker, simt::Space;

/// A finding of this kind, whose message has these words and names the line.
struct is {
  FindingKind kind;
  std::string text;

  bool match(const simt::Finding& finding) const {
    return finding.kind == kind && finding.message.find(text) != std::string::npos &&
           finding.message.find("broken_kernels.cpp:") != std::string::npos;
  }
  std::string toString() const { return "says '" + text + "' and the line"; }
};

std::vector<LaneAccess> warp(int bytes, auto address) {
  std::vector<LaneAccess> lanes;
  for (int lane = 0; lane < 32; ++lane) lanes.push_back({lane, static_cast<std::uintptr_t>(address(lane)), bytes});
  return lanes;
}

TEST_CASE("Traffic.CountsSectors") {
  CHECK(simt::sectors_of(warp(4, [](int l) { return 4 * l; })).taken == 4);
  CHECK(simt::sectors_of(warp(4, [](int l) { return 4 * l + 16; })).taken == 5);
  CHECK(simt::sectors_of(warp(16, [](int l) { return 16 * l; })).taken == 16);
  CHECK(simt::sectors_of(warp(1, [](int l) { return l; })).taken == 1);
  CHECK(simt::sectors_of(warp(4, [](int) { return 64; })).taken == 1);
  const auto strided = simt::sectors_of(warp(4, [](int l) { return 128 * l; }));
  CHECK(strided.taken == 32);
  CHECK(strided.least == 4);
}

TEST_CASE("Traffic.CountsWavefronts") {
  const auto conflicts = [](int bytes, auto address) {
    const auto cost = simt::wavefronts_of(warp(bytes, address));
    return std::pair(cost.least, cost.taken - cost.least);
  };
  CHECK(conflicts(4, [](int l) { return 4 * l; }) == std::pair(1, 0));
  CHECK(conflicts(4, [](int) { return 4; }) == std::pair(1, 0));  // broadcast
  CHECK(conflicts(4, [](int l) { return 8 * l; }) == std::pair(1, 1));
  CHECK(conflicts(4, [](int l) { return 128 * l; }) == std::pair(1, 31));
  CHECK(conflicts(4, [](int l) { return 132 * l; }) == std::pair(1, 0));  // padded
  CHECK(conflicts(1, [](int l) { return l; }) == std::pair(1, 0));
  CHECK(conflicts(8, [](int l) { return 8 * l; }) == std::pair(2, 0));
  CHECK(conflicts(16, [](int l) { return 16 * l; }) == std::pair(4, 0));
  CHECK(conflicts(16, [](int l) { return 32 * l; }) == std::pair(4, 4));
  CHECK(conflicts(16, [](int l) { return 128 * l; }) == std::pair(4, 28));
}

class MemoryCheckerTest {
 protected:
  const simt::Requests& requests(const std::string& kernel, Space space, Access kind) const {
    return checker.counters().at(kernel)(space, kind);
  }
  MemoryChecker checker;
};

class TransposeUnderWatch : public MemoryCheckerTest {
 protected:
  void run(kernels::Transpose variant) { kernels::transpose(variant, out, in); }
  WatchedArray<float> in{checker, "matrix", 1024, 1}, out{checker, "transposed", 1024};
};

TEST_CASE_METHOD(TransposeUnderWatch, "TransposeUnderWatch.RightOne") {
  run(kernels::Transpose::right);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  for (int i = 0; i < 1024; ++i) QUICK_REQUIRE(out[i] == in[i % 32 * 32 + i / 32], i);
  const auto& loads = requests("transpose", Space::global, Access::load);
  CHECK(loads.count == 32);
  CHECK(loads.taken == 32 * 4);
  CHECK(requests("transpose", Space::shared, Access::load).count == 32);
  CHECK(requests("transpose", Space::shared, Access::load).beyond_least() == 0);
  CHECK(requests("transpose", Space::shared, Access::store).beyond_least() == 0);
}

TEST_CASE_METHOD(TransposeUnderWatch, "TransposeUnderWatch.MissingBarrier") {
  run(kernels::Transpose::without_barrier);
  const is race{FindingKind::race, "shared array tile, unordered with thread"};
  CHECK(std::ranges::any_of(checker.findings(), [&](const simt::Finding& finding) { return race.match(finding); }));
}

TEST_CASE_METHOD(TransposeUnderWatch, "TransposeUnderWatch.UnpaddedTile") {
  run(kernels::Transpose::without_padding);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  CHECK(requests("transpose", Space::shared, Access::load).beyond_least() == 32 * 31);
  CHECK(requests("transpose", Space::shared, Access::store).beyond_least() == 0);
}

TEST_CASE_METHOD(TransposeUnderWatch, "TransposeUnderWatch.UninitialisedShared") {
  run(kernels::Transpose::reading_a_gap);
  CHECK_THAT(checker.findings(),
             test::ElementsAre(is(FindingKind::uninitialised, "no thread of the block has stored to")));
}

class CopyUnderWatch : public MemoryCheckerTest {
 protected:
  WatchedArray<float> in{checker, "x", 64 * 64, 1}, out{checker, "out", 64 * 64};
};

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.RightOne") {
  kernels::copy(kernels::Copy::right, out, in, 64 * 64);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  CHECK(requests("copy", Space::global, Access::load).taken_each() == 4);
  CHECK(requests("copy", Space::global, Access::store).taken_each() == 4);
}

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.StridedAccess") {
  kernels::copy(kernels::Copy::strided, out, in, 64 * 64);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  CHECK(requests("copy", Space::global, Access::load).taken_each() == 32);
  CHECK(requests("copy", Space::global, Access::store).taken_each() == 32);
}

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.OutOfBounds") {
  kernels::copy(kernels::Copy::one_too_many, out, in, 64 * 64);
  CHECK_THAT(checker.findings(), test::ElementsAre(is(FindingKind::out_of_bounds,
                                                      "loads 4 bytes 0 bytes past the end of x (16384 bytes)")));
}

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.BlocksThatStoreToTheSamePlace") {
  kernels::copy(kernels::Copy::every_block, out, in, 64 * 64);
  CHECK_THAT(checker.findings(), test::ElementsAre(is(FindingKind::race, "of out, which another block stores to")));
}

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.UninitialisedGlobal") {
  const WatchedArray<float> workspace(checker, "workspace", 64);
  kernels::copy(kernels::Copy::right, workspace, in, 32);
  kernels::copy(kernels::Copy::right, out, workspace, 32);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  kernels::copy(kernels::Copy::right, out, workspace, 33);
  CHECK_THAT(checker.findings(), test::ElementsAre(is(FindingKind::uninitialised,
                                                      "at byte 128 of workspace, which nothing has stored to")));
}

TEST_CASE_METHOD(CopyUnderWatch, "CopyUnderWatch.ArraysAreForgottenWithTheirMemory") {
  { const WatchedArray<float> gone(checker, "gone", 64, 1); }
  CHECK_THROWS_AS(MemoryChecker(), Error);
  kernels::copy(kernels::Copy::right, out, in, 64);
  CHECK_THAT(checker.findings(), test::ElementsAre());
}

TEST_CASE_METHOD(MemoryCheckerTest, "MemoryCheckerTest.SyncWarpOrdersMemoryAndVotesDoNot") {
  const WatchedArray<float> x(checker, "x", 64, 1), out(checker, "out", 64);
  kernels::rotate(kernels::Rotation::right, out, x);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  kernels::rotate(kernels::Rotation::with_a_vote, out, x);
  CHECK_THAT(checker.findings(), test::ElementsAre(is(FindingKind::race, "shared array values")));
}

TEST_CASE_METHOD(MemoryCheckerTest, "MemoryCheckerTest.AsynchronousCopies") {
  using kernels::AsyncCopy;
  const WatchedArray<float> x(checker, "x", 256, 1), out(checker, "out", 256);
  kernels::copy_backwards(AsyncCopy::right, out, x);
  CHECK_THAT(checker.findings(), test::ElementsAre());
  for (int i = 0; i < 256; ++i) QUICK_REQUIRE(out[i] == x[255 - i], i);
  CHECK(requests("copy_backwards", Space::shared, Access::store).count == 2);
  for (const AsyncCopy broken : {AsyncCopy::without_wait, AsyncCopy::without_barrier, AsyncCopy::waiting_for_too_few,
                                 AsyncCopy::overwritten_early}) {
    const std::size_t known = checker.findings().size();
    kernels::copy_backwards(broken, out, x);
    REQUIRE_MESSAGE(checker.findings().size() > known, "variant " << static_cast<int>(broken));
    CHECK_THAT_MESSAGE(checker.findings().back(), is(FindingKind::race, "shared array tile"),
                       "variant " << static_cast<int>(broken));
  }
}

TEST_CASE_METHOD(MemoryCheckerTest, "MemoryCheckerTest.SwizzleOf128BitAccesses") {
  const WatchedArray<float> x(checker, "x", 64 * 16, 1), out(checker, "out", 64 * 16);
  kernels::copy_rows(kernels::Rows::right, out, x);
  CHECK(requests("copy_rows", Space::shared, Access::store).count == 8);
  CHECK(requests("copy_rows", Space::shared, Access::store).taken == 8 * 4);
  CHECK(requests("copy_rows", Space::shared, Access::load).beyond_least() == 0);
  kernels::copy_rows(kernels::Rows::wrong_swizzle, out, x);
  CHECK(requests("copy_rows", Space::shared, Access::store).beyond_least() > 0);
  CHECK(requests("copy_rows", Space::shared, Access::load).beyond_least() > 0);
  CHECK_THAT(checker.findings(), test::ElementsAre());
}

}  // namespace
}  // namespace lfm::test
