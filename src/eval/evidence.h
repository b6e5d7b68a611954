// Why a picture has its logit. The head is linear over the values that top-k pooling selects from the maps, so the
// logit is a sum over map positions, exactly:
//
//   logit = bias + sum over positions p of contribution(p),
//   contribution(p) = sum over maps c that select p, as rank r, of w[c][r] * maps[c][p]
//
// Grad-CAM on the last block (Selvaraju et al. 2017; the paper's Figure 3) needs no backward pass here: the 1x1
// convolution from the block's channels A_o to the maps has no bias, maps_c = sum_o P[c][o] A_o, and the gradient of
// the logit at A_o[p] is sum_c g_c[p] P[c][o] with g_c[p] = w[c][r] where p is selected and 0 elsewhere. So the channel
// weights are alpha_o = (1/N) sum_c G_c P[c][o], G_c = sum_r w[c][r], over the N positions, and
//
//   cam(p) = ReLU(sum_o alpha_o A_o[p]) = ReLU((1/N) sum_c G_c maps[c][p]).
//
// With the ResNet trunk the maps are layer2's, and Grad-CAM is taken on them: the same expression.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lfm/detector.h"
#include "src/model/architecture.h"

namespace lfm {

/// Pixels from one map position to the next, how many a position sees a side, and where that begins: position (row,
/// column) covers the residual's values from stride*row - before on, side of them, alike along columns (SNet: [8*row,
/// 8*row + 22]), and pixels of the view beyond them where the residual reaches further (front_end.h): none for
/// differences inside cells of 2x2, which the field, beginning at an even pixel, covers.
struct ReceptiveField {
  int stride = 1;
  int side = 1;
  int before = 0;

  /// What a convolution or a pooling adds.
  constexpr void see(int kernel, int by, int padding) {
    side += (kernel - 1) * stride;
    before += padding * stride;
    stride *= by;
  }
};
constexpr ReceptiveField receptive_field(Trunk trunk = Trunk::snet) {
  ReceptiveField field;
  if (trunk == Trunk::resnet) {
    const auto convolve = [&](const TrunkConvolution& c) { field.see(c.kernel, c.stride, c.kernel / 2); };
    convolve(kTrunkConvolutions[0]);
    field.see(3, 2, 1);  // max-pool
    for (std::size_t b = 0; b < kBottlenecks.size(); ++b) {
      convolve(kTrunkConvolutions[static_cast<std::size_t>(first_convolution(static_cast<int>(b)) + kSpatial)]);
    }
    return field;
  }
  for (int block = 0; block < kBlocks; ++block) {
    field.see(2, 1, 0);                           // conv 2x2
    if (block < kBlocks - 1) field.see(2, 2, 0);  // max-pool
  }
  return field;
}

/// Values of one image's map positions, [rows*cols].
struct PositionValues {
  std::vector<float> contributions;  ///< they sum to the logit less the head's bias
  std::vector<float> grad_cam;       ///< 0 or more
};

/// maps: [map_channels][rows*cols] of one image; values: the model's, laid out by parameter_table.
PositionValues position_values(std::span<const float> maps, const MapSize& size, const Architecture& architecture,
                               std::span<const float> values);

/// Turns a window's evidence, found in the picture as stored, to the picture upright, whose size is given; orientation:
/// EXIF's.
void turn_upright(Evidence& window, int width, int height, int orientation);

/// The windows of one member of the model.
std::span<const Evidence> evidence_of(const Detection& detection, std::size_t member);

/// A map position and where it lies in the picture.
struct PictureRegion {
  float contribution = 0;
  double x = 0, y = 0, width = 0, height = 0;  ///< the pixels its receptive field covers, of the picture upright
};

/// The positions of the largest contributions, either sign, the largest first. One that covers more than half of a
/// larger one, along both axes, is passed over.
std::vector<PictureRegion> top_regions(std::span<const Evidence> evidence, std::size_t count);

}  // namespace lfm
