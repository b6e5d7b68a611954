// Tiles of convolution outputs, 6x6 in FP32 and 4x4 in BF16, numbered through the batch. For a block of tiles:
//
//   V[f][tile][ic] = B^T d B            49 or 25 frequencies f
//   M[f][tile][oc] = V[f] x U[f]        64 output channels at a time, so that M stays small
//   out = ReLU(max-pool(A^T M A) + bias)
//
// Tiles that reach over the map's edge read its last pixels again there, and what they compute beyond it is not stored.
#include "src/engine/cpu/conv_block.h"

#if defined(__unix__)
#include <unistd.h>
#endif

#include <algorithm>
#include <cstring>

namespace lfm::cpu {
namespace {

constexpr int kLine = 16;  // floats of a cache line

std::size_t l2_floats() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return static_cast<std::size_t>(bytes) / sizeof(float);
#endif
  return (std::size_t{1} << 20) / sizeof(float);
}

struct Tile {
  int image;
  int y;
  int x;
};

Tile locate(const ConvPlan& plan, int index) {
  const int per_image = plan.tile_rows * plan.tile_columns;
  const int in_image = index % per_image;
  return {index / per_image, in_image / plan.tile_columns, in_image % plan.tile_columns};
}

/// Everything a task needs to see.
struct Job {
  const ConvShape& shape;
  const ConvPlan& plan;
  const ConvWeights& weights;
  const float* in;
  const ConvOutput& out;
  const PrecisionKernels& kernels;
};

/// Copies a tile that reaches over the edge, repeating the last pixels beyond it: so a flat map stays flat to the bit.
void copy_padded(const Job& job, const float* image, int y0, int x0, float* padded) {
  const std::size_t pixel = job.kernels.stored(job.shape.ic), pixel_bytes = pixel * sizeof(float);
  const int side = job.kernels.tile_in(), rows = std::min(side, job.shape.in.h - y0),
            columns = std::min(side, job.shape.in.w - x0);
  for (int y = 0; y < side; ++y, padded += side * pixel) {
    const float* row = image + (static_cast<std::size_t>(y0 + std::min(y, rows - 1)) * job.shape.in.w + x0) * pixel;
    std::memcpy(padded, row, columns * pixel_bytes);
    for (int x = columns; x < side; ++x) std::memcpy(padded + x * pixel, row + (columns - 1) * pixel, pixel_bytes);
  }
}

/// V of tiles [first, last), the first of them at row `row` of the block.
void transform_tiles(const Job& job, int first, int last, int row, float* v, float* padded) {
  const std::size_t pixel = job.kernels.stored(job.shape.ic), slab = static_cast<std::size_t>(job.kernels.slab_floats);
  const int side = job.kernels.tile_in();
  for (int index = first; index < last; ++index, ++row) {
    const Tile tile = locate(job.plan, index);
    const float* image = job.in + static_cast<std::size_t>(tile.image) * job.shape.in.area() * pixel;
    const int y0 = tile.y * job.kernels.tile, x0 = tile.x * job.kernels.tile;
    TileInput input{image + (static_cast<std::size_t>(y0) * job.shape.in.w + x0) * pixel,
                    job.shape.in.w * pixel,
                    pixel,
                    job.shape.ic,
                    v + row * slab,
                    job.plan.v_frequency,
                    job.plan.v_slab};
    if (y0 + side > job.shape.in.h || x0 + side > job.shape.in.w) {
      copy_padded(job, image, y0, x0, padded);
      input.in = padded;
      input.row = side * pixel;
    }
    job.kernels.tile_input(input);
  }
}

/// Products and outputs of 64 channels of tiles [first, last), whose V begins at row `row` of the block.
void finish_tiles(const Job& job, int first, int last, int row, int group, const float* v, float* m) {
  const int ic = job.shape.ic, panel = job.kernels.panel, panels = kGroup / panel;
  const std::size_t panel_floats = job.kernels.stored(ic) * panel,
                    slab = static_cast<std::size_t>(job.kernels.slab_floats);
  const int frequencies = job.kernels.frequencies();
  for (int f = 0; f < frequencies; ++f) {
    for (int p = 0; p < panels; ++p) {
      const float* u = job.weights.transformed.data() +
                       (static_cast<std::size_t>(group * frequencies + f) * panels + p) * panel_floats;
      job.kernels.multiply({last - first, ic, v + f * job.plan.v_frequency + row * slab, job.plan.v_slab, u,
                            m + f * job.plan.m_frequency + p * panel, kGroup});
    }
  }
  const int side = job.shape.pool ? job.kernels.tile / 2 : job.kernels.tile;
  const auto output = job.shape.pool ? job.kernels.tile_output_pooled : job.kernels.tile_output;
  for (int index = first; index < last; ++index, m += kGroup) {
    const Tile tile = locate(job.plan, index);
    const int y0 = tile.y * side, x0 = tile.x * side;
    const std::size_t pixel = static_cast<std::size_t>(tile.image) * job.shape.out.area() + y0 * job.shape.out.w + x0;
    output({m, job.plan.m_frequency, kGroup, job.weights.bias.data() + group * kGroup,
            job.out.data + group * job.out.group + pixel * job.out.pixel, job.shape.out.w * job.out.pixel,
            job.out.pixel, std::min(side, job.shape.out.h - y0), std::min(side, job.shape.out.w - x0)});
  }
}

int part(int count, int index, int parts) { return static_cast<int>(static_cast<long long>(count) * index / parts); }

}  // namespace

