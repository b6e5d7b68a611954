// What a front end computes of pixels, a functor each, for the CUDA kernels and the CPU engine; the reference engine
// has its own, in double (engine/reference/residual.cpp). Everything else reads front_end.h, whose rows are made of
// these.
//
//   kCell, kReach, kGain  as FrontEndRow tells
//   at(pixel, place)      the value there, in grey levels; what the network sees is FrontEndRow::scale() times that
//   pixel(row, column)    the picture's level there, of the place's channel
#pragma once

#include "src/machine/host_device.h"
#include "src/model/architecture.h"

namespace lfm {

/// A value's place and the size of the picture it is of.
struct ResidualPlace {
  int y, x, channel;
  int height, width;
};

/// |pixel - top-left pixel of its 2x2 cell|: an integer.
struct NprResidual {
  static constexpr int kCell = 2, kReach = 0;
  static constexpr double kGain = 1;

  /// Whether the value is zero whatever the pixels, so that its products may be left out.
  static constexpr LFM_HOST_DEVICE bool is_zero(int y, int x) { return y % kCell == 0 && x % kCell == 0; }

  /// Rows and columns counted from the beginning of a cell.
  template <typename Pixel>
  static LFM_HOST_DEVICE float at(Pixel pixel, int y, int x) {
    const int here = pixel(y, x);
    const int top_left = pixel(y & ~(kCell - 1), x & ~(kCell - 1));
    return static_cast<float>(here < top_left ? top_left - here : here - top_left);
  }
  template <typename Pixel>
  static LFM_HOST_DEVICE float at(Pixel pixel, const ResidualPlace& p) {
    return at(pixel, p.y, p.x);
  }

  /// The part of a side that whole cells cover.
  static constexpr LFM_HOST_DEVICE int whole_cells(int side) { return side & ~(kCell - 1); }
};

/// pixel - top-left pixel of its 2x2 cell.
struct SignedNprResidual {
  static constexpr int kCell = 2, kReach = 0;
  static constexpr double kGain = 2.0 / 3.0;

  template <typename Pixel>
  static LFM_HOST_DEVICE float at(Pixel pixel, const ResidualPlace& p) {
    return static_cast<float>(pixel(p.y, p.x) - pixel(p.y & ~1, p.x & ~1));
  }
};

/// The diagonal band of a wavelet whose high-pass has the taps 1, -1 alone (Haar, bior1.3), enlarged to the picture's
/// size by bilinear interpolation. Of a side of n pixels the band has (n + 5)/2 values: of the cells of two pixels in
/// it, of one mirrored before the first, and of those behind the last that bior1.3's length of six taps adds; beyond
/// its border a picture is mirrored, its last pixel repeated.
struct HaarDiagonal {
  static constexpr int kCell = 1, kReach = 5;
  static constexpr double kGain = 1;

  /// Along one side: two values of the band, by what pixels each takes, and how much of the second.
  struct Pair {
    int plus[2], minus[2];
    float second;
  };
  static LFM_HOST_DEVICE int mirrored(int at, int side) {
    return at < 0 ? -1 - at : at >= side ? 2 * side - 1 - at : at;
  }
  static LFM_HOST_DEVICE Pair pair_at(int at, int side) {
    const int values = (side + 5) / 2;
    // (at + 1/2) values/side - 1/2 as a fraction: whole part and rest
    const int numerator = (2 * at + 1) * values - side, denominator = 2 * side;
    const int whole = numerator < 0 ? 0 : numerator / denominator;
    Pair pair;
    pair.second =
        numerator < 0 ? 0.0f : static_cast<float>(numerator - whole * denominator) / static_cast<float>(denominator);
    for (int i = 0; i < 2; ++i) {
      const int value = whole + i < values ? whole + i : values - 1;
      pair.plus[i] = mirrored(2 * value - 2, side);
      pair.minus[i] = mirrored(2 * value - 1, side);
    }
    return pair;
  }
  template <typename Pixel>
  static LFM_HOST_DEVICE float at(Pixel pixel, const ResidualPlace& p) {
    const Pair y = pair_at(p.y, p.height), x = pair_at(p.x, p.width);
    float rows[2];
    for (int i = 0; i < 2; ++i) {
      float band[2];
      for (int j = 0; j < 2; ++j) {
        band[j] = 0.5f * static_cast<float>(pixel(y.plus[i], x.plus[j]) - pixel(y.plus[i], x.minus[j]) -
                                            pixel(y.minus[i], x.plus[j]) + pixel(y.minus[i], x.minus[j]));
      }
      rows[i] = band[0] + x.second * (band[1] - band[0]);
    }
    return rows[0] + y.second * (rows[1] - rows[0]);
  }
};

/// The pixel itself, less the mean.
struct NoResidual {
  static constexpr int kCell = 1, kReach = 0;
  static constexpr double kGain = 1;
  static constexpr float kMean0 = static_cast<float>(255 * kPixelMean[0]);
  static constexpr float kMean1 = static_cast<float>(255 * kPixelMean[1]);
  static constexpr float kMean2 = static_cast<float>(255 * kPixelMean[2]);

  template <typename Pixel>
  static LFM_HOST_DEVICE float at(Pixel pixel, const ResidualPlace& p) {
    return static_cast<float>(pixel(p.y, p.x)) - (p.channel == 0 ? kMean0 : p.channel == 1 ? kMean1 : kMean2);
  }
};

/// Calls visit with the front end's functor.
template <typename Visit>
constexpr auto with_residual(FrontEnd front_end, Visit visit) {
  switch (front_end) {
    case FrontEnd::npr: break;
    case FrontEnd::npr_signed: return visit(SignedNprResidual{});
    case FrontEnd::haar_hh: return visit(HaarDiagonal{});
    case FrontEnd::none: return visit(NoResidual{});
  }
  return visit(NprResidual{});
}

}  // namespace lfm
