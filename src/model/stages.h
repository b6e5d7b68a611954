// The network as a table, a row a stage, from pixels to the logit. Parameter ids, plans, costs, `info` and the names in benchmarks and
// profiles come from it; engine/network.cpp runs it forward and, mirrored, backward.
//
//   stage         computes                                   of a 256 x 256 image, [channels][rows][columns]
//   residual      the front end (front_end.h)                [3][256][256]
//   block 1       conv 2x2, batch norm, ReLU, max-pool 2x2   [64][127][127]
//   block 2       the same                                   [128][63][63]
//   block 3       the same                                   [256][31][31]
//   block 4       the same without pooling                   [512][30][30]
//   projection    conv 1x1                                   [64][30][30]
//   pooling       the k largest of each map, or its average  [64][k]
//   head          linear                                     [1]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lfm/model.h"

namespace lfm {

// SNet (paper, section 3.2): four blocks of conv 2x2 (stride 1, no padding, bias) -> batch norm -> ReLU, max-pool 2x2/2
// after the first three, then a 1x1 convolution without bias to the maps that are pooled.
inline constexpr int kBlocks = 4;
inline constexpr std::array<int, kBlocks + 1> kChannels = {3, 64, 128, 256, 512};
inline constexpr int kMapChannels = 64;

struct MapSize {
  int h = 0;
  int w = 0;
  constexpr int area() const { return h * w; }
  bool operator==(const MapSize&) const = default;
};

enum class StageKind { front_end, block, projection, pooling, head };

/// Of one image.
struct StageShape {
  int channels = 0;
  MapSize size;
};

/// Consecutive parameter ids (architecture.h).
struct ParameterIds {
  int first = 0;
  int count = 0;
};

struct Stage {
  StageKind kind = StageKind::front_end;
  const char* name = "";  ///< for people
  int block = -1;         ///< of a block, from 0
  bool joined = false;    ///< with the next: engines may compute the two in one, and an observer is told of them as one
  int index = 0;          ///< in the table
  ParameterIds parameters = {};  ///< what it trains
  StageShape in = {}, out = {};  ///< of stages(): empty in kStages
  std::int64_t multiply_adds = 0;  ///< of one image, as a direct convolution counts them; of stages() too
};

/// Parameters that a stage of each kind trains, in this order.
enum BlockParameter : int { kConvWeight, kConvBias, kNormScale, kNormShift, kBlockParameters };
enum HeadParameter : int { kWeight, kBias, kHeadParameters };

constexpr int parameters_of(StageKind kind) {
  switch (kind) {
    case StageKind::block: return kBlockParameters;
    case StageKind::projection: return 1;
    case StageKind::head: return kHeadParameters;
    case StageKind::front_end:
    case StageKind::pooling: return 0;
  }
  return 0;
}

using StageTable = std::array<Stage, kBlocks + 4>;

constexpr StageTable number_stages(StageTable table) {
  int index = 0, next = 0;
  for (Stage& stage : table) {
    stage.index = index++;
    stage.parameters = {next, parameters_of(stage.kind)};
    next += stage.parameters.count;
  }
  return table;
}

inline constexpr StageTable kStages = number_stages({{
    {.kind = StageKind::front_end, .name = "residual", .joined = true},
    {.kind = StageKind::block, .name = "block 1", .block = 0},
    {.kind = StageKind::block, .name = "block 2", .block = 1},
    {.kind = StageKind::block, .name = "block 3", .block = 2},
    {.kind = StageKind::block, .name = "block 4", .block = 3, .joined = true},
    {.kind = StageKind::projection, .name = "projection"},
    {.kind = StageKind::pooling, .name = "pooling"},
    {.kind = StageKind::head, .name = "head"},
}});

/// The row of that kind, and of that block.
constexpr const Stage& stage_of(StageKind kind, int block = -1) {
  std::size_t at = 0;
  while (kStages[at].kind != kind || kStages[at].block != block) ++at;
  return kStages[at];
}
constexpr const Stage& block_stage(int block) { return stage_of(StageKind::block, block); }

/// The table with shapes and costs for images of that size. Throws as network_shape() does.
StageTable stages(const Architecture& architecture, int height, int width);

}  // namespace lfm
