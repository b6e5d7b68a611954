// Brings an image into the form a model was trained for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lfm/image.h"
#include "lfm/model.h"

namespace lfm {

inline constexpr int kViewSide = 256;  ///< of View::resize, View::center and of a tile
inline constexpr int kMaxTiles = 9;    ///< of one picture, where nothing else is asked for

/// A part of a picture: its top left pixel and its size.
struct Window {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  bool operator==(const Window&) const = default;
};

/// Where the tiles of a picture lie, row by row: as few as cover it, at most `most`, in a grid shaped like the picture
/// and spread evenly from edge to edge, so that they overlap where `most` suffices, and leave gaps where it does not; a
/// single column or row is centred. All have one size, 256 x 256 or less where the picture is smaller. Offsets are
/// even, so that the residual's 2 x 2 cells lie as in the whole picture; the odd last column or row of a picture is not
/// covered.
std::vector<Window> tile_windows(int width, int height, int most = kMaxTiles);

/// The parts of a picture that the network sees: all of it, its centre, or tiles.
std::vector<Window> view_windows(int width, int height, View view, int most_tiles = kMaxTiles);

/// Memory that a view's pixels are written to at once, page-locked for instance, instead of being moved there. Any
/// thread may call.
class PixelSource {
 public:
  virtual ~PixelSource() = default;
  /// Uninitialised; null where it has none of this size.
  virtual std::uint8_t* take(std::size_t bytes) = 0;
  virtual void give_back(std::uint8_t* block) = 0;
};

/// A block of a source, which must outlive it.
struct GiveBack {
  PixelSource* source = nullptr;
  void operator()(std::uint8_t* block) const { source->give_back(block); }
};
using PixelBlock = std::unique_ptr<std::uint8_t[], GiveBack>;

/// One image that the network sees.
struct ViewImage {
  Image image;       ///< its size; and its pixels, unless they lie in a block
  PixelBlock block;  ///< of a source, where there was one that had any

  const std::uint8_t* data() const { return block ? block.get() : image.rgb.data(); }
  std::size_t bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  }
};

/// What the network sees of a picture, one image, or one a tile. resize: 256 x 256; center: the central 256 x 256
/// pixels, fewer where the image is smaller; native: as it is; tiles: those of tile_windows. source: where pixels are
/// written, if it has room.
std::vector<ViewImage> apply_view(Image image, View view, int most_tiles = kMaxTiles, PixelSource* source = nullptr);

/// What the network sees of a file, and the size of its picture.
struct FileView {
  std::vector<ViewImage> images;
  int width = 0;
  int height = 0;
};

/// apply_view of a decoded file, with the picture never whole in memory where the view allows it.
FileView decode_view(std::span<const std::byte> file, View view, const DecodeLimits& limits = {},
                     int most_tiles = kMaxTiles, PixelSource* source = nullptr);

}  // namespace lfm
