// The memory checker: right kernels pass, kernels broken in one way are caught, with the line where.
#include "kernels/simt/check/memory_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/simt/check/traffic.h"
#include "tests/kernels/memory/broken_kernels.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {
namespace {

using simt::Access, simt::FindingKind, simt::LaneAccess, simt::MemoryChecker, simt::Space;
using ::testing::AllOf, ::testing::ElementsAre, ::testing::Field, ::testing::HasSubstr, ::testing::IsEmpty;

auto is(FindingKind kind, const std::string& text) {
  return AllOf(Field(&simt::Finding::kind, kind),
               Field(&simt::Finding::message, AllOf(HasSubstr(text), HasSubstr("broken_kernels.cpp:"))));
}

std::vector<LaneAccess> warp(int bytes, auto address) {
  std::vector<LaneAccess> lanes;
  for (int lane = 0; lane < 32; ++lane)
    lanes.push_back({lane, static_cast<std::uintptr_t>(address(lane)), bytes});
  return lanes;
}

TEST(Traffic, CountsSectors) {
  EXPECT_EQ(simt::sectors_of(warp(4, [](int l) { return 4 * l; })).taken, 4);
  EXPECT_EQ(simt::sectors_of(warp(4, [](int l) { return 4 * l + 16; })).taken, 5);
  EXPECT_EQ(simt::sectors_of(warp(16, [](int l) { return 16 * l; })).taken, 16);
  EXPECT_EQ(simt::sectors_of(warp(1, [](int l) { return l; })).taken, 1);
  EXPECT_EQ(simt::sectors_of(warp(4, [](int) { return 64; })).taken, 1);
  const auto strided = simt::sectors_of(warp(4, [](int l) { return 128 * l; }));
  EXPECT_EQ(strided.taken, 32);
  EXPECT_EQ(strided.least, 4);
}

TEST(Traffic, CountsWavefronts) {
  const auto conflicts = [](int bytes, auto address) {
    const auto cost = simt::wavefronts_of(warp(bytes, address));
    return std::pair(cost.least, cost.taken - cost.least);
  };
  EXPECT_EQ(conflicts(4, [](int l) { return 4 * l; }), std::pair(1, 0));
  EXPECT_EQ(conflicts(4, [](int) { return 4; }), std::pair(1, 0));  // broadcast
  EXPECT_EQ(conflicts(4, [](int l) { return 8 * l; }), std::pair(1, 1));
  EXPECT_EQ(conflicts(4, [](int l) { return 128 * l; }), std::pair(1, 31));
  EXPECT_EQ(conflicts(4, [](int l) { return 132 * l; }), std::pair(1, 0));  // padded
  EXPECT_EQ(conflicts(1, [](int l) { return l; }), std::pair(1, 0));
  EXPECT_EQ(conflicts(8, [](int l) { return 8 * l; }), std::pair(2, 0));
  EXPECT_EQ(conflicts(16, [](int l) { return 16 * l; }), std::pair(4, 0));
  EXPECT_EQ(conflicts(16, [](int l) { return 32 * l; }), std::pair(4, 4));
  EXPECT_EQ(conflicts(16, [](int l) { return 128 * l; }), std::pair(4, 28));
}

class MemoryCheckerTest : public ::testing::Test {
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

TEST_F(TransposeUnderWatch, RightOne) {
  run(kernels::Transpose::right);
  EXPECT_THAT(checker.findings(), IsEmpty());
  for (int i = 0; i < 1024; ++i) ASSERT_EQ(out[i], in[i % 32 * 32 + i / 32]);
  const auto& loads = requests("transpose", Space::global, Access::load);
  EXPECT_EQ(loads.count, 32);
  EXPECT_EQ(loads.taken, 32 * 4);
  EXPECT_EQ(requests("transpose", Space::shared, Access::load).count, 32);
  EXPECT_EQ(requests("transpose", Space::shared, Access::load).beyond_least(), 0);
  EXPECT_EQ(requests("transpose", Space::shared, Access::store).beyond_least(), 0);
}

TEST_F(TransposeUnderWatch, MissingBarrier) {
  run(kernels::Transpose::without_barrier);
  EXPECT_THAT(checker.findings(),
              ::testing::Contains(is(FindingKind::race, "shared array tile, unordered with thread")));
}

TEST_F(TransposeUnderWatch, UnpaddedTile) {
  run(kernels::Transpose::without_padding);
  EXPECT_THAT(checker.findings(), IsEmpty());
  EXPECT_EQ(requests("transpose", Space::shared, Access::load).beyond_least(), 32 * 31);
  EXPECT_EQ(requests("transpose", Space::shared, Access::store).beyond_least(), 0);
}

TEST_F(TransposeUnderWatch, UninitialisedShared) {
  run(kernels::Transpose::reading_a_gap);
  EXPECT_THAT(checker.findings(),
              ElementsAre(is(FindingKind::uninitialised, "no thread of the block has stored to")));
}

class CopyUnderWatch : public MemoryCheckerTest {
 protected:
  WatchedArray<float> in{checker, "x", 64 * 64, 1}, out{checker, "out", 64 * 64};
};

TEST_F(CopyUnderWatch, RightOne) {
  kernels::copy(kernels::Copy::right, out, in, 64 * 64);
  EXPECT_THAT(checker.findings(), IsEmpty());
  EXPECT_EQ(requests("copy", Space::global, Access::load).taken_each(), 4);
  EXPECT_EQ(requests("copy", Space::global, Access::store).taken_each(), 4);
}

TEST_F(CopyUnderWatch, StridedAccess) {
  kernels::copy(kernels::Copy::strided, out, in, 64 * 64);
  EXPECT_THAT(checker.findings(), IsEmpty());
  EXPECT_EQ(requests("copy", Space::global, Access::load).taken_each(), 32);
  EXPECT_EQ(requests("copy", Space::global, Access::store).taken_each(), 32);
}

TEST_F(CopyUnderWatch, OutOfBounds) {
  kernels::copy(kernels::Copy::one_too_many, out, in, 64 * 64);
  EXPECT_THAT(checker.findings(), ElementsAre(is(FindingKind::out_of_bounds,
                                                 "loads 4 bytes 0 bytes past the end of x (16384 bytes)")));
}

TEST_F(CopyUnderWatch, BlocksThatStoreToTheSamePlace) {
  kernels::copy(kernels::Copy::every_block, out, in, 64 * 64);
  EXPECT_THAT(checker.findings(),
              ElementsAre(is(FindingKind::race, "of out, which another block stores to")));
}

TEST_F(CopyUnderWatch, UninitialisedGlobal) {
  const WatchedArray<float> workspace(checker, "workspace", 64);
  kernels::copy(kernels::Copy::right, workspace, in, 32);
  kernels::copy(kernels::Copy::right, out, workspace, 32);
  EXPECT_THAT(checker.findings(), IsEmpty());
  kernels::copy(kernels::Copy::right, out, workspace, 33);
  EXPECT_THAT(checker.findings(), ElementsAre(is(FindingKind::uninitialised,
                                                 "at byte 128 of workspace, which nothing has stored to")));
}

TEST_F(CopyUnderWatch, ArraysAreForgottenWithTheirMemory) {
  { const WatchedArray<float> gone(checker, "gone", 64, 1); }
  EXPECT_THROW(MemoryChecker(), Error);
  kernels::copy(kernels::Copy::right, out, in, 64);
  EXPECT_THAT(checker.findings(), IsEmpty());
}

TEST_F(MemoryCheckerTest, SyncWarpOrdersMemoryAndVotesDoNot) {
  const WatchedArray<float> x(checker, "x", 64, 1), out(checker, "out", 64);
  kernels::rotate(kernels::Rotation::right, out, x);
  EXPECT_THAT(checker.findings(), IsEmpty());
  kernels::rotate(kernels::Rotation::with_a_vote, out, x);
  EXPECT_THAT(checker.findings(), ElementsAre(is(FindingKind::race, "shared array values")));
}

TEST_F(MemoryCheckerTest, AsynchronousCopies) {
  using kernels::AsyncCopy;
  const WatchedArray<float> x(checker, "x", 256, 1), out(checker, "out", 256);
  kernels::copy_backwards(AsyncCopy::right, out, x);
  EXPECT_THAT(checker.findings(), IsEmpty());
  for (int i = 0; i < 256; ++i) ASSERT_EQ(out[i], x[255 - i]);
  EXPECT_EQ(requests("copy_backwards", Space::shared, Access::store).count, 2);
  for (const AsyncCopy broken : {AsyncCopy::without_wait, AsyncCopy::without_barrier, AsyncCopy::waiting_for_too_few,
                                 AsyncCopy::overwritten_early}) {
    const std::size_t known = checker.findings().size();
    kernels::copy_backwards(broken, out, x);
    ASSERT_GT(checker.findings().size(), known) << "variant " << static_cast<int>(broken);
    EXPECT_THAT(checker.findings().back(), is(FindingKind::race, "shared array tile")) << "variant " << static_cast<int>(broken);
  }
}

TEST_F(MemoryCheckerTest, SwizzleOf128BitAccesses) {
  const WatchedArray<float> x(checker, "x", 64 * 16, 1), out(checker, "out", 64 * 16);
  kernels::copy_rows(kernels::Rows::right, out, x);
  EXPECT_EQ(requests("copy_rows", Space::shared, Access::store).count, 8);
  EXPECT_EQ(requests("copy_rows", Space::shared, Access::store).taken, 8 * 4);
  EXPECT_EQ(requests("copy_rows", Space::shared, Access::load).beyond_least(), 0);
  kernels::copy_rows(kernels::Rows::wrong_swizzle, out, x);
  EXPECT_GT(requests("copy_rows", Space::shared, Access::store).beyond_least(), 0);
  EXPECT_GT(requests("copy_rows", Space::shared, Access::load).beyond_least(), 0);
  EXPECT_THAT(checker.findings(), IsEmpty());
}

}  // namespace
}  // namespace lfm::test
