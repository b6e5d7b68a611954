// Brings an image into the form a model was trained for.
#pragma once

#include <filesystem>

#include "lfm/image.h"
#include "lfm/model.h"

namespace lfm {

inline constexpr int kViewSide = 256;  ///< of View::resize and View::center

/// resize: 256 x 256; center: the central 256 x 256 pixels, fewer where the image is smaller; native: as it
/// is.
Image apply_view(const Image& image, View view);

/// apply_view of a decoded file and the size the file has, with the picture never whole in memory where the
/// view allows it.
ResizedImage read_view(const std::filesystem::path& path, View view, const DecodeLimits& limits = {});

}  // namespace lfm
