// write_random_models FOLDER: a model with few values per channel, one with average pooling, NPR's and SAFE's networks,
// and one without a residual, for onnx_test.py.
#include <filesystem>

#include "tests/model/random_model.h"

int main(int, char** arguments) {
  const std::filesystem::path folder = arguments[1];
  std::filesystem::create_directories(folder);
  lfm::save_model(lfm::test::random_model({lfm::Pooling::topk, 5}, 1), folder / "top5.lfmw");
  lfm::save_model(lfm::test::random_model({lfm::Pooling::average, 1}, 2), folder / "average.lfmw");
  lfm::save_model(lfm::test::random_model(lfm::kNprNetwork, 3), folder / "npr.lfmw");
  lfm::save_model(lfm::test::random_model(lfm::kSafeNetwork, 4), folder / "safe.lfmw");
  lfm::save_model(lfm::test::random_model({lfm::Pooling::topk, 16, lfm::FrontEnd::none}, 5), folder / "none.lfmw");
}
