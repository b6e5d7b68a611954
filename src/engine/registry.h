// The engines, a row each: help texts, --device, completions' test and the tests of all engines read it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/device.h"

namespace lfm {

struct EngineRow {
  DeviceKind kind;
  std::string_view name;                  ///< as --device takes it
  std::string_view who;                   ///< in sentences: "the CPU engine"
  bool numbered;                          ///< --device takes name:N too, and name:all
  bool takes_libraries;                   ///< EngineOptions::kernels other than its own
  std::vector<Precision> (*inference)();  ///< what it infers in; the first is `automatic`'s. A device may lack some
  std::vector<Precision> training;        ///< what it trains in
  std::string (*missing)();               ///< why it can't be used here; empty where it can
  /// Throws as make_engine() does, but for what it trains in.
  std::unique_ptr<Engine> (*make)(int index, const EngineOptions& options);
};

std::span<const EngineRow> engine_rows();

/// The row of that kind, which is not DeviceKind::automatic.
const EngineRow& engine_row(DeviceKind kind);

}  // namespace lfm
