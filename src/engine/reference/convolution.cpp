#include <algorithm>
#include <cstddef>

#include "src/engine/reference/operations.h"
#include "src/engine/reference/parallel_for.h"

namespace lfm::reference {

Maps conv2x2(const Maps& x, std::span<const double> weight, std::span<const double> bias) {
  const int ic = x.c, oc = static_cast<int>(weight.size()) / (4 * ic);
  Maps y(x.n, oc, x.h - 1, x.w - 1);
  parallel_for(x.n * oc, [&](int item) {
    const int image = item / oc, o = item % oc;
    double* out = y.plane(image, o);
    std::fill_n(out, y.area(), bias.empty() ? 0.0 : bias[o]);
    for (int i = 0; i < ic; ++i) {
      const double* k = &weight[(static_cast<std::size_t>(o) * ic + i) * 4];
      const double k00 = k[0], k01 = k[1], k10 = k[2], k11 = k[3];
      for (int r = 0; r < y.h; ++r) {
        const double* top = x.plane(image, i) + r * x.w;
        const double* bottom = top + x.w;
        double* __restrict row = out + r * y.w;
        for (int s = 0; s < y.w; ++s) {
          row[s] += k00 * top[s] + k01 * top[s + 1] + k10 * bottom[s] + k11 * bottom[s + 1];
        }
      }
    }
  });
  return y;
}

namespace {

/// Without its border.
Maps inner(const Maps& x, int border) {
  Maps y(x.n, x.c, x.h - 2 * border, x.w - 2 * border);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      for (int r = 0; r < y.h; ++r)
        std::copy_n(x.plane(image, c) + (r + border) * x.w + border, y.w, y.plane(image, c) + r * y.w);
    }
  }
  return y;
}

/// With a border of zeros.
Maps padded(const Maps& x, int border) {
  Maps y(x.n, x.c, x.h + 2 * border, x.w + 2 * border);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      for (int r = 0; r < x.h; ++r)
        std::copy_n(x.plane(image, c) + r * x.w, x.w, y.plane(image, c) + (r + border) * y.w + border);
    }
  }
  return y;
}

}  // namespace

Maps conv(const Maps& x, std::span<const double> weight, int kernel, int stride) {
  const int ic = x.c, taps = kernel * kernel, oc = static_cast<int>(weight.size()) / (taps * ic);
  const Maps in = padded(x, kernel / 2);
  Maps y(x.n, oc, (x.h - 1) / stride + 1, (x.w - 1) / stride + 1);
  parallel_for(x.n * oc, [&](int item) {
    const int image = item / oc, o = item % oc;
    for (int i = 0; i < ic; ++i) {
      for (int tap = 0; tap < taps; ++tap) {
        const double k = weight[(static_cast<std::size_t>(o) * ic + i) * taps + tap];
        for (int r = 0; r < y.h; ++r) {
          const double* from = in.plane(image, i) + (r * stride + tap / kernel) * in.w + tap % kernel;
          double* __restrict row = y.plane(image, o) + r * y.w;
          if (stride == 1) {
            for (int s = 0; s < y.w; ++s) row[s] += k * from[s];
          } else {
            for (int s = 0; s < y.w; ++s) row[s] += k * from[s * stride];
          }
        }
      }
    }
  });
  return y;
}

Maps conv_backward_input(const Maps& grad_y, std::span<const double> weight, int kernel, int stride, const Maps& like) {
  const int ic = like.c, oc = grad_y.c, taps = kernel * kernel, border = kernel / 2;
  Maps grad(like.n, ic, like.h + 2 * border, like.w + 2 * border);  // of x with its border
  parallel_for(like.n * ic, [&](int item) {
    const int image = item / ic, i = item % ic;
    for (int o = 0; o < oc; ++o) {
      for (int tap = 0; tap < taps; ++tap) {
        const double k = weight[(static_cast<std::size_t>(o) * ic + i) * taps + tap];
        for (int r = 0; r < grad_y.h; ++r) {
          const double* from = grad_y.plane(image, o) + r * grad_y.w;
          double* __restrict row = grad.plane(image, i) + (r * stride + tap / kernel) * grad.w + tap % kernel;
          for (int s = 0; s < grad_y.w; ++s) row[s * stride] += k * from[s];
        }
      }
    }
  });
  return inner(grad, border);
}

