#include "src/model/weight_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "lfm/words.h"
#include "src/io/json.h"
#include "src/model/architecture.h"
#include "src/model/combination.h"
#include "src/model/front_end.h"

namespace lfm {
namespace {

constexpr const char* kModelFormat = "lfm-model";
constexpr const char* kCheckpointFormat = "lfm-checkpoint";
constexpr const char* kMembersFormat = "lfm-members";
constexpr Architecture kUnwritten;  // parts that are the first models': left out, so that older programs read the file
constexpr int kInputSide = 256;

/// What the tensor names of a member begin with.
std::string member_prefix(const Model& model, std::size_t index) {
  return model.members.empty() ? "" : fmt::format("member{}.", index + 1);
}

std::vector<Tensor> model_tensors(const Model& model) {
  std::vector<Tensor> tensors;
  for (std::size_t m = 0; m < members_of(model).size(); ++m) {
    const Model& member = members_of(model)[m];
    const ParameterTable table = parameter_table(member.architecture);
    for (int id = 0; id < table.size(); ++id) {
      const ParameterSpec& spec = table[id];
      tensors.push_back(float_tensor(member_prefix(model, m) + spec.name,
                                     {spec.shape.begin(), spec.shape.begin() + spec.rank},
                                     parameter(std::span<const float>(member.values), table, id)));
    }
  }
  return tensors;
}

[[noreturn]] void fail(const std::string& source, const std::string& cause) {
  throw Error(ErrorCode::model, fmt::format("{}: {}", source, cause));
}

constexpr std::size_t kMostThresholds = 64;

nlohmann::json kind_json(const WorstKind& kind) {
  if (kind.of == 0) return nullptr;
  return {{"name", kind.name}, {"called", kind.called}, {"of", kind.of}};
}

nlohmann::json thresholds_json(const ThresholdTable& table) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ThresholdRow& row : table.rows) {
    rows.push_back({{"rate", row.rate},
                    {"threshold", row.threshold},
                    {"false_alarms", row.false_alarms},
                    {"worst", kind_json(row.worst)},
                    {"worst_unseen", kind_json(row.worst_unseen)},
                    {"recall", row.recall},
                    {"recall_low", row.recall_low},
                    {"recall_high", row.recall_high}});
  }
  return {{"view", view_name(table.view)},
          {"reals", table.reals},
          {"kinds", table.kinds},
          {"fakes", table.fakes},
          {"generators", table.generators},
          {"conditions", table.conditions},
          {"rows", rows}};
}

double share(const nlohmann::json& value) {
  const double number = value.get<double>();
  if (!(number >= 0 && number <= 1)) throw std::runtime_error("a share in its table of thresholds is not in 0 … 1");
  return number;
}

std::size_t count(const nlohmann::json& value) {
  if (!value.is_number_unsigned())
    throw std::runtime_error("a number of pictures in its table of thresholds is not a count");
  return value.get<std::size_t>();
}

WorstKind read_kind(const nlohmann::json& value) {
  if (value.is_null()) return {};
  const WorstKind kind{value.at("name").get<std::string>(), count(value.at("called")), count(value.at("of"))};
  if (kind.called > kind.of || kind.of == 0)
    throw std::runtime_error("its table of thresholds counts more than there is");
  return kind;
}

ThresholdTable read_thresholds(const nlohmann::json& value) {
  ThresholdTable table;
  const std::string view = value.at("view");
  const auto known = value_of<View>(view);
  if (!known)
    throw std::runtime_error(fmt::format("its thresholds' view \"{}\" is unknown; use a newer lfm-cuda", view));
  table.view = *known;
  table.reals = count(value.at("reals"));
  table.kinds = count(value.at("kinds"));
  table.fakes = count(value.at("fakes"));
  table.generators = count(value.at("generators"));
  table.conditions = value.at("conditions").get<std::vector<std::string>>();
  if (!value.at("rows").is_array()) throw std::runtime_error("its table of thresholds has no rows");
  if (value.at("rows").size() > kMostThresholds) throw std::runtime_error("its table of thresholds is too long");
  for (const nlohmann::json& row : value.at("rows")) {
    table.rows.push_back({share(row.at("rate")), static_cast<float>(share(row.at("threshold"))),
                          share(row.at("false_alarms")), read_kind(row.at("worst")), read_kind(row.at("worst_unseen")),
                          share(row.at("recall")), share(row.at("recall_low")), share(row.at("recall_high"))});
    if (table.rows.back().worst.of == 0) throw std::runtime_error("its table of thresholds lacks the worst kind");
  }
  return table;
}

