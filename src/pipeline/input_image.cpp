#include "src/pipeline/input_image.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <system_error>
#include <utility>

#include "lfm/error.h"
#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/orientation.h"
#include "src/metadata/signs.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

/// False for a member that can be passed over. What can't be examined can't be passed over either.
bool may_be_image(const fs::path& member) {
  std::error_code error;
  const fs::file_status status = fs::status(member, error);
  // Pipes and devices are never opened: that could wait for ever.
  if (!error && fs::exists(status) && !fs::is_regular_file(status)) return false;
  return counts_as_picture(member);
}

/// The picture, out of its block.
Image as_image(const ViewImage& seen) {
  return {seen.image.width, seen.image.height, {seen.data(), seen.data() + seen.bytes()}};
}

/// A small copy, upright, of a picture of width x height pixels, of which `image` may be a resized one.
std::vector<std::uint8_t> thumbnail_of(const Image& image, int width, int height, int orientation, int side) {
  constexpr int quality = 60;
  const double factor = std::min(1.0, static_cast<double>(side) / std::max(width, height));
  const auto scaled = [&](int length) { return std::max(1, static_cast<int>(std::lround(length * factor))); };
  const std::vector<std::byte> bytes =
      encode_webp(upright(resize_bilinear(image, scaled(width), scaled(height)), orientation), quality);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {begin, begin + bytes.size()};
}

std::string part_of(std::span<const std::byte> file) {
  const Format* const format = find_format(file);
  return format != nullptr && format->preview ? "preview" : "";
}

InputViews read_views(std::span<const std::byte> file, const Presentation& wanted, const DecodeLimits& limits) {
  const bool as_it_is = wanted.deliveries.size() == 1 && wanted.deliveries[0].kind == Delivery::Kind::none;
  // The whole picture is in memory only where it must be.
  if (as_it_is && !wanted.signs && (wanted.thumbnail == 0 || wanted.view == View::resize)) {
    FileView seen = decode_view(file, wanted.view, limits, wanted.most_tiles, wanted.source);
    InputViews views;
    views.orientation = orientation_of(file);
    views.part = part_of(file);
    views.width = seen.width;
    views.height = seen.height;
    views.windows = view_windows(seen.width, seen.height, wanted.view, wanted.most_tiles);
    if (wanted.thumbnail > 0) {
      views.thumbnail =
          thumbnail_of(as_image(seen.images[0]), seen.width, seen.height, views.orientation, wanted.thumbnail);
    }
    views.delivered.push_back({std::move(seen.images), {}});
    return views;
  }
  Image image = decode_image(file, limits);
  std::vector<Sign> signs = wanted.signs ? find_signs(file, image) : std::vector<Sign>{};
  InputViews views = present(std::move(image), wanted, orientation_of(file));
  views.signs = std::move(signs);
  views.part = part_of(file);
  return views;
}

}  // namespace

InputViews present(Image image, const Presentation& presentation, int orientation) {
  InputViews views;
  views.orientation = orientation;
  views.width = image.width;
  views.height = image.height;
  views.windows = view_windows(image.width, image.height, presentation.view, presentation.most_tiles);
  if (presentation.thumbnail > 0)
    views.thumbnail = thumbnail_of(image, image.width, image.height, orientation, presentation.thumbnail);
  std::vector<DeliveredView>& all = views.delivered;
  all.resize(presentation.deliveries.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    try {
      const bool last = i + 1 == all.size() && presentation.deliveries[i].kind == Delivery::Kind::none;
      Image delivered = last
                            ? std::move(image)
                            : deliver(image, presentation.deliveries[i]);  // NOLINT: the last, nothing follows the move
      all[i].images = apply_view(std::move(delivered), presentation.view, presentation.most_tiles, presentation.source);
    } catch (const Unavailable&) {
      throw;  // says nothing of the picture: it may not be measured without this delivery
    } catch (const Error& error) {
      all[i].error = error.what();
    }
  }
  return views;
}

std::optional<InputViews> read_input(const Input& input, const Presentation& presentation, const DecodeLimits& limits) {
  if (!input.error.empty()) throw Error(ErrorCode::input, fmt::format("{}: {}", input.path.string(), input.error));
  if (input.from_folder && !may_be_image(input.path)) return std::nullopt;
  Presentation wanted = presentation;
  if (input.view) wanted.view = *input.view;
  if (input.image) return present(*input.image, wanted, input.orientation);
  if (input.bytes) return read_views(*input.bytes, wanted, limits);
  return from_file(input.path, limits,
                   [&](std::span<const std::byte> file) { return std::optional(read_views(file, wanted, limits)); });
}

std::string cause(const Error& error, const fs::path& path) {
  const std::string message = error.what();
  const std::string prefix = path.string() + ": ";
  return message.compare(0, prefix.size(), prefix) == 0 ? message.substr(prefix.size()) : message;
}

}  // namespace lfm
