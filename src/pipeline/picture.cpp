#include "src/pipeline/picture.h"

#include <limits>
#include <utility>

#include "lfm/error.h"
#include "src/model/architecture.h"

namespace lfm {

Picture cut_up(std::vector<DeliveredView>&& views, const Architecture& architecture) {
  Picture picture;
  for (DeliveredView& view : views) {
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
      picture.pieces.push_back({picture.deliveries.size() - 1, std::move(image)});
    }
  }
  picture.left = picture.pieces.size();
  return picture;
}

void add_score(Picture& picture, const Piece& piece, float logit, std::span<const float> features) {
  --picture.left;
  picture.deliveries[piece.delivery].logits += logit;
  if (piece.delivery != 0) return;
  picture.features.resize(features.size());
  for (std::size_t i = 0; i < features.size(); ++i) picture.features[i] += features[i];
}

void add_failure(Picture& picture, const Piece& piece, const std::string& error) {
  --picture.left;
  picture.deliveries[piece.delivery].error = error;
}

bool put_together(Picture& picture, Detection& detection) {
  const DeliveryScore* first_known = nullptr;
  for (const DeliveryScore& delivery : picture.deliveries) {
    const bool known = delivery.error.empty();
    const auto mean = static_cast<float>(delivery.logits / static_cast<double>(delivery.pieces));
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
  for (float& sum : picture.features) sum /= tiles;
  detection.features = std::move(picture.features);
  return true;
}

}  // namespace lfm
