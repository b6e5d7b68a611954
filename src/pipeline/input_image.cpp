#include "src/pipeline/input_image.h"

#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "lfm/error.h"
#include "src/image/file.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

/// False for a member that can be passed over. What can't be examined can't be passed over either.
bool may_be_image(const fs::path& member) {
  std::error_code error;
  const fs::file_status status = fs::status(member, error);
  // Pipes and devices are never opened: that could wait for ever.
  if (!error && fs::exists(status) && !fs::is_regular_file(status)) return false;
  if (has_image_extension(member)) return true;
  std::ifstream file(member, std::ios::binary);
  if (!file) return true;
  std::array<char, 4096> head;
  file.read(head.data(), head.size());
  const auto bytes = std::as_bytes(std::span(head)).first(static_cast<std::size_t>(file.gcount()));
  return sniff_image(bytes) != ImageFormat::unknown;
}

}  // namespace

std::vector<DeliveredView> present(Image image, const Presentation& presentation) {
  std::vector<DeliveredView> all(presentation.deliveries.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    try {
      const bool last = i + 1 == all.size() && presentation.deliveries[i].kind == Delivery::Kind::none;
      all[i].images = apply_view(last ? std::move(image) : deliver(image, presentation.deliveries[i]), presentation.view,
                                 presentation.most_tiles);
    } catch (const Error& error) {
      all[i].error = error.what();
    }
  }
  return all;
}

std::optional<InputViews> read_input(const Input& input, const Presentation& presentation, const DecodeLimits& limits) {
  if (!input.error.empty()) throw Error(ErrorCode::input, fmt::format("{}: {}", input.path.string(), input.error));
  if (input.from_folder && !may_be_image(input.path)) return std::nullopt;
  Presentation wanted = presentation;
  if (input.view) wanted.view = *input.view;
  const bool as_it_is = wanted.deliveries.size() == 1 && wanted.deliveries[0].kind == Delivery::Kind::none;
  if (as_it_is) {
    FileView seen = read_view(input.path, wanted.view, limits, wanted.most_tiles);
    return InputViews{{{std::move(seen.images), {}}}, seen.width, seen.height};
  }
  Image image = read_image(input.path, limits);
  const int width = image.width, height = image.height;
  return InputViews{present(std::move(image), wanted), width, height};
}

std::string cause(const Error& error, const fs::path& path) {
  const std::string message = error.what();
  const std::string prefix = path.string() + ": ";
  return message.compare(0, prefix.size(), prefix) == 0 ? message.substr(prefix.size()) : message;
}

}  // namespace lfm
