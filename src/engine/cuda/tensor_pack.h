// Convolution weights, rounded and in the order in which the tensor-core kernels consume them
// (kernels/tensor_layout.h), on the host.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/element.h"

namespace lfm {

/// weight [oc][ic][2][2] -> stages [oc/128][slab][tap], for conv2x2_tensor.
template <typename T>
std::vector<T> pack_tensor_conv(std::span<const float> weight, int oc, int ic);

/// weight [oc][ic][taps] -> stages [oc/columns][tap][slab] of PaddedConvTile::columns(oc), for padded_conv_tensor.
template <typename T>
std::vector<T> pack_padded_conv(std::span<const float> weight, int oc, int ic, int taps);

/// What pack_tensor_conv packs, as conv2x2_wgmma reads it.
template <typename T>
std::vector<T> pack_wgmma_conv(std::span<const float> weight, int oc, int ic);

/// weight [oc][ic][2][2], projection [64][oc] -> stages [oc/128]([slab][tap], then the projection of those 128
/// channels), for last_block_tensor.
template <typename T>
std::vector<T> pack_tensor_last_block(std::span<const float> weight, std::span<const float> projection, int oc, int ic);

/// The same as last_block_wgmma reads them: the projection in stages half as long.
template <typename T>
std::vector<T> pack_wgmma_last_block(std::span<const float> weight, std::span<const float> projection, int oc, int ic);

}  // namespace lfm
