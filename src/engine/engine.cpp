// What all engines have in common, and what one that computes in the host's memory, at once, need not say itself.
#include "src/engine/engine.h"

#include <fmt/core.h>

#include <algorithm>

#include "lfm/error.h"

namespace lfm {

void Engine::require(const Architecture& architecture, PlanMode mode) const {
  const std::string what_to_do = remedy(architecture, mode);
  if (what_to_do.empty()) return;
  throw Error(ErrorCode::usage,
              fmt::format("{} does not {} networks with the trunk of ResNet (NPR's and SAFE's) as this one; {}",
                          description(), mode == PlanMode::training ? "train" : "run", what_to_do));
}

void Engine::load(const Architecture& architecture, std::span<const float> values) {
  const std::size_t floats = parameter_table(architecture).total_floats;
  if (values.size() != floats) {
    throw Error(ErrorCode::model,
                fmt::format("the model has {} floats, its architecture needs {}", values.size(), floats));
  }
  require(architecture, PlanMode::inference);
  for (PlanRequest& room : room_) room = {};
  take_model(architecture, values);
  architecture_ = architecture;
}

void Engine::reserve(const PlanRequest& request) {
  PlanRequest& room = room_[static_cast<std::size_t>(request.mode)];
  room = {};
  require(architecture_, request.mode);
  make_room(request);
  room = request;
}

PixelBuffer Engine::host_memory(std::size_t bytes) { return std::make_shared_for_overwrite<std::uint8_t[]>(bytes); }

PixelBuffer Engine::place(const PixelBatch& batch) {
  PixelBuffer copy = host_memory(batch.bytes());
  std::copy_n(batch.pixels, batch.bytes(), copy.get());
  return copy;
}

void Engine::adopt(const PixelBatch&) {
  throw Error(ErrorCode::usage, fmt::format("the pixels lie in a GPU's memory, and {} computes in the computer's: copy "
                                            "them there, or choose the device cuda",
                                            description()));
}

void Engine::mark(std::size_t index) {
  if (marks_.size() <= index) marks_.resize(index + 1);
  marks_[index] = std::chrono::steady_clock::now();
}

double Engine::milliseconds_between(std::size_t from, std::size_t to) {
  return std::chrono::duration<double, std::milli>(marks_.at(to) - marks_.at(from)).count();
}

}  // namespace lfm
