// The emulated device itself: kernels that are right give the same bits in every order of the threads, and deliberately
// broken ones are caught, with file and line.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/simt/queue.h"
#include "tests/catch.h"

namespace lfm::kernels::inline LFM_TARGET {
namespace {

constexpr int kThreads = 96;

const simt::Schedule kSchedules[] = {
    {simt::Order::ascending, 0}, {simt::Order::descending, 0}, {simt::Order::shuffled, 1}, {simt::Order::shuffled, 2}};

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

__global__ void unequal_masks_kernel() {
  shuffle_xor(lane_index() < 16 ? kAllLanes : 0xffff0001u | 1u << lane_index(), 1, 1);
}

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

constexpr int kBigRows = 600;  // of a line: more than shared arrays may take together

struct BigTile {
  Shared<float, kBigRows, kWarp> rows;
  Shared<int, 2> last;
};

__global__ void big_shared_kernel(float* out, int rows) {
  BigTile& tile = dynamic_shared<BigTile>();
  const int t = thread_index();
  for (int row = 0; row < rows; ++row) tile.rows[row][t] = static_cast<float>(row + t);
  sync_block();
  out[t] = tile.rows[rows - 1][kWarp - 1 - t];
}

__global__ void cluster_kernel(int* out) { out[block_index()] = 10 * cluster_size() + cluster_rank(); }

template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), unsigned blocks, bool synchronises, Arguments... arguments) {
  launch({.kernel = "tested", .blocks = {blocks}, .threads = kThreads, .synchronises = synchronises}, nullptr, kernel,
         arguments...);
}

// ---- what is right ----

TEST_CASE("Simt.BarrierMakesSharedMemoryVisible") {
  std::vector<int> in(2 * kThreads), out(2 * kThreads);
  std::iota(in.begin(), in.end(), 0);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(reverse_kernel, 2, true, out.data(), in.data());
    for (int i = 0; i < 2 * kThreads; ++i) {
      QUICK_REQUIRE(out[i] == i / kThreads * kThreads + kThreads - 1 - i % kThreads,
                    "order " << static_cast<int>(schedule.order));
    }
  }
}

TEST_CASE("Simt.WarpOperations") {
  std::vector<int> out(kThreads);
  std::vector<std::uint32_t> votes(kThreads);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(sum_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) CHECK(out[i] == i / 32 * 32 * 32 + 31 * 16);
    run(vote_kernel, 1, true, votes.data());
    for (int i = 0; i < kThreads; ++i) {
      for (int lane = 0; lane < 32; ++lane) CHECK((votes[i] >> lane & 1u) == ((i / 32 * 32 + lane) % 3 == 0));
    }
    run(shift_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) {
      const int lane = i % 32, warp = i - lane;
      CHECK(out[i] == 10000 * (warp + 5) + 100 * (lane < 2 ? i : i - 2) + (lane > 28 ? i : i + 3));
    }
    run(two_halves_kernel, 1, true, out.data());
    for (int i = 0; i < kThreads; ++i) CHECK(out[i] == (i % 32 < 16 ? 120 : 376));
  }
}

TEST_CASE("Simt.SharedMemoryIsNaNInEveryBlock") {
  std::vector<float> out(3 * kThreads);
  run(unwritten_shared_kernel, 3, false, out.data());
  CHECK(std::all_of(out.begin(), out.end(), [](float v) { return std::isnan(v); }));
}

// ---- what is broken ----

TEST_CASE("Simt.MissingBarrierShowsInSomeOrder") {
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
  CHECK(ascending != descending);
}

TEST_CASE("Simt.ExitBeforeABarrierOthersWaitAt") {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    CHECK_THROWS_MATCHES(run(early_exit_kernel, 1, true, 90), simt::Failure,
                         lfm::test::Says(ContainsSubstring("kernel tested") && ContainsSubstring(here(kExitLine)) &&
                                         ContainsSubstring("has exited")));
  }
}

TEST_CASE("Simt.DifferentBarriers") {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    CHECK_THROWS_MATCHES(
        run(divergent_barrier_kernel, 1, true), simt::Failure,
        lfm::test::Says(ContainsSubstring("different barriers") && ContainsSubstring(here(kDivergentLine)) &&
                        ContainsSubstring(here(kDivergentLine + 2))));
  }
}

TEST_CASE("Simt.WrongMasks") {
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    CHECK_THROWS_MATCHES(run(foreign_mask_kernel, 1, true), simt::Failure,
                         lfm::test::Says(ContainsSubstring("does not name the calling lane")));
    CHECK_THROWS_MATCHES(run(unequal_masks_kernel, 1, true), simt::Failure,
                         lfm::test::Says(ContainsSubstring("different warp operation or mask")));
    CHECK_THROWS_MATCHES(
        run(absent_lane_kernel, 1, true), simt::Failure,
        lfm::test::Says(ContainsSubstring("waits in shuffle_xor") && ContainsSubstring("thread (7, 0, 0) has exited")));
    CHECK_THROWS_MATCHES(run(unnamed_source_kernel, 1, true), simt::Failure,
                         lfm::test::Says(ContainsSubstring("reads lane 9, which takes no part")));
  }
}

