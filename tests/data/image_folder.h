// Temporary folders with small generated pictures, for tests of what reads folders.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <string_view>

#include "tests/model/temporary_folder.h"

namespace lfm::test {

class ImageFolder : public TemporaryFolder {
 public:
  /// Writes bytes to a file, making the folders above it.
  void write(const std::string& relative, std::string_view bytes) const {
    const auto file = path() / relative;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }

  /// Writes a PPM of random pixels.
  void write_image(const std::string& relative, int width, int height, unsigned seed) const {
    std::string ppm = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
    std::mt19937 random(seed);
    for (int i = 0; i < width * height * 3; ++i) ppm += static_cast<char>(random() & 0xFF);
    write(relative, ppm);
  }
};

}  // namespace lfm::test
