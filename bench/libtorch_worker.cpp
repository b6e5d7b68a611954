// LibTorch from C++, as its users run it: a frozen, optimised TorchScript module. Driven by bench/compare.
#include <torch/script.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "bench/worker_protocol.h"

namespace {

/// Normalised pixels [n][3][size][size], channels-last in memory: prepared outside the measured time, as for
/// every peer.
torch::Tensor read_input(const std::string& path, int n, int size) {
  torch::Tensor pixels = torch::empty({n, size, size, 3}, torch::kUInt8);
  std::ifstream file(path, std::ios::binary);
  file.read(static_cast<char*>(pixels.data_ptr()), static_cast<std::streamsize>(pixels.numel()));
  if (!file) throw std::runtime_error(path + ": has fewer pixels than the batch needs");
  const torch::Tensor mean = torch::tensor({0.485f, 0.456f, 0.406f}), std = torch::tensor({0.229f, 0.224f, 0.225f});
  return ((pixels / 255.0 - mean) / std).permute({0, 3, 1, 2}).contiguous(torch::MemoryFormat::ChannelsLast);
}

}  // namespace

int main(int argc, char** argv) {
  std::string script, input;
  int threads = 1, batch = 1, size = 256;
  CLI::App app{"Times LibTorch on request; bench/compare runs it."};
  app.add_option("--script", script, "TorchScript module")->required();
  app.add_option("--input", input, "raw pixels, [n][size][size][3]")->required();
  app.add_option("--threads", threads);
  app.add_option("--batch", batch);
  app.add_option("--size", size);
  CLI11_PARSE(app, argc, argv);
  try {
    at::set_num_threads(threads);
    const torch::NoGradGuard no_gradients;
    const torch::Tensor x = read_input(input, batch, size);
    torch::jit::Module network = torch::jit::load(script);
    network.eval();
    network = torch::jit::optimize_for_inference(network);
    torch::Tensor logits;
    const auto infer_once = [&] { logits = network.forward({x}).toTensor(); };
    for (int i = 0; i < 3; ++i) infer_once();  // its profiling executor specialises on the first runs
    lfm::bench::announce({{"description", "LibTorch " TORCH_VERSION},
                          {"logits", std::vector<float>(logits.data_ptr<float>(), logits.data_ptr<float>() + batch)}});
    lfm::bench::serve(infer_once);
  } catch (const std::exception& error) {
    const std::string what = error.what();
    lfm::bench::announce({{"error", what.substr(0, what.find('\n'))}});
    return 1;
  }
  return 0;
}
