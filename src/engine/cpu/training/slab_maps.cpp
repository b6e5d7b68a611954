#include "src/engine/cpu/training/slab_maps.h"

#include <algorithm>
#include <array>

namespace lfm::cpu {
namespace {

constexpr int kMostTapSlabs = 64;
static_assert(kResnetMapChannels / kSlab <= kMostTapSlabs && 9 * kBottlenecks.back().middle / kSlab <= kMostTapSlabs);

constexpr int kConvolvePixels = 128;  // what a task reads stays in L2, and a panel of weights serves it from there
constexpr int kDepth = 128;           // pixels of an outer product: its two sides stay in L1 and L2

/// weight(o, i, tap) lies at o * output + i * input + tap.
struct WeightStrides {
  int outputs, inputs, taps;
  std::size_t output, input;
  bool turned;
};

void pack_taps(const Machine& machine, std::span<const float> weight, const WeightStrides& s, float* packed) {
  const int panel = machine.kernels.fp32.panel;
  const std::size_t panel_floats = static_cast<std::size_t>(s.taps) * s.inputs * panel;
  machine.pool.run(s.outputs / panel, [&](int index, int) {
    float* to = packed + static_cast<std::size_t>(index) * panel_floats;
    const float* from = weight.data() + static_cast<std::size_t>(index * panel) * s.output;
    for (int t = 0; t < s.taps; ++t) {
      const int tap = s.turned ? s.taps - 1 - t : t;
      for (int i = 0; i < s.inputs; ++i) {
        for (int o = 0; o < panel; ++o)
          *to++ = from[static_cast<std::size_t>(o) * s.output + static_cast<std::size_t>(i) * s.input + tap];
      }
    }
  });
}

/// Of one slab of inputs and a slot's images, added up in the slot's [taps][in slabs][out slabs][64][64].
class SlotSum {
 public:
  SlotSum(const Machine& machine, const SlabWeightGradient& g, float* sum, int slab, float* gathered)
      : machine_(machine), g_(g), sum_(sum), slab_(slab), gathered_(gathered) {}

  void add_image(int image) {
    if (g_.kernel == 1 && g_.stride == 1) {  // rows follow each other
      const int area = g_.grad.size.area();
      for (int p = 0; p < area; p += kDepth) {
        const std::size_t at = static_cast<std::size_t>(p) * kSlab;
        add(0, g_.in.image(slab_, image) + at, image, at, std::min(kDepth, area - p));
      }
      return;
    }
    const int w = g_.grad.size.w, before = g_.kernel / 2;
    for (int y = 0; y < g_.grad.size.h; ++y) {
      const std::size_t at = static_cast<std::size_t>(y) * w * kSlab;
      for (int tap = 0; tap < g_.kernel * g_.kernel; ++tap) {
        const float* in = g_.in.row(slab_, image, y * g_.stride + tap / g_.kernel - before) +
                          static_cast<std::ptrdiff_t>(tap % g_.kernel - before) * kSlab;
        if (g_.stride > 1) {
          for (int x = 0; x < w; ++x)
            std::copy_n(in + static_cast<std::size_t>(x * g_.stride) * kSlab, kSlab, gathered_ + x * kSlab);
          in = gathered_;
        }
        add(tap, in, image, at, w);
      }
    }
  }
  /// The next image adds to what is there.
  void image_done() { accumulate_ = true; }

 private:
  void add(int tap, const float* in, int image, std::size_t at, int depth) {
    const int outputs = g_.grad.slabs();
    float* c = sum_ + (static_cast<std::size_t>(tap) * g_.in.slabs() + slab_) * outputs * kSlab * kSlab;
    const bool accumulate = accumulate_ || at > 0;
    for (int o = 0; o < outputs; ++o, c += kSlab * kSlab)
      machine_.training.outer_product({depth, in, g_.grad.image(o, image) + at, c, accumulate});
  }

