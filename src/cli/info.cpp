// lfm-cuda info: what a weight file is, what it was made from, and what it costs to run.
#include <fmt/core.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "lfm/model.h"
#include "lfm/words.h"
#include "src/cli/commands.h"
#include "src/cli/number_checks.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/engine/precision.h"
#include "src/model/architecture.h"
#include "src/model/combination.h"
#include "src/model/container.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "src/report/output.h"
#include "src/report/terminal.h"
#include "src/report/thresholds.h"

namespace lfm {
namespace {

struct InfoOptions {
  std::filesystem::path model;
  std::optional<std::string> prefix;
  int size = 256;
  int batch = 0;  ///< images whose memory is told; 0: none
  bool training = false;
  std::string device = "cpu", precision = "auto";
  bool json = false;
};

struct Layer {
  std::string name;
  std::string output;          ///< its shape for one image
  std::int64_t parameters;     ///< trainable
  std::int64_t multiply_adds;  ///< for one image
};

std::string shape_text(const Stage& stage) {
  const auto& [channels, size] = stage.out;
  if (stage.kind == StageKind::pooling) return fmt::format("{} x {}", channels, size.h);
  if (stage.kind == StageKind::head) return fmt::format("{}", channels);
  return fmt::format("{} x {} x {}", channels, size.h, size.w);
}

std::string pooling_name(const Architecture& architecture) {
  return architecture.pooling == Pooling::topk ? fmt::format("top-{} pooling", architecture.k) : "average pooling";
}

std::vector<Layer> layers_of(const Architecture& architecture, int size) {
  const ParameterTable table = parameter_table(architecture);
  std::vector<Layer> layers;
  for (const Stage& stage : stages(architecture, size, size)) {
    Layer& layer = layers.emplace_back(Layer{stage.name, shape_text(stage), 0, stage.multiply_adds});
    if (stage.kind == StageKind::pooling) layer.name = pooling_name(architecture);
    for (int i = 0; i < stage.parameters.count; ++i)
      layer.parameters += static_cast<std::int64_t>(table[stage.parameters.first + i].count());
  }
  return layers;
}

struct Buffer {
  std::string name;
  Region region;
};

/// What a device would reserve for a batch.
struct Arena {
  std::string device;
  std::vector<Buffer> buffers = {};
  std::size_t bytes = 0;
  std::vector<BatchPart> passes = {};  ///< that scoring makes of the batch; a training step is one
  std::size_t pass_bytes = 0;          ///< of the largest
};

constexpr std::int64_t kMostPixels = std::int64_t{1}
                                     << 30;  // beyond them, what engines count in no longer fits its type

/// Of a model of several members all, one after the other.
Arena arena_of(const Model& model, const InfoOptions& options) {
  if (std::int64_t{options.batch} * options.size * options.size > kMostPixels) {
    throw Error(ErrorCode::usage,
                fmt::format("no device takes {} images of {}x{} at once: give a smaller --batch or --size",
                            options.batch, options.size, options.size));
  }
  EngineOptions how;
  (options.training ? how.training : how.precision) = parse_precision(options.precision);
  if (how.training == Precision::automatic) how.training = Precision::fp32;
  const auto engine = make_engine(parse_device(options.device), how);
  const PlanMode mode = options.training ? PlanMode::training : PlanMode::inference;
  const PlanRequest request{options.batch, options.size, options.size, mode};
  if (options.training) one_network(model, options.model.string());
  Arena arena{engine->description()};
  if (!options.training)
    arena.passes = parts_of_batch(options.batch, engine->inference().chunk(options.size, options.size));
  for (std::size_t m = 0; m < members_of(model).size(); ++m) {
    engine->require(members_of(model)[m].architecture, mode);
    const Plan plan = engine->plan_for(members_of(model)[m].architecture, request);
    for (Region region : plan.regions) {
      region.offset += arena.bytes;
      arena.buffers.push_back(
          {model.members.empty() ? region.name : fmt::format("{}: {}", m + 1, region.name), region});
    }
    arena.bytes += plan.bytes;
    if (arena.passes.empty()) continue;
    const PlanRequest pass{arena.passes[0].n, options.size, options.size, mode};
    arena.pass_bytes += engine->plan_for(members_of(model)[m].architecture, pass).bytes;
  }
  return arena;
}

struct Facts {
  Model model;
  ModelFormat format;
  std::optional<std::uint64_t> checksum;  ///< of .lfmw files
  std::vector<Layer> layers;              ///< of all members
  std::int64_t parameters = 0, multiply_adds = 0;
  std::optional<Arena> arena;
};

Facts gather(const InfoOptions& options) {
  Facts facts;
  facts.format = detect_model_format(options.model);
  if (facts.format == ModelFormat::lfmw && !options.prefix) {
    const Container file(options.model);
    facts.model = read_model(file, options.model);
    facts.checksum = file.checksum();
  } else {
    facts.model = import_model(options.model, options.prefix);
  }
  for (std::size_t m = 0; m < members_of(facts.model).size(); ++m) {
    for (Layer& layer : layers_of(members_of(facts.model)[m].architecture, options.size)) {
      if (!facts.model.members.empty()) layer.name = fmt::format("{}: {}", m + 1, layer.name);
      facts.layers.push_back(std::move(layer));
    }
  }
  for (const Layer& layer : facts.layers) {
    facts.parameters += layer.parameters;
    facts.multiply_adds += layer.multiply_adds;
  }
  if (options.batch > 0) facts.arena = arena_of(facts.model, options);
  return facts;
}

nlohmann::json as_json(const Facts& facts, const InfoOptions& options) {
  nlohmann::json out = model_header(facts.model);
  out["file"] = options.model.string();
  out["file_format"] = model_format_name(facts.format);
  out["checksum"] = facts.checksum ? nlohmann::json(fmt::format("{:016x}", *facts.checksum)) : nlohmann::json();
  out["parameters"] = facts.parameters;
  out["size"] = options.size;
  out["multiply_adds"] = facts.multiply_adds;
  out["cpu_precisions"] = nlohmann::json::array();
  for (const Precision precision : cpu_precisions()) out["cpu_precisions"].push_back(precision_name(precision));
  out["layers"] = nlohmann::json::array();
  for (const Layer& layer : facts.layers) {
    out["layers"].push_back({{"name", layer.name},
                             {"output", layer.output},
                             {"parameters", layer.parameters},
                             {"multiply_adds", layer.multiply_adds}});
  }
  if (facts.arena) {
    nlohmann::json& memory = out["memory"];
    memory = {{"device", facts.arena->device},
              {"batch", options.batch},
              {"training", options.training},
              {"bytes", facts.arena->bytes}};
    if (const auto& passes = facts.arena->passes; !passes.empty())
      memory["pass"] = {{"passes", passes.size()}, {"images", passes[0].n}, {"bytes", facts.arena->pass_bytes}};
    for (const auto& [name, region] : facts.arena->buffers) {
      memory["regions"].push_back(
          {{"name", name}, {"shape", region.shape}, {"offset", region.offset}, {"bytes", region.bytes()}});
    }
  }
  return out;
}

/// 1234567 as "1,234,567".
std::string grouped(std::int64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string shape_text(const Region& region) {
  std::string text;
  std::size_t used = region.shape.size();
  while (used > 1 && region.shape[used - 1] == 1) --used;
  for (std::size_t i = 0; i < used; ++i) text += fmt::format("{}{}", i > 0 ? " x " : "", region.shape[i]);
  return text;
}

std::string memory_text(const Arena& arena, const InfoOptions& options) {
  constexpr const char* row = "{:<28} {:>24} {:>16}\n";
  std::string text =
      fmt::format("\nmemory to {} {} image{} of {}x{} on {}\n", options.training ? "train on" : "score", options.batch,
                  options.batch == 1 ? "" : "s", options.size, options.size, arena.device);
  text += fmt::format(row, "buffer", "items", "bytes");
  for (const auto& [name, region] : arena.buffers) {
    text += fmt::format(row, name, shape_text(region), grouped(static_cast<std::int64_t>(region.bytes())));
  }
  text += fmt::format(row, "total", "", grouped(static_cast<std::int64_t>(arena.bytes)));
  if (arena.passes.size() > 1)
    text += fmt::format("scored in {} passes of at most {} image{}, which take {} bytes\n", arena.passes.size(),
                        arena.passes[0].n, arena.passes[0].n == 1 ? "" : "s",
                        grouped(static_cast<std::int64_t>(arena.pass_bytes)));
  return text;
}

std::string calibration_text(const Calibration& c) {
  return c.temperature == 1 && c.bias == 0 ? "none"
                                           : fmt::format("sigmoid(logit / {:g} + {:g})", c.temperature, c.bias);
}

std::string as_text(const Facts& facts, const InfoOptions& options) {
  std::string text;
  const Model& model = facts.model;
  const auto line = [&](const char* what, const std::string& value) {
    text += fmt::format("{:<13} {}\n", what, value);
  };
  line("file", fmt::format("{} ({})", printable(options.model.string()), model_format_name(facts.format)));
  line("name", model.name.empty() ? "(none)" : printable(model.name));
  if (model.members.empty()) {
    const FrontEnd front_end = model.architecture.front_end;
    line("residual", fmt::format("{}: {}", word_of(front_end), meaning_of(front_end)));
    line("trunk", fmt::format("{}: {}", word_of(model.architecture.trunk), meaning_of(model.architecture.trunk)));
    line("pooling", pooling_text(model.architecture));
    line("head", fmt::format("{}: {}", word_of(model.architecture.head), meaning_of(model.architecture.head)));
  } else {
    line("combination", fmt::format("{}: {}", word_of(model.combination), meaning_of(model.combination)));
  }
  for (std::size_t m = 0; m < model.members.size(); ++m) {
    const Model& member = model.members[m];
    line(fmt::format("member {}", m + 1).c_str(),
         fmt::format("{}: residual {}, pools {}; {}, calls fake above {:g}", printable(member_name(model, m)),
                     word_of(member.architecture.front_end), pooling_text(member.architecture),
                     calibration_text(member.calibration), member.threshold));
  }
  line("view", std::string(view_name(model.view)));
  line("threshold", fmt::format("{:g}", model.threshold));
  line("calibration", calibration_text(model.calibration));
  if (facts.checksum) line("checksum", fmt::format("{:016x} (XXH3-64, verified)", *facts.checksum));
  text += thresholds_text(model.thresholds);
  std::string precisions;
  for (const Precision precision : cpu_precisions())
    precisions += fmt::format("{}{}", precisions.empty() ? "" : ", ", precision_name(precision));
  line("on this CPU", precisions);
  line("provenance", "");
  const auto provenance = nlohmann::json::parse(model.provenance);
  if (provenance.empty()) text += "  (none)\n";
  for (const auto& [key, value] : provenance.items()) {
    text += fmt::format("  {}: {}\n", printable(key),
                        printable(value.is_string() ? value.get<std::string>() : value.dump()));
  }

  constexpr const char* row = "{:<16} {:>16} {:>12} {:>15}\n";
  text += "\n";
  text += fmt::format(row, "layer", fmt::format("at {0} x {0}", options.size), "parameters", "multiply-adds");
  for (const Layer& layer : facts.layers) {
    text += fmt::format(row, layer.name, layer.output, grouped(layer.parameters), grouped(layer.multiply_adds));
  }
  text += fmt::format(row, "total", "", grouped(facts.parameters), grouped(facts.multiply_adds));
  if (facts.arena) text += memory_text(*facts.arena, options);
  return text;
}

void show_info(const InfoOptions& options) {
  if (options.training && options.batch == 0)
    throw Error(ErrorCode::usage, "--training tells the memory of a batch: give its images with --batch");
  const Facts facts = gather(options);
  Output output{std::filesystem::path()};
  output.write(options.json ? json_text(as_json(facts, options), 2) + "\n" : as_text(facts, options));
  output.commit();
}

}  // namespace

void add_info_command(CLI::App& app) {
  const auto options = std::make_shared<InfoOptions>();
  CLI::App* command = app.add_subcommand("info", "Shows what a weight file is and what it costs to run");
  command->add_option("MODEL", options->model, "Weights: .lfmw, .safetensors or PyTorch")->required();
  command->add_option("--prefix", options->prefix, "Which state dict of MODEL, where it holds several, as for convert")
      ->type_name("NAME");
  command->add_option("--size", options->size, "Side of the images the costs are counted for")
      ->check(number_in(kMinImageSide, 16384))
      ->capture_default_str();
  command
      ->add_option("-b,--batch", options->batch,
                   "Also show the memory that so many images take at once, buffer by buffer; none is taken")
      ->check(number_in(1, 65536));
  command->add_flag("--training", options->training, "With --batch: the memory of a training step");
  command->add_option("-d,--device", options->device, "With --batch: on which device; one of " + device_names())
      ->capture_default_str();
  command->add_option("--precision", options->precision, std::string("With --batch: one of ") + kPrecisionNames)
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { show_info(*options); });
}

}  // namespace lfm
