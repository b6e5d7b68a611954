// first_block_tensor: NPR residual, 2x2 convolution 3->64, max-pool 2x2/2, bias, ReLU, by tensor cores.
//   pixels [n][height][width][3] uint8   weight [4][3][64]   bias [64]   ->   output [n][ph][pw][64] of T
//
// The 15 residuals of a pooled output that can differ from zero (first_patch.cuh), and a zero, are a row of A; each of
// the four positions that are pooled takes nine of them, so that B has four columns a channel, and zeros where a
// position does not look:
//
//                        B  position 0   1    2    3
//    A  16 residuals        [ 64 | 64 | 64 | 64 ]         a pooled output = the largest of its four columns: all four
//       of 16 outputs                                     sums lie in one thread
//
//   grid   blocks_wanted or more, if there is work for them; a block takes up to kMostRounds times 256 consecutive
//          pooled outputs
//   block  256 threads = 8 warps. A warp multiplies 16 outputs at a time by 32 of the channels, whose
//          part of B stays in its registers; warps 2p and 2p+1 take the two halves of the channels of the same outputs
//   first  the block writes B, rounded, to shared memory in the order of the fragments, each warp loads its own
//   then, each round: thread t computes the residuals of output t into shared memory; barrier; ldmatrix and mma
//
// Products would be those of small weights with large integers: both are moved by 2^8, exactly, so that weights keep
// the size they have in the network's own units, where Half has its full precision.
// shared: a row of 16 residuals is 2 (Tf32: 4) chunks, permuted so that the eight rows that ldmatrix reads at a time
// lie in different sixteenths of a 128-byte line.
#include <algorithm>

#include "kernels/first_block_tensor.h"
#include "kernels/first_patch.cuh"
#include "kernels/launch.h"
#include "kernels/tensor_layout.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kOutputs = 256;  // pooled outputs of a round
constexpr int kRows = 16;      // outputs of an mma
constexpr int kDepth = 16;
constexpr int kPositions = 4;
constexpr int kHalf = kFirstBlockChannels / 2;  // channels of a warp
constexpr int kTiles = kHalf / 8;               // mma beside each other
constexpr float kShift = 256.0f;
// Blocks of a multiprocessor: three where the compiler finds room for B in 80 registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 1000
constexpr int kHalfResident = 3;
#else
constexpr int kHalfResident = 2;
#endif
constexpr int kMostRounds = 4;

using Residuals = Patch<FusedNpr>;
static_assert(Residuals::kFloats == kDepth);

template <typename T>
struct Layout {
  static constexpr int kChunks = kDepth * static_cast<int>(sizeof(T)) / 16;  // of a row of A
  static constexpr int kSteps = kChunks / 2;                                 // mma that a row's depth takes
  static constexpr int kPerChunk = 4 * kPerWord<T>;
  static constexpr int kFragments = kTiles * kSteps;  // of B, a position and warp: two words a lane each
  static constexpr int kResident = sizeof(T) == 2 ? kHalfResident : 2;
  static constexpr int kFragmentChunks = 2 * kPositions * (kFragments / 2) * kWarp;

  static __device__ constexpr int row_chunk(int row, int chunk) {
    return row * kChunks + (chunk ^ row / (8 / kChunks) % kChunks);
  }
  /// Two fragments of lane `lane`.
  static __device__ constexpr int fragment_chunk(int half, int position, int pair, int lane) {
    return ((half * kPositions + position) * (kFragments / 2) + pair) * kWarp + lane;
  }
  /// The channel that column n of a warp's 32 stands for: a thread's channels are 16 bytes side by side.
  static __device__ constexpr int channel(int half, int n) {
    return half * kHalf + channel_of_column(n, kPerChunk / 2);
  }
};

