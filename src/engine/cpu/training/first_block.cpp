#include "src/engine/cpu/training/first_block.h"

#include <algorithm>
#include <array>

#include "src/engine/cpu/residual.h"
#include "src/model/front_end.h"

namespace lfm::cpu {
namespace {

constexpr std::size_t kOut = FirstBlock::kChannelsOut;
constexpr int kRowsOfSums = 8;  // output rows added up in float before they join the sums in double

/// Tap t = (row, column, colour) of the kernels is element [colour][row][column] of a filter.
constexpr std::size_t filter_element(std::size_t tap) { return tap % 3 * 4 + tap / 3; }
double residual_scale(const FirstBlock::Pass& pass, std::size_t tap) {
  return front_end_row(pass.front_end).scale(tap % 3);
}

double dot(const double* a, const double* b) {
  double sum = 0;
  for (int i = 0; i < kPatch; ++i) sum += a[i] * b[i];
  return sum;
}

std::size_t aligned(std::size_t floats) { return (floats + 15) / 16 * 16; }

const std::uint8_t* pixel_row(const PixelBatch& batch, int image, int y) {
  return batch.pixels + (static_cast<std::size_t>(image) * batch.height + y) * batch.width * 3;
}

/// The residual of three rows that a row of `columns` pooling windows sees, where no kernel computes it on its way.
void compute_rows(const FirstBlock::Pass& pass, int image, int first, int columns, float* rows) {
  if (is_fused(pass.front_end)) return;
  residual_rows(pass.front_end, pixel_row(pass.batch, image, 0), pass.batch.height, pass.batch.width, first, columns,
                rows);
}

constexpr std::size_t kMoments = kPatch + kPatch * kPatch;

/// S and M of one image, of any residual.
void image_moments(const FirstBlock::Pass& pass, int image, float* scratch, double* moments) {
  std::fill_n(moments, kMoments, 0.0);
  const int columns = pass.shape.conv[0].w;
  const std::size_t row = std::size_t{3} * (static_cast<std::size_t>(columns) + 1);
  for (int y = 0; y < pass.shape.conv[0].h; ++y) {
    // The third row lies in the picture but for the last window row, which begins one higher.
    const int first = std::min(y, pass.shape.input.h - kPlainRows);
    compute_rows(pass, image, first, columns + 1, scratch);
    const float* upper = scratch + static_cast<std::size_t>(y - first) * row;
    for (int x = 0; x < columns; ++x, upper += 3) {
      std::array<double, kPatch> patch;
      std::copy_n(upper, kPatch / 2, patch.begin());
      std::copy_n(upper + row, kPatch / 2, patch.begin() + kPatch / 2);
      double* product = moments + kPatch;
      for (std::size_t i = 0; i < kPatch; ++i, product += kPatch) {
        moments[i] += patch[i];
        for (std::size_t j = i; j < kPatch; ++j) product[j] += patch[i] * patch[j];
      }
    }
  }
}

/// S and M of one image, of NPR.
void image_moments(const Machine& machine, const FirstBlock::Pass& pass, int image, std::int16_t* scratch,
                   std::int64_t* moments) {
  std::fill_n(moments, kMoments, 0);
  for (int y = 0; y < pass.shape.conv[0].h; ++y) {
    machine.training.patch_moments({pixel_row(pass.batch, image, y), static_cast<std::size_t>(pass.batch.width) * 3,
                                    y % 2, pass.shape.conv[0].w, scratch, moments, moments + kPatch});
  }
}

}  // namespace

FirstBlock::FirstBlock()
    : norm_(kChannelsOut),
      filters_(kOut * kPatch),
      mean_(kOut),
      variance_(kOut),
      sums_(2 * kOut),
      folded_(kOut * (kPatch + 1)) {}

std::size_t FirstBlock::worker_floats(const NetworkShape& shape) {
  const std::size_t plain = aligned(std::size_t{3} * kPlainRows * shape.input.w);
  const std::size_t moments = std::max(plain, aligned(patch_moments_scratch(shape.conv[0].w) / 2));
  const std::size_t rows = aligned(first_block_scratch(shape.out[0].w)) + (kPatch + 1) * kOut;
  return std::max(moments, rows);
}

void FirstBlock::sum_patches(const Machine& machine, const Pass& pass, const Communicator& communicator) {
  const std::size_t worker = worker_floats(pass.shape);
  const auto sum_images = [&](auto number, const auto& moments_of) {
    using Number = decltype(number);
    const auto moments = [&](int image) { return reinterpret_cast<Number*>(pass.images + image * kImageFloats); };
    machine.pool.run(pass.batch.n,
                     [&](int image, int thread) { moments_of(image, pass.workers + thread * worker, moments(image)); });
    std::array<Number, kMoments> total{};
    for (int image = 0; image < pass.batch.n; ++image) {
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += moments(image)[i];
    }
    for (std::size_t i = 0; i < kPatch; ++i) {
      local_.sum[i] = static_cast<double>(total[i]);
      for (std::size_t j = i; j < kPatch; ++j) {
        local_.product[i * kPatch + j] = local_.product[j * kPatch + i] =
            static_cast<double>(total[kPatch + i * kPatch + j]);
      }
    }
  };
  if (is_fused(pass.front_end)) {
    sum_images(std::int64_t{}, [&](int image, float* scratch, std::int64_t* moments) {
      image_moments(machine, pass, image, reinterpret_cast<std::int16_t*>(scratch), moments);
    });
  } else {
    sum_images(0.0, [&](int image, float* scratch, double* moments) { image_moments(pass, image, scratch, moments); });
  }
  local_.count = static_cast<double>(pass.batch.n) * pass.shape.conv[0].area();
  all_ = local_;
  communicator.sum(all_.sum);
  communicator.sum(all_.product);
  communicator.sum({&all_.count, 1});
}

/// Batch norm's scale and shift into the filters; its norm() acts on outputs of which the centre is subtracted.
void FirstBlock::fold() {
  const Affine norm = norm_.norm();
  for (std::size_t c = 0; c < kOut; ++c) {
    for (std::size_t tap = 0; tap < kPatch; ++tap) {
      folded_.data()[c / 16 * kPatch * 16 + tap * 16 + c % 16] =
          static_cast<float>(double{norm.scale[c]} * filters_[c * kPatch + tap]);
    }
    folded_.data()[kOut * kPatch + c] = norm.shift[c] - norm.scale[c] * norm_.centre()[c];
  }
}

void FirstBlock::forward(const Machine& machine, const Pass& pass, const Communicator& communicator) {
  for (std::size_t c = 0; c < kOut; ++c) {
    for (std::size_t tap = 0; tap < kPatch; ++tap) {
      filters_[c * kPatch + tap] = residual_scale(pass, tap) * double{pass.weight[c * kPatch + filter_element(tap)]};
    }
  }
  sum_patches(machine, pass, communicator);
  norm_.begin(pass.parameters);
  for (std::size_t c = 0; c < kOut; ++c) {
    const double* w = &filters_[c * kPatch];
    const double mean = dot(w, all_.sum.data()) / all_.count;
    double square = 0;
    for (std::size_t tap = 0; tap < kPatch; ++tap) square += w[tap] * dot(w, &all_.product[tap * kPatch]);
    variance_[c] = std::max(0.0, square / all_.count - mean * mean);
    mean_[c] = mean - double{norm_.centre()[c]};
  }
  norm_.finish(pass.parameters, mean_, variance_, all_.count);
  fold();

  const MapSize out = pass.shape.out[0];
  const std::size_t worker = worker_floats(pass.shape), bytes = static_cast<std::size_t>(machine.training.winner_bytes);
  const auto compute = is_fused(pass.front_end) ? machine.training.first_block_row : machine.training.plain_block_row;
  machine.pool.run(pass.batch.n * out.h, [&](int task, int thread) {
    const std::size_t first = static_cast<std::size_t>(task) * out.w;
    float* residual = pass.workers + thread * worker;
    compute_rows(pass, task / out.h, task % out.h * 2, plain_columns(out.w), residual);
    compute({{pixel_row(pass.batch, task / out.h, task % out.h * 2), static_cast<std::size_t>(pass.batch.width) * 3,
              out.w, folded_.data(), folded_.data() + kOut * kPatch, residual, pass.out + first * kOut},
             pass.winner + first * bytes});
  });
}

void FirstBlock::backward(const Machine& machine, const Pass& pass, const Gradients& gradients,
                          const Communicator& communicator) {
  constexpr std::size_t count = (kPatch + 1) * kOut;
  const MapSize out = pass.shape.out[0];
  const std::size_t worker = worker_floats(pass.shape), bytes = static_cast<std::size_t>(machine.training.winner_bytes);
  const auto compute =
      is_fused(pass.front_end) ? machine.training.first_block_grad_row : machine.training.plain_block_grad_row;
  const auto image_sums = [&](int image) { return reinterpret_cast<double*>(pass.images + image * kImageFloats); };
  machine.pool.run(pass.batch.n, [&](int image, int thread) {
    float* rows = pass.workers + thread * worker;
    float* residual = rows + count;
    double* sums = image_sums(image);
    std::fill_n(sums, count, 0.0);
    for (int y = 0; y < out.h; ++y) {
      if (y % kRowsOfSums == 0) std::fill_n(rows, count, 0.0f);
      const std::size_t first = (static_cast<std::size_t>(image) * out.h + y) * out.w;
      compute_rows(pass, image, 2 * y, plain_columns(out.w), residual);
      compute({pixel_row(pass.batch, image, 2 * y), static_cast<std::size_t>(pass.batch.width) * 3, out.w,
               pass.out + first * kOut, gradients.grad + first * kOut, pass.winner + first * bytes, residual, rows});
      if (y % kRowsOfSums == kRowsOfSums - 1 || y + 1 == out.h) {
        for (std::size_t i = 0; i < count; ++i) sums[i] += double{rows[i]};
      }
    }
  });
  double* total = image_sums(0);  // [12][64] D, [64] G
  for (int image = 1; image < pass.batch.n; ++image) {
    for (std::size_t i = 0; i < count; ++i) total[i] += image_sums(image)[i];
  }

  // sums_: G and sum g y, with y the stored output, from which the centre is subtracted.
  std::array<double, kPatch> d{};
  for (std::size_t c = 0; c < kOut; ++c) {
    for (std::size_t tap = 0; tap < kPatch; ++tap) d[tap] = total[tap * kOut + c];
    sums_[c] = total[kPatch * kOut + c];
    sums_[kOut + c] = dot(&filters_[c * kPatch], d.data()) - double{norm_.centre()[c]} * sums_[c];
  }
  norm_.backward(pass.parameters, sums_, communicator, gradients.scale, gradients.shift, gradients.mode);

  for (std::size_t c = 0; c < kOut; ++c) {
    const double* w = &filters_[c * kPatch];
    const double inverse = norm_.inverse_deviation(static_cast<int>(c));
    const double mean = norm_.mean(static_cast<int>(c)) + double{norm_.centre()[c]};
    const double gain = pass.parameters.scale[c] * inverse;
    for (std::size_t tap = 0; tap < kPatch; ++tap) {
      const double x_hat = (dot(w, &local_.product[tap * kPatch]) - mean * local_.sum[tap]) * inverse;
      const double inner = total[tap * kOut + c] - (sums_[c] * local_.sum[tap] + sums_[kOut + c] * x_hat) / all_.count;
      store_gradient(gradients.weight[c * kPatch + filter_element(tap)], gain * inner * residual_scale(pass, tap),
                     gradients.mode);
    }
  }
}

}  // namespace lfm::cpu