/// What a file says of pixels: (x/255 - mean)/deviation.
struct NormalisationRow {
  Normalisation normalisation;
  std::array<double, 3> mean, deviation;
};
constexpr std::array<NormalisationRow, 2> kNormalisations = {
    {{Normalisation::imagenet, kPixelMean, kPixelStd}, {Normalisation::unit, {0, 0, 0}, {1, 1, 1}}}};
const NormalisationRow& normalisation_row(const Architecture& architecture) {
  return *std::ranges::find(kNormalisations, architecture.normalisation, &NormalisationRow::normalisation);
}

/// A part that need not be named.
template <typename Part>
void read_part(const nlohmann::json& architecture, const char* name, Part& part) {
  const auto found = architecture.find(name);
  if (found == architecture.end()) return;
  const auto known = found->is_string() ? value_of<Part>(found->get<std::string>()) : std::nullopt;
  if (!known) throw std::runtime_error(fmt::format("its {} {} is unknown; use a newer lfm-cuda", name, found->dump()));
  part = *known;
}

nlohmann::json architecture_json(const Architecture& a) {
  nlohmann::json json = {{"pooling", word_of(a.pooling)}, {"k", a.k}};
  if (a.trunk != kUnwritten.trunk) json["trunk"] = word_of(a.trunk);
  if (a.head != kUnwritten.head) json["head"] = word_of(a.head);
  return json;
}

void read_network(const nlohmann::json& header, Model& model) {
  const std::string pooling = header.at("architecture").at("pooling");
  const auto known_pooling = value_of<Pooling>(pooling);
  if (!known_pooling)
    throw std::runtime_error(fmt::format("its pooling \"{}\" is unknown; use a newer lfm-cuda", pooling));
  model.architecture.pooling = *known_pooling;
  const nlohmann::json& k = header.at("architecture").at("k");
  if (!k.is_number_unsigned() || k.get<std::uint64_t>() < 1 || k.get<std::uint64_t>() > kMaxTopK) {
    throw std::runtime_error(fmt::format("its k is not in 1 … {}", kMaxTopK));
  }
  model.architecture.k = k.get<int>();

  const nlohmann::json& residual = header.at("residual");
  const auto front_end = residual.is_string() ? front_end_from_word(residual.get<std::string>()) : std::nullopt;
  if (!front_end)
    throw std::runtime_error(fmt::format("its residual {} is unknown; use a newer lfm-cuda", residual.dump()));
  model.architecture.front_end = *front_end;
  read_part(header.at("architecture"), "trunk", model.architecture.trunk);
  read_part(header.at("architecture"), "head", model.architecture.head);
  const nlohmann::json& input = header.at("input");
  const auto known = std::ranges::find_if(kNormalisations, [&](const NormalisationRow& row) {
    return input.at("mean") == nlohmann::json(row.mean) && input.at("std") == nlohmann::json(row.deviation);
  });
  if (input.at("size") != kInputSide || known == kNormalisations.end()) {
    throw std::runtime_error("it was made for another input size or normalisation; use the lfm-cuda that wrote it");
  }
  model.architecture.normalisation = known->normalisation;
}

Model read_header(const nlohmann::json& header);

void read_members(const nlohmann::json& header, Model& model) {
  const std::string word = header.at("combination");
  const auto known = value_of<Combination>(word);
  if (!known) throw std::runtime_error(fmt::format("its combination \"{}\" is unknown; use a newer lfm-cuda", word));
  model.combination = *known;
  const nlohmann::json& members = header.at("members");
  if (!members.is_array() || members.size() < 2 || members.size() > kMostMembers) {
    throw std::runtime_error(fmt::format("its members are not 2 to {}", kMostMembers));
  }
  for (const nlohmann::json& member : members) {
    if (member.at("format") != kModelFormat)
      throw std::runtime_error("a member of it is no single model; use a newer lfm-cuda");
    model.members.push_back(read_header(member));
  }
}

/// Everything but the values. Throws json exceptions and std::runtime_error with the cause.
Model read_header(const nlohmann::json& header) {
  Model model;
  const auto format = header.find("format");
  format != header.end() && *format == kMembersFormat ? read_members(header, model) : read_network(header, model);
  const std::string view = header.at("input").at("view");
  const auto known = value_of<View>(view);
  if (!known) throw std::runtime_error(fmt::format("its view \"{}\" is unknown; use a newer lfm-cuda", view));
  model.view = *known;

  const auto number = [](const nlohmann::json& value, const char* what) {
    if (!value.is_number()) throw std::runtime_error(fmt::format("its {} is not a number", what));
    return static_cast<float>(value.get<double>());
  };
  model.threshold = number(header.at("threshold"), "threshold");
  model.calibration.temperature = number(header.at("calibration").at("temperature"), "temperature");
  model.calibration.bias = number(header.at("calibration").at("bias"), "bias");
  if (const auto thresholds = header.find("thresholds"); thresholds != header.end())
    model.thresholds = read_thresholds(*thresholds);
  model.name = header.at("name").get<std::string>();
  model.provenance = header.at("provenance").dump();
  return model;
}

