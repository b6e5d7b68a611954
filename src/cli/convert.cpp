// lfm-cuda convert: weights from and to other programs' formats, and the settings kept with them.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lfm/model.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/number_checks.h"
#include "src/eval/threshold_table.h"
#include "src/io/json.h"
#include "src/io/mapped_file.h"
#include "src/model/combination.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "src/report/file_plan.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::vector<fs::path> inputs;
  fs::path output;
  bool force = false;
  std::optional<std::string> name, prefix;
  std::optional<View> view;
  std::optional<fs::path> provenance;
  std::optional<float> threshold;
  std::optional<double> threshold_at;
  std::optional<Combination> combination;
  std::size_t member = 0;  ///< from 1: the one to take out; 0: none
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
    throw Error(ErrorCode::input,
                fmt::format("{}: {}; --provenance wants a file with one JSON object", path.string(), error.what()));
  }
}

Model member_of(Model model, std::size_t number, const fs::path& path) {
  if (number <= model.members.size()) return std::move(model.members[number - 1]);
  throw Error(ErrorCode::usage, fmt::format("{}: has no member {}: it {}", path.string(), number,
                                            model.members.empty() ? "is a single network"
                                                                  : fmt::format("holds {}", model.members.size())));
}

/// What the inputs are, taken apart or joined.
Model read_inputs(const ConvertOptions& options) {
  if (options.inputs.size() > 1) {
    if (options.member > 0 || options.prefix) {
      throw Error(ErrorCode::usage,
                  "--member and --prefix speak of one input; several are joined, and may be split or imported before");
    }
    std::vector<Model> models;
    for (const fs::path& input : options.inputs) models.push_back(import_model(input));
    return join_models(std::move(models), options.combination.value_or(Combination::first_fake));
  }
  const fs::path& input = options.inputs[0];
  Model model = import_model(input, options.prefix);
  if (options.member > 0) model = member_of(std::move(model), options.member, input);
  if (options.combination && model.members.empty()) {
    throw Error(ErrorCode::usage,
                fmt::format("--combine: {} is a single network; several inputs are joined", input.string()));
  }
  if (options.combination) set_combination(model, *options.combination);
  return model;
}

void convert(const ConvertOptions& options) {
  std::error_code ignored;
  if (!options.force && fs::exists(options.output, ignored)) {
    throw Error(ErrorCode::output,
                fmt::format("{}: exists already; use --force to replace it", options.output.string()));
  }
  require_export_format(options.output);
  FilePlan plan(options.force);
  plan.write(options.output, "OUT", Content::model);
  plan.settle();
  Model model = read_inputs(options);
  if (options.name) model.name = *options.name;
  if (options.provenance) model.provenance = merged_provenance(model.provenance, *options.provenance);
  if (options.view) model.view = *options.view;
  if (options.threshold) model.threshold = *options.threshold;
  if (options.threshold_at) model.threshold = row_at(model, *options.threshold_at, model.view).threshold;
  if (options.output.extension() != ".lfmw")
    one_network(model, options.inputs[0].string());  // which the message then names
  export_model(model, options.output);
  std::string inputs;
  for (const fs::path& input : options.inputs) inputs += (inputs.empty() ? "" : ", ") + input.string();
  tell(stdout, "{}: written from {}\n", printable(options.output.string()), printable(inputs));
}

}  // namespace

void add_convert_command(CLI::App& app) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* command =
      app.add_subcommand("convert", "Converts weights between .lfmw, safetensors and PyTorch, and to ONNX");
  command->footer(
      "The input's format is told by its content: .lfmw, .safetensors, or a PyTorch file (.pth, .pt) with a state "
      "dict, of\n"
      "which no code is run: what is no tensor is read over. Networks of LFM, NPR and SAFE are told by their names and "
      "shapes. A file\n"
      "with several state dicts (a model and its moving average) has them listed; --prefix chooses one. The output's "
      "format is\n"
      "told by its extension: .lfmw; .safetensors with the reference's\n"
      "names, so that PyTorch loads it; or .onnx, the whole network from pixels to logits, for ONNX Runtime, OpenVINO "
      "and others.\n"
      "\n"
      "Several inputs are joined to a model of several members, which judge together; fit its threshold next:\n"
      "  lfm-cuda convert a.lfmw b.lfmw pair.lfmw\n"
      "  lfm-cuda evaluate heldout/ --model pair.lfmw --fit-calibration fitted.lfmw\n"
      "  lfm-cuda convert --member 2 pair.lfmw b.lfmw             takes one out again\n");
  // One list, whose last is OUT: of two positionals the first would take everything.
  command
      ->add_option(
          "files", options->inputs,
          "The weights to read, several of which are joined; then the file to write,\n.lfmw, .safetensors or .onnx")
      ->required()
      ->type_name("IN... OUT");
  command->add_flag("-f,--force", options->force, "Replace OUT if it exists");
  command
      ->add_option("--prefix", options->prefix,
                   "Which state dict of IN, where it holds several: what stands before its names, as model_ema.")
      ->type_name("NAME");
  add_combine_option(*command, options->combination);
  command->add_option("--member", options->member, "Of a model of several members, this one alone, counted from 1")
      ->check(number_in(std::size_t{1}, kMostMembers))
      ->type_name("N");
  command->add_option("--name", options->name, "A name for the model, shown by info and in reports");
  command->add_option("--provenance", options->provenance, "A file with a JSON object: where the weights come from")
      ->type_name("FILE");
  add_choice<View>(*command, "--view", "How images are shown to the model: " + meanings(words(View{})),
                   [options](View view) { options->view = view; });
  CLI::Option* threshold =
      command->add_option("--threshold", options->threshold, "Score above which an image is called fake, 0 to 1")
          ->check(number_in(0.0, 1.0));
  command
      ->add_option_function<std::string>(
          "--threshold-at", [options](const std::string& rate) { options->threshold_at = parse_rate(rate); },
          "Instead, that of the model's table for this rate of false alarms")
      ->excludes(threshold)
      ->type_name("1%|5%|10%");
  command->callback([options] {
    if (options->inputs.size() < 2)
      throw Error(ErrorCode::usage, "name the weights to read and the file to write: convert IN... OUT");
    options->output = options->inputs.back();
    options->inputs.pop_back();
    convert(*options);
  });
}

}  // namespace lfm
