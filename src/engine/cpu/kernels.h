// The vector kernels of the CPU engine: one table of functions per instruction set, compiled from the same source
// (kernels.cpp) and chosen at run time. The mathematics stands at the head of each *-inl.h file.
//
// Memory shared with the kernels: every pointer 64-byte aligned, every stride in floats, channel counts multiples of 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lfm::cpu {

/// Depth of a slab: A of a matrix product is stored as [depth/64][row][64], so that rows lie a constant 64 floats apart.
inline constexpr int kSlab = 64;

/// Winograd F(6x6, 2x2): a tile of 7x7 inputs gives 6x6 outputs by 49 products per channel pair.
inline constexpr int kTileIn = 7;
inline constexpr int kTileOut = 6;
inline constexpr int kFrequencies = kTileIn * kTileIn;

/// Output channels that a convolution finishes together.
inline constexpr int kGroup = 64;

/// C[rows][panel] = A[rows][depth] x B[depth][panel], one panel of B wide.
struct PanelProduct {
  int rows;
  int depth;             ///< a multiple of 64
  const float* a;        ///< slabs, see kSlab
  std::size_t a_slab;    ///< from one slab of A to the next
  const float* b;        ///< [depth][panel], packed
  float* c;
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
  int rows;  ///< of the tile's 3x3 pooled (6x6 unpooled) outputs, how many lie inside the map
  int columns;
};

/// One row of block 1's output; see first_block-inl.h.
struct FirstBlockRow {
  const std::uint8_t* pixels;  ///< the top-left pixel of the row of 2x2 cells
  std::size_t pixel_row;       ///< bytes from one pixel row to the next
  int columns;                 ///< outputs in the row
  const float* weights;        ///< [64/16][12 taps][16]
  const float* bias;           ///< [64]
  float* residual;             ///< scratch: first_block_scratch(columns) floats
  float* out;                  ///< [columns][64]
};
constexpr std::size_t first_block_scratch(int columns) { return static_cast<std::size_t>(columns + 1) * 24; }

/// The k largest of each of 64 channels, descending; positions are visited in order, so of equal values the first wins.
struct Selection {
  const float* maps;  ///< [positions][64]
  int positions;
  int k;
  float* sorted;    ///< scratch: [k][64]
  float* features;  ///< [64][k], any alignment
};

struct Kernels {
  const char* name;      ///< as LFM_CPU spells it
  const char* title;     ///< for people
  std::int64_t target;   ///< Highway's bit of the instruction set
  int panel;             ///< columns of a packed panel of B: two vectors
  int max_rows;          ///< rows of the micro-kernel
  void (*multiply)(const PanelProduct&);
  void (*tile_input)(const TileInput&);
  void (*tile_output_pooled)(const TileOutput&);
  void (*tile_output)(const TileOutput&);
  void (*first_block_row)(const FirstBlockRow&);
  void (*select_largest)(const Selection&);
};

/// The tables that this machine can run, best first; never empty.
std::span<const Kernels* const> supported_kernels();

/// The table that name asks for ("" or null: the best). Throws Error{usage} naming the choices.
const Kernels& choose_kernels(const char* name);

}  // namespace lfm::cpu
