// The emulated device itself: kernels that are right give the same bits in every order of the threads, and deliberately broken ones
// are caught, with file and line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/simt/queue.h"

namespace lfm::kernels::inline LFM_TARGET {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kThreads = 96;

const simt::Schedule kSchedules[] = {{simt::Order::ascending, 0},
                                     {simt::Order::descending, 0},
                                     {simt::Order::shuffled, 1},
                                     {simt::Order::shuffled, 2}};

std::string here(int line) { return "simt_test.cpp:" + std::to_string(line); }

// ---- kernels ----

__global__ void reverse_kernel(int* out, const int* in) {
  SHARED_ARRAY(int, tile, kThreads);
  const unsigned t = threadIdx.x, first = blockIdx.x * kThreads;
  tile[t] = in[first + t];
  sync_block();
  out[first + t] = tile[kThreads - 1 - t];
}

__global__ void reverse_without_barrier_kernel(int* out, const int* in) {
  SHARED_ARRAY(int, tile, kThreads);
  const unsigned t = threadIdx.x;
  tile[t] = in[t];
  out[t] = tile[kThreads - 1 - t];
}

constexpr int kExitLine = __LINE__ + 3;
__global__ void early_exit_kernel(int limit) {
  if (static_cast<int>(threadIdx.x) >= limit) return;
  sync_block();
}

constexpr int kDivergentLine = __LINE__ + 3;
__global__ void divergent_barrier_kernel() {
  if (threadIdx.x % 2 == 0) {
    sync_block();
  } else {
    sync_block();
  }
}

__global__ void sum_kernel(int* out) { out[threadIdx.x] = warp_sum(static_cast<int>(threadIdx.x)); }

__global__ void vote_kernel(std::uint32_t* out) { out[threadIdx.x] = ballot(kAllLanes, threadIdx.x % 3 == 0); }

__global__ void shift_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  out[t] = 10000 * shuffle(kAllLanes, t, 5) + 100 * shuffle_up(kAllLanes, t, 2) + shuffle_down(kAllLanes, t, 3);
}

__global__ void foreign_mask_kernel() {
  if (lane_index() < 16) shuffle_xor(0xffff0000u, 1, 1);
}

__global__ void unequal_masks_kernel() { shuffle_xor(lane_index() < 16 ? kAllLanes : 0xffff0001u | 1u << lane_index(), 1, 1); }

__global__ void absent_lane_kernel() {
  if (lane_index() != 7) shuffle_xor(kAllLanes, 1, 1);
}

__global__ void unnamed_source_kernel() {
  if (lane_index() < 8) shuffle(0xffu, 1, 9);
}

__global__ void two_halves_kernel(int* out) {
  const int lane = lane_index();
  const std::uint32_t half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  int value = lane;
  for (int bits = 8; bits > 0; bits /= 2) value += shuffle_xor(half, value, bits);
  out[threadIdx.x] = value;
}

__global__ void shared_beyond_kernel(int i, int j) {
  SHARED_ARRAY(float, tile, 4, 8);
  tile[i][j] = 1.0f;
}

__global__ void vector_beyond_kernel(int at) {
  SHARED_ARRAY(float, tile, 10);
  store4(&tile[at], {});
}

__global__ void too_much_shared_kernel() {
  SHARED_ARRAY(float, first, 8192);
  SHARED_ARRAY(float, second, 8192);
  first[0] = second[0] = 0.0f;
}

__global__ void unwritten_shared_kernel(float* out) {
  SHARED_ARRAY(float, tile, kThreads);
  out[blockIdx.x * kThreads + threadIdx.x] = tile[threadIdx.x];
  tile[threadIdx.x] = 1.0f;
}

template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), unsigned blocks, bool synchronises, Arguments... arguments) {
  launch({.kernel = "tested", .blocks = {blocks}, .threads = kThreads, .synchronises = synchronises}, nullptr, kernel,
         arguments...);
}

// ---- what is right ----

TEST(Simt, BarrierMakesSharedMemoryVisible) {
  std::vector<int> in(2 * kThreads), out(2 * kThreads);
  std::iota(in.begin(), in.end(), 0);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(reverse_kernel, 2, true, out.data(), in.data());
    for (int i = 0; i < 2 * kThreads; ++i) {
      ASSERT_EQ(out[i], i / kThreads * kThreads + kThreads - 1 - i % kThreads) << "order " << static_cast<int>(schedule.order);
    }
  }
}

TEST(Simt, WarpOperations) {
  std::vector<int> out(kThreads);
  std::vector<std::uint32_t> votes(kThreads);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(sum_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) EXPECT_EQ(out[i], i / 32 * 32 * 32 + 31 * 16);
    run(vote_kernel, 1, true, votes.data());
    for (int i = 0; i < kThreads; ++i) {
      for (int lane = 0; lane < 32; ++lane) EXPECT_EQ(votes[i] >> lane & 1u, (i / 32 * 32 + lane) % 3 == 0);
    }
    run(shift_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) {
      const int lane = i % 32, warp = i - lane;
      EXPECT_EQ(out[i], 10000 * (warp + 5) + 100 * (lane < 2 ? i : i - 2) + (lane > 28 ? i : i + 3));
    }
    run(two_halves_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) EXPECT_EQ(out[i], i % 32 < 16 ? 120 : 376);
  }
}

TEST(Simt, SharedMemoryIsNaNInEveryBlock) {
  std::vector<float> out(3 * kThreads);
  run(unwritten_shared_kernel, 3, false, out.data());
  EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](float v) { return std::isnan(v); }));
}

