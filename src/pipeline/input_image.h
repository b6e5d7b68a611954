// From one input of a stream to the pixels the network sees.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lfm/detector.h"
#include "src/image/view.h"
#include "src/pipeline/delivery.h"

namespace lfm {

/// How a picture becomes what the network sees.
struct Presentation {
  View view = View::resize;
  int most_tiles = kMaxTiles;
  std::vector<Delivery> deliveries = {{}};  ///< at least one; each brings the picture into the view anew
  int thumbnail = 0;                        ///< longer side; 0: none
  bool signs = false;                       ///< whether they are looked for
  PixelSource* source = nullptr;            ///< of memory for what the network sees
};

/// One delivery of a picture, in the view.
struct DeliveredView {
  std::vector<ViewImage> images;  ///< one, or one a tile
  std::string error;              ///< why there are none: this picture can't be delivered so
};

struct InputViews {
  std::vector<DeliveredView> delivered;  ///< as many as the presentation's deliveries
  std::vector<Window> windows;           ///< of the picture as it is, an image each
  std::vector<std::uint8_t> thumbnail;   ///< WebP
  std::vector<Sign> signs;
  std::string part;  ///< "preview" where that is all that was decoded of a raw file
  int width = 0;     ///< of the picture as decoded
  int height = 0;
  int orientation = 1;  ///< that turns it upright
};

/// Of a picture in memory. Never throws for a picture that can't be delivered so. Signs are none: they are a file's.
InputViews present(Image image, const Presentation& presentation, int orientation = 1);

/// Reads, decodes and brings into the view. Nothing for a folder's member that is no image: no regular file, or neither
/// its content nor its extension claims to be one. Throws Error{input}; the message starts with the path.
std::optional<InputViews> read_input(const Input& input, const Presentation& presentation, const DecodeLimits& limits);

/// An error's message without the path it starts with: a Detection has its path in a field of its own.
std::string cause(const Error& error, const std::filesystem::path& path);

}  // namespace lfm
