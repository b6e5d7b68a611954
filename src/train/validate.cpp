#include "src/train/validate.h"

#include <cmath>
#include <cstddef>
#include <vector>

#include "src/engine/network.h"

namespace lfm {
namespace {

// -log sigmoid(z) for a fake, -log(1 - sigmoid(z)) for a real, without overflow.
double cross_entropy(double logit, std::uint8_t label) {
  const double margin = label == 1 ? logit : -logit;
  return std::max(-margin, 0.0) + std::log1p(std::exp(-std::abs(margin)));
}

}  // namespace

Validation validate(Engine& engine, const Architecture& architecture, Loader& loader) {
  std::vector<float> logits;
  std::vector<std::uint8_t> labels;
  double loss = 0;
  loader.start(0, 0, 1);
  for (Batch batch; loader.next(batch);) {
    const std::size_t first = logits.size();
    logits.resize(first + static_cast<std::size_t>(batch.n));
    infer(engine, architecture, {batch.pixels.data(), batch.n, batch.height, batch.width},
          std::span(logits).subspan(first));
    labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
    for (std::size_t i = first; i < logits.size(); ++i) loss += cross_entropy(logits[i], labels[i]);
  }
  return {loss / static_cast<double>(logits.size()), compute_metrics(logits, labels, 0.0f)};
}

}  // namespace lfm
