// What each kernel promises of its requests to memory, at the shapes of every_kernel.h; counters_test.cpp
// holds them to it. Bank conflicts: none, anywhere. Where a kernel takes more sectors than its bytes need,
// `because` says why that stays.
#pragma once

namespace lfm::test {

struct Promise {
  const char* kernel;
  double sectors_a_load;
  double sectors_a_store;
  const char* because = "";
};

inline constexpr Promise kPromises[] = {
    {"adam", 15.62, 15.04},
    {"average_pool", 3.62, 1.00, "a map begins anywhere in a sector"},
    {"average_pool_backward", 4.00, 4.00},
    {"batch_norm_relu", 15.26, 10.67},
    {"batch_norm_relu_backward", 14.84, 11.12},
    {"batch_statistics", 5.60, 4.00},
    {"bce_with_logits", 1.75, 2.50},
    {"conv2x2_direct", 13.81, 15.58},
    {"conv2x2_backward_input", 12.27, 14.31},
    {"conv2x2_backward_input_naive", 16.50, 4.00,
     "from the definition: neighbours read the weights of different channels"},
    {"conv2x2_backward_weight", 16.00, 16.00},
    {"conv2x2_backward_weight_naive", 2.56, 4.00},
    {"conv2x2_naive", 2.51, 4.00},
    {"conv2x2_tensor", 14.78, 11.33, "a thread's eight biases are two loads, each half of its sectors"},
    {"conv2x2_tensor_training", 15.14, 8.59},
    {"conv2x2_transpose_weight", 4.00, 4.00},
    {"conv2x2_tensor_weight", 15.63, 16.00,
     "of TF32, a thread's eight sums in a row are two stores, each half of their sector"},
    {"conv2x2_wgmma", 9.47, 11.33, "as conv2x2_tensor; weights come by bulk copies, which are not counted"},
    {"conv2x2_winograd", 15.27, 14.81,
     "half a sector of a position's channels a slab; the next slab takes the other half from L1"},
    {"distill_gradient_naive", 3.00, 32.00, "from the definition: a thread's neighbours write other positions"},
    {"distill_logits", 1.00, 1.00},
    {"distill_maps", 2.75, 3.94, "a map begins anywhere in a sector"},
    {"distill_sums_naive", 6.17, 1.00, "from the definition: a thread reads a tile"},
    {"first_block", 7.77, 16.00,
     "bytes of a window, six apart from the neighbour's; all of a line is used within the warp's 15 loads"},
    {"first_block_tensor", 5.75, 16.00, "bytes, as first_block; weights in the order in which fragments lie"},
    {"first_conv", 5.57, 15.99, "bytes of a window, three apart from the neighbour's, as above"},
    {"first_conv_backward_weight", 7.33, 4.00, "as first_conv"},
    {"head", 3.95, 1.00},
    {"head_backward", 2.54, 4.00},
    {"head_of_maps", 1.99, 1.00},
    {"last_block_convolve", 10.33, 16.00},
    {"last_block_project", 10.67, 8.67, "words of eight maps; the other half of their sectors is loaded next"},
    {"last_block_tensor", 10.68, 8.67, "a row of a map begins anywhere in a sector"},
    {"last_block_wgmma", 5.23, 8.67, "as last_block_tensor"},
    {"last_block_wgmma_convolve", 5.23, 16.00},
    {"last_block_wgmma_project", 16.00, 8.67, "as last_block_tensor"},
    {"max_pool", 16.00, 16.00},
    {"mean", 8.00, 4.00},
    {"merge_backward_sums", 1.00, 1.00, "four channels of each slice; at most 1024 slices"},
    {"merge_moments", 1.01, 1.00, "as merge_backward_sums"},
    {"moments_to_totals", 8.00, 8.00},
    {"residual", 1.79, 4.49, "rows of three channels begin anywhere in a sector"},
    {"pack_training_weight", 8.00, 16.00,
     "of BF16, backward: a thread's eight weights in a row are two loads, each half of their sector"},
    {"padded_conv", 13.65, 17.10, "maps for pooling: each begins anywhere in a sector"},
    {"padded_conv_tensor", 13.80, 11.14, "as conv2x2_tensor, and maps for pooling begin anywhere in a sector"},
    {"pool_backward", 10.36, 29.42, "adds to positions that the data chose"},
    {"projection", 13.79, 19.69, "a map begins anywhere in a sector"},
    {"projection_backward_input", 14.34, 15.38},
    {"projection_backward_weight", 16.00, 16.00},
    {"projection_input_tensor", 16.00, 12.00},
    {"projection_naive", 16.50, 4.00, "from the definition: neighbours read different positions"},
    {"projection_tensor", 16.00, 6.08, "a map begins anywhere in a sector"},
    {"projection_transpose_weight", 32.00, 4.00, "128 KiB, once a step"},
    {"projection_weight_tensor", 15.93, 16.00, "as conv2x2_tensor_weight"},
    {"rbld", 2.50, 4.00},
    {"recentre_moments", 8.00, 8.00},
    {"rks_draw", 30.48, 32.00, "a thread draws a whole row: the method is serial"},
    {"rks_gather", 2.56, 4.00, "loads positions that were drawn at random"},
    {"round_values", 16.00, 12.00},
    {"slice_backward_sums", 11.66, 4.00},
    {"slice_moments", 13.27, 4.00},
    {"stem", 7.24, 6.00, "rows of three channels begin anywhere in a sector"},
    {"sum_partials", 4.00, 4.00},
    {"topk_pool", 2.31, 2.00, "a map begins anywhere in a sector; lanes behind its end read its last value"},
    {"unfold", 16.00, 16.00},
};

}  // namespace lfm::test
