// lfm-cuda convert: weights from and to other programs' formats, and the settings kept with them.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "lfm/model.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/number_checks.h"
#include "src/eval/threshold_table.h"
#include "src/io/json.h"
#include "src/io/mapped_file.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "src/report/file_plan.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  fs::path input, output;
  bool force = false;
  std::optional<std::string> name, prefix;
  std::optional<View> view;
  std::optional<fs::path> provenance;
  std::optional<float> threshold;
  std::optional<double> threshold_at;
};

/// The object in `path` over what the model already says of its origin.
std::string merged_provenance(const std::string& known, const fs::path& path) {
  const MappedFile file(path, ErrorCode::input);
  const auto bytes = file.bytes();
  try {
    nlohmann::json merged = parse_json_object(known);
    merged.update(parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    return merged.dump();
  } catch (const std::runtime_error& error) {
    throw Error(ErrorCode::input, fmt::format("{}: {}; --provenance wants a file with one JSON object", path.string(), error.what()));
  }
}

void convert(const ConvertOptions& options) {
  std::error_code ignored;
  if (!options.force && fs::exists(options.output, ignored)) {
    throw Error(ErrorCode::output, fmt::format("{}: exists already; use --force to replace it", options.output.string()));
  }
  require_export_format(options.output);
  FilePlan plan(options.force);
  plan.write(options.output, "OUT", Content::model);
  plan.settle();
  Model model = import_model(options.input, options.prefix);
  if (options.name) model.name = *options.name;
  if (options.provenance) model.provenance = merged_provenance(model.provenance, *options.provenance);
  if (options.view) model.view = *options.view;
  if (options.threshold) model.threshold = *options.threshold;
  if (options.threshold_at) model.threshold = row_at(model, *options.threshold_at, model.view).threshold;
  export_model(model, options.output);
  tell(stdout, "{}: written from {}\n", printable(options.output.string()), printable(options.input.string()));
}

}  // namespace

void add_convert_command(CLI::App& app) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand("convert", "Converts weights between .lfmw, safetensors and PyTorch, and to ONNX");
  command->footer(
      "The input's format is told by its content: .lfmw, .safetensors, or a PyTorch file (.pth, .pt) with a state dict, of\n"
      "which no code is run: what is no tensor is read over. A file with several state dicts (a model and its moving average) has them\n"
      "listed; --prefix chooses one. The output's format is told by its extension: .lfmw; .safetensors with the reference's\n"
      "names, so that PyTorch loads it; or .onnx, the whole network from pixels to logits, for ONNX Runtime, OpenVINO and others.\n");
  command->add_option("IN", options->input, "The weights to read")->required();
  command->add_option("OUT", options->output, "The file to write, .lfmw, .safetensors or .onnx")->required();
  command->add_flag("-f,--force", options->force, "Replace OUT if it exists");
  command->add_option("--prefix", options->prefix, "Which state dict of IN, where it holds several: what stands before its names, as model_ema.")
      ->type_name("NAME");
  command->add_option("--name", options->name, "A name for the model, shown by info and in reports");
  command->add_option("--provenance", options->provenance, "A file with a JSON object: where the weights come from")
      ->type_name("FILE");
  add_choice<View>(*command, "--view", "How images are shown to the model: " + meanings(words(View{})),
                   [options](View view) { options->view = view; });
  CLI::Option* threshold = command->add_option("--threshold", options->threshold, "Score above which an image is called fake, 0 to 1")
      ->check(number_in(0.0, 1.0));
  command->add_option_function<std::string>("--threshold-at", [options](const std::string& rate) { options->threshold_at = parse_rate(rate); },
                                            "Instead, that of the model's table for this rate of false alarms")
      ->excludes(threshold)
      ->type_name("1%|5%|10%");
  command->callback([options] { convert(*options); });
}

}  // namespace lfm
