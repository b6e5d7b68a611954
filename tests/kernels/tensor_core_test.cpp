// The emulated tensor-core operations: fragments loaded element by element as the PTX ISA numbers them, products
// against the plain one; asynchronous copies with and without the waits they need.
#include "kernels/tensor_core.cuh"

#include <cmath>
#include <random>
#include <vector>

#include "kernels/launch.h"
#include "tests/catch.h"

namespace lfm::kernels::inline LFM_TARGET {
namespace {

const simt::Schedule kSchedules[] = {
    {simt::Order::ascending, 0}, {simt::Order::descending, 0}, {simt::Order::shuffled, 1}, {simt::Order::shuffled, 2}};

template <typename... Parameters, typename... Arguments>
void run(unsigned threads, void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.kernel = "tested", .blocks = {1}, .threads = threads}, nullptr, kernel, arguments...);
}

// ---- products: c[16][8] += a[16][K] b[K][8] ----

template <typename T>
constexpr int kDepth = 32 / static_cast<int>(sizeof(T));

// "Matrix fragments for mma.m16n8k16 with floating point type" (FP16, BF16) and "mma.m16n8k8" (TF32) of the PTX ISA.
struct Element {
  int row;
  int column;
};
template <typename T>
Element element_of_a(int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if constexpr (sizeof(T) == 2) {
    return {i < 2 || (i >= 4 && i < 6) ? group : group + 8, in_group * 2 + (i & 1) + (i < 4 ? 0 : 8)};
  } else {
    return {i == 0 || i == 2 ? group : group + 8, i < 2 ? in_group : in_group + 4};
  }
}
template <typename T>
Element element_of_b(int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if constexpr (sizeof(T) == 2) {
    return {in_group * 2 + (i & 1) + (i < 2 ? 0 : 8), group};
  } else {
    return {i == 0 ? in_group : in_group + 4, group};
  }
}
Element element_of_c(int lane, int i) { return {(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; }

template <typename T>
__global__ void mma_kernel(float* c, const float* a, const float* b) {
  const int lane = lane_index();
  std::array<T, 4 * kPerWord<T>> own_a;
  std::array<T, 2 * kPerWord<T>> own_b;
  for (std::size_t i = 0; i < own_a.size(); ++i) {
    const Element e = element_of_a<T>(lane, static_cast<int>(i));
    own_a[i] = round_to<T>(a[e.row * kDepth<T> + e.column]);
  }
  for (std::size_t i = 0; i < own_b.size(); ++i) {
    const Element e = element_of_b<T>(lane, static_cast<int>(i));
    own_b[i] = round_to<T>(b[e.row * 8 + e.column]);
  }
  float own_c[4];
  for (int i = 0; i < 4; ++i) own_c[i] = c[element_of_c(lane, i).row * 8 + element_of_c(lane, i).column];
  std::uint32_t words[4], b_words[2];
  std::memcpy(words, own_a.data(), sizeof words);
  std::memcpy(b_words, own_b.data(), sizeof b_words);
  mma<T>(own_c, words, b_words[0], b_words[1]);
  for (int i = 0; i < 4; ++i) c[element_of_c(lane, i).row * 8 + element_of_c(lane, i).column] = own_c[i];
}

// "Matrix fragments for mma.m16n8k8", FP16.
__global__ void mma_k8_kernel(float* c, const float* a, const float* b) {
  const int lane = lane_index(), group = lane >> 2, in_group = lane % 4;
  const auto a_word = [&](int row) { return encode<Half>(&a[row * 8 + in_group * 2]); };
  const float column[2] = {b[in_group * 2 * 8 + group], b[(in_group * 2 + 1) * 8 + group]};
  float own_c[4];
  for (int i = 0; i < 4; ++i) own_c[i] = c[element_of_c(lane, i).row * 8 + element_of_c(lane, i).column];
  mma_k8(own_c, a_word(group), a_word(group + 8), encode<Half>(column));
  for (int i = 0; i < 4; ++i) c[element_of_c(lane, i).row * 8 + element_of_c(lane, i).column] = own_c[i];
}

// Small integers, so that every sum is exact.
std::vector<float> integers(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return values;
}

std::vector<float> product(std::vector<float> c, const std::vector<float>& a, const std::vector<float>& b, int depth) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      for (int k = 0; k < depth; ++k) c[i * 8 + j] += a[i * depth + k] * b[k * 8 + j];
    }
  }
  return c;
}