void read_values(const Container& file, const std::string& prefix, Model& model, const std::string& source) {
  const ParameterTable table = parameter_table(model.architecture);
  model.values.assign(table.total_floats, 0.0f);
  for (int id = 0; id < table.size(); ++id) {
    const ParameterSpec& spec = table[id];
    const TensorShape shape(spec.shape.begin(), spec.shape.begin() + spec.rank);
    const std::string name = prefix + spec.name;
    const Tensor* tensor = file.find(name);
    if (!tensor) fail(source, fmt::format("is incomplete: tensor \"{}\" is missing; export the model again", name));
    if (tensor->type != ElementType::f32 || tensor->shape != shape) {
      fail(source, fmt::format("does not fit its own architecture: tensor \"{}\" is {} {}, expected F32 {}", name,
                               element_type_name(tensor->type), shape_text(tensor->shape), shape_text(shape)));
    }
    std::memcpy(model.values.data() + spec.offset, tensor->bytes.data(), tensor->bytes.size());
  }
}

void refuse_extra_tensors(const Container& file, bool checkpoint, const Model& model, const std::string& source) {
  const std::vector<Tensor> known = model_tensors(model);
  const auto extra = std::ranges::find_if(file.tensors(), [&](const Tensor& tensor) {
    if (checkpoint && tensor.name.starts_with(kTrainingPrefix)) return false;
    return std::ranges::find(known, tensor.name, &Tensor::name) == known.end();
  });
  if (extra != file.tensors().end())
    fail(source, fmt::format("has a tensor \"{}\" that no model of its kind has", extra->name));
}

void write_model(const Model& model, const nlohmann::json* training, std::span<const Tensor> extra,
                 const std::filesystem::path& path) {
  try {
    check_model(model, path.string());
  } catch (const Error& error) {
    throw Error(ErrorCode::output, std::string("not written: ") + error.what());
  }
  nlohmann::json header = model_header(model);
  if (training) {
    header["format"] = kCheckpointFormat;
    header["training"] = *training;
  }
  std::vector<Tensor> tensors = model_tensors(model);
  tensors.insert(tensors.end(), extra.begin(), extra.end());
  write_container(path, std::move(header), tensors);
}

}  // namespace

nlohmann::json model_header(const Model& model) {
  nlohmann::json header;
  if (model.members.empty()) {
    const NormalisationRow& row = normalisation_row(model.architecture);
    header = {
        {"format", kModelFormat},
        {"architecture", architecture_json(model.architecture)},
        {"residual", front_end(model.architecture).word},
        {"input", {{"view", view_name(model.view)}, {"size", kInputSide}, {"mean", row.mean}, {"std", row.deviation}}}};
  } else {
    header = {{"format", kMembersFormat},
              {"combination", word_of(model.combination)},
              {"members", nlohmann::json::array()},
              {"input", {{"view", view_name(model.view)}}}};
    for (const Model& member : model.members) header["members"].push_back(model_header(member));
  }
  header.update({{"threshold", model.threshold},
                 {"calibration", {{"temperature", model.calibration.temperature}, {"bias", model.calibration.bias}}},
                 {"name", model.name},
                 {"provenance", parse_json_object(model.provenance)}});
  if (!model.thresholds.rows.empty()) header["thresholds"] = thresholds_json(model.thresholds);
  return header;
}

Model model_from_header(std::string_view json, const std::string& source) {
  try {
    return read_header(parse_json_object(json));
  } catch (const nlohmann::json::exception& error) {
    fail(source, fmt::format("its header is incomplete or malformed ({})", error.what()));
  } catch (const std::runtime_error& error) {
    fail(source, error.what());
  }
}

std::string pooling_text(const Architecture& a) {
  return a.pooling == Pooling::topk ? fmt::format("the {} largest of each map", a.k) : "average of each map";
}

std::string_view view_name(View view) { return word_of(view); }

