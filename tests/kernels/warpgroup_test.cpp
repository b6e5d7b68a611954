// The emulated products of warpgroups, bulk copies and barriers: products against the plain one; a pipeline that has
// all the waits and fences it needs, and one for each that is left out.
#include "kernels/warpgroup.cuh"

#include <random>
#include <string>
#include <vector>

#include "kernels/launch.h"
#include "tests/catch.h"

namespace lfm::kernels::inline LFM_TARGET {
namespace {

const simt::Schedule kOrders[] = {
    {simt::Order::ascending, 0}, {simt::Order::descending, 0}, {simt::Order::shuffled, 1}, {simt::Order::shuffled, 2}};

constexpr int kRows = kProductRows, kColumns = kProductColumns;
constexpr int kPipelineRounds = 5;
constexpr int kRowChunks = 2 * kRows, kColumnChunks = 2 * kColumns;  // of a round's matrices

struct PipelineBuffers {
  Shared<Chunk, 2, kRowChunks> rows;
  Shared<Chunk, 2, kColumnChunks> columns;
  Shared<Barrier, 2> arrived;
};

enum class Left {
  nothing,
  barrier_fence,    // after initialising a barrier
  proxy_fence,      // after copying rows
  copy_wait,        // for the rows
  phase_wait,       // for the columns
  right_phase,      // waits for the other one
  products_begin,   // wgmma.fence
  products_commit,  // of a round
  slot_wait,        // for the products that read what is overwritten
  slot_barrier,     // for other warps' products
  last_wait,        // for sums
};

// c[64][128] = sum over rounds of rows[round] columns[round]^T: the rows copied by all threads, the columns by one.
template <typename T, Left kLeft>
__global__ void pipeline_kernel(float* c, const Chunk* rows, const Chunk* columns) {
  auto& buffers = dynamic_shared<PipelineBuffers>();
  const int t = thread_index();
  if (t == 0) {
    for (int slot = 0; slot < 2; ++slot) init_barrier(buffers.arrived[slot]);
    if (kLeft != Left::barrier_fence) fence_async_proxy();
  }
  sync_block();
  const auto copy = [&](int round) {
    if (round >= kPipelineRounds) return;
    copy_async(&buffers.rows[round % 2][t], rows + round * kRowChunks + t, true);
    commit_copies();
    if (t > 0) return;
    expect_bytes(buffers.arrived[round % 2], 16 * kColumnChunks);
    copy_bulk(&buffers.columns[round % 2][0], columns + round * kColumnChunks, 16 * kColumnChunks,
              buffers.arrived[round % 2]);
  };
  float acc[kColumns / 2] = {};
  copy(0);
  for (int round = 0; round < kPipelineRounds; ++round) {
    if (kLeft != Left::copy_wait) wait_copies<0>();
    if (kLeft != Left::proxy_fence) fence_async_proxy();
    const unsigned parity = static_cast<unsigned>(round / 2 % 2);
    if (kLeft != Left::phase_wait)
      wait_barrier(buffers.arrived[round % 2], kLeft == Left::right_phase ? 1 - parity : parity);
    sync_block();
    if (kLeft != Left::products_begin) begin_products();
    multiply_async<T>(acc, matrix(&buffers.rows[round % 2][0], kRows, 8),
                      matrix(&buffers.columns[round % 2][0], kColumns, 8));
    if (kLeft != Left::products_commit) commit_products();
    kLeft == Left::slot_wait ? wait_products<2>(acc) : wait_products<1>(acc);
    if (kLeft != Left::slot_barrier) sync_block();
    copy(round + 1);
  }
  if (kLeft != Left::last_wait) wait_products<0>(acc);
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = warp_index() * 16 + i / 2 % 2 * 8 + lane_index() / 4;
    c[row * kColumns + i / 4 * 8 + lane_index() % 4 * 2 + i % 2] = acc[i];
  }
}

// Small integers, so that every sum is exact.
template <typename T>
std::vector<T> integers(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values;
  for (int i = 0; i < count; ++i) {
    values.push_back(round_to<T>(static_cast<float>(static_cast<int>(random() % 9) - 4)));
  }
  return values;
}

template <typename T, Left kLeft>
bool multiplies_rightly() {
  constexpr int kChunk = kPerChunk<T>, kDepth = 2 * kChunk;
  const auto rows = integers<T>(kPipelineRounds * kRowChunks * kChunk, 1);
  const auto columns = integers<T>(kPipelineRounds * kColumnChunks * kChunk, 2);
  const auto at = [&](const std::vector<T>& values, int round, int of, int row, int k) {
    return to_float(values[static_cast<std::size_t>(((round * 2 + k / kChunk) * of + row) * kChunk + k % kChunk)]);
  };
  std::vector<float> want(kRows * kColumns);
  for (int i = 0; i < kRows * kColumns * kPipelineRounds * kDepth; ++i) {
    const int k = i % kDepth, round = i / kDepth % kPipelineRounds, out = i / kDepth / kPipelineRounds;
    want[out] += at(rows, round, kRows, out / kColumns, k) * at(columns, round, kColumns, out % kColumns, k);
  }
  for (const auto& order : kOrders) {
    const simt::ScopedSchedule scoped(order);
    std::vector<float> got(kRows * kColumns);
    launch({.kernel = "pipeline", .blocks = {1}, .threads = kWarpgroup, .shared_bytes = sizeof(PipelineBuffers)},
           nullptr, pipeline_kernel<T, kLeft>, got.data(), reinterpret_cast<const Chunk*>(rows.data()),
           reinterpret_cast<const Chunk*>(columns.data()));
    if (got != want) return false;
  }
  return true;
}

TEST_CASE("Warpgroup.ProductsInAPipeline") {
  CHECK(multiplies_rightly<Half, Left::nothing>());
  CHECK(multiplies_rightly<Bfloat16, Left::nothing>());
  CHECK(multiplies_rightly<Tf32, Left::nothing>());
}

template <Left kLeft>
void expect_failure(const std::string& what) {
  CHECK_THROWS_MATCHES((multiplies_rightly<Half, kLeft>()), simt::Failure, lfm::test::Says(ContainsSubstring(what)));
}

TEST_CASE("Warpgroup.MissingFencesCommitsAndWaitsAreTold") {
  expect_failure<Left::barrier_fence>("thread 0 wrote without fence_async_proxy()");
  expect_failure<Left::proxy_fence>("wrote without fence_async_proxy()");
  expect_failure<Left::copy_wait>("has a copy under way");
  expect_failure<Left::phase_wait>("expects its bytes already");
  expect_failure<Left::right_phase>("expects its bytes already");
  expect_failure<Left::products_begin>("without begin_products()");
  expect_failure<Left::products_commit>("ends with products under way");
  expect_failure<Left::last_wait>("ends with products under way");
}

TEST_CASE("Warpgroup.SlotsOverwrittenTooEarlyShowInResults") {
  CHECK_FALSE(multiplies_rightly<Half, Left::slot_wait>());
  CHECK_FALSE(multiplies_rightly<Half, Left::slot_barrier>());
}

// c[64][64] = rows of ones in registers times columns of ones.
__global__ void register_kernel(float* c, bool changes) {
  auto& buffers = dynamic_shared<PipelineBuffers>();
  constexpr std::uint32_t kOnes = 0x3c003c00u;  // two halves
  buffers.columns[0][thread_index()] = {{kOnes, kOnes, kOnes, kOnes}};
  fence_async_proxy();
  sync_block();
  std::uint32_t a[4] = {kOnes, kOnes, kOnes, kOnes};
  float acc[kProductColumns / 4] = {};
  begin_products();
  multiply_async<Half>(acc, a, matrix(&buffers.columns[0][0], kProductColumns / 2, 8));
  commit_products();
  if (changes) a[thread_index() % 4] = 0;
  wait_products<0>(acc);
  for (int i = 0; i < kProductColumns / 4; ++i) c[thread_index() * (kProductColumns / 4) + i] = acc[i];
}

TEST_CASE("Warpgroup.RegistersStayUntilTheProductIsWaitedFor") {
  const auto run = [](bool changes) {
    std::vector<float> c(kRows * kProductColumns / 2);
    launch({.kernel = "tested", .blocks = {1}, .threads = kWarpgroup, .shared_bytes = sizeof(PipelineBuffers)}, nullptr,
           register_kernel, c.data(), changes);
    return c;
  };
  CHECK(run(false) == std::vector<float>(kRows * kProductColumns / 2, 16.0f));
  CHECK_THROWS_MATCHES(run(true), simt::Failure, lfm::test::Says(ContainsSubstring("registers that a product reads")));
}

__global__ void uninitialised_barrier_kernel() { wait_barrier(dynamic_shared<PipelineBuffers>().arrived[0], 0); }

__global__ void silent_barrier_kernel() {
  Barrier& barrier = dynamic_shared<PipelineBuffers>().arrived[1];
  if (thread_index() == 0) {
    init_barrier(barrier);
    expect_bytes(barrier, 32);
  }
  sync_block();
  wait_barrier(barrier, 0);
}

TEST_CASE("Warpgroup.BarriersThatNothingEndsAreTold") {
  const auto run = [](void (*kernel)()) {
    launch({.kernel = "tested", .blocks = {1}, .threads = kWarp, .shared_bytes = sizeof(PipelineBuffers)}, nullptr,
           kernel);
  };
  CHECK_THROWS_MATCHES(run(uninitialised_barrier_kernel), simt::Failure,
                       lfm::test::Says(ContainsSubstring("nobody has initialised")));
  CHECK_THROWS_MATCHES(run(silent_barrier_kernel), simt::Failure,
                       lfm::test::Says(ContainsSubstring("waits for 32 bytes")));
}

}  // namespace
}  // namespace lfm::kernels::inline LFM_TARGET