  const Machine& machine_;
  const SlabWeightGradient& g_;
  float* sum_;
  int slab_;
  float* gathered_;
  bool accumulate_ = false;
};

}  // namespace

void pack_forward(const Machine& machine, const TrunkConvolution& c, std::span<const float> weight, float* packed) {
  const int taps = c.kernel * c.kernel;
  const std::size_t input = static_cast<std::size_t>(taps), output = input * static_cast<std::size_t>(c.ic);
  pack_taps(machine, weight, {c.oc, c.ic, taps, output, input, false}, packed);
}

void pack_backward(const Machine& machine, const TrunkConvolution& c, std::span<const float> weight, float* packed) {
  const int taps = c.kernel * c.kernel;
  const std::size_t input = static_cast<std::size_t>(taps), output = input * static_cast<std::size_t>(c.ic);
  pack_taps(machine, weight, {c.ic, c.oc, taps, input, output, true}, packed);
}

void spread(const Machine& machine, const SlabMaps& from, const SlabMaps& to, int stride) {
  machine.pool.run(to.slabs() * to.n, [&](int index, int) {
    const int slab = index / to.n, image = index % to.n;
    std::fill_n(to.image(slab, image), to.image_floats(), 0.0f);
    for (int y = 0; y < from.size.h; ++y) {
      const float* row = from.row(slab, image, y);
      float* out = to.row(slab, image, y * stride);
      for (int x = 0; x < from.size.w; ++x, row += kSlab) std::copy_n(row, kSlab, out + x * stride * kSlab);
    }
  });
}

void convolve(const Machine& machine, const SlabConvolution& c) {
  const int panel = machine.kernels.fp32.panel, h = c.out.size.h, w = c.out.size.w, slabs = c.in.slabs();
  const int taps = c.kernel * c.kernel, before = c.kernel / 2, segments = taps * slabs;
  const bool joined = c.kernel == 1 && c.stride == 1;  // the pixels of all rows follow each other
  const std::size_t panel_floats = static_cast<std::size_t>(segments) * kSlab * panel;
  const auto run = c.stride == 1 ? machine.kernels.convolve : machine.kernels.convolve_by2;
  const int rows = c.out.n * h, step = std::max(1, kConvolvePixels / w);
  machine.pool.run((rows + step - 1) / step, [&](int task, int) {
    const int first = task * step, last = std::min(rows, first + step);
    for (int p = 0; p < c.out.channels / panel; ++p) {
      const int slab = p * panel / kSlab;
      for (int row = first; row < last; row += joined ? last - first : 1) {
        const int image = row / h, y = row % h;
        std::array<const float*, kMostTapSlabs> a;
        std::size_t segment = 0;
        for (int tap = 0; tap < taps; ++tap) {
          for (int s = 0; s < slabs; ++s) {
            a[segment++] = c.in.row(s, image, y * c.stride + tap / c.kernel - before) +
                           static_cast<std::ptrdiff_t>(tap % c.kernel - before) * kSlab;
          }
        }
        float* out = c.out.row(slab, image, y) + p * panel % kSlab;
        run({a.data(), segments, kSlab, joined ? (last - first) * w : w,
             c.packed + static_cast<std::size_t>(p) * panel_floats, c.bias + p * panel,
             c.shortcut == nullptr ? nullptr : c.shortcut + (out - c.out.data), false, out});
      }
    }
  });
}

void weight_gradient(const Machine& machine, const SlabWeightGradient& g) {
  const int n = g.in.n, slots = slot_count(n), taps = g.kernel * g.kernel;
  const int ic = g.in.channels, in_slabs = g.in.slabs(), out_slabs = g.grad.slabs();
  const std::size_t weights = g.grad_weight.size();
  machine.pool.run(slots * in_slabs, [&](int task, int worker) {
    const int slot = task / in_slabs;
    SlotSum sum(machine, g, g.slots + static_cast<std::size_t>(slot) * weights, task % in_slabs,
                g.workers + static_cast<std::size_t>(worker) * static_cast<std::size_t>(g.grad.size.w) * kSlab);
    for (int image = part_begin(n, slot, slots); image < part_begin(n, slot + 1, slots); ++image) {
      sum.add_image(image);
      sum.image_done();
    }
  });
  machine.pool.run(in_slabs * out_slabs, [&](int task, int) {
    const int in_slab = task / out_slabs, out_slab = task % out_slabs;
    for (int tap = 0; tap < taps; ++tap) {
      const float* from = g.slots + ((static_cast<std::size_t>(tap) * in_slabs + in_slab) * out_slabs + out_slab) *
                                        std::size_t{kSlab} * kSlab;
      for (int i = 0; i < kSlab; ++i, from += kSlab) {
        std::array<double, kSlab> sums{};
        for (int slot = 0; slot < slots; ++slot) {
          for (std::size_t o = 0; o < kSlab; ++o) sums[o] += double{from[static_cast<std::size_t>(slot) * weights + o]};
        }
        float* to =
            g.grad_weight.data() + (static_cast<std::size_t>(out_slab * kSlab) * ic + in_slab * kSlab + i) * taps + tap;
        for (std::size_t o = 0; o < kSlab; ++o, to += static_cast<std::size_t>(ic) * taps)
          store_gradient(*to, sums[o], g.mode);
      }
    }
  });
}

}  // namespace lfm::cpu
