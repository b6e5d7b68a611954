#include "src/pipeline/picture.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "lfm/error.h"
#include "src/eval/evidence.h"
#include "src/image/orientation.h"
#include "src/model/architecture.h"
#include "src/pipeline/texture.h"

namespace lfm {
namespace {

/// Which windows have texture, told to the delivery; all of them where none has.
std::vector<bool> windows_that_count(const std::vector<ViewImage>& images, DeliveryScore& delivery) {
  std::vector<bool> counts;
  for (const ViewImage& image : images) {
    const Texture texture = texture_of(image.data(), image.image.width, image.image.height);
    delivery.texture += texture.strong / static_cast<double>(images.size());
    counts.push_back(!is_empty(texture));
  }
  delivery.windows = images.size();
  delivery.empty_windows = static_cast<std::size_t>(std::ranges::count(counts, false));
  if (delivery.empty_windows == delivery.windows) counts.assign(images.size(), true);
  return counts;
}

}  // namespace

Picture cut_up(InputViews&& views, const Presentation& presentation, std::span<const Member> members,
               bool with_evidence) {
  Picture picture;
  for (DeliveredView& view : views.delivered) {
    DeliveryScore& delivery = picture.deliveries.emplace_back();
    delivery.error = std::move(view.error);
    if (!delivery.error.empty()) continue;
    try {
      for (const Member& member : members)
        map_size(member.architecture, view.images[0].image.height, view.images[0].image.width);
    } catch (const Error& error) {
      delivery.error = error.what();
      continue;
    }
    const std::vector<bool> counts = windows_that_count(view.images, delivery);
    for (std::size_t i = 0; i < view.images.size(); ++i) {
      if (!counts[i]) continue;
      ++delivery.pieces;
      Piece& piece = picture.pieces.emplace_back();
      piece.delivery = picture.deliveries.size() - 1;
      piece.window = i;
      piece.pixels = std::move(view.images[i]);
      picture.bytes += piece.pixels.bytes();
    }
  }
  picture.left = picture.pieces.size();
  if (with_evidence && presentation.deliveries[0].kind == Delivery::Kind::none) {
    for (std::size_t m = 0; m < members.size(); ++m) {
      for (std::size_t i = 0; i < picture.deliveries[0].pieces; ++i) {
        const Image& pixels = picture.pieces[i].pixels.image;
        const Window& window = views.windows[picture.pieces[i].window];
        const MapSize maps = map_size(members[m].architecture, pixels.height, pixels.width);
        const ReceptiveField field = receptive_field(members[m].architecture.trunk);
        picture.evidence.push_back({static_cast<double>(window.x),
                                    static_cast<double>(window.y),
                                    static_cast<double>(window.width),
                                    static_cast<double>(window.height),
                                    pixels.width,
                                    pixels.height,
                                    maps.h,
                                    maps.w,
                                    {},
                                    {},
                                    m,
                                    field.stride,
                                    field.side,
                                    field.before});
      }
    }
  }
  return picture;
}

void add_evidence(Picture& picture, const Piece& piece, std::span<const float> maps, std::span<const Member> members,
                  std::size_t index) {
  const auto window = static_cast<std::size_t>(&piece - picture.pieces.data());
  Evidence& evidence = picture.evidence[index * picture.deliveries[0].pieces + window];
  const Member& member = members[index];
  PositionValues values =
      position_values(maps, {evidence.rows, evidence.columns}, member.architecture, member.parameters);
  evidence.contributions = std::move(values.contributions);
  evidence.grad_cam = std::move(values.grad_cam);
}

void take_facts(InputViews& views, Detection& detection) {
  detection.orientation = views.orientation;
  detection.width = views.width;
  detection.height = views.height;
  if (turn_of(views.orientation).transpose) std::swap(detection.width, detection.height);
  detection.thumbnail = std::move(views.thumbnail);
  detection.signs = std::move(views.signs);
  if (detection.part.empty()) detection.part = std::move(views.part);
}

void add_score(Piece& piece, float logit, std::span<const float> features) {
  piece.logits.push_back(logit);
  if (piece.delivery == 0) piece.features.insert(piece.features.end(), features.begin(), features.end());
}

bool put_together(Picture& picture, Detection& detection) {
  const std::size_t members = picture.pieces.empty() ? 1 : std::max<std::size_t>(picture.pieces[0].logits.size(), 1);
  std::vector<double> logits(picture.deliveries.size() * members);  // [delivery][member]
  std::vector<float> features;
  for (const Piece& piece : picture.pieces) {
    if (!piece.error.empty()) {
      detection.error = piece.error;
      return false;
    }
    for (std::size_t m = 0; m < members; ++m) logits[piece.delivery * members + m] += piece.logits[m];
    if (features.empty()) features.resize(piece.features.size());
    for (std::size_t i = 0; i < piece.features.size(); ++i) features[i] += piece.features[i];
  }
  const DeliveryScore* first_known = nullptr;
  for (std::size_t d = 0; d < picture.deliveries.size(); ++d) {
    const DeliveryScore& delivery = picture.deliveries[d];
    const bool known = delivery.error.empty();
    const auto mean = [&](std::size_t member) {
      if (!known) return std::numeric_limits<float>::quiet_NaN();
      return static_cast<float>(logits[d * members + member] / static_cast<double>(delivery.pieces));
    };
    detection.delivered_logits.push_back(mean(0));
    for (std::size_t m = 0; members > 1 && m < members; ++m) detection.delivered_member_logits.push_back(mean(m));
    if (!known || first_known != nullptr) continue;
    first_known = &delivery;
    detection.logit = mean(0);
    detection.texture = static_cast<float>(delivery.texture);
    detection.windows = static_cast<int>(delivery.windows);
    detection.empty_windows = static_cast<int>(delivery.empty_windows);
  }
  if (first_known == nullptr) {
    detection.error = picture.deliveries.at(0).error;
    return false;
  }
  const auto tiles = static_cast<float>(picture.deliveries[0].pieces);
  for (float& sum : features) sum /= tiles;
  detection.features = std::move(features);
  for (Evidence& window : picture.evidence) {
    for (float& contribution : window.contributions) contribution /= tiles;
    turn_upright(window, detection.width, detection.height, detection.orientation);
  }
  detection.evidence = std::move(picture.evidence);
  return true;
}

}  // namespace lfm
