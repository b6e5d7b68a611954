#include <algorithm>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {
namespace {

/// Position of the first largest of the cell's four values, in reading order.
struct Cell {
  const Maps& x;
  std::size_t operator()(const double* plane, int row, int column) const {
    const std::size_t corner = static_cast<std::size_t>(2 * row) * x.w + 2 * column;
    std::size_t best = corner;
    for (const std::size_t p : {corner + 1, corner + x.w, corner + x.w + 1}) {
      if (plane[p] > plane[best]) best = p;
    }
    return best;
  }
};

/// Of the first largest of the window of 3x3 around (2 row, 2 column), as far as it lies in the map.
struct Window {
  const Maps& x;
  std::size_t operator()(const double* plane, int row, int column) const {
    const int left = std::max(2 * column - 1, 0), right = std::min(2 * column + 1, x.w - 1);
    std::size_t best = static_cast<std::size_t>(std::max(2 * row - 1, 0)) * x.w + left;
    for (int r = std::max(2 * row - 1, 0); r <= std::min(2 * row + 1, x.h - 1); ++r) {
      for (int s = left; s <= right; ++s) {
        const std::size_t p = static_cast<std::size_t>(r) * x.w + s;
        if (plane[p] > plane[best]) best = p;
      }
    }
    return best;
  }
};

/// Values of a plane of x that `largest(plane, row, column)` points to.
template <typename Largest>
Maps pool(const Maps& x, int h, int w, const Largest& largest) {
  Maps y(x.n, x.c, h, w);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      double* out = y.plane(image, c);
      for (int r = 0; r < h; ++r) {
        for (int s = 0; s < w; ++s) *out++ = in[largest(in, r, s)];
      }
    }
  }
  return y;
}

/// Each gradient goes where the value came from; where windows overlap, they add up.
template <typename Largest>
Maps pool_backward(const Maps& x, const Maps& grad_y, const Largest& largest) {
  Maps grad_x(x.n, x.c, x.h, x.w);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      const double* g = grad_y.plane(image, c);
      double* out = grad_x.plane(image, c);
      for (int r = 0; r < grad_y.h; ++r) {
        for (int s = 0; s < grad_y.w; ++s) out[largest(in, r, s)] += *g++;
      }
    }
  }
  return grad_x;
}

}  // namespace

Maps relu(const Maps& x) {
  Maps y = x;
  for (double& value : y.values) value = std::max(value, 0.0);
  return y;
}

Maps relu_backward(const Maps& x, const Maps& grad_y) {
  Maps grad_x = grad_y;
  for (std::size_t p = 0; p < x.values.size(); ++p) {
    if (x.values[p] <= 0) grad_x.values[p] = 0;
  }
  return grad_x;
}

Maps max_pool2x2(const Maps& x) { return pool(x, x.h / 2, x.w / 2, Cell{x}); }

Maps max_pool2x2_backward(const Maps& x, const Maps& grad_y) { return pool_backward(x, grad_y, Cell{x}); }

Maps max_pool3x3(const Maps& x) { return pool(x, (x.h - 1) / 2 + 1, (x.w - 1) / 2 + 1, Window{x}); }

Maps max_pool3x3_backward(const Maps& x, const Maps& grad_y) { return pool_backward(x, grad_y, Window{x}); }

void add(Maps& y, const Maps& x) {
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += x.values[i];
}

}  // namespace lfm::reference
