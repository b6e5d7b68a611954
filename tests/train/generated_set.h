// A small generated data set with the cue that the method looks for: reals are noise, fakes are noise at half the
// resolution enlarged by repeating pixels, as a decoder with nearest-neighbour upsampling leaves it. Mean, contrast and
// format are alike.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

namespace lfm::test {

struct GeneratedSet {
  int images = 8;  ///< of each label
  int side = 64;
  unsigned seed = 1;
};

inline void write_generated_set(const std::filesystem::path& root, const GeneratedSet& set) {
  for (const int label : {0, 1}) {
    const std::filesystem::path folder = root / (label ? "1_fake" : "0_real");
    std::filesystem::create_directories(folder);
    for (int i = 0; i < set.images; ++i) {
      std::mt19937 random(set.seed * 1000003u + static_cast<unsigned>(2 * i + label));
      std::normal_distribution<float> noise(0, 12), grain(0, 2);
      const float level = 60 + static_cast<float>(random() % 130);
      const int cell = label ? 2 : 1, cells = set.side / cell;
      std::vector<float> coarse(static_cast<std::size_t>(cells) * cells * 3);
      for (float& value : coarse) value = noise(random);
      std::string ppm = "P6\n" + std::to_string(set.side) + " " + std::to_string(set.side) + "\n255\n";
      for (int y = 0; y < set.side; ++y) {
        for (int x = 0; x < set.side; ++x) {
          for (int c = 0; c < 3; ++c) {
            const float value =
                level + coarse[(static_cast<std::size_t>(y / cell) * cells + x / cell) * 3 + c] + grain(random);
            ppm += static_cast<char>(static_cast<unsigned char>(std::clamp(std::lround(value), 0L, 255L)));
          }
        }
      }
      std::ofstream(folder / (std::to_string(i) + ".ppm"), std::ios::binary) << ppm;
    }
  }
}

}  // namespace lfm::test