namespace {

void check_network(const Model& model, const std::string& source) {
  if (model.architecture.k < 1 || model.architecture.k > kMaxTopK) {
    fail(source, fmt::format("its k is {}, not in 1 … {}", model.architecture.k, kMaxTopK));
  }
  if (model.architecture.pooling == Pooling::average && model.architecture.k != 1) {
    fail(source, "it pools by averages, with k other than 1");
  }
  if (const Contradiction* row = contradiction(model.architecture)) fail(source, fmt::format("it has {}", row->what));
  const ParameterTable table = parameter_table(model.architecture);
  if (model.values.size() != table.total_floats) {
    fail(source,
         fmt::format("it has {} values where its architecture has {}", model.values.size(), table.total_floats));
  }
  for (int id = 0; id < table.size(); ++id) {
    const auto values = parameter(std::span<const float>(model.values), table, id);
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    if (bad != values.end()) {
      fail(source, fmt::format("value {} of \"{}\" is not finite; the training that made it diverged",
                               bad - values.begin(), table[id].name));
    }
    if (table[id].is_variance && std::any_of(values.begin(), values.end(), [](float v) { return v < 0; })) {
      fail(source, fmt::format("\"{}\" has a negative variance", table[id].name));
    }
  }
}

void check_members(const Model& model, const std::string& source) {
  if (model.members.size() < 2 || model.members.size() > kMostMembers) {
    fail(source, fmt::format("it has {} members, not 2 to {}", model.members.size(), kMostMembers));
  }
  if (!model.values.empty()) fail(source, "it has values of its own beside its members'");
  for (std::size_t i = 0; i < model.members.size(); ++i) {
    if (!model.members[i].members.empty()) fail(source, "a member of it has members");
    check_model(model.members[i], fmt::format("{}: member {}", source, i + 1));
  }
}

}  // namespace

void check_model(const Model& model, const std::string& source) {
  model.members.empty() ? check_network(model, source) : check_members(model, source);
  if (!(model.threshold >= 0 && model.threshold <= 1)) fail(source, "its threshold is not in 0 … 1");
  if (!(model.calibration.temperature > 0) || !std::isfinite(model.calibration.temperature) ||
      !std::isfinite(model.calibration.bias)) {
    fail(source, "its calibration is not a positive temperature and a finite bias");
  }
  try {
    parse_json_object(model.provenance);
  } catch (const std::runtime_error& error) {
    fail(source, fmt::format("its provenance can't be read: {}", error.what()));
  }
}

Model read_model(const Container& file, const std::filesystem::path& path) {
  const std::string source = path.string();
  try {
    const nlohmann::json& header = file.header();
    const bool checkpoint = header.at("format") == kCheckpointFormat;
    if (!checkpoint && header.at("format") != kModelFormat && header.at("format") != kMembersFormat) {
      fail(source, "holds neither a model nor a checkpoint");
    }
    Model model = read_header(header);
    if (model.members.empty()) read_values(file, "", model, source);
    for (std::size_t m = 0; m < model.members.size(); ++m)
      read_values(file, member_prefix(model, m), model.members[m], source);
    refuse_extra_tensors(file, checkpoint, model, source);
    check_model(model, source);
    return model;
  } catch (const Error&) {
    throw;
  } catch (const nlohmann::json::exception& error) {
    fail(source, fmt::format("its header is incomplete or malformed ({})", error.what()));
  } catch (const std::runtime_error& error) {
    fail(source, error.what());
  }
}

Model load_model(const std::filesystem::path& path) { return read_model(Container(path), path); }

void save_model(const Model& model, const std::filesystem::path& path) { write_model(model, nullptr, {}, path); }

void save_checkpoint(const Model& model, const nlohmann::json& training, std::span<const Tensor> tensors,
                     const std::filesystem::path& path) {
  for (const Tensor& tensor : tensors) {
    if (!tensor.name.starts_with(kTrainingPrefix)) {
      throw Error(ErrorCode::output, fmt::format("{}: not written: training tensor \"{}\" lacks the prefix \"{}\"",
                                                 path.string(), tensor.name, kTrainingPrefix));
    }
  }
  write_model(model, &training, tensors, path);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) { return load_checkpoint(Container(path), path); }

Checkpoint load_checkpoint(Container file, const std::filesystem::path& path) {
  Model model = read_model(file, path);
  const auto training = file.header().find("training");
  if (file.header().at("format") != kCheckpointFormat || training == file.header().end() || !training->is_object()) {
    fail(path.string(), "is a model without training state; start from it with --init instead of --resume");
  }
  return {std::move(file), std::move(model), path};
}

const nlohmann::json& Checkpoint::training() const { return file.header().at("training"); }

std::span<const std::byte> Checkpoint::tensor(std::string_view name, ElementType type, std::uint64_t count) const {
  const Tensor* found = file.find(name);
  if (!found || found->type != type || found->count() != count) {
    fail(path.string(),
         fmt::format("lacks training tensor \"{}\" of {} {} values; start again from the model with --init", name,
                     count, element_type_name(type)));
  }
  return found->bytes;
}

}  // namespace lfm
