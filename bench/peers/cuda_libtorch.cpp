// LibTorch on a GPU, as its users run it: a TorchScript module, frozen and optimised. Compiled and driven by
// tools/gpu/acceptance, on the machine that has LibTorch, so it includes nothing else.
//   cuda_libtorch SCRIPT PIXELS SIZE cuda|cpu SAMPLES IMAGES PRECISION,... BATCH,...
// Prints a JSON object a line: first the logits of the first IMAGES pictures in each precision, then times. Inputs lie
// on the device, normalised, channels last; batches of other pixels take turns.
#include <torch/cuda.h>
#include <torch/script.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

torch::ScalarType type_of(const std::string& precision) {
  return precision == "fp16" ? torch::kHalf : precision == "bf16" ? torch::kBFloat16 : torch::kFloat;
}

struct Subject {
  torch::Device device;
  torch::Tensor pixels;  // [n][size][size][3], bytes, on the device
  std::string precision;
  torch::jit::Module network;

  torch::Tensor input(std::int64_t first, std::int64_t count) const {
    const auto options = torch::TensorOptions().device(device);
    const torch::Tensor places = (torch::arange(first, first + count, options.dtype(torch::kLong)) % pixels.size(0));
    const torch::Tensor mean = torch::tensor({0.485f, 0.456f, 0.406f}, options),
                        std = torch::tensor({0.229f, 0.224f, 0.225f}, options);
    return ((pixels.index_select(0, places) / 255.0 - mean) / std)
        .permute({0, 3, 1, 2})
        .to(type_of(precision))
        .contiguous(torch::MemoryFormat::ChannelsLast);
  }
  torch::Tensor logits(const torch::Tensor& x) { return network.forward({x}).toTensor(); }
  void wait() const {
    if (device.is_cuda()) torch::cuda::synchronize();
  }
  double milliseconds(const std::vector<torch::Tensor>& inputs, int calls) {
    wait();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) logits(inputs[static_cast<std::size_t>(i) % inputs.size()]);
    wait();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count() / calls;
  }
};

void run(const std::vector<std::string>& a) {
  const torch::NoGradGuard no_gradients;
  const torch::Device device(a[3]);
  const std::int64_t size = std::stoll(a[2]);
  const int samples = std::stoi(a[4]);
  std::ifstream file(a[1], std::ios::binary | std::ios::ate);
  const std::int64_t images = static_cast<std::int64_t>(file.tellg()) / (3 * size * size);
  torch::Tensor pixels = torch::empty({images, size, size, 3}, torch::kUInt8);
  file.seekg(0);
  file.read(static_cast<char*>(pixels.data_ptr()), static_cast<std::streamsize>(pixels.numel()));
  std::vector<Subject> subjects;
  for (const std::string& precision : split(a[6])) {
    torch::jit::Module network = torch::jit::load(a[0], device);
    network.to(device, type_of(precision));
    network.eval();
    subjects.push_back({device, pixels.to(device), precision, torch::jit::optimize_for_inference(network)});
  }
  const auto choose = [](const std::string& precision) {
    at::globalContext().setAllowTF32CuDNN(precision == "tf32");
    at::globalContext().setAllowTF32CuBLAS(precision == "tf32");
  };
  at::globalContext().setBenchmarkCuDNN(true);
  for (Subject& s : subjects) {
    choose(s.precision);
    const torch::Tensor logits = s.logits(s.input(0, std::stoll(a[5]))).to(torch::kCPU, torch::kFloat).contiguous();
    std::printf("{\"precision\": \"%s\", \"logits\": [", s.precision.c_str());
    for (std::int64_t i = 0; i < logits.numel(); ++i) std::printf("%s%.9g", i ? ", " : "", logits.data_ptr<float>()[i]);
    std::printf("]}\n");
    std::fflush(stdout);
  }
  for (const std::string& batch_text : split(a[7])) {
    const std::int64_t batch = std::stoll(batch_text);
    for (Subject& s : subjects) {
      choose(s.precision);
      std::vector<torch::Tensor> inputs;
      for (int i = 0; i < std::max<std::int64_t>(2, 512 / batch); ++i) inputs.push_back(s.input(i * batch, batch));
      for (int i = 0; i < 4; ++i) s.milliseconds(inputs, 2);  // its profiling executor specialises on the first runs
      const int calls = std::clamp(static_cast<int>(50 / std::max(1e-3, s.milliseconds(inputs, 2))), 1, 500);
      std::vector<double> times;
      for (int i = 0; i < samples; ++i) times.push_back(s.milliseconds(inputs, calls));
      std::sort(times.begin(), times.end());
      const auto at = [&](double share) {
        return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1) + 0.5)];
      };
      std::printf(
          "{\"precision\": \"%s\", \"batch\": %lld, \"size\": %lld, \"samples\": %d, \"milliseconds\": {\"median\": "
          "%.6g, \"p10\": %.6g, "
          "\"p90\": %.6g, \"least\": %.6g}, \"images_per_second\": %.6g}\n",
          s.precision.c_str(), static_cast<long long>(batch), static_cast<long long>(size), samples, at(0.5), at(0.1),
          at(0.9), times[0], 1e3 * static_cast<double>(batch) / at(0.5));
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "usage: cuda_libtorch SCRIPT PIXELS SIZE cuda|cpu SAMPLES IMAGES PRECISION,... BATCH,...\n");
    return 2;
  }
  try {
    run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    const std::string what = error.what();
    std::fprintf(stderr, "cuda_libtorch: %s\n", what.substr(0, what.find('\n')).c_str());
    return 1;
  }
  return 0;
}
