#include "src/engine/cpu/training/conv_training.h"

#include <algorithm>

namespace lfm::cpu {
namespace {

constexpr int kSlots = 16;
constexpr std::size_t kLine = 16;  // floats of a cache line: keeps products of a tile in different sets of the cache

// Tiles worked on together: few keep V, P and M in L2, many use each loaded filter more often. Measured on a core with
// 1 MiB of L2, where half or twice as many cost up to 10 %.
constexpr int kForwardTiles = 28;
constexpr int kBackwardTiles[] = {28, 56, 98};  // of blocks 2 to 4

/// A task's window on scratch: products of `tiles` tiles and `channels` channels in slabs of 64.
struct Products {
  float* data;
  std::size_t slab;
  std::size_t product;
};
std::size_t products_floats(int tiles, int channels) {
  return kProducts * (static_cast<std::size_t>(tiles) * static_cast<std::size_t>(channels) + kLine);
}
Products place(float*& scratch, int tiles, int channels) {
  const Products p{scratch, static_cast<std::size_t>(tiles) * kSlab,
                   static_cast<std::size_t>(tiles) * static_cast<std::size_t>(channels) + kLine};
  scratch += products_floats(tiles, channels);
  return p;
}

struct Tile {
  int image, y, x;  // first output
};

/// Calls visit(tile, index) for the tiles of rows [first, last).
template <typename Visit>
void for_tiles(const ConvTraining& plan, int first, int last, const Visit& visit) {
  int index = 0;
  for (int row = first; row < last; ++row) {
    const int image = row / plan.tile_rows, y = row % plan.tile_rows * kOutputSide;
    for (int x = 0; x < plan.tile_columns; ++x) visit(Tile{image, y, x * kOutputSide}, index++);
  }
}

std::size_t pixel_offset(const MapSize& size, int channels, int image, int y, int x) {
  return ((static_cast<std::size_t>(image) * size.h + y) * size.w + x) * static_cast<std::size_t>(channels);
}

void transform_input(const Machine& machine, const ConvTraining& plan, const float* in, const Affine& norm, int first,
                     int last, const Products& v) {
  const std::size_t ic = static_cast<std::size_t>(plan.ic);
  for_tiles(plan, first, last, [&](const Tile& t, int index) {
    machine.training.input_tile({in + pixel_offset(plan.in, plan.ic, t.image, t.y, t.x), plan.in.w * ic, ic,
                                 std::min(kInputSide, plan.in.h - t.y), std::min(kInputSide, plan.in.w - t.x), plan.ic,
                                 norm, v.data + static_cast<std::size_t>(index) * kSlab, v.product, v.slab});
  });
}

/// out[f] = a[f] (tiles x depth) times filters[slab][f] (depth x 64).
void multiply_slab(const Machine& machine, const Products& a, int tiles, int depth, const float* filters, int slab,
                   const Products& out) {
  const int panel = machine.kernels.fp32.panel;
  const std::size_t panel_floats = static_cast<std::size_t>(depth) * panel;
  const float* b = filters + static_cast<std::size_t>(slab) * kProducts * depth * kSlab;
  for (std::size_t f = 0; f < kProducts; ++f) {
    for (int column = 0; column < kSlab; column += panel, b += panel_floats) {
      machine.kernels.fp32.multiply(
          {tiles, depth, a.data + f * a.product, a.slab, b, out.data + f * out.product + column, kSlab});
    }
  }
}

/// Filters for products with slabs of 64 outputs, [rows/64][25][64/panel][depth][panel]: rows = output channels forward
/// (depth = ic), input channels backward (depth = oc).
void pack_filters(const Machine& machine, std::span<const float> weight, int rows, std::size_t row_stride, int depth,
                  std::size_t depth_stride, float* filters) {
  constexpr int chunk = 32;  // of depth
  const int panel = machine.kernels.fp32.panel, chunks = depth / chunk;
  const std::size_t product = static_cast<std::size_t>(depth) * kSlab;
  machine.pool.run(rows / kSlab * chunks, [&](int task, int) {
    const std::size_t slab = static_cast<std::size_t>(task / chunks);
    for (int k = task % chunks * chunk; k < (task % chunks + 1) * chunk; ++k) {
      machine.training.transform_filters({weight.data() + slab * kSlab * row_stride + k * depth_stride, row_stride,
                                          filters + slab * kProducts * product + static_cast<std::size_t>(k) * panel,
                                          panel, static_cast<std::size_t>(depth) * panel, product});
    }
  });
}

/// One backward step of a slot: rows of tiles [first, last).
struct BackwardStep {
  const Machine& machine;
  const ConvTraining& plan;
  const ConvBackward& p;
  Products v, gradient, input;

