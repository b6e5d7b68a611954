// One engine at one batch, size and number of threads, or the decoder and resizer alone, driven by
// bench/compare through lines of text, so that it and its peers can be timed in turn within one run
// (protocol: bench/harness/contender.py).
#include <CLI/CLI.hpp>
#include <atomic>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/commands.h"
#include "bench/worker_protocol.h"
#include "lfm/error.h"
#include "lfm/image.h"
#include "lfm/model.h"
#include "lfm/words.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/engine/precision.h"
#include "src/model/combination.h"

namespace {

using lfm::bench::announce;
using lfm::bench::serve;

struct Arguments {
  std::string model, input, device = "cpu", precision = "auto";
  int threads = 0, batch = 1, size = 256;
  bool train = false;
  std::vector<std::string> decode;
};

std::vector<std::uint8_t> read_pixels(const Arguments& arguments) {
  std::vector<std::uint8_t> pixels(std::size_t{3} * arguments.batch * arguments.size * arguments.size);
  std::ifstream file(arguments.input, std::ios::binary);
  file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  if (!file) throw lfm::Error(lfm::ErrorCode::input, arguments.input + ": has fewer pixels than the batch needs");
  return pixels;
}

/// Decodes the files and resizes them to size x size, threads at a time.
void serve_decoding(const Arguments& arguments) {
  const auto decode_once = [&] {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i; (i = next++) < arguments.decode.size();) {
        lfm::read_image_resized(arguments.decode[i], arguments.size, arguments.size);
      }
    };
    std::vector<std::jthread> crew;
    for (int t = 1; t < arguments.threads; ++t) crew.emplace_back(work);
    work();
  };
  decode_once();
  announce({{"description", "lfm"}});
  serve(decode_once);
}

void serve_training(lfm::Engine& engine, const Arguments& arguments, const lfm::PixelBatch& batch) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(batch.n));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = i % 2;
  std::uint64_t step = 0;
  const auto train_once = [&] {
    lfm::forward_backward(engine, {batch, labels}, {}, {.seed = 1, .step = step},
                          1.0f / static_cast<float>(arguments.batch), lfm::GradientMode::overwrite);
    engine.training().adam({}, ++step);
  };
  train_once();
  announce({{"description", engine.description()}});
  serve(train_once);
}

void serve_inference(lfm::Engine& engine, const lfm::Architecture& architecture, const lfm::PixelBatch& batch) {
  std::vector<float> logits(static_cast<std::size_t>(batch.n));
  const auto infer_once = [&] { lfm::infer(engine, architecture, batch, logits); };
  infer_once();
  announce({{"description", engine.description()}, {"logits", logits}});
  serve(infer_once);
}

void run(const Arguments& arguments) {
  if (!arguments.decode.empty()) return serve_decoding(arguments);
  const lfm::Model model = lfm::one_network(lfm::load_model(arguments.model), arguments.model);
  const std::vector<std::uint8_t> pixels = read_pixels(arguments);
  const auto engine = lfm::make_engine(lfm::parse_device(arguments.device),
                                       {arguments.threads, lfm::parse_precision(arguments.precision), {}});
  engine->load(model.architecture, model.values);
  const lfm::PixelBatch batch{pixels.data(), arguments.batch, arguments.size, arguments.size};
  if (arguments.train) return serve_training(*engine, arguments, batch);
  serve_inference(*engine, model.architecture, batch);
}

}  // namespace

void lfm::bench::add_worker_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("worker", "Times one engine on request; bench/compare runs it");
  command->add_option("--model", arguments->model, "weights, .lfmw");
  command->add_option("--input", arguments->input, "raw pixels, [n][size][size][3]");
  command->add_option("--device", arguments->device);
  command->add_option("--precision", arguments->precision, lfm::list_of_words<lfm::Precision>());
  command->add_option("--threads", arguments->threads);
  command->add_option("--batch", arguments->batch)->check(CLI::PositiveNumber);
  command->add_option("--size", arguments->size)->check(CLI::PositiveNumber);
  command->add_flag("--train", arguments->train, "time training steps");
  command->add_option("--decode", arguments->decode, "time decoding these files and resizing them to --size");
  command->callback([arguments] {
    try {
      run(*arguments);
    } catch (const std::exception& error) {
      announce({{"error", error.what()}});
      throw CLI::RuntimeError(1);
    }
  });
}
