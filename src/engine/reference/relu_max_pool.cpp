#include <algorithm>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {
namespace {

// Position of the first largest of the cell's four values, in reading order.
std::size_t largest_of_cell(const double* plane, int width, int row, int column) {
  const std::size_t corner = static_cast<std::size_t>(2 * row) * width + 2 * column;
  std::size_t best = corner;
  for (const std::size_t p : {corner + 1, corner + width, corner + width + 1}) {
    if (plane[p] > plane[best]) best = p;
  }
  return best;
}

// Position of the first largest of the window of 3x3 around (2 row, 2 column), as far as it lies in the map.
std::size_t largest_of_window(const double* plane, const Maps& size, int row, int column) {
  const int left = std::max(2 * column - 1, 0), right = std::min(2 * column + 1, size.w - 1);
  std::size_t best = static_cast<std::size_t>(std::max(2 * row - 1, 0)) * size.w + left;
  for (int r = std::max(2 * row - 1, 0); r <= std::min(2 * row + 1, size.h - 1); ++r) {
    for (int s = left; s <= right; ++s) {
      const std::size_t p = static_cast<std::size_t>(r) * size.w + s;
      if (plane[p] > plane[best]) best = p;
    }
  }
  return best;
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

Maps max_pool2x2(const Maps& x) {
  Maps y(x.n, x.c, x.h / 2, x.w / 2);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      double* out = y.plane(image, c);
      for (int r = 0; r < y.h; ++r) {
        for (int s = 0; s < y.w; ++s) out[r * y.w + s] = in[largest_of_cell(in, x.w, r, s)];
      }
    }
  }
  return y;
}

Maps max_pool2x2_backward(const Maps& x, const Maps& grad_y) {
  Maps grad_x(x.n, x.c, x.h, x.w);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      const double* g = grad_y.plane(image, c);
      double* out = grad_x.plane(image, c);
      for (int r = 0; r < grad_y.h; ++r) {
        for (int s = 0; s < grad_y.w; ++s) out[largest_of_cell(in, x.w, r, s)] = g[r * grad_y.w + s];
      }
    }
  }
  return grad_x;
}

Maps max_pool3x3(const Maps& x) {
  Maps y(x.n, x.c, (x.h - 1) / 2 + 1, (x.w - 1) / 2 + 1);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      double* out = y.plane(image, c);
      for (int r = 0; r < y.h; ++r) {
        for (int s = 0; s < y.w; ++s) *out++ = in[largest_of_window(in, x, r, s)];
      }
    }
  }
  return y;
}

Maps max_pool3x3_backward(const Maps& x, const Maps& grad_y) {
  Maps grad_x(x.n, x.c, x.h, x.w);
  for (int image = 0; image < x.n; ++image) {
    for (int c = 0; c < x.c; ++c) {
      const double* in = x.plane(image, c);
      const double* g = grad_y.plane(image, c);
      double* out = grad_x.plane(image, c);
      for (int r = 0; r < grad_y.h; ++r) {
        for (int s = 0; s < grad_y.w; ++s) out[largest_of_window(in, x, r, s)] += *g++;
      }
    }
  }
  return grad_x;
}

void add(Maps& y, const Maps& x) {
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += x.values[i];
}

}  // namespace lfm::reference
