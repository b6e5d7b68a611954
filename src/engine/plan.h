// Where an engine's buffers lie: names -> shapes -> offsets, by host arithmetic alone. One arena of memory holds all of
// a plan.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lfm {

/// A buffer inside an arena.
struct Region {
  const char* name = "";
  std::array<std::int64_t, 4> shape{};  ///< outermost first; unused dimensions are 1
  std::size_t item_bytes = 0;
  std::size_t offset = 0;  ///< bytes from the arena's start
  std::size_t count() const;
  std::size_t bytes() const { return count() * item_bytes; }
};

/// An arena and what lies in it, in order; empty regions are left out.
struct Plan {
  std::vector<Region> regions;
  std::size_t bytes = 0;
};

/// Lays regions one after the other, each aligned for any access.
class ArenaLayout {
 public:
  /// alignment: a power of two, in bytes.
  explicit ArenaLayout(std::size_t alignment) : alignment_(alignment) {}
  Region add(const char* name, std::array<std::int64_t, 4> shape, std::size_t item_bytes);
  /// All of another plan, as one; returns where it begins.
  std::size_t add(const Plan& part);
  std::size_t bytes() const { return plan_.bytes; }
  const Plan& plan() const { return plan_; }

 private:
  std::size_t alignment_;
  Plan plan_;
};

}  // namespace lfm