/// The weight of a channel at one of the positions that are pooled, for the residual at `depth` of a row.
__device__ __forceinline__ float weight_at(const float* __restrict__ weight, int position, int depth, int channel) {
  float found = 0.0f;
  UNROLL
  for (int tap = 0; tap < 4; ++tap) {
    if (Residuals::slot_of(position / 2 + tap / 2, position % 2 + tap % 2) == depth / 3) {
      found = weight[(tap * 3 + depth % 3) * kFirstBlockChannels + channel];
    }
  }
  return kShift * found;
}

template <typename T>
__device__ __forceinline__ void write_fragments(Chunk* __restrict__ fragments, const float* __restrict__ weight) {
  using L = Layout<T>;
  ROLLED
  for (int i = thread_index(); i < L::kFragmentChunks; i += kThreads) {
    const int lane = i % kWarp, pair = i / kWarp % (L::kFragments / 2);
    const int position = i / kWarp / (L::kFragments / 2) % kPositions;
    const int half = i / kWarp / (L::kFragments / 2) / kPositions;
    Chunk chunk;
    UNROLL
    for (int word = 0; word < 4; ++word) {
      const int fragment = 2 * pair + word / 2, tile = fragment / L::kSteps, step = fragment % L::kSteps;
      const int row = lane % 4 + 4 * (word % 2);  // of words, in B
      float values[kPerWord<T>];
      UNROLL
      for (int v = 0; v < kPerWord<T>; ++v) {
        const int depth = (step * 8 + row) * kPerWord<T> + v;
        values[v] = weight_at(weight, position, depth, L::channel(half, 8 * tile + lane / 4));
      }
      chunk.word[word] = encode<T>(values);
    }
    fragments[i] = chunk;
  }
}

/// Zeros where there is no output.
template <typename T>
__device__ __forceinline__ void write_residuals(Chunk* __restrict__ rows, const std::uint8_t* __restrict__ pixels,
                                                int at, int outputs, int height, int width, int out_h, int out_w) {
  using L = Layout<T>;
  float r[kDepth] = {};
  if (at < outputs) {
    const int image = at / (out_h * out_w), y = at / out_w % out_h * 2, x = at % out_w * 2;
    residuals<FusedNpr>(r, pixels + ((static_cast<std::int64_t>(image) * height + y) * width + x) * 3, width * 3);
  }
  UNROLL
  for (int i = 0; i < kDepth; ++i) r[i] *= 1.0f / kShift;
  UNROLL
  for (int c = 0; c < L::kChunks; ++c) {
    Chunk chunk;
    UNROLL
    for (int word = 0; word < 4; ++word) chunk.word[word] = encode<T>(&r[c * L::kPerChunk + word * kPerWord<T>]);
    rows[L::row_chunk(thread_index(), c)] = chunk;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, Layout<T>::kResident)
    first_block_tensor_kernel(T* __restrict__ output, const std::uint8_t* __restrict__ pixels,
                              const float* __restrict__ weight, const float* __restrict__ bias, int outputs, int height,
                              int width, int out_h, int out_w, int rounds) {
  using L = Layout<T>;
  SHARED_ARRAY(Chunk, rows, kOutputs * L::kChunks);
  SHARED_ARRAY(Chunk, fragments, L::kFragmentChunks);
  const int lane = lane_index(), half = warp_index() % 2;

  write_fragments<T>(&fragments[0], weight);
  sync_block();
  Chunk b[kPositions][L::kFragments / 2];
  UNROLL
  for (int position = 0; position < kPositions; ++position) {
    UNROLL
    for (int pair = 0; pair < L::kFragments / 2; ++pair) {
      b[position][pair] = fragments[L::fragment_chunk(half, position, pair, lane)];
    }
  }

  ROLLED
  for (int round = 0; round < rounds; ++round) {
    const int first = (block_index() * rounds + round) * kOutputs;
    if (first >= outputs) break;
    if (round > 0) sync_block();  // the rows have been read
    write_residuals<T>(&rows[0], pixels, first + thread_index(), outputs, height, width, out_h, out_w);
    sync_block();

    ROLLED
    for (int row = warp_index() / 2 * kRows; row < kOutputs && first + row < outputs;
         row += kThreads / kWarp / 2 * kRows) {
      std::uint32_t a[L::kSteps][4];
      UNROLL
      for (int step = 0; step < L::kSteps; ++step) {
        ldmatrix(a[step], &rows[L::row_chunk(row + lane % 16, 2 * step + lane / 16)]);
      }
      float best[kTiles][4];
      UNROLL
      for (int position = 0; position < kPositions; ++position) {
        UNROLL
        for (int j = 0; j < kTiles; ++j) {
          float sum[4] = {};
          UNROLL
          for (int step = 0; step < L::kSteps; ++step) {
            const int fragment = j * L::kSteps + step;
            const Chunk& chunk = b[position][fragment / 2];
            mma<T>(sum, a[step], chunk.word[fragment % 2 * 2], chunk.word[fragment % 2 * 2 + 1]);
          }
          UNROLL
          for (int i = 0; i < 4; ++i) best[j][i] = position == 0 ? sum[i] : maximum(best[j][i], sum[i]);
        }
      }
      UNROLL
      for (int r = 0; r < 2; ++r) {
        const int at = first + row + lane / 4 + 8 * r;
        if (at >= outputs) continue;
        T* to = output + static_cast<std::int64_t>(at) * kFirstBlockChannels;
        constexpr int kTilesOfChunk = L::kPerChunk / 2;
        UNROLL
        for (int q = 0; q < kTiles / kTilesOfChunk; ++q) {
          const int channel = L::channel(half, 8 * q * kTilesOfChunk + lane % 4 * 2);
          float values[L::kPerChunk];
          UNROLL
          for (int i = 0; i < L::kPerChunk; i += 4) {
            const float4 shift = load4(bias + channel + i);
            const int j = q * kTilesOfChunk + i / 2;
            values[i] = relu(best[j][2 * r] + shift.x);
            values[i + 1] = relu(best[j][2 * r + 1] + shift.y);
            values[i + 2] = relu(best[j + 1][2 * r] + shift.z);
            values[i + 3] = relu(best[j + 1][2 * r + 1] + shift.w);
          }
          Chunk chunk;
          UNROLL
          for (int word = 0; word < 4; ++word) chunk.word[word] = encode<T>(&values[word * kPerWord<T>]);
          store_chunk(to + channel, chunk);
        }
      }
    }
  }
}

}  // namespace

