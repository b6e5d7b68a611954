// write_random_models FOLDER: a model with few values per channel, one with average pooling, and NPR's network, for
// onnx_test.py.
#include <filesystem>

#include "tests/model/random_model.h"

int main(int, char** arguments) {
  const std::filesystem::path folder = arguments[1];
  std::filesystem::create_directories(folder);
  lfm::save_model(lfm::test::random_model({lfm::Pooling::topk, 5}, 1), folder / "top5.lfmw");
  lfm::save_model(lfm::test::random_model({lfm::Pooling::average, 1}, 2), folder / "average.lfmw");
  lfm::save_model(lfm::test::random_model(lfm::kNprNetwork, 3), folder / "npr.lfmw");
}