void conv_backward_weight(const Maps& x, const Maps& grad_y, int kernel, int stride, std::span<double> grad_weight) {
  const int ic = x.c, oc = grad_y.c, taps = kernel * kernel;
  const Maps in = padded(x, kernel / 2);
  parallel_for(oc * ic, [&](int item) {
    const int o = item / ic, i = item % ic;
    for (int tap = 0; tap < taps; ++tap) {
      double sum = 0;
      for (int image = 0; image < x.n; ++image) {
        for (int r = 0; r < grad_y.h; ++r) {
          const double* g = grad_y.plane(image, o) + r * grad_y.w;
          const double* row = in.plane(image, i) + (r * stride + tap / kernel) * in.w + tap % kernel;
          for (int s = 0; s < grad_y.w; ++s) sum += g[s] * row[s * stride];
        }
      }
      grad_weight[static_cast<std::size_t>(item) * taps + tap] += sum;
    }
  });
}

// x[i][r][s] reached y[o][r-dr][s-ds] through weight[o][i][dr][ds]. With a border of zeros around grad_y that sum is
// again a 2x2 convolution, with input and output channels swapped and the kernel turned by 180 degrees.
Maps conv2x2_backward_input(const Maps& grad_y, std::span<const double> weight, int ic) {
  const int oc = grad_y.c;
  std::vector<double> turned(weight.size());
  for (int o = 0; o < oc; ++o) {
    for (int i = 0; i < ic; ++i) {
      for (int tap = 0; tap < 4; ++tap) {
        turned[(static_cast<std::size_t>(i) * oc + o) * 4 + (3 - tap)] =
            weight[(static_cast<std::size_t>(o) * ic + i) * 4 + tap];
      }
    }
  }
  return conv2x2(padded(grad_y, 1), turned, {});
}

void conv2x2_backward_weight(const Maps& x, const Maps& grad_y, std::span<double> grad_weight) {
  const int ic = x.c, oc = grad_y.c;
  parallel_for(oc * ic, [&](int item) {
    const int o = item / ic, i = item % ic;
    double sum[4] = {};
    for (int image = 0; image < x.n; ++image) {
      for (int r = 0; r < grad_y.h; ++r) {
        const double* g = grad_y.plane(image, o) + r * grad_y.w;
        const double* top = x.plane(image, i) + r * x.w;
        const double* bottom = top + x.w;
        for (int s = 0; s < grad_y.w; ++s) {
          sum[0] += g[s] * top[s];
          sum[1] += g[s] * top[s + 1];
          sum[2] += g[s] * bottom[s];
          sum[3] += g[s] * bottom[s + 1];
        }
      }
    }
    for (int tap = 0; tap < 4; ++tap) grad_weight[static_cast<std::size_t>(item) * 4 + tap] += sum[tap];
  });
}

Maps project(const Maps& x, std::span<const double> weight) {
  const int ic = x.c, oc = static_cast<int>(weight.size()) / ic;
  Maps y(x.n, oc, x.h, x.w);
  parallel_for(x.n * oc, [&](int item) {
    const int image = item / oc, o = item % oc;
    double* __restrict out = y.plane(image, o);
    for (int i = 0; i < ic; ++i) {
      const double k = weight[static_cast<std::size_t>(o) * ic + i];
      const double* in = x.plane(image, i);
      for (std::size_t p = 0; p < x.area(); ++p) out[p] += k * in[p];
    }
  });
  return y;
}

Maps project_backward_input(const Maps& grad_y, std::span<const double> weight, int ic) {
  const int oc = grad_y.c;
  std::vector<double> transposed(weight.size());
  for (int o = 0; o < oc; ++o) {
    for (int i = 0; i < ic; ++i)
      transposed[static_cast<std::size_t>(i) * oc + o] = weight[static_cast<std::size_t>(o) * ic + i];
  }
  return project(grad_y, transposed);
}

void project_backward_weight(const Maps& x, const Maps& grad_y, std::span<double> grad_weight) {
  const int ic = x.c, oc = grad_y.c;
  parallel_for(oc * ic, [&](int item) {
    const int o = item / ic, i = item % ic;
    double sum = 0;
    for (int image = 0; image < x.n; ++image) {
      const double* g = grad_y.plane(image, o);
      const double* in = x.plane(image, i);
      for (std::size_t p = 0; p < x.area(); ++p) sum += g[p] * in[p];
    }
    grad_weight[item] += sum;
  });
}

}  // namespace lfm::reference
