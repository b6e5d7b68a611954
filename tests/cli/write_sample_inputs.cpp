// Writes model.lfmw and image.ppm into a folder, for tests that are shell scripts.
#include "tests/cli/sample_inputs.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  lfm::test::write_ppm(folder / "image.ppm", 64, 48, 1);
  lfm::test::write_random_model(folder / "model.lfmw", 1);
}