// ---- what is broken ----

TEST(Simt, MissingBarrierShowsInSomeOrder) {
  std::vector<int> in(kThreads), ascending(kThreads), descending(kThreads);
  std::iota(in.begin(), in.end(), 0);
  {
    const simt::ScopedSchedule scoped({simt::Order::ascending});
    run(reverse_without_barrier_kernel, 1, true, ascending.data(), in.data());
  }
  {
    const simt::ScopedSchedule scoped({simt::Order::descending});
    run(reverse_without_barrier_kernel, 1, true, descending.data(), in.data());
  }
  EXPECT_NE(ascending, descending);
}

TEST(Simt, ExitBeforeABarrierOthersWaitAt) {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    EXPECT_THAT([] { run(early_exit_kernel, 1, true, 90); },
                ThrowsMessage<simt::Failure>(AllOf(HasSubstr("kernel tested"), HasSubstr(here(kExitLine)), HasSubstr("has exited"))));
  }
}

TEST(Simt, DifferentBarriers) {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    EXPECT_THAT([] { run(divergent_barrier_kernel, 1, true); },
                ThrowsMessage<simt::Failure>(AllOf(HasSubstr("different barriers"), HasSubstr(here(kDivergentLine)),
                                                   HasSubstr(here(kDivergentLine + 2)))));
  }
}

TEST(Simt, WrongMasks) {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    EXPECT_THAT([] { run(foreign_mask_kernel, 1, true); },
                ThrowsMessage<simt::Failure>(HasSubstr("does not name the calling lane")));
    EXPECT_THAT([] { run(unequal_masks_kernel, 1, true); },
                ThrowsMessage<simt::Failure>(HasSubstr("different warp operation or mask")));
    EXPECT_THAT([] { run(absent_lane_kernel, 1, true); },
                ThrowsMessage<simt::Failure>(AllOf(HasSubstr("waits in shuffle_xor"), HasSubstr("thread (7, 0, 0) has exited"))));
    EXPECT_THAT([] { run(unnamed_source_kernel, 1, true); },
                ThrowsMessage<simt::Failure>(HasSubstr("reads lane 9, which takes no part")));
  }
}

TEST(Simt, SharedMemoryBounds) {
  EXPECT_NO_THROW(run(shared_beyond_kernel, 1, false, 3, 7));
  for (const auto& [i, j] : {std::pair{4, 0}, {0, 8}, {-1, 0}, {3, -1}}) {
    const auto broken = [i = i, j = j] { run(shared_beyond_kernel, 1, false, i, j); };
    EXPECT_THAT(broken,
                ThrowsMessage<simt::Failure>(AllOf(HasSubstr("simt_test.cpp:"), HasSubstr("of a shared array of"))));
  }
  EXPECT_NO_THROW(run(vector_beyond_kernel, 1, false, 4));
  EXPECT_THAT([] { run(vector_beyond_kernel, 1, false, 8); },
              ThrowsMessage<simt::Failure>(HasSubstr("crosses the end of its array")));
  EXPECT_THAT([] { run(vector_beyond_kernel, 1, false, 2); }, ThrowsMessage<simt::Failure>(HasSubstr("is not aligned")));
  EXPECT_THAT([] { run(too_much_shared_kernel, 1, false); }, ThrowsMessage<simt::Failure>(HasSubstr("over the limit")));
}

TEST(Simt, BarrierInAKernelLaunchedAsHavingNone) {
  EXPECT_THAT([] { run(early_exit_kernel, 1, false, kThreads); }, ThrowsMessage<simt::Failure>(HasSubstr("having none")));
  std::vector<int> out(kThreads);
  EXPECT_THAT([&] { run(sum_kernel, 1, false, out.data()); },
              ThrowsMessage<simt::Failure>(HasSubstr("without synchronisation")));
}

TEST(Simt, RunsOnAfterAFailure) {
  EXPECT_THROW(run(early_exit_kernel, 1, true, 1), simt::Failure);
  std::vector<int> out(kThreads);
  run(sum_kernel, 1, true, out.data());
  EXPECT_EQ(out[0], 496);
}

TEST(Simt, InvalidLaunch) {
  std::vector<int> out(kThreads);
  EXPECT_THROW(run(sum_kernel, 0, true, out.data()), simt::Failure);
}

// ---- streams ----

TEST(SimtQueue, AMissingEventWaitShowsForSomeSeed) {
  const auto consumed = [](std::uint64_t seed, bool wait) {
    simt::Context context(seed);
    simt::Queue &producer = context.create_queue(), &consumer = context.create_queue();
    simt::Event done;
    int value = 0, seen = -1;
    producer.enqueue([&] { value = 1; });
    producer.record(done);
    if (wait) consumer.wait(done);
    consumer.enqueue([&] { seen = value; });
    consumer.synchronize();
    return seen;
  };
  int missed = 0;
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    EXPECT_EQ(consumed(seed, true), 1);
    missed += consumed(seed, false) != 1;
  }
  EXPECT_GT(missed, 0);
}

TEST(SimtQueue, NothingRunsBeforeSomebodyWaits) {
  simt::Context context;
  simt::Queue& queue = context.create_queue();
  int value = 0;
  queue.enqueue([&] { value = 1; });
  EXPECT_EQ(value, 0);
  queue.synchronize();
  EXPECT_EQ(value, 1);
}

}  // namespace
}  // namespace lfm::kernels::inline LFM_TARGET
