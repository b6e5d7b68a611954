#include "src/pipeline/picture.h"

#include <limits>
#include <utility>

#include "lfm/error.h"
#include "src/eval/evidence.h"
#include "src/model/architecture.h"

namespace lfm {

Picture cut_up(InputViews&& views, const Presentation& presentation, const Architecture& architecture, bool with_evidence) {
  Picture picture;
  for (DeliveredView& view : views.delivered) {
    DeliveryScore& delivery = picture.deliveries.emplace_back();
    delivery.error = std::move(view.error);
    if (!delivery.error.empty()) continue;
    try {
      network_shape(architecture, view.images[0].height, view.images[0].width);  // throws where it is too small
    } catch (const Error& error) {
      delivery.error = error.what();
      continue;
    }
    delivery.pieces = view.images.size();
    for (Image& image : view.images) {
      picture.bytes += image.rgb.size();
      Piece& piece = picture.pieces.emplace_back();
      piece.delivery = picture.deliveries.size() - 1;
      piece.pixels = std::move(image);
    }
  }
  picture.left = picture.pieces.size();
  if (with_evidence && presentation.deliveries[0].kind == Delivery::Kind::none) {
    for (std::size_t i = 0; i < picture.deliveries[0].pieces; ++i) {
      const Image& pixels = picture.pieces[i].pixels;
      const Window& window = views.windows[i];
      const MapSize maps = network_shape(architecture, pixels.height, pixels.width).maps();
      picture.evidence.push_back({static_cast<double>(window.x), static_cast<double>(window.y), static_cast<double>(window.width),
                                  static_cast<double>(window.height), pixels.width, pixels.height, maps.h, maps.w, {}, {}});
    }
  }
  return picture;
}

void add_evidence(Picture& picture, const Piece& piece, std::span<const float> maps, const Architecture& architecture,
                  std::span<const float> parameters) {
  Evidence& evidence = picture.evidence[static_cast<std::size_t>(&piece - picture.pieces.data())];
  PositionValues values = position_values(maps, {evidence.rows, evidence.columns}, architecture, parameters);
  evidence.contributions = std::move(values.contributions);
  evidence.grad_cam = std::move(values.grad_cam);
}

void add_score(Piece& piece, float logit, std::span<const float> features) {
  piece.logit = logit;
  if (piece.delivery == 0) piece.features.assign(features.begin(), features.end());
}

bool put_together(Picture& picture, Detection& detection) {
  std::vector<double> logits(picture.deliveries.size());
  std::vector<float> features;
  for (const Piece& piece : picture.pieces) {
    if (!piece.error.empty()) {
      detection.error = piece.error;
      return false;
    }
    logits[piece.delivery] += piece.logit;
    if (features.empty()) features.resize(piece.features.size());
    for (std::size_t i = 0; i < piece.features.size(); ++i) features[i] += piece.features[i];
  }
  const DeliveryScore* first_known = nullptr;
  for (std::size_t d = 0; d < picture.deliveries.size(); ++d) {
    const DeliveryScore& delivery = picture.deliveries[d];
    const bool known = delivery.error.empty();
    const auto mean = static_cast<float>(logits[d] / static_cast<double>(delivery.pieces));
    detection.delivered_logits.push_back(known ? mean : std::numeric_limits<float>::quiet_NaN());
    if (!known || first_known != nullptr) continue;
    first_known = &delivery;
    detection.logit = mean;
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
  }
  detection.evidence = std::move(picture.evidence);
  return true;
}

}  // namespace lfm