TEST_CASE("Simt.SharedMemoryBounds") {
  CHECK_NOTHROW(run(shared_beyond_kernel, 1, false, 3, 7));
  for (const auto& [i, j] : {std::pair{4, 0}, {0, 8}, {-1, 0}, {3, -1}}) {
    const auto broken = [i = i, j = j] { run(shared_beyond_kernel, 1, false, i, j); };
    CHECK_THROWS_MATCHES(
        broken(), simt::Failure,
        lfm::test::Says(ContainsSubstring("simt_test.cpp:") && ContainsSubstring("of a shared array of")));
  }
  CHECK_NOTHROW(run(vector_beyond_kernel, 1, false, 4));
  CHECK_THROWS_MATCHES(run(vector_beyond_kernel, 1, false, 8), simt::Failure,
                       lfm::test::Says(ContainsSubstring("crosses the end of its array")));
  CHECK_THROWS_MATCHES(run(vector_beyond_kernel, 1, false, 2), simt::Failure,
                       lfm::test::Says(ContainsSubstring("is not aligned")));
  CHECK_THROWS_MATCHES(run(too_much_shared_kernel, 1, false), simt::Failure,
                       lfm::test::Says(ContainsSubstring("over the limit")));
}

TEST_CASE("Simt.DynamicSharedMemoryIsAsLargeAsTheLauncherSays") {
  std::vector<float> out(kWarp);
  const auto launch_with = [&](unsigned bytes, int rows) {
    launch({.kernel = "big", .blocks = {2}, .threads = kWarp, .shared_bytes = bytes}, nullptr, big_shared_kernel,
           out.data(), rows);
  };
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    launch_with(sizeof(BigTile), kBigRows);
    for (int t = 0; t < kWarp; ++t) REQUIRE(out[t] == static_cast<float>(kBigRows - 1 + kWarp - 1 - t));
  }
  CHECK_THROWS_MATCHES(launch_with(sizeof(BigTile), kBigRows + 1), simt::Failure,
                       lfm::test::Says(ContainsSubstring("index 600 of a shared array of 600")));
  CHECK_THROWS_MATCHES(launch_with(sizeof(BigTile) - 4, 1), simt::Failure,
                       lfm::test::Says(ContainsSubstring("was launched with 76804")));
  CHECK_THROWS_MATCHES(launch_with(simt::kSharedLimit + 1, 1), simt::Failure,
                       lfm::test::Says(ContainsSubstring("invalid launch")));
}

TEST_CASE("Simt.BlocksKnowTheirCluster") {
  std::vector<int> out(6);
  const auto launch_in = [&](unsigned cluster) {
    launch({.kernel = "cluster", .blocks = {6}, .threads = 1, .synchronises = false, .cluster = cluster}, nullptr,
           cluster_kernel, out.data());
  };
  launch_in(1);
  CHECK(out == std::vector<int>{10, 10, 10, 10, 10, 10});
  launch_in(3);
  CHECK(out == std::vector<int>{30, 31, 32, 30, 31, 32});
  for (const unsigned cluster : {0u, 4u, 12u}) {
    CHECK_THROWS_MATCHES(launch_in(cluster), simt::Failure, lfm::test::Says(ContainsSubstring("invalid launch")));
  }
}

TEST_CASE("Simt.BarrierInAKernelLaunchedAsHavingNone") {
  CHECK_THROWS_MATCHES(run(early_exit_kernel, 1, false, kThreads), simt::Failure,
                       lfm::test::Says(ContainsSubstring("having none")));
  std::vector<int> out(kThreads);
  CHECK_THROWS_MATCHES(run(sum_kernel, 1, false, out.data()), simt::Failure,
                       lfm::test::Says(ContainsSubstring("without synchronisation")));
}

TEST_CASE("Simt.RunsOnAfterAFailure") {
  CHECK_THROWS_AS(run(early_exit_kernel, 1, true, 1), simt::Failure);
  std::vector<int> out(kThreads);
  run(sum_kernel, 1, true, out.data());
  CHECK(out[0] == 496);
}

TEST_CASE("Simt.InvalidLaunch") {
  std::vector<int> out(kThreads);
  CHECK_THROWS_AS(run(sum_kernel, 0, true, out.data()), simt::Failure);
}

// ---- streams ----

TEST_CASE("SimtQueue.AMissingEventWaitShowsForSomeSeed") {
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
    CHECK(consumed(seed, true) == 1);
    missed += consumed(seed, false) != 1;
  }
  CHECK(missed > 0);
}

TEST_CASE("SimtQueue.NothingRunsBeforeSomebodyWaits") {
  simt::Context context;
  simt::Queue& queue = context.create_queue();
  int value = 0;
  queue.enqueue([&] { value = 1; });
  CHECK(value == 0);
  queue.synchronize();
  CHECK(value == 1);
}

}  // namespace
}  // namespace lfm::kernels::inline LFM_TARGET
