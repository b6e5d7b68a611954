#include "src/engine/cuda/tensor_pack.h"

#include "kernels/tensor_layout.h"

namespace lfm {

namespace {

using kernels::ConvTile;
using kernels::kPerChunk;
using kernels::ProjectionTile;

using ChunkPlace = int (*)(int column, int chunk);

/// Input channels of a slab.
template <typename T>
constexpr int kPerSlab = ConvTile::kSlabBytes / static_cast<int>(sizeof(T));

struct ConvWeight {
  std::span<const float> values;  // [oc][ic][taps]
  int ic, taps;
};

/// One tap of one slab: column n of the stage is output channel channel(n), and its chunks lie where `place` says.
template <typename T, typename Channel>
void append_conv_stage(std::vector<T>& packed, const ConvWeight& weight, int columns, int slab, int tap,
                       Channel channel, ChunkPlace place) {
  const std::size_t first = packed.size();
  packed.resize(first + static_cast<std::size_t>(columns * kPerSlab<T>));
  for (int n = 0; n < columns; ++n) {
    for (int c = 0; c < kPerSlab<T>; ++c) {
      const int input = slab * kPerSlab<T> + c;
      const int chunk = place(n, c / kPerChunk<T>);
      packed[first + static_cast<std::size_t>(chunk * kPerChunk<T> + c % kPerChunk<T>)] = kernels::round_to<T>(
          weight.values[(static_cast<std::size_t>(channel(n)) * weight.ic + input) * weight.taps + tap]);
    }
  }
}

/// So many chunks of input channels from `first_channel` on, for all maps, where `place` says.
template <typename T>
void append_projection_stage(std::vector<T>& packed, std::span<const float> projection, int oc, int first_channel,
                             int chunks, ChunkPlace place) {
  const std::size_t first = packed.size();
  packed.resize(first + static_cast<std::size_t>(ProjectionTile::kMaps * chunks * kPerChunk<T>));
  for (int map = 0; map < ProjectionTile::kMaps; ++map) {
    for (int c = 0; c < chunks * kPerChunk<T>; ++c) {
      // The kernel takes columns 2t and 2t+1 of eight TF32 as depth t and t+4 (last_block_tensor.cu).
      const int channel = sizeof(T) == 4 ? c / 8 * 8 + c % 4 * 2 + c % 8 / 4 : c;
      const int chunk = place(map, c / kPerChunk<T>);
      packed[first + static_cast<std::size_t>(chunk * kPerChunk<T> + c % kPerChunk<T>)] =
          kernels::round_to<T>(projection[static_cast<std::size_t>(map) * oc + first_channel + channel]);
    }
  }
}

/// Of those that a block computes, 64 of them a warp.
template <typename T>
int channel_of_tile(int column) {
  return column / 64 * 64 + kernels::channel_of_column(column % 64, kPerChunk<T> / 2);
}

template <typename T>
std::vector<T> pack_pooled(std::span<const float> weight, int oc, int ic, ChunkPlace place) {
  std::vector<T> packed;
  packed.reserve(weight.size());
  for (int group = 0; group < oc; group += ConvTile::kColumns) {
    const auto channel = [group](int n) { return group + channel_of_tile<T>(n); };
    for (int slab = 0; slab < ic / kPerSlab<T>; ++slab) {
      for (int tap = 0; tap < ConvTile::kTaps; ++tap)
        append_conv_stage(packed, {weight, ic, ConvTile::kTaps}, ConvTile::kColumns, slab, tap, channel, place);
    }
  }
  return packed;
}

template <typename T>
std::vector<T> pack_with_projection(std::span<const float> weight, std::span<const float> projection, int oc, int ic,
                                    ChunkPlace place, int chunks, ChunkPlace projection_place) {
  std::vector<T> packed;
  packed.reserve(weight.size() + projection.size());
  for (int group = 0; group < oc; group += ConvTile::kColumns) {
    const auto channel = [group](int n) { return group + n; };
    for (int slab = 0; slab < ic / kPerSlab<T>; ++slab) {
      for (int tap = 0; tap < ConvTile::kTaps; ++tap)
        append_conv_stage(packed, {weight, ic, ConvTile::kTaps}, ConvTile::kColumns, slab, tap, channel, place);
    }
    for (int c = 0; c < ConvTile::kColumns; c += chunks * kPerChunk<T>) {
      append_projection_stage(packed, projection, oc, group + c, chunks, projection_place);
    }
  }
  return packed;
}

}  // namespace

template <typename T>
std::vector<T> pack_tensor_conv(std::span<const float> weight, int oc, int ic) {
  return pack_pooled<T>(weight, oc, ic, kernels::weight_chunk);
}

template <typename T>
std::vector<T> pack_padded_conv(std::span<const float> weight, int oc, int ic, int taps) {
  const int columns = kernels::PaddedConvTile::columns(oc);
  std::vector<T> packed;
  packed.reserve(weight.size());
  for (int group = 0; group < oc; group += columns) {
    const auto channel = [group](int n) { return group + channel_of_tile<T>(n); };
    for (int tap = 0; tap < taps; ++tap) {
      for (int slab = 0; slab < ic / kPerSlab<T>; ++slab)
        append_conv_stage(packed, {weight, ic, taps}, columns, slab, tap, channel, kernels::weight_chunk);
    }
  }
  return packed;
}

template <typename T>
std::vector<T> pack_wgmma_conv(std::span<const float> weight, int oc, int ic) {
  return pack_pooled<T>(weight, oc, ic, kernels::warpgroup_weight_chunk);
}

template <typename T>
std::vector<T> pack_tensor_last_block(std::span<const float> weight, std::span<const float> projection, int oc,
                                      int ic) {
  return pack_with_projection<T>(weight, projection, oc, ic, kernels::weight_chunk, ProjectionTile::kRowChunks,
                                 kernels::projection_chunk);
}

template <typename T>
std::vector<T> pack_wgmma_last_block(std::span<const float> weight, std::span<const float> projection, int oc, int ic) {
  return pack_with_projection<T>(weight, projection, oc, ic, kernels::warpgroup_weight_chunk, ConvTile::kSlabChunks,
                                 kernels::warpgroup_projection_chunk);
}

using kernels::Bfloat16;
using kernels::Half;
using kernels::Tf32;

template std::vector<Half> pack_tensor_conv(std::span<const float>, int, int);
template std::vector<Bfloat16> pack_tensor_conv(std::span<const float>, int, int);
template std::vector<Tf32> pack_tensor_conv(std::span<const float>, int, int);
template std::vector<Half> pack_padded_conv(std::span<const float>, int, int, int);
template std::vector<Bfloat16> pack_padded_conv(std::span<const float>, int, int, int);
template std::vector<Tf32> pack_padded_conv(std::span<const float>, int, int, int);
template std::vector<Half> pack_wgmma_conv(std::span<const float>, int, int);
template std::vector<Bfloat16> pack_wgmma_conv(std::span<const float>, int, int);
template std::vector<Tf32> pack_wgmma_conv(std::span<const float>, int, int);
template std::vector<Half> pack_tensor_last_block(std::span<const float>, std::span<const float>, int, int);
template std::vector<Bfloat16> pack_tensor_last_block(std::span<const float>, std::span<const float>, int, int);
template std::vector<Tf32> pack_tensor_last_block(std::span<const float>, std::span<const float>, int, int);
template std::vector<Half> pack_wgmma_last_block(std::span<const float>, std::span<const float>, int, int);
template std::vector<Bfloat16> pack_wgmma_last_block(std::span<const float>, std::span<const float>, int, int);
template std::vector<Tf32> pack_wgmma_last_block(std::span<const float>, std::span<const float>, int, int);

}  // namespace lfm
