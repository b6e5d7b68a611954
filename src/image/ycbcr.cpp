#include "src/image/ycbcr.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "src/image/decoders.h"

namespace lfm {
namespace {

int sample(const YcbcrPlanes& p, std::size_t plane, int x, int y) {
  const std::uint8_t* const row = p.planes[plane] + static_cast<std::size_t>(y) * p.strides[plane];
  if (p.bits <= 8) return row[x];
  std::uint16_t value = 0;
  std::memcpy(&value, row + 2 * static_cast<std::size_t>(x), 2);
  return value;
}

/// A row of a chroma plane at the luma's width. A sample covers two pixels; a pixel's value is 3/4 of its own, 1/4 of
/// the next one's on its side, across and down.
void interpolate(const YcbcrPlanes& p, std::size_t plane, int y, std::vector<int>& column_sums, std::vector<int>& out) {
  const int width = p.half_width ? (p.width + 1) / 2 : p.width, height = p.half_height ? (p.height + 1) / 2 : p.height;
  const int own = p.half_height ? y / 2 : y;
  const int other = p.half_height && p.interpolates ? std::clamp(y % 2 == 0 ? own - 1 : own + 1, 0, height - 1) : own;
  column_sums.resize(static_cast<std::size_t>(width));
  for (int x = 0; x < width; ++x)
    column_sums[static_cast<std::size_t>(x)] = 3 * sample(p, plane, x, own) + sample(p, plane, x, other);
  out.resize(static_cast<std::size_t>(p.width));
  for (int x = 0; x < p.width; ++x) {
    const int at = p.half_width ? x / 2 : x;
    const int beside = p.half_width && p.interpolates ? std::clamp(x % 2 == 0 ? at - 1 : at + 1, 0, width - 1) : at;
    out[static_cast<std::size_t>(x)] =
        (3 * column_sums[static_cast<std::size_t>(at)] + column_sums[static_cast<std::size_t>(beside)] + 8) / 16;
  }
}

std::uint8_t rounded(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

}  // namespace

Image to_rgb(const YcbcrPlanes& p) {
  Image image = make_image(p.width, p.height);
  const float step = 255.0f / static_cast<float>((1 << p.bits) - 1);  // of a level, in those of 8 bits
  const float least = p.full_range ? 0.0f : 16.0f, luma = p.full_range ? 1.0f : 255.0f / 219,
              chroma = p.full_range ? 1.0f : 255.0f / 224;
  const float level =
      p.full_range ? step
                   : 1.0f / static_cast<float>(1 << (p.bits - 8));  // the narrow range shifts, the full one scales
  const auto kr = static_cast<float>(p.kr), kb = static_cast<float>(p.kb), kg = 1 - kr - kb;
  const float to_r = 2 * (1 - kr), to_b = 2 * (1 - kb), cb_to_g = -2 * kb * (1 - kb) / kg,
              cr_to_g = -2 * kr * (1 - kr) / kg;
  const auto middle = static_cast<float>(1 << (p.bits - 1));
  const bool grey = p.planes[1] == nullptr;
  std::vector<int> sums, cb, cr;
  for (int y = 0; y < p.height; ++y) {
    if (!grey) {
      interpolate(p, 1, y, sums, cb);
      interpolate(p, 2, y, sums, cr);
    }
    std::uint8_t* rgb = &image.rgb[std::size_t{3} * static_cast<std::size_t>(p.width) * static_cast<std::size_t>(y)];
    for (int x = 0; x < p.width; ++x, rgb += 3) {
      const float l = (static_cast<float>(sample(p, 0, x, y)) * level - least) * luma;
      if (grey) {
        rgb[0] = rgb[1] = rgb[2] = rounded(l);
        continue;
      }
      const float b = (static_cast<float>(cb[static_cast<std::size_t>(x)]) - middle) * level * chroma;
      const float r = (static_cast<float>(cr[static_cast<std::size_t>(x)]) - middle) * level * chroma;
      rgb[0] = rounded(l + to_r * r);
      rgb[1] = rounded(l + cb_to_g * b + cr_to_g * r);
      rgb[2] = rounded(l + to_b * b);
    }
  }
  return image;
}

}  // namespace lfm
