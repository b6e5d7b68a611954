// A model with random weights, and small images, for tests that run the program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "src/model/architecture.h"
#include "tests/model/random_model.h"

namespace lfm::test {

/// Writes a model whose logits differ from image to image and have both signs.
inline void write_random_model(const std::filesystem::path& path, std::uint32_t seed) {
  Model model = random_model({}, seed);
  model.view = View::native;
  model.name = "random";
  const ParameterTable table = parameter_table(model.architecture);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (int id = 0; id < kParameters; ++id) {
    const auto& spec = table[id];
    if (spec.rank < 2) continue;
    const float scale = std::sqrt(2.0f / static_cast<float>(spec.fan_in));
    for (float& value : parameter(std::span<float>(model.values), table, id)) value = scale * normal(random);
  }
  for (int block = 0; block < kBlocks; ++block) {
    for (float& value : parameter(std::span<float>(model.values), table, norm_scale(block))) value = 1.0f;
    for (float& value : parameter(std::span<float>(model.values), table, running_var(block))) value = 1.0f;
  }
  save_model(model, path);
}

/// A binary PPM of seeded noise on a gradient.
inline void write_ppm(const std::filesystem::path& path, int width, int height, std::uint32_t seed) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << "P6\n" << width << ' ' << height << "\n255\n";
  std::mt19937 random(seed);
  const std::uint32_t noise = 4 + seed * 37 % 117;  // levels; a slope with hardly any would get no verdict
  for (int i = 0; i < width * height * 3; ++i) {
    out.put(static_cast<char>((static_cast<std::uint32_t>(i / 3 % width) + random() % noise) & 0xFF));
  }
}

}  // namespace lfm::test