template <typename T>
void first_block_tensor(T* output, const std::uint8_t* pixels, const float* weight, const float* bias, int n,
                        int height, int width, Stream stream, int blocks_wanted) {
  const int out_h = (FusedNpr::whole_cells(height) - 1) / 2, out_w = (FusedNpr::whole_cells(width) - 1) / 2;
  require(n > 0 && out_h > 0 && out_w > 0, "first_block_tensor: the output is empty");
  const std::int64_t outputs = static_cast<std::int64_t>(n) * out_h * out_w;
  require(outputs <= INT32_MAX - kMostRounds * kOutputs, "first_block_tensor: the batch is too large for one launch");
  const int groups = static_cast<int>(blocks_for(outputs, kOutputs));
  const int rounds = std::clamp(groups / blocks_wanted, 1, kMostRounds);
  launch({.kernel = "first_block_tensor", .blocks = {blocks_for(groups, rounds)}, .threads = kThreads}, stream,
         first_block_tensor_kernel<T>, output, pixels, weight, bias, static_cast<int>(outputs), height, width, out_h,
         out_w, rounds);
}

#define LFM_FIRST_BLOCK_TENSOR(T) \
  template void first_block_tensor(T*, const std::uint8_t*, const float*, const float*, int, int, int, Stream, int)
LFM_FIRST_BLOCK_TENSOR(Half);
LFM_FIRST_BLOCK_TENSOR(Bfloat16);
LFM_FIRST_BLOCK_TENSOR(Tf32);
#undef LFM_FIRST_BLOCK_TENSOR

}  // namespace lfm::kernels::inline LFM_TARGET
