#include "src/model/interchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "lfm/words.h"
#include "src/io/json.h"
#include "src/io/mistaken_file.h"
#include "src/model/architecture.h"
#include "src/model/combination.h"
#include "src/model/onnx.h"
#include "src/model/pytorch.h"
#include "src/model/safetensors.h"
#include "src/model/weight_file.h"

namespace lfm {
namespace {

constexpr const char* kMetadataKey = "lfm";                 // safetensors metadata: the .lfmw header as text
constexpr const char* kBatchesKey = "num_batches_tracked";  // provenance: what the counters of an imported file said
constexpr std::string_view kHeadName = "fc1.weight";

/// The residual's two convolutions as the reference stores them, [3][3][2][2]: `down` takes the top-left pixel of every
/// 2x2 cell, `up` (transposed) repeats it over the cell.
struct FixedConvolution {
  const char* name;
  std::array<float, 4> diagonal;  ///< the 2x2 kernel from a channel to itself; 0 to others
};
constexpr std::array<FixedConvolution, 2> kFixed = {
    {{"downsample_conv.weight", {1, 0, 0, 0}}, {"upsample_conv.weight", {1, 1, 1, 1}}}};

std::vector<float> fixed_values(const FixedConvolution& fixed) {
  std::vector<float> values(3 * 3 * 4, 0.0f);
  for (std::size_t c = 0; c < 3; ++c)
    std::copy(fixed.diagonal.begin(), fixed.diagonal.end(), values.begin() + (c * 3 + c) * 4);
  return values;
}

/// The batch counters' names, one beside each batch norm's variance.
std::vector<std::string> counter_names(const ParameterTable& table) {
  constexpr std::string_view beside = "running_var";
  std::vector<std::string> names;
  for (const ParameterSpec& spec : table.specs) {
    if (spec.is_variance)
      names.push_back(spec.reference_name.substr(0, spec.reference_name.size() - beside.size()) +
                      "num_batches_tracked");
  }
  return names;
}

TensorShape shape_of(const ParameterSpec& spec) { return {spec.shape.begin(), spec.shape.begin() + spec.rank}; }

bool holds_reals(ElementType type) {
  return type == ElementType::f32 || type == ElementType::f64 || type == ElementType::f16 || type == ElementType::bf16;
}

/// What a state dict lacks or has too much, gathered so that one message tells all of it.
struct Problems {
  std::vector<std::string> missing, unexpected, mismatched;

