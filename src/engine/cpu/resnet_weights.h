// What load() makes of the ResNet trunk's parameters: batch norm folded in, packed for the vector kernels.
#pragma once

#include <array>
#include <span>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"
#include "src/model/architecture.h"

namespace lfm::cpu {

/// One convolution: [oc/panel][segments][depth][panel], as RowConvolution reads them. A segment is 64 input channels of
/// a tap, taps in reading order; the stem's is all 27 values of its window. Of a 3x3 by Winograd U = G g G^T,
/// [frequency][oc/panel][ic][panel].
struct TrunkWeights {
  int segments = 0;
  int depth = 0;
  Buffer packed;
  Buffer bias;  ///< [oc]

  std::size_t panel_floats(int panel) const {
    return static_cast<std::size_t>(segments) * static_cast<std::size_t>(depth * panel);
  }
};

/// Whether a convolution goes by Winograd.
constexpr bool is_winograd(const TrunkConvolution& c) { return c.kernel == 3 && c.stride == 1; }

struct ResnetWeights {
  std::array<TrunkWeights, kTrunkConvolutions.size()> convolutions;
  LinearHead head;  ///< its bias no number where a parameter is none: the logit shows it
};

ResnetWeights pack_resnet(const Architecture& architecture, std::span<const float> values, int panel);

}  // namespace lfm::cpu
