#include "src/engine/cpu/training/projection.h"

#include <algorithm>

namespace lfm::cpu {
namespace {

constexpr int kPixels = 56;        // of a task
constexpr int kPixelsOfSums = 64;  // added up in float before they join the sums in double
constexpr std::size_t kLast = kLastChannels;

}  // namespace

std::size_t projection_worker_floats() { return kPixels * kLast; }

void projection_forward(const Machine& machine, const Projection& p, float* maps, float* packed, float* workers) {
  const int panel = machine.kernels.fp32.panel, pixels = p.n * p.area;
  for (int o = 0; o < kMapChannels; ++o) {
    for (int i = 0; i < kLastChannels; ++i) {
      packed[(static_cast<std::size_t>(o / panel) * kLast + i) * panel + o % panel] =
          p.weight[static_cast<std::size_t>(o) * kLast + i];
    }
  }
  machine.pool.run((pixels + kPixels - 1) / kPixels, [&](int task, int worker) {
    const std::size_t first = static_cast<std::size_t>(task) * kPixels;
    const int count = std::min(kPixels, pixels - task * kPixels);
    float* slabs = workers + static_cast<std::size_t>(worker) * projection_worker_floats();
    machine.training.normalize({count, kLastChannels, p.conv + first * kLast, p.norm, slabs});
    for (int column = 0; column < kMapChannels; column += panel) {
      machine.kernels.fp32.multiply({count, kLastChannels, slabs, static_cast<std::size_t>(count) * kSlab,
                                     packed + column * kLast, maps + first * kMapChannels + column, kMapChannels});
    }
  });
}

void projection_backward(const Machine& machine, const Projection& p, const ProjectionBackward& b) {
  const int slots = slot_count(p.n);
  machine.pool.run(slots, [&](int slot, int) {
    float* grad_weight = b.slot_weights + static_cast<std::size_t>(slot) * kProjectionFloats;
    std::fill_n(grad_weight, kProjectionFloats, 0.0f);
    alignas(64) float part[2 * kLast];
    for (int image = part_begin(p.n, slot, slots); image < part_begin(p.n, slot + 1, slots); ++image) {
      double* sums = b.partial + static_cast<std::size_t>(image) * 2 * kLast;
      std::fill_n(sums, 2 * kLast, 0.0);
      for (int pixel = 0; pixel < p.area; pixel += kPixelsOfSums) {
        const std::size_t at = static_cast<std::size_t>(image) * p.area + pixel;
        std::fill_n(part, 2 * kLast, 0.0f);
        machine.training.projection_grad({std::min(kPixelsOfSums, p.area - pixel), b.grad_maps + at * kMapChannels,
                                          p.weight.data(), p.conv + at * kLast, p.norm, b.grad + at * kLast,
                                          grad_weight, part, part + kLast});
        for (std::size_t i = 0; i < 2 * kLast; ++i) sums[i] += double{part[i]};
      }
    }
  });
  add_parts(b.partial, p.n, b.sums);
  for (std::size_t i = 0; i < kProjectionFloats; ++i) {
    double sum = 0;
    for (int slot = 0; slot < slots; ++slot)
      sum += double{b.slot_weights[static_cast<std::size_t>(slot) * kProjectionFloats + i]};
    store_gradient(b.grad_weight[i], sum, b.mode);
  }
}

}  // namespace lfm::cpu
