#include "src/report/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "src/eval/evidence.h"

namespace lfm {
namespace {

constexpr float kUnseen = std::numeric_limits<float>::quiet_NaN();
using Colour = std::array<float, 3>;

/// The mean of the positions that see a point of the view, weighted by a tent over their receptive fields.
float value_at(const Evidence& e, const std::vector<float>& values, double view_x, double view_y) {
  const double half = e.side / 2.0;
  const auto first = [&e](double at) {
    return std::max(0, static_cast<int>(std::ceil((at + e.before - e.side) / e.stride)));
  };
  const auto last = [&e](double at, int count) {
    return std::min(count - 1, static_cast<int>(std::floor((at + e.before) / e.stride)));
  };
  const auto tent = [&](double at, int index) {
    return std::max(0.0, 1 - std::abs(at + e.before - index * e.stride - half) / half);
  };
  double sum = 0, weights = 0;
  for (int row = first(view_y); row <= last(view_y, e.rows); ++row) {
    const double down = tent(view_y, row);
    for (int column = first(view_x); column <= last(view_x, e.columns); ++column) {
      const double weight = down * tent(view_x, column);
      sum += weight * values[static_cast<std::size_t>(row) * e.columns + column];
      weights += weight;
    }
  }
  return weights > 0 ? static_cast<float>(sum / weights) : kUnseen;
}

/// The heat of every pixel of a canvas that shows the whole picture.
std::vector<float> heat_of(const Image& canvas, int width, int height, std::span<const Evidence> evidence, Heat heat) {
  std::vector<float> values(static_cast<std::size_t>(canvas.width) * canvas.height, kUnseen);
  const double across = static_cast<double>(width) / canvas.width, down = static_cast<double>(height) / canvas.height;
  for (const Evidence& e : evidence) {
    const std::vector<float>& of_positions = heat == Heat::contributions ? e.contributions : e.grad_cam;
    for (int y = 0; y < canvas.height; ++y) {
      const double view_y = ((y + 0.5) * down - e.y) / e.height * e.view_height;
      if (view_y < 0 || view_y >= e.view_height) continue;
      for (int x = 0; x < canvas.width; ++x) {
        const double view_x = ((x + 0.5) * across - e.x) / e.width * e.view_width;
        if (view_x < 0 || view_x >= e.view_width) continue;
        const float value = value_at(e, of_positions, view_x, view_y);
        if (std::isnan(value)) continue;
        float& sum = values[static_cast<std::size_t>(y) * canvas.width + x];
        sum = std::isnan(sum) ? value : sum + value;
      }
    }
  }
  return values;
}

Colour mix(const Colour& a, const Colour& b, float share) {
  Colour mixed{};
  for (std::size_t c = 0; c < 3; ++c) mixed[c] = a[c] + share * (b[c] - a[c]);
  return mixed;
}

/// share: of the strongest, -1 … 1.
Colour contribution_colour(const Colour& base, float share) {
  constexpr Colour fake = {255, 59, 48}, real = {64, 156, 255};
  return mix(base, share > 0 ? fake : real, 0.9f * std::pow(std::abs(share), 0.6f));
}

Colour grad_cam_colour(const Colour& base, float share) {
  constexpr std::array<Colour, 5> scale = {
      {{13, 8, 60}, {106, 23, 110}, {188, 55, 84}, {243, 120, 25}, {252, 235, 120}}};
  const float at = std::clamp(share, 0.0f, 1.0f) * (scale.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(at), scale.size() - 2);
  return mix(base, mix(scale[below], scale[below + 1], at - static_cast<float>(below)), 0.25f + 0.5f * share);
}

}  // namespace

Image draw_heat(const Image& picture, int width, int height, std::span<const Evidence> evidence, Heat heat) {
  const std::vector<float> values = heat_of(picture, width, height, evidence, heat);
  float strongest = 0;
  for (const float value : values) {
    if (!std::isnan(value)) strongest = std::max(strongest, std::abs(value));
  }
  Image drawn = picture;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint8_t* rgb = &drawn.rgb[3 * i];
    const float grey = 0.65f * (0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]);
    Colour colour = {grey, grey, grey};
    if (!std::isnan(values[i]) && strongest > 0) {
      const float share = values[i] / strongest;
      colour = heat == Heat::contributions ? contribution_colour(colour, share) : grad_cam_colour(colour, share);
    }
    for (std::size_t c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(std::clamp(colour[c] + 0.5f, 0.0f, 255.0f));
  }
  return drawn;
}

namespace {

constexpr int kGap = 8;

}  // namespace

Image stacked(std::span<const Image> images) {
  int width = 0, height = -kGap;
  for (const Image& image : images) {
    width = std::max(width, image.width);
    height += kGap + image.height;
  }
  Image sheet{width, std::max(height, 0), std::vector<std::uint8_t>(std::size_t{3} * width * std::max(height, 0), 255)};
  int top = 0;
  for (const Image& image : images) {
    for (int y = 0; y < image.height; ++y) {
      std::copy_n(&image.rgb[std::size_t{3} * y * image.width], std::size_t{3} * image.width,
                  &sheet.rgb[std::size_t{3} * (static_cast<std::size_t>(top) + y) * width]);
    }
    top += image.height + kGap;
  }
  return sheet;
}

Image side_by_side(std::span<const Image> images) {
  int width = -kGap, height = 0;
  for (const Image& image : images) {
    width += kGap + image.width;
    height = std::max(height, image.height);
  }
  Image sheet{std::max(width, 0), height, std::vector<std::uint8_t>(std::size_t{3} * std::max(width, 0) * height, 255)};
  int left = 0;
  for (const Image& image : images) {
    for (int y = 0; y < image.height; ++y) {
      const auto* row = &image.rgb[std::size_t{3} * y * image.width];
      std::copy_n(row, std::size_t{3} * image.width,
                  &sheet.rgb[3 * (static_cast<std::size_t>(y) * sheet.width + left)]);
    }
    left += image.width + kGap;
  }
  return sheet;
}

}  // namespace lfm