void expect_products(void (*kernel)(float*, const float*, const float*), int depth) {
  const auto b = integers(depth * 8, 1), before = integers(16 * 8, 2);
  for (int hot = 0; hot < 16 * depth; ++hot) {  // row i of the product is row k of b
    std::vector<float> a(static_cast<std::size_t>(16) * depth), c(16 * 8);
    a[hot] = 1.0f;
    run(kWarp, kernel, c.data(), a.data(), b.data());
    REQUIRE_MESSAGE(c == product(std::vector<float>(16 * 8), a, b, depth),
                    "a(" << hot / depth << ", " << hot % depth << ") = 1");
  }
  const auto a = integers(16 * depth, 3);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    auto c = before;
    run(kWarp, kernel, c.data(), a.data(), b.data());
    REQUIRE(c == product(before, a, b, depth));
  }
}

TEST_CASE("TensorCore.ProductsOfHalves") { expect_products(mma_kernel<Half>, 16); }
TEST_CASE("TensorCore.ProductsOfBfloat16") { expect_products(mma_kernel<Bfloat16>, 16); }
TEST_CASE("TensorCore.ProductsOfTf32") { expect_products(mma_kernel<Tf32>, 8); }
TEST_CASE("TensorCore.ProductsOfHalvesAsTuringDoesThem") { expect_products(mma_k8_kernel, 8); }

TEST_CASE("TensorCore.SumsAreCutOffToFp32") {
  std::vector<float> a(16 * 16), b(16 * 8), c(16 * 8, 1.0f);
  a[0] = 0.75f * 0x1p-12f, b[0] = 0x1p-11f;  // less than the last place of 1
  a[16] = -0x1p-12f, b[1] = 0x1p-12f;
  run(kWarp, mma_kernel<Half>, c.data(), a.data(), b.data());
  CHECK(c[0] == 1.0f);
  CHECK(c[8 + 1] == std::nextafter(1.0f, 0.0f));
}

// ---- ldmatrix ----

template <int kMatrices, bool kTransposed>
__global__ void ldmatrix_kernel(std::uint32_t* out, int stride) {
  SHARED_ARRAY(Chunk, rows, 32);
  const int lane = lane_index();
  Chunk own;
  for (std::uint32_t i = 0; i < 4; ++i)
    own.word[i] =
        static_cast<std::uint32_t>(lane) << 8 | 2 * i | (static_cast<std::uint32_t>(lane) << 8 | (2 * i + 1)) << 16;
  rows[lane * stride % 32] = own;
  sync_block();
  std::uint32_t r[kMatrices];
  if constexpr (kTransposed) {
    ldmatrix_transposed(r, &rows[lane * stride % 32]);
  } else {
    ldmatrix(r, &rows[lane * stride % 32]);
  }
  for (int i = 0; i < kMatrices; ++i) out[lane * kMatrices + i] = r[i];
}

// Element (i, j) of matrix m was made row << 8 | j with row = 8m + i.
template <int kMatrices, bool kTransposed>
void expect_matrices() {
  std::vector<std::uint32_t> out(32 * kMatrices);
  for (const int stride : {1, 5}) {  // the rows may lie anywhere
    run(kWarp, ldmatrix_kernel<kMatrices, kTransposed>, out.data(), stride);
    for (int lane = 0; lane < 32; ++lane) {
      for (int m = 0; m < kMatrices; ++m) {
        const auto element = [&](int i, int j) { return static_cast<std::uint32_t>((8 * m + i) << 8 | j); };
        const int g = lane / 4, t = lane % 4;
        const std::uint32_t low = kTransposed ? element(2 * t, g) : element(g, 2 * t);
        const std::uint32_t high = kTransposed ? element(2 * t + 1, g) : element(g, 2 * t + 1);
        REQUIRE_MESSAGE(out[lane * kMatrices + m] == (low | high << 16), "lane " << lane << ", matrix " << m);
      }
    }
  }
}

TEST_CASE("TensorCore.MatricesFromSharedMemory") {
  expect_matrices<1, false>();
  expect_matrices<2, false>();
  expect_matrices<4, false>();
  expect_matrices<1, true>();
  expect_matrices<2, true>();
  expect_matrices<4, true>();
}