ConvPlan plan_conv(const ConvShape& shape, const PrecisionKernels& kernels, int threads) {
  const int side = shape.pool ? kernels.tile / 2 : kernels.tile;
  const std::size_t frequencies = static_cast<std::size_t>(kernels.frequencies()), input = kernels.stored(shape.ic);
  ConvPlan plan{};
  plan.tile_rows = (shape.out.h + side - 1) / side;
  plan.tile_columns = (shape.out.w + side - 1) / side;
  plan.tiles = shape.n * plan.tile_rows * plan.tile_columns;

  // V and M of a task in half of L2, as the weights stream through it; a whole number of tasks per thread where there
  // are few.
  const std::size_t weight_floats = frequencies * input * shape.oc;
  const int fitting = static_cast<int>(l2_floats() / 2 / (frequencies * (input + kGroup)));
  plan.by_channels = weight_floats > 8 * l2_floats();
  if (plan.by_channels) {
    plan.block = std::min(plan.tiles, 64);
  } else {
    int tasks = (plan.tiles + fitting - 1) / std::max(1, fitting);
    if (tasks < 8 * threads) tasks = (tasks + threads - 1) / threads * threads;
    plan.block = std::max(1, (plan.tiles + tasks - 1) / tasks);
  }
  const std::size_t block = static_cast<std::size_t>(plan.block);
  plan.v_slab = block * kernels.slab_floats;
  plan.v_frequency = block * input + kLine;
  plan.m_frequency = block * kGroup + kLine;
  const std::size_t v = frequencies * plan.v_frequency;
  plan.shared_floats = plan.by_channels ? v : 0;
  plan.padded = frequencies * plan.m_frequency;
  plan.v = plan.padded + frequencies * input;
  plan.worker_floats = plan.v + (plan.by_channels ? 0 : v);
  return plan;
}

void conv_block(const ConvShape& shape, const ConvPlan& plan, const ConvWeights& weights, const float* in,
                const ConvOutput& out, float* scratch, const PrecisionKernels& kernels, ThreadPool& pool) {
  const Job job{shape, plan, weights, in, out, kernels};
  float* shared = scratch;
  const auto products = [&](int worker) { return scratch + plan.shared_floats + worker * plan.worker_floats; };
  const auto padded = [&](int worker) { return products(worker) + plan.padded; };
  const auto transformed = [&](int worker) { return products(worker) + plan.v; };
  const int groups = shape.oc / kGroup;

  if (!plan.by_channels) {
    const int tasks = (plan.tiles + plan.block - 1) / plan.block;
    pool.run(tasks, [&](int task, int worker) {
      const int first = part(plan.tiles, task, tasks), last = part(plan.tiles, task + 1, tasks);
      transform_tiles(job, first, last, 0, transformed(worker), padded(worker));
      for (int g = 0; g < groups; ++g) finish_tiles(job, first, last, 0, g, transformed(worker), products(worker));
    });
    return;
  }
  const int blocks = (plan.tiles + plan.block - 1) / plan.block;
  const int cuts = (pool.threads() + groups - 1) / groups;  // of a block's tiles, where threads outnumber groups
  for (int b = 0; b < blocks; ++b) {
    const int begin = part(plan.tiles, b, blocks), count = part(plan.tiles, b + 1, blocks) - begin;
    const int pieces = std::min(count, 4 * pool.threads());
    pool.run(pieces, [&](int task, int worker) {
      const int first = part(count, task, pieces), last = part(count, task + 1, pieces);
      transform_tiles(job, begin + first, begin + last, first, shared, padded(worker));
    });
    pool.run(groups * cuts, [&](int task, int worker) {
      const int first = part(count, task % cuts, cuts), last = part(count, task % cuts + 1, cuts);
      if (first < last) finish_tiles(job, begin + first, begin + last, first, task / cuts, shared, products(worker));
    });
  }
}

}  // namespace lfm::cpu
