// lfm-cuda doctor: what of this build and this machine can be used, and what to do about what is missing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "lfm/error.h"
#include "lfm/model.h"
#include "src/cli/commands.h"
#include "src/cli/launch.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"
#include "src/engine/registry.h"
#include "src/image/formats.h"
#include "src/machine/cores.h"
#include "src/machine/host.h"
#include "src/pipeline/find_model.h"
#include "src/report/output.h"
#include "src/report/terminal.h"
#include "src/video/video.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct DoctorOptions {
  std::string model, device = "auto";
  bool json = false;
};

struct DeviceState {
  std::string name;
  std::string reason;  ///< why it can't be used; empty where it can
  std::vector<std::string> precisions;
};

struct ModelState {
  std::vector<fs::path> files;
  std::string name;
  std::string error;  ///< why there is none
  std::vector<std::string> searched, installed;
};

/// The same small picture through the device and through the reference engine, in double precision.
struct Trial {
  std::string device, error;
  float logit = 0, reference = 0;
};

struct Findings {
  fs::path program;
  Host host;
  int cores = 1;
  std::string vector_path, vector_error;  ///< of the CPU engine
  std::vector<std::string> vector_paths;  ///< that this build has and this machine runs
  CudaDevices gpus;
  std::vector<DeviceState> devices;
  std::string no_films;
  ModelState model;
  std::optional<Trial> trial;  ///< none without a model
  std::vector<std::string> advice;

  /// Whether `detect` would work.
  bool ready() const { return trial && trial->error.empty(); }
};

std::vector<DeviceState> device_states() {
  std::vector<DeviceState> states;
  for (const EngineRow& row : engine_rows()) {
    DeviceState& state = states.emplace_back(DeviceState{std::string(row.name), {}, {}});
    try {
      state.reason = row.missing();
      if (!state.reason.empty()) continue;
      for (const Precision precision : row.inference()) state.precisions.emplace_back(precision_name(precision));
    } catch (const Error& error) {
      state.reason = error.what();
    }
  }
  return states;
}

/// What the CPU engine computes with, by the names that LFM_CPU takes.
void find_vector_paths(Findings& findings) {
  for (const cpu::Kernels* kernels : cpu::supported_kernels()) findings.vector_paths.emplace_back(kernels->name);
  try {
    findings.vector_path = cpu::choose_kernels(std::getenv("LFM_CPU")).name;
  } catch (const Error& error) {
    findings.vector_error = error.what();
  }
}

std::optional<Model> look_for_model(const DoctorOptions& options, ModelState& state) {
  for (const fs::path& folder : weight_folders()) {
    state.searched.push_back(folder.string());
    std::error_code none;
    for (const auto& file : fs::directory_iterator(folder, none)) {
      if (file.path().extension() == ".lfmw") state.installed.push_back(file.path().string());
    }
  }
  std::ranges::sort(state.installed);
  try {
    state.files = find_models(options.model);
    Model model = load_models(state.files);
    state.name = model.name;
    return model;
  } catch (const Error& error) {
    state.error = error.what();
    return std::nullopt;
  }
}

Image noise() {
  constexpr int side = 64;
  Image image{side, side, {}};
  std::mt19937 random(1);
  for (int i = 0; i < side * side * 3; ++i) image.rgb.push_back(static_cast<std::uint8_t>(random() >> 24));
  return image;
}

Trial try_out(const Model& model, const std::string& device) {
  Trial trial;
  DetectorOptions options;
  options.view = View::native;
  options.threads = 1;
  try {
    options.device = device;
    Detector detector(model, options);
    trial.device = detector.description();
    trial.logit = detector.detect(noise()).logit;
    options.device = "reference";
    trial.reference = Detector(model, options).detect(noise()).logit;
    constexpr float tolerance =
        0.5f;  // several times what the coarsest precision that a device chooses by itself moves a logit by
    if (!(std::abs(trial.logit - trial.reference) <= tolerance)) {
      trial.error =
          fmt::format("it computes wrongly: logit {:.4f} where {:.4f} is right", trial.logit, trial.reference);
    }
  } catch (const Error& error) {
    trial.error = error.what();
  }
  return trial;
}

/// The optional libraries, as the table of formats names them, with the formats that each reads.
std::vector<std::pair<std::string, std::vector<const Format*>>> optional_libraries() {
  std::vector<std::pair<std::string, std::vector<const Format*>>> libraries;
  for (const Format& format : known_formats()) {
    if (format.library == nullptr) continue;
    auto found = std::ranges::find(libraries, format.library, [](const auto& entry) { return entry.first; });
    if (found == libraries.end()) found = libraries.insert(found, {format.library, {}});
    found->second.push_back(&format);
  }
  return libraries;
}