  void transform_gradient(int first, int last) const {
    const std::size_t oc = static_cast<std::size_t>(plan.oc);
    for_tiles(plan, first, last, [&](const Tile& t, int index) {
      const int scale = plan.pool ? 2 : 1;
      const float* conv = p.conv + pixel_offset(plan.conv, plan.oc, t.image, t.y, t.x);
      const float* grad = p.grad + pixel_offset(plan.out, plan.oc, t.image, t.y / scale, t.x / scale);
      for (int slab = 0; slab < plan.oc / kSlab; ++slab) {
        const int c = slab * kSlab;
        machine.training.grad_output_tile(
            {conv + c, plan.conv.w * oc, oc, std::min(kOutputSide, plan.conv.h - t.y),
             std::min(kOutputSide, plan.conv.w - t.x), p.norm.sign() + c, grad + c, plan.out.w * oc, plan.pool,
             p.norm.gain() + c, p.norm.offset() + c, p.norm.slope() + c,
             gradient.data + slab * gradient.slab + static_cast<std::size_t>(index) * kSlab, gradient.product});
      }
    });
  }

  /// sum: [25][oc/64][ic][64]
  void add_filter_gradient(int tiles, float* sum, bool accumulate) const {
    for (std::size_t f = 0; f < kProducts; ++f) {
      for (int output = 0; output < plan.oc / kSlab; ++output) {
        for (int slab = 0; slab < plan.ic / kSlab; ++slab, sum += kSlab * kSlab) {
          machine.training.outer_product({tiles, v.data + f * v.product + slab * v.slab,
                                          gradient.data + f * gradient.product + output * gradient.slab, sum,
                                          accumulate});
        }
      }
    }
  }

  void add_input_gradient(int first, int last, int tiles) const {
    const std::size_t ic = static_cast<std::size_t>(plan.ic);
    for (int slab = 0; slab < plan.ic / kSlab; ++slab) {
      multiply_slab(machine, gradient, tiles, plan.oc, p.filters, slab, input);
      for_tiles(plan, first, last, [&](const Tile& t, int index) {
        machine.training.grad_input_tile({input.data + static_cast<std::size_t>(index) * kSlab, input.product,
                                          p.grad_in + pixel_offset(plan.in, plan.ic, t.image, t.y, t.x) + slab * kSlab,
                                          plan.in.w * ic, ic, std::min(kInputSide, plan.in.h - t.y),
                                          std::min(kInputSide, plan.in.w - t.x), t.y > 0, t.x > 0});
      });
    }
  }

