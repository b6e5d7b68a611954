// The trunk's 3x3 convolutions of stride 1, by Winograd F(4x4, 3x3): a task takes some tiles through all three steps.
//
//   V[f][tile][c] = B^T d B       36 frequencies f
//   M[f][tile][o] = V[f] x U[f]
//   out = ReLU(A^T M A + bias)
//
// A padded map has whole tiles, zeros beyond its pixels; outputs beyond them are not stored.
#include <algorithm>
#include <cstddef>

#include "src/engine/cpu/resnet.h"

namespace lfm::cpu {
namespace {

constexpr std::size_t kLineFloats = kAlignment / sizeof(float);
constexpr int kTileBlock = 24;  // tiles of a task: V and M of 64 channels fill an L2 of 512 KB

int whole_tiles(int side) { return (side + kTile3Out - 1) / kTile3Out; }

int share(int count, int index, int parts) { return static_cast<int>(static_cast<long long>(count) * index / parts); }

}  // namespace

MapSize bordered(const MapSize& size) {
  return {whole_tiles(size.h) * kTile3Out + 2, whole_tiles(size.w) * kTile3Out + 2};
}

TilePlan plan_tiles(int n, const MapSize& size, int channels, int threads) {
  TilePlan plan{};
  plan.rows = whole_tiles(size.h);
  plan.columns = whole_tiles(size.w);
  const int tiles = n * plan.rows * plan.columns;
  plan.tasks = (tiles + kTileBlock - 1) / kTileBlock;
  if (plan.tasks < 8 * threads) plan.tasks = std::min(tiles, (plan.tasks + threads - 1) / threads * threads);
  plan.block = (tiles + plan.tasks - 1) / plan.tasks;
  plan.v_frequency = plan.m_frequency =
      static_cast<std::size_t>(plan.block) * static_cast<std::size_t>(channels) + kLineFloats;
  return plan;
}

void convolve_tiles(int n, const MapSize& size, int channels, const TrunkWeights& weights, const Kernels& kernels,
                    ThreadPool& pool, const float* padded, float* flat, float* scratch, std::size_t stride) {
  const TilePlan plan = plan_tiles(n, size, channels, pool.threads());
  const MapSize border = bordered(size);
  const int panel = kernels.fp32.panel, slabs = channels / kSlab, per_map = plan.rows * plan.columns,
            tiles = n * per_map;
  const std::size_t pitch = static_cast<std::size_t>(border.w) * kSlab,
                    in_slab = static_cast<std::size_t>(n) * border.h * pitch;
  const std::size_t out_row = static_cast<std::size_t>(size.w) * kSlab,
                    out_slab = static_cast<std::size_t>(n) * size.h * out_row;
  const std::size_t v_slab = static_cast<std::size_t>(plan.block) * kSlab, depth = static_cast<std::size_t>(channels);
  pool.run(plan.tasks, [&](int task, int worker) {
    const int first = share(tiles, task, plan.tasks), count = share(tiles, task + 1, plan.tasks) - first;
    float* const v = scratch + static_cast<std::size_t>(worker) * stride;
    float* const m = v + kFrequencies3 * plan.v_frequency;
    for (int i = 0; i < count; ++i) {
      const int map = (first + i) / per_map, at = (first + i) % per_map, y = at / plan.columns * kTile3Out,
                x = at % plan.columns * kTile3Out;
      const float* in =
          padded + (static_cast<std::size_t>(map) * border.h + y) * pitch + static_cast<std::size_t>(x) * kSlab;
      for (int s = 0; s < slabs; ++s) {
        kernels.tile3_input({in + s * in_slab, pitch, kSlab, kSlab,
                             v + s * v_slab + static_cast<std::size_t>(i) * kSlab, plan.v_frequency, v_slab});
      }
    }
    for (int f = 0; f < kFrequencies3; ++f) {
      for (int p = 0; p < channels / panel; ++p) {
        kernels.fp32.multiply({count, channels, v + f * plan.v_frequency, v_slab,
                               weights.packed.data() + (f * depth + p * panel) * depth,
                               m + f * plan.m_frequency + p * panel, depth});
      }
    }
    for (int i = 0; i < count; ++i) {
      const int map = (first + i) / per_map, at = (first + i) % per_map, y = at / plan.columns * kTile3Out,
                x = at % plan.columns * kTile3Out;
      float* out = flat + (static_cast<std::size_t>(map) * size.h + y) * out_row + static_cast<std::size_t>(x) * kSlab;
      for (int s = 0; s < slabs; ++s) {
        kernels.tile3_output({m + i * depth + s * kSlab, plan.m_frequency, kSlab, weights.bias.data() + s * kSlab,
                              out + s * out_slab, out_row, kSlab, std::min(kTile3Out, size.h - y),
                              std::min(kTile3Out, size.w - x)});
      }
    }
  });
}

}  // namespace lfm::cpu
