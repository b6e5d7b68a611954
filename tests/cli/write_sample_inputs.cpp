// write_sample_inputs FOLDER [COUNT]: writes model.lfmw and image.ppm into a folder, and many/0.ppm and on, 160x140,
// for tests that are shell scripts.
#include <cstdlib>
#include <string>

#include "tests/cli/sample_inputs.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) return 2;
  const std::filesystem::path folder = argv[1];
  lfm::test::write_ppm(folder / "image.ppm", 64, 48, 1);
  const int count = argc == 3 ? std::atoi(argv[2]) : 0;
  for (int i = 0; i < count; ++i) {
    lfm::test::write_ppm(folder / "many" / (std::to_string(i) + ".ppm"), 160, 140, static_cast<std::uint32_t>(100 + i));
  }
  lfm::test::write_random_model(folder / "model.lfmw", 1);
}
