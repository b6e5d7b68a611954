// The networks with the ResNet trunk (src/model/resnet.h), inference in FP32. Convolutions are sums of matrix products,
// one of each tap and 64 input channels, whose left sides are read where they lie: nothing is unfolded in memory but
// the stem's three channels.
//
// Maps are slabs of 64 channels, flat or with a border of zeros for the 3x3 convolutions:
//   flat    [channels/64][n*h*w][64]
//   padded  [channels/64][n][1 + h + 1][1 + w + 1][64], h and w rounded up to whole tiles of Winograd's
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/resnet_weights.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// Where the activations of n images lie: offsets in floats.
struct ResnetPlan {
  int n = 0;
  MapSize input, stem_conv, stem, layer1, layer2;
  std::size_t stem_at = 0, layer1_at = 0, layer2_at = 0;  ///< flat; a bottleneck without a projection works in place
  std::size_t reduced_at = 0;                             ///< padded, of any bottleneck
  std::size_t spatial_at = 0;                             ///< flat, likewise
  std::size_t features_at = 0;                            ///< [n][feature_count]
  std::size_t scratch_at = 0, scratch_floats = 0;         ///< of each thread: the stem's rows, tiles, or the top-k's
  Plan arena;
};

/// Flat maps in the arena.
struct FlatMaps {
  float* data;
  MapSize size;
  int channels;
};

class Resnet {
 public:
  Resnet(const Kernels& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}

  void load(const Architecture& architecture, std::span<const float> values);
  ResnetPlan plan(const Architecture& architecture, int n, int height, int width) const;
  void reserve(int n, int height, int width);

  void begin(const PixelBatch& batch);
  void run(const Stage& stage);
  std::span<const float> logits() const { return logits_; }
  /// As Inference::read().
  std::optional<std::vector<float>> read(Activation activation) const;

 private:
  void stem();
  void bottleneck(int index);
  void convolve_rows(int convolution, const FlatMaps& in, const FlatMaps& out, const float* shortcut, bool relu);
  void reduce(int convolution, const FlatMaps& in, int middle);
  void spatial_by2(int convolution, const MapSize& in, const MapSize& out, int middle);
  void spatial_tiles(int convolution, const MapSize& size, int middle);
  void average();
  void select();
  void head();
  FlatMaps maps_at(std::size_t offset, const MapSize& size, int channels) const {
    return {arena_.data() + offset, size, channels};
  }
  std::vector<float> channels_first(std::size_t offset, const MapSize& size, int channels) const;

  const Kernels& kernels_;
  ThreadPool& pool_;
  Architecture architecture_;
  ResnetWeights weights_;
  ResnetPlan plan_;
  PixelBatch batch_;
  Buffer arena_;
  std::vector<float> logits_;
};

/// How the tiles of n maps are dealt to tasks, which never changes a result, and the scratch of one.
struct TilePlan {
  int rows, columns;                     ///< of tiles, of one map
  int tasks, block;                      ///< the most tiles of a task
  std::size_t v_frequency, m_frequency;  ///< padded by a cache line, against set conflicts
  std::size_t floats() const { return static_cast<std::size_t>(kFrequencies3) * (v_frequency + m_frequency); }
};
TilePlan plan_tiles(int n, const MapSize& size, int channels, int threads);

/// A 3x3 convolution of stride 1 by Winograd and ReLU, `channels` in and out: padded to flat. scratch: of each thread,
/// `stride` floats apart.
void convolve_tiles(int n, const MapSize& size, int channels, const TrunkWeights& weights, const Kernels& kernels,
                    ThreadPool& pool, const float* padded, float* flat, float* scratch, std::size_t stride);

/// The size of a padded map.
MapSize bordered(const MapSize& size);

/// Floats of scratch that the stem takes of each thread.
std::size_t stem_scratch(const ResnetPlan& plan);

/// Rows [first, last) of the stem's output for one picture; out: where the picture's begin, flat.
void stem_rows(const ResnetPlan& plan, const Architecture& architecture, const TrunkWeights& weights,
               const Kernels& kernels, const std::uint8_t* picture, int height, int width, int first, int last,
               float* scratch, float* out);

}  // namespace lfm::cpu