__global__ void ldmatrix_elsewhere_kernel(const Chunk* global) {
  std::uint32_t r[1];
  ldmatrix(r, global);
}

TEST_CASE("TensorCore.LdmatrixReadsSharedMemoryAlone") {
  const Chunk global{};
  CHECK_THROWS_MATCHES(run(kWarp, ldmatrix_elsewhere_kernel, &global), simt::Failure,
                       lfm::test::Says(ContainsSubstring("lies elsewhere")));
}

// ---- asynchronous copies: each thread reverses its part of three chunks through shared memory, one group a chunk ----

constexpr int kThreads = 64;
constexpr int kRounds = 3;

enum class Defect { none, no_wait, waits_for_fewer, no_barrier_before_overwriting };

template <Defect kDefect>
__global__ void reverse_kernel(Chunk* out, const Chunk* in) {
  SHARED_ARRAY(Chunk, buffer, 2, kThreads);
  const int t = static_cast<int>(threadIdx.x);
  const auto copy = [&](int round) {
    if (round < kRounds) copy_async(&buffer[round % 2][t], &in[round * kThreads + t], true);
    commit_copies();
  };
  copy(0);
  for (int round = 0; round < kRounds; ++round) {
    if (kDefect != Defect::no_barrier_before_overwriting) sync_block();
    copy(round + 1);
    if (kDefect == Defect::waits_for_fewer) {
      wait_copies<2>();
    } else if (kDefect != Defect::no_wait) {
      wait_copies<1>();
    }
    sync_block();
    out[round * kThreads + t] = buffer[round % 2][kThreads - 1 - t];
  }
}

template <Defect kDefect>
bool reverses_in_every_order() {
  std::vector<Chunk> in(kRounds * kThreads), out(kRounds * kThreads);
  for (std::uint32_t i = 0; i < in.size(); ++i) in[i] = {{i, i, i, i}};
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(kThreads, reverse_kernel<kDefect>, out.data(), in.data());
    for (std::uint32_t i = 0; i < out.size(); ++i) {
      if (out[i].word[0] != i / kThreads * kThreads + kThreads - 1 - i % kThreads) return false;
    }
  }
  return true;
}

TEST_CASE("AsyncCopy.ArrivesWhereItIsWaitedFor") { CHECK(reverses_in_every_order<Defect::none>()); }

TEST_CASE("AsyncCopy.MissingWaitsAndBarriersShow") {
  CHECK_FALSE(reverses_in_every_order<Defect::no_wait>());
  CHECK_FALSE(reverses_in_every_order<Defect::waits_for_fewer>());
  CHECK_FALSE(reverses_in_every_order<Defect::no_barrier_before_overwriting>());
}

__global__ void half_valid_kernel(Chunk* out, const Chunk* in) {
  SHARED_ARRAY(Chunk, buffer, kThreads);
  const int t = static_cast<int>(threadIdx.x);
  copy_async(&buffer[t], in + t, t % 2 == 0);
  commit_copies();
  wait_copies<0>();
  out[t] = buffer[t];
}

TEST_CASE("AsyncCopy.InvalidOnesAreZeros") {
  const std::vector<Chunk> in(kThreads, {{1, 2, 3, 4}});
  std::vector<Chunk> out(kThreads);
  for (const auto& schedule : kSchedules) {
    const simt::ScopedSchedule scoped(schedule);
    run(kThreads, half_valid_kernel, out.data(), in.data());
    for (int t = 0; t < kThreads; ++t) QUICK_REQUIRE(out[t].word[3] == (t % 2 == 0 ? 4u : 0u), t);
  }
}

__global__ void unaligned_kernel(const void* in) {
  SHARED_ARRAY(Chunk, buffer, 1);
  copy_async(&buffer[0], in, true);
}

TEST_CASE("AsyncCopy.IsAlignedTo16Bytes") {
  const Chunk in[2] = {};
  CHECK_THROWS_MATCHES(run(1, unaligned_kernel, static_cast<const void*>(&in[0].word[1])), simt::Failure,
                       lfm::test::Says(ContainsSubstring("not aligned")));
}

}  // namespace
}  // namespace lfm::kernels::inline LFM_TARGET
