// The network as a table, a row a stage, from pixels to the logit. Parameter ids, plans, costs, `info` and the names in
// benchmarks and profiles come from it; engine/network.cpp runs it forward and, mirrored, backward.
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
//
// and with the ResNet trunk (resnet.h), in place of blocks and projection:
//
//   stem          conv 3x3 by 2, batch norm, ReLU, max-pool  [64][64][64]
//   layer1.0-2    bottlenecks                                [256][64][64]
//   layer2.0-3    bottlenecks                                [512][32][32]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lfm/model.h"
#include "src/model/map_size.h"
#include "src/model/resnet.h"

namespace lfm {

// SNet (paper, section 3.2): four blocks of conv 2x2 (stride 1, no padding, bias) -> batch norm -> ReLU, max-pool 2x2/2
// after the first three, then a 1x1 convolution without bias to the maps that are pooled.
inline constexpr int kBlocks = 4;
inline constexpr std::array<int, kBlocks + 1> kChannels = {3, 64, 128, 256, 512};
inline constexpr int kMapChannels = 64;

enum class StageKind { front_end, block, projection, pooling, head, stem, bottleneck };

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
  int block = -1;         ///< of a block or bottleneck, from 0
  bool joined = false;    ///< with the next: engines may compute the two in one, and an observer is told of them as one
  int index = 0;          ///< in the table
  ParameterIds parameters = {};    ///< what it trains
  StageShape in = {}, out = {};    ///< of stages(): empty in stage_table()
  std::int64_t multiply_adds = 0;  ///< of one image, as a direct convolution counts them; of stages() too
};

/// Parameters that a stage of each kind trains, in this order.
enum BlockParameter : int { kConvWeight, kConvBias, kNormScale, kNormShift, kBlockParameters };
enum HeadParameter : int { kWeight, kBias, kHeadParameters };

constexpr int parameters_of(StageKind kind, int block) {
  switch (kind) {
    case StageKind::block: return kBlockParameters;
    case StageKind::projection: return 1;
    case StageKind::head: return kHeadParameters;
    case StageKind::stem: return kTrunkParameters;
    case StageKind::bottleneck:
      return kTrunkParameters * convolution_count(kBottlenecks[static_cast<std::size_t>(block)]);
    case StageKind::front_end:
    case StageKind::pooling: return 0;
  }
  return 0;
}

template <std::size_t kRows>
constexpr std::array<Stage, kRows> number_stages(std::array<Stage, kRows> table) {
  int index = 0, next = 0;
  for (Stage& stage : table) {
    stage.index = index++;
    stage.parameters = {next, parameters_of(stage.kind, stage.block)};
    next += stage.parameters.count;
  }
  return table;
}

inline constexpr auto kStages = number_stages(std::array<Stage, kBlocks + 4>{{
    {.kind = StageKind::front_end, .name = "residual", .joined = true},
    {.kind = StageKind::block, .name = "block 1", .block = 0},
    {.kind = StageKind::block, .name = "block 2", .block = 1},
    {.kind = StageKind::block, .name = "block 3", .block = 2},
    {.kind = StageKind::block, .name = "block 4", .block = 3, .joined = true},
    {.kind = StageKind::projection, .name = "projection"},
    {.kind = StageKind::pooling, .name = "pooling"},
    {.kind = StageKind::head, .name = "head"},
}});

inline constexpr auto kResnetStages = [] {
  std::array<Stage, kBottlenecks.size() + 4> table = {
      {{.kind = StageKind::front_end, .name = "residual", .joined = true}, {.kind = StageKind::stem, .name = "stem"}}};
  std::size_t row = 2;
  for (std::size_t b = 0; b < kBottlenecks.size(); ++b) {
    table[row++] = {.kind = StageKind::bottleneck, .name = kBottlenecks[b].name, .block = static_cast<int>(b)};
  }
  table[row++] = {.kind = StageKind::pooling, .name = "pooling"};
  table[row++] = {.kind = StageKind::head, .name = "head"};
  return number_stages(table);
}();

/// The rows of an architecture's trunk, and what lies before and after it.
constexpr std::span<const Stage> stage_table(const Architecture& architecture) {
  if (architecture.trunk == Trunk::resnet) return kResnetStages;
  return kStages;
}

/// SNet's row of that kind, and of that block.
constexpr const Stage& stage_of(StageKind kind, int block = -1) {
  std::size_t at = 0;
  while (kStages[at].kind != kind || kStages[at].block != block) ++at;
  return kStages[at];
}
constexpr const Stage& block_stage(int block) { return stage_of(StageKind::block, block); }

using StageTable = std::vector<Stage>;

/// stage_table() with shapes and costs for images of that size. Throws as map_size() does.
StageTable stages(const Architecture& architecture, int height, int width);

}  // namespace lfm