  /// ReLU's backward on a finished image, and its sums into partial[image].
  void finish_image(int image) const {
    const std::size_t ic = static_cast<std::size_t>(plan.ic);
    alignas(64) float row_sums[2 * kChannels[kBlocks]];
    double* sums = p.partial + static_cast<std::size_t>(image) * 2 * ic;
    std::fill_n(sums, 2 * ic, 0.0);
    for (int y = 0; y < plan.in.h; ++y) {
      const std::size_t at = pixel_offset(plan.in, plan.ic, image, y, 0);
      std::fill_n(row_sums, 2 * ic, 0.0f);
      machine.training.relu_grad({static_cast<std::size_t>(plan.in.w), plan.ic, p.in + at, p.in_norm, p.grad_in + at,
                                  row_sums, row_sums + ic});
      for (std::size_t i = 0; i < 2 * ic; ++i) sums[i] += double{row_sums[i]};
    }
  }
};

void run_slot(const BackwardStep& step, int slot) {
  const ConvTraining& plan = step.plan;
  const int begin = part_begin(plan.n, slot, plan.slots) * plan.tile_rows;
  const int end = part_begin(plan.n, slot + 1, plan.slots) * plan.tile_rows;
  float* sum = step.p.grad_filters + static_cast<std::size_t>(slot) * plan.filter_floats();
  const int steps = (end - begin + plan.backward_rows - 1) / plan.backward_rows;
  for (int i = 0; i < steps; ++i) {
    const int first = begin + part_begin(end - begin, i, steps), last = begin + part_begin(end - begin, i + 1, steps);
    const int tiles = (last - first) * plan.tile_columns;
    transform_input(step.machine, plan, step.p.in, step.p.in_norm, first, last, step.v);
    step.transform_gradient(first, last);
    step.add_filter_gradient(tiles, sum, i > 0);
    step.add_input_gradient(first, last, tiles);
    if (step.p.in_sums.empty()) continue;
    for (int image = first / plan.tile_rows; image < last / plan.tile_rows; ++image) step.finish_image(image);
  }
}

}  // namespace

int slot_count(int n) { return std::min(n, kSlots); }

ConvTraining plan_conv_training(int n, const NetworkShape& shape, int block) {
  ConvTraining plan{};
  plan.n = n;
  plan.in = shape.out[block - 1];
  plan.conv = shape.conv[block];
  plan.out = shape.out[block];
  plan.ic = kChannels[block];
  plan.oc = kChannels[block + 1];
  plan.pool = block + 1 < kBlocks;
  plan.slots = slot_count(n);
  plan.tile_rows = (plan.conv.h + kOutputSide - 1) / kOutputSide;
  plan.tile_columns = (plan.conv.w + kOutputSide - 1) / kOutputSide;
  const int rows = n * plan.tile_rows;
  const int wanted = std::max(1, kForwardTiles / plan.tile_columns);
  plan.forward_tasks = (rows + wanted - 1) / wanted;
  plan.forward_rows = (rows + plan.forward_tasks - 1) / plan.forward_tasks;
  plan.backward_rows = std::max(1, kBackwardTiles[block - 1] / plan.tile_columns);
  return plan;
}

std::size_t ConvTraining::worker_floats() const {
  const int forward = forward_rows * tile_columns, backward = backward_rows * tile_columns;
  return std::max(products_floats(forward, ic) + products_floats(forward, kSlab),
                  products_floats(backward, ic) + products_floats(backward, oc) + products_floats(backward, kSlab));
}

std::size_t ConvTraining::forward_sums() const { return std::size_t{2} * forward_tasks * oc; }
std::size_t ConvTraining::backward_sums() const { return std::size_t{2} * n * ic; }

void conv_forward(const Machine& machine, const ConvTraining& plan, const ConvForward& p) {
  const std::size_t ic = static_cast<std::size_t>(plan.ic), oc = static_cast<std::size_t>(plan.oc);
  pack_filters(machine, p.weight, plan.oc, 4 * ic, plan.ic, 4, p.filters);
  machine.pool.run(plan.forward_tasks, [&](int task, int worker) {
    const int first = part_begin(plan.n * plan.tile_rows, task, plan.forward_tasks);
    const int last = part_begin(plan.n * plan.tile_rows, task + 1, plan.forward_tasks);
    const int tiles = (last - first) * plan.tile_columns;
    float* scratch = p.workers + static_cast<std::size_t>(worker) * plan.worker_floats();
    const Products v = place(scratch, tiles, plan.ic), m = place(scratch, tiles, kSlab);
    transform_input(machine, plan, p.in, p.in_norm, first, last, v);

    double* sums = p.partial + static_cast<std::size_t>(task) * 2 * oc;
    for (int slab = 0; slab < plan.oc / kSlab; ++slab) {
      const int c = slab * kSlab;
      multiply_slab(machine, v, tiles, plan.ic, p.filters, slab, m);
      alignas(64) float slab_sums[2 * kSlab] = {};
      for_tiles(plan, first, last, [&](const Tile& t, int index) {
        float* pooled = p.pooled ? p.pooled + pixel_offset(plan.out, plan.oc, t.image, t.y / 2, t.x / 2) + c : nullptr;
        machine.training.output_tile({m.data + static_cast<std::size_t>(index) * kSlab, m.product, p.centre + c,
                                      p.conv + pixel_offset(plan.conv, plan.oc, t.image, t.y, t.x) + c,
                                      plan.conv.w * oc, oc, std::min(kOutputSide, plan.conv.h - t.y),
                                      std::min(kOutputSide, plan.conv.w - t.x), p.sign + c, pooled, plan.out.w * oc,
                                      slab_sums, slab_sums + kSlab});
      });
      std::copy_n(slab_sums, kSlab, sums + c);
      std::copy_n(slab_sums + kSlab, kSlab, sums + oc + c);
    }
  });
  add_parts(p.partial, plan.forward_tasks, p.sums);
}

void conv_backward(const Machine& machine, const ConvTraining& plan, const ConvBackward& p) {
  const std::size_t ic = static_cast<std::size_t>(plan.ic);
  pack_filters(machine, p.weight, plan.ic, 4, plan.oc, 4 * ic, p.filters);
  machine.pool.run(plan.slots, [&](int slot, int worker) {
    const int tiles = plan.backward_rows * plan.tile_columns;
    float* scratch = p.workers + static_cast<std::size_t>(worker) * plan.worker_floats();
    const Products v = place(scratch, tiles, plan.ic), gradient = place(scratch, tiles, plan.oc);
    run_slot({machine, plan, p, v, gradient, place(scratch, tiles, kSlab)}, slot);
  });
  if (!p.in_sums.empty()) add_parts(p.partial, plan.n, p.in_sums);

  machine.pool.run(plan.oc / kSlab * plan.ic / 32, [&](int task, int) {
    const int first = task * 32;  // of the (slab, input channel) pairs
    for (int pair = first; pair < first + 32; ++pair) {
      const int slab = pair / plan.ic, channel = pair % plan.ic;
      machine.training.filter_gradient(
          {p.grad_filters + static_cast<std::size_t>(pair) * kSlab, ic * plan.oc, plan.slots, plan.filter_floats(),
           p.grad_weight.data() + (static_cast<std::size_t>(slab) * kSlab * ic + channel) * 4, 4 * ic,
           p.mode == GradientMode::accumulate});
    }
  });
}

void add_parts(const double* partial, int parts, std::span<double> sums) {
  std::fill(sums.begin(), sums.end(), 0.0);
  for (int part = 0; part < parts; ++part, partial += sums.size()) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += partial[i];
  }
}

}  // namespace lfm::cpu