std::string names_of(const std::vector<const Format*>& formats) {
  std::string names;
  for (const Format* format : formats) names += (names.empty() ? "" : ", ") + std::string(format->name);
  return names;
}

std::vector<std::string> advice_for(const Findings& findings) {
  std::vector<std::string> advice;
  if (!findings.model.error.empty()) advice.push_back(findings.model.error);
  if (!findings.vector_error.empty()) advice.push_back(findings.vector_error);
  if (findings.trial && !findings.trial->error.empty() && findings.trial->error != findings.vector_error) {
    advice.push_back(findings.trial->error);
  }
  if (!findings.host.nvidia_gpus.empty()) {
    if (findings.host.nvidia_driver.empty()) {
      advice.push_back(
          "this machine has an NVIDIA GPU without a driver: install NVIDIA's (package nvidia-driver), then look at "
          "nvidia-smi");
    } else if (!built_with_cuda()) {
      advice.push_back(
          "this machine has an NVIDIA GPU that this build can't use: build with the CUDA toolkit (cmake --preset "
          "cuda)");
    } else if (findings.gpus.devices.empty()) {
      advice.push_back(fmt::format("the GPU can't be used ({}); look at nvidia-smi, and in a container at --gpus all",
                                   findings.gpus.reason));
    }
  }
  for (const auto& [library, formats] : optional_libraries()) {
    if (const std::string missing = why_not_read(*formats[0]); !missing.empty()) {
      advice.push_back(fmt::format("{} can't be read: {}", names_of(formats), missing));
    }
    if (formats[0]->decode != nullptr) continue;
    advice.push_back(fmt::format("{} can't be read: install {} and build anew, or convert such pictures to PNG",
                                 names_of(formats), library));
  }
  if (!findings.no_films.empty()) advice.push_back(findings.no_films);
  return advice;
}

Findings examine(const DoctorOptions& options) {
  Findings findings;
  std::error_code unknown;
  findings.program = fs::read_symlink("/proc/self/exe", unknown);
  findings.host = read_host();
  findings.cores = usable_cores();
  find_vector_paths(findings);
  findings.gpus = cuda_devices();
  findings.devices = device_states();
  findings.no_films = why_no_films();
  const std::optional<Model> model = look_for_model(options, findings.model);
  if (model) findings.trial = try_out(*model, options.device);
  findings.advice = advice_for(findings);
  return findings;
}

std::string gib(std::uint64_t bytes) { return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1u << 30)); }

std::string joined(const std::vector<std::string>& texts) { return fmt::format("{}", fmt::join(texts, ", ")); }

std::string memory_text(const Host& host) {
  if (host.memory_bytes == 0) return "unknown";
  return fmt::format("{}, {} available{}", gib(host.memory_bytes), gib(host.available_bytes),
                     host.limit_bytes > 0 ? fmt::format("; limited to {}", gib(host.limit_bytes)) : "");
}

std::string as_text(const Findings& findings) {
  std::string text;
  const auto line = [&](const std::string& what, const std::string& value) {
    text += fmt::format("{:<17} {}\n", what, printable(value));
  };
  const Host& host = findings.host;
  line("lfm-cuda", fmt::format("{}, {}", LFM_VERSION, findings.program.string()));
  line("system", host.system);
  line("processor", fmt::format("{}; {} {} usable", host.processor.empty() ? "unknown" : host.processor, findings.cores,
                                findings.cores == 1 ? "core" : "cores"));
  line("memory", memory_text(host));
  line("CPU path", findings.vector_error.empty()
                       ? fmt::format("{} (of {})", findings.vector_path, joined(findings.vector_paths))
                       : findings.vector_error);
  line("NVIDIA GPUs", host.nvidia_gpus.empty() ? "none" : joined(host.nvidia_gpus));
  line("NVIDIA driver", host.nvidia_driver.empty() ? "none" : host.nvidia_driver);
  for (const CudaDevice& gpu : findings.gpus.devices) {
    line(fmt::format("cuda:{}", gpu.ordinal),
         fmt::format("{}, compute capability {}.{}, {}", gpu.name, gpu.major, gpu.minor, gib(gpu.memory_bytes)));
  }
  for (const DeviceState& device : findings.devices) {
    line("device " + device.name,
         device.reason.empty() ? "ready: " + joined(device.precisions) : "absent: " + device.reason);
  }
  line("MPI", mpi_version().empty() ? "no" : mpi_version());
  line("NCCL", built_with_nccl() ? "yes" : "no");
  std::vector<const Format*> read;
  for (const Format& format : known_formats()) {
    if (format.decode != nullptr && why_not_read(format).empty()) read.push_back(&format);
  }
  line("formats", names_of(read));
  for (const auto& [library, formats] : optional_libraries()) {
    const bool is_there = formats[0]->decode != nullptr && why_not_read(*formats[0]).empty();
    line(is_there ? "library" : "library, absent", fmt::format("{}: {}", library, names_of(formats)));
  }
  line("films", findings.no_films.empty() ? "yes" : "no");
  line("models searched", joined(findings.model.searched));
  line("models installed", findings.model.installed.empty() ? "none" : joined(findings.model.installed));
  for (const fs::path& file : findings.model.files) line("model", file.string());
  if (findings.trial && findings.trial->error.empty()) {
    line("trial", fmt::format("logit {:.4f} on {}; {:.4f} by the reference", findings.trial->logit,
                              findings.trial->device, findings.trial->reference));
  }
  if (!findings.advice.empty()) text += "\nWhat to do:\n";
  for (const std::string& advice : findings.advice) text += fmt::format("  * {}\n", printable(advice));
  text += findings.ready() ? "\nReady: pictures can be scored.\n" : "\nNot ready: no picture can be scored.\n";
  return text;
}

