// The vector kernels of the CPU engine: one table of functions per instruction set, compiled from the same source
// (kernels.cpp) and chosen at run time. The mathematics stands at the head of each *-inl.h file.
//
// Memory shared with the kernels: every pointer 64-byte aligned, every stride in floats, channel counts multiples of
// 64. Where values are BF16 (arithmetic-inl.h) a float's place keeps two: 64 channels of a pixel then take 32 floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lfm/precision.h"

namespace lfm::cpu {

/// Depth of a slab: A of a matrix product is stored as [depth/64][row][64], so that rows lie a constant 64 floats
/// apart.
inline constexpr int kSlab = 64;

/// The largest tile of inputs, and the most products of a channel pair: Winograd F(6x6, 2x2).
inline constexpr int kMaxTileIn = 7;
inline constexpr int kMaxFrequencies = kMaxTileIn * kMaxTileIn;

/// Winograd F(4x4, 3x3): outputs along a tile's side, its inputs, and the products of a channel pair.
inline constexpr int kTile3Out = 4;
inline constexpr int kTile3In = 6;
inline constexpr int kFrequencies3 = kTile3In * kTile3In;

/// Output channels that a convolution finishes together.
inline constexpr int kGroup = 64;

/// C[rows][panel] = A[rows][depth] x B[depth][panel], one panel of B wide.
struct PanelProduct {
  int rows;
  int depth;           ///< a multiple of 64
  const float* a;      ///< slabs, see kSlab
  std::size_t a_slab;  ///< from one slab of A to the next
  const float* b;      ///< [depth][panel], packed; of BF16 [depth/2][panel][2]
  float* c;            ///< FP32
  std::size_t c_row;
};

/// One tile of one image: v = transform of in, all channels.
struct TileInput {
  const float* in;  ///< the tile's top-left pixel, channels last
  std::size_t row;
  std::size_t pixel;
  int channels;
  float* v;  ///< the tile's place in slab 0 of frequency 0
  std::size_t frequency;
  std::size_t slab;
};

/// One tile: inverse transform of m, [2x2 maximum,] bias, ReLU.
struct TileOutput {
  const float* m;  ///< the tile's products of frequency 0
  std::size_t frequency;
  int channels;
  const float* bias;
  float* out;  ///< the tile's top-left output, channels last
  std::size_t row;
  std::size_t pixel;
  int rows;  ///< of the tile's outputs, after pooling, how many lie inside the map
  int columns;
};

/// One row of block 1's output; see first_block-inl.h. NPR's kernels begin at pixels; the plain ones at a residual, and
/// ignore them.
struct FirstBlockRow {
  const std::uint8_t* pixels;  ///< the top-left pixel of the row of 2x2 cells
  std::size_t pixel_row;       ///< bytes from one pixel row to the next
  int columns;                 ///< outputs in the row
  const float* weights;        ///< [64/16][12 taps][16]
  const float* bias;           ///< [64]
  /// Scratch: first_block_scratch(columns) floats; plain: in them [3][plain_columns(columns)][3], the residual.
  float* residual;
  float* out;  ///< [columns][64 channels]
};
/// Of the residual, what a row of pooled outputs sees.
inline constexpr int kPlainRows = 3;
constexpr int plain_columns(int columns) { return 2 * columns + 1; }
constexpr std::size_t first_block_scratch(int columns) { return static_cast<std::size_t>(columns + 1) * 24; }

/// The k largest of each of 64 channels, descending; positions are visited in order, so of equal values the first wins.
struct Selection {
  const float* maps;  ///< [positions][64]
  int positions;
  int k;
  float* sorted;    ///< scratch: [k][64]
  float* features;  ///< [64][k], any alignment
};

/// Outputs of a convolution along a row of a map; see conv-inl.h.
struct RowConvolution {
  const float* const* a;  ///< [segments]: each where the first output's channels begin, [row] of 64 or 128 floats
  int segments;
  int depth;              ///< channels of each segment: at most 64
  int rows;               ///< outputs
  const float* b;         ///< [segments][depth][panel], packed
  const float* bias;      ///< [panel]
  const float* shortcut;  ///< added before ReLU, laid out as c, or c itself; null: none
  bool relu;
  float* c;  ///< [rows][64], of them one panel
};

/// The network's arithmetic in one precision: activations, transformed inputs and weights are kept in it, sums are
/// FP32.
struct PrecisionKernels {
  Precision precision;
  int panel;        ///< columns of a packed panel of B: two vectors
  int tile;         ///< Winograd F(tile x tile, 2x2): outputs along a tile's side; its inputs are one more
  int slab_floats;  ///< what 64 values take
  void (*multiply)(const PanelProduct&);
  void (*tile_input)(const TileInput&);
  void (*tile_output_pooled)(const TileOutput&);
  void (*tile_output)(const TileOutput&);
  void (*first_block_row)(const FirstBlockRow&);
  void (*plain_block_row)(const FirstBlockRow&);  ///< of any residual

  int tile_in() const { return tile + 1; }
  int frequencies() const { return tile_in() * tile_in(); }
  /// Floats that so many channels take.
  std::size_t stored(int channels) const {
    return static_cast<std::size_t>(channels / kSlab) * static_cast<std::size_t>(slab_floats);
  }
};

struct Kernels {
  const char* name;     ///< as LFM_CPU spells it
  const char* title;    ///< for people
  std::int64_t target;  ///< Highway's bit of the instruction set
  int max_rows;         ///< of the micro-kernel
  PrecisionKernels fp32;
  PrecisionKernels bf16_emulated;  ///< slow: for tests
  PrecisionKernels bf16;           ///< with the processor's BF16 instructions; only where has_bf16()
  void (*select_largest)(const Selection&);
  void (*convolve)(const RowConvolution&);      ///< FP32; of pixels that follow each other
  void (*convolve_by2)(const RowConvolution&);  ///< of every second pixel
  void (*tile3_input)(const TileInput&);        ///< of Winograd F(4x4, 3x3), FP32
  void (*tile3_output)(const TileOutput&);
};

/// The tables that this machine can run, best first; never empty.
std::span<const Kernels* const> supported_kernels();

/// Whether these kernels and this machine have BF16 instructions.
bool has_bf16(const Kernels& kernels);

/// The table that name asks for ("" or null: the best). Throws Error{usage} naming the choices.
const Kernels& choose_kernels(const char* name);

}  // namespace lfm::cpu
