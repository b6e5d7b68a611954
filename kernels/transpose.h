// Matrices turned around: weights as the gradient of a convolution's input reads them, and maps as pooling does.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// matrices [layers][rows][columns] -> transposed [layers][columns][rows]; reversed: the last layer first. Of weights
/// [tap][ic][oc], reversed, [tap][oc][ic] with the taps turned by 180 degrees.
void transpose(float* transposed, const float* matrices, int layers, int rows, int columns, bool reversed,
               Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