  std::string text() const {
    std::string out;
    const auto list = [&](const char* what, std::span<const std::string> names) {
      constexpr std::size_t shown = 40;
      if (names.empty()) return;
      out +=
          fmt::format("{}{} ({}): {}{}", out.empty() ? "" : "; ", what, names.size(),
                      fmt::join(names.first(std::min(names.size(), shown)), ", "), names.size() > shown ? ", …" : "");
    };
    list("missing", missing);
    list("unexpected", unexpected);
    list("of another shape or type", mismatched);
    return out;
  }
};

using StateDict = std::map<std::string, const Tensor*>;

/// One state dict of a file that may hold several: a model, its moving average, a teacher.
struct Candidate {
  std::string prefix;
  StateDict tensors;       ///< by name without the prefix
  bool resnet = false;     ///< its names are of the ResNet trunk
  int known = 0, all = 0;  ///< parameters of the network among them, and how many it has
};

constexpr std::string_view kResnetName = "layer1.";  ///< what names of the ResNet trunk alone begin with

bool is_resnet(const StateDict& dict) {
  const auto at = dict.lower_bound(std::string(kResnetName));
  return at != dict.end() && at->first.starts_with(kResnetName);
}

/// Every prefix of fc1.weight, and what has it but not another, longer one.
std::vector<Candidate> find_candidates(std::span<const Tensor> tensors) {
  std::vector<Candidate> found;
  for (const Tensor& tensor : tensors) {
    if (!tensor.name.ends_with(kHeadName)) continue;
    const std::string prefix = tensor.name.substr(0, tensor.name.size() - kHeadName.size());
    if (prefix.empty() || prefix.back() == '.') found.push_back({.prefix = prefix, .tensors = {}});
  }
  for (const Tensor& tensor : tensors) {
    Candidate* owner = nullptr;
    for (Candidate& c : found) {
      if (tensor.name.starts_with(c.prefix) && (!owner || c.prefix.size() > owner->prefix.size())) owner = &c;
    }
    if (owner) owner->tensors[tensor.name.substr(owner->prefix.size())] = &tensor;
  }
  for (Candidate& c : found) {
    c.resnet = is_resnet(c.tensors);
    const ParameterTable table = parameter_table(c.resnet ? kNprNetwork : Architecture{});
    c.all = table.size();
    for (const ParameterSpec& spec : table.specs) c.known += static_cast<int>(c.tensors.count(spec.reference_name));
  }
  return found;
}

/// What is published with that trunk and head.
Architecture published(const Architecture& a) {
  if (a.trunk == Trunk::resnet) return a.head == Head::softmax ? kSafeNetwork : kNprNetwork;
  return {a.pooling, a.k};
}
bool is_published(const Architecture& a) { return a == published(a); }

const char* network_name(const Architecture& a) {
  if (a.trunk == Trunk::snet) return "the LFM reference model";
  return a.head == Head::softmax ? "SAFE's network" : "NPR's network";
}

std::string list_candidates(std::span<const Candidate> candidates) {
  constexpr std::size_t shown = 20;
  std::string text;
  for (const Candidate& c : candidates.first(std::min(candidates.size(), shown))) {
    text += fmt::format("{}\"{}\" ({} of {} parameters)", text.empty() ? "" : ", ", c.prefix, c.known, c.all);
  }
  return candidates.size() > shown ? text + ", …" : text;
}

/// The state dict that is meant.
StateDict choose_state_dict(std::span<const Tensor> tensors, const std::string& source, const StateDictPrefix& wanted) {
  std::vector<Candidate> candidates = find_candidates(tensors);
  if (candidates.empty()) {
    throw Error(
        ErrorCode::model,
        fmt::format("{}: holds no tensor named {}; give a state dict of the LFM reference model, of NPR's or of SAFE's",
                    source, kHeadName));
  }
  if (wanted) {
    const auto is_wanted = [&](const Candidate& c) { return c.prefix == *wanted || c.prefix == *wanted + "."; };
    const auto chosen = std::ranges::find_if(candidates, is_wanted);
    if (chosen != candidates.end()) return std::move(chosen->tensors);
    throw Error(ErrorCode::model, fmt::format("{}: holds no state dict with the prefix \"{}\"; it has: {}", source,
                                              *wanted, list_candidates(candidates)));
  }
  const auto is_complete = [](const Candidate& c) { return c.known == c.all; };
  if (candidates.size() == 1) return std::move(candidates[0].tensors);
  if (std::ranges::count_if(candidates, is_complete) == 1)
    return std::move(std::ranges::find_if(candidates, is_complete)->tensors);
  throw Error(ErrorCode::model, fmt::format("{}: holds {} state dicts; choose one by --prefix: {}", source,
                                            candidates.size(), list_candidates(candidates)));
}

/// NPR's network has one output, SAFE's two; of SNet the width of the head tells k.
Architecture architecture_of(const Tensor& head, bool resnet, const std::string& source) {
  if (resnet) {
    for (const Architecture& a : {kNprNetwork, kSafeNetwork}) {
      if (head.shape ==
          TensorShape{static_cast<std::uint64_t>(output_count(a)), static_cast<std::uint64_t>(feature_count(a))})
        return a;
    }
    throw Error(ErrorCode::model,
                fmt::format("{}: {} is {}, and with the trunk of ResNet NPR's network has [1, 512], SAFE's [2, 512]",
                            source, head.name, shape_text(head.shape)));
  }
  if (head.shape.size() == 2 && head.shape[0] == 1 && head.shape[1] % kMapChannels == 0 && head.shape[1] > 0 &&
      head.shape[1] / kMapChannels <= kMaxTopK) {
    return {Pooling::topk, static_cast<int>(head.shape[1] / kMapChannels)};
  }
  throw Error(ErrorCode::model, fmt::format("{}: {} is {}, not [1, {}·k]; give a state dict of the LFM reference model",
                                            source, head.name, shape_text(head.shape), kMapChannels));
}

void check_fixed_convolutions(StateDict& dict, const std::string& source) {
  for (const FixedConvolution& fixed : kFixed) {
    const auto found = dict.find(fixed.name);
    if (found == dict.end()) continue;
    const Tensor& tensor = *found->second;
    if (tensor.shape != TensorShape{3, 3, 2, 2} || to_floats(tensor) != fixed_values(fixed)) {
      throw Error(ErrorCode::model,
                  fmt::format("{}: {} is not the 2x2 nearest-neighbour residual's; this engine computes no other",
                              source, tensor.name));
    }
    dict.erase(found);
  }
}

/// Takes the batch counters out of `dict`; null unless all are there.
nlohmann::json take_counters(StateDict& dict, const ParameterTable& table) {
  nlohmann::json counters = nlohmann::json::array();
  const std::vector<std::string> names = counter_names(table);
  for (const std::string& name : names) {
    const auto found = dict.find(name);
    if (found == dict.end()) continue;
    const Tensor& tensor = *found->second;
    if (tensor.type == ElementType::i64 && tensor.count() == 1) {
      std::int64_t value = 0;
      std::memcpy(&value, tensor.bytes.data(), sizeof value);
      counters.push_back(value);
    }
    dict.erase(found);
  }
  return counters.size() == names.size() ? counters : nlohmann::json();
}

/// The counters that an imported model came with, else zeros.
std::vector<std::int64_t> counters_of(const Model& model, std::size_t count) {
  std::vector<std::int64_t> counters(count);
  const nlohmann::json provenance = parse_json_object(model.provenance);
  const auto found = provenance.find(kBatchesKey);
  if (found == provenance.end() || !found->is_array() || found->size() != count) return counters;
  for (std::size_t i = 0; i < count; ++i) {
    const nlohmann::json& counter = (*found)[i];
    if (counter.is_number_integer()) counters[i] = counter.get<std::int64_t>();
  }
  return counters;
}

Model model_from_file(const TensorFile& file, ModelFormat format, const std::filesystem::path& path,
                      const StateDictPrefix& prefix) {
  Model model = model_from_state_dict(file.tensors, path.string(), prefix);
  const auto metadata = file.metadata.find(kMetadataKey);
  if (metadata != file.metadata.end()) {
    Model described = model_from_header(metadata->second, path.string());
    const auto network_of = [](const Architecture& a) { return std::tuple(a.trunk, a.head, a.normalisation); };
    if (network_of(described.architecture) != network_of(model.architecture)) {
      throw Error(
          ErrorCode::model,
          fmt::format("{}: its metadata names another network than its tensors; export it again", path.string()));
    }
    if (feature_count(described.architecture) != feature_count(model.architecture)) {
      throw Error(ErrorCode::model, fmt::format("{}: its metadata says k = {}, its tensors k = {}; export it again",
                                                path.string(), described.architecture.k, model.architecture.k));
    }
    if (described.architecture.front_end != model.architecture.front_end) {
      throw Error(
          ErrorCode::model,
          fmt::format("{}: its metadata names the residual {}, and its tensors are of {}; export it again",
                      path.string(), word_of(described.architecture.front_end), word_of(model.architecture.front_end)));
    }
    described.values = std::move(model.values);
    model = std::move(described);
  } else {
    nlohmann::json provenance = parse_json_object(model.provenance);
    provenance["imported_from"] = {{"file", path.filename().string()}, {"format", model_format_name(format)}};
    model.provenance = provenance.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  check_model(model, path.string());
  return model;
}

void export_safetensors(const Model& model, const std::filesystem::path& path) {
  const ParameterTable table = parameter_table(model.architecture);
  std::vector<Tensor> tensors;
  for (int id = 0; id < table.size(); ++id) {
    tensors.push_back(float_tensor(table[id].reference_name, shape_of(table[id]),
                                   parameter(std::span<const float>(model.values), table, id)));
  }
  const std::vector<std::string> names = counter_names(table);
  const std::vector<std::int64_t> counters = counters_of(model, names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    tensors.push_back({names[i], ElementType::i64, {}, std::as_bytes(std::span(&counters[i], 1))});
  }
  std::array<std::vector<float>, kFixed.size()> fixed;
  for (std::size_t i = 0; model.architecture.trunk == Trunk::snet && i < kFixed.size(); ++i) {
    fixed[i] = fixed_values(kFixed[i]);
    tensors.push_back(float_tensor(kFixed[i].name, {3, 3, 2, 2}, fixed[i]));
  }
  write_safetensors(path, tensors, {{kMetadataKey, model_header(model).dump()}});
}

/// The formats that are written, by the file's extension.
struct Exporter {
  const char* extension;
  bool holds_members;      ///< of models with several
  bool holds_any_network;  ///< else those that are published, and their residuals
  void (*write)(const Model& model, const std::filesystem::path& path);
};
constexpr Exporter kExporters[] = {{".lfmw", true, true, save_model},
                                   {".safetensors", false, false, export_safetensors},
                                   {".onnx", false, true, export_onnx}};

const Exporter& exporter_of(const std::filesystem::path& path) {
  for (const Exporter& exporter : kExporters) {
    if (path.extension() == exporter.extension) return exporter;
  }
  throw Error(
      ErrorCode::usage,
      fmt::format("{}: the extension names no format to write; use .lfmw, .safetensors or .onnx", path.string()));
}

}  // namespace

const char* model_format_name(ModelFormat format) {
  switch (format) {
    case ModelFormat::lfmw: return "lfmw";
    case ModelFormat::safetensors: return "safetensors";
    case ModelFormat::pytorch: return "PyTorch";
  }
  return "";
}

ModelFormat detect_model_format(const std::filesystem::path& path) {
  return detect_model_format(MappedFile(path, ErrorCode::model).bytes(), path.string());
}

ModelFormat detect_model_format(std::span<const std::byte> bytes, const std::string& name) {
  const auto begins_with = [&](std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
  };
  if (begins_with(kContainerMagic)) return ModelFormat::lfmw;
  if (begins_with("PK\3\4") || begins_with("\x80\x02")) return ModelFormat::pytorch;
  if (bytes.size() > 8 && bytes[8] == std::byte{'{'}) return ModelFormat::safetensors;
  if (const char* mistake = mistaken_file(bytes)) throw Error(ErrorCode::model, fmt::format("{}: {}", name, mistake));
  throw Error(ErrorCode::model, fmt::format("{}: is neither an .lfmw, a safetensors nor a PyTorch file", name));
}

Model model_from_state_dict(std::span<const Tensor> tensors, const std::string& source, const StateDictPrefix& prefix) {
  StateDict dict = choose_state_dict(tensors, source, prefix);
  const bool resnet = is_resnet(dict);
  if (!resnet) check_fixed_convolutions(dict, source);

  Model model;
  model.architecture = architecture_of(*dict.at(std::string(kHeadName)), resnet, source);
  if (model.architecture == kSafeNetwork) model.view = View::center;  // as its authors evaluate it
  const ParameterTable table = parameter_table(model.architecture);
  const nlohmann::json counters = take_counters(dict, table);
  model.values.assign(table.total_floats, 0.0f);
  Problems problems;
  for (int id = 0; id < table.size(); ++id) {
    const ParameterSpec& spec = table[id];
    const auto found = dict.find(spec.reference_name);
    if (found == dict.end()) {
      problems.missing.push_back(fmt::format("{} {}", spec.reference_name, shape_text(shape_of(spec))));
      continue;
    }
    const Tensor& tensor = *found->second;
    if (tensor.shape == shape_of(spec) && holds_reals(tensor.type)) {
      std::ranges::copy(to_floats(tensor), model.values.begin() + static_cast<std::ptrdiff_t>(spec.offset));
    } else {
      problems.mismatched.push_back(fmt::format("{} is {} {}, expected {}", tensor.name, element_type_name(tensor.type),
                                                shape_text(tensor.shape), shape_text(shape_of(spec))));
    }
    dict.erase(found);
  }
  for (const auto& [name, tensor] : dict)
    problems.unexpected.push_back(fmt::format("{} {}", tensor->name, shape_text(tensor->shape)));
  if (const std::string text = problems.text(); !text.empty()) {
    throw Error(ErrorCode::model, fmt::format("{}: is not a state dict of {}; its tensors differ: {}", source,
                                              network_name(model.architecture), text));
  }
  if (!counters.is_null()) model.provenance = nlohmann::json({{kBatchesKey, counters}}).dump();
  check_model(model, source);
  return model;
}

Model import_model(const std::filesystem::path& path, const StateDictPrefix& prefix) {
  return import_model(MappedFile(path, ErrorCode::model).bytes(), path, prefix);
}

Model import_model(std::span<const std::byte> bytes, const std::filesystem::path& path, const StateDictPrefix& prefix) {
  const ModelFormat format = detect_model_format(bytes, path.string());
  switch (format) {
    case ModelFormat::lfmw: break;
    case ModelFormat::safetensors: return model_from_file(read_safetensors(bytes, path.string()), format, path, prefix);
    case ModelFormat::pytorch: return model_from_file(read_pytorch(bytes, path.string()), format, path, prefix);
  }
  if (prefix)
    throw Error(
        ErrorCode::usage,
        fmt::format("{}: an .lfmw holds one model, whose names have no prefix; leave out --prefix", path.string()));
  return read_model(Container(bytes, path.string()), path);
}

void require_export_format(const std::filesystem::path& path) { exporter_of(path); }

void export_model(const Model& model, const std::filesystem::path& path) {
  const Exporter& exporter = exporter_of(path);
  const Model& written = exporter.holds_members ? model : one_network(model, path.string());
  if (!exporter.holds_any_network && !is_published(written.architecture)) {
    throw Error(
        ErrorCode::usage,
        fmt::format(
            "{}: {} files hold networks as they are published, {} with the residual {}, and this model's is {}; "
            "write an .lfmw",
            path.string(), exporter.extension, network_name(written.architecture),
            word_of(published(written.architecture).front_end), word_of(written.architecture.front_end)));
  }
  exporter.write(written, path);
}

}  // namespace lfm