nlohmann::json as_json(const Findings& findings) {
  using nlohmann::json;
  const Host& host = findings.host;
  json out = {{"version", LFM_VERSION}, {"program", findings.program.string()}, {"ready", findings.ready()}};
  out["machine"] = {{"system", host.system},
                    {"processor", host.processor},
                    {"cores", findings.cores},
                    {"memory_bytes", host.memory_bytes},
                    {"available_bytes", host.available_bytes},
                    {"limit_bytes", host.limit_bytes},
                    {"nvidia_gpus", host.nvidia_gpus},
                    {"nvidia_driver", host.nvidia_driver}};
  out["cpu_path"] = findings.vector_path;
  out["cpu_paths"] = findings.vector_paths;
  out["gpus"] = json::array();
  for (const CudaDevice& gpu : findings.gpus.devices) {
    out["gpus"].push_back({{"device", fmt::format("cuda:{}", gpu.ordinal)},
                           {"name", gpu.name},
                           {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)},
                           {"memory_bytes", gpu.memory_bytes}});
  }
  out["devices"] = json::array();
  for (const DeviceState& device : findings.devices) {
    out["devices"].push_back({{"name", device.name},
                              {"ready", device.reason.empty()},
                              {"reason", device.reason},
                              {"precisions", device.precisions}});
  }
  out["cuda"] = built_with_cuda();
  out["mpi"] = mpi_version();
  out["nccl"] = built_with_nccl();
  out["formats"] = json::array();
  for (const Format& format : known_formats()) {
    if (format.decode == nullptr && format.library == nullptr) continue;
    out["formats"].push_back({{"name", format.name},
                              {"read", format.decode != nullptr && why_not_read(format).empty()},
                              {"library", format.library != nullptr ? json(format.library) : json()}});
  }
  out["films"] = findings.no_films.empty();
  json files = json::array();
  for (const fs::path& file : findings.model.files) files.push_back(file.string());
  out["model"] = {{"files", files},
                  {"name", findings.model.name},
                  {"error", findings.model.error},
                  {"searched", findings.model.searched},
                  {"installed", findings.model.installed}};
  out["trial"] = findings.trial ? json{{"device", findings.trial->device},
                                       {"error", findings.trial->error},
                                       {"logit", findings.trial->logit},
                                       {"reference_logit", findings.trial->reference}}
                                : json();
  out["advice"] = findings.advice;
  return out;
}

void doctor(const DoctorOptions& options) {
  static_cast<void>(
      parse_device(options.device == "cuda:all" ? "auto" : options.device));  // a wrong name is wrong usage
  const Findings findings = examine(options);
  write_output({}, options.json ? json_text(as_json(findings), 2) + "\n" : as_text(findings));
  if (!findings.ready()) end_with(kUnusable);
}

constexpr const char* kDoctorFooter =
    "Shown are this machine (cores, memory, GPUs, driver), what the build has (devices, the CPU's vector "
    "instructions,\n"
    "picture formats and their libraries, MPI), where models are searched and which one is found. A small picture is "
    "then scored\n"
    "on the device and by the reference engine; whatever is missing is told with what to do about it.\n"
    "\n"
    "Exit codes: 0 pictures can be scored, 3 there is no usable device or model; what is optional and missing changes "
    "neither.\n";

}  // namespace

void add_doctor_command(CLI::App& app) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand("doctor", "Shows what works here, and what to do about what is missing");
  command->footer(kDoctorFooter);
  command
      ->add_option("-m,--model", options->model,
                   "Weight file, or the name of an installed model\n(default: $LFM_MODEL, else the installed one)")
      ->type_name("MODEL");
  command->add_option("-d,--device", options->device, "The device to try (default: auto)")
      ->type_name(device_words(Devices::all));
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { doctor(*options); });
}

}  // namespace lfm
