#include "src/engine/plan.h"

namespace lfm {

std::size_t Region::count() const {
  std::size_t items = 1;
  for (const std::int64_t extent : shape) items *= static_cast<std::size_t>(extent);
  return items;
}

Region ArenaLayout::add(const char* name, std::array<std::int64_t, 4> shape, std::size_t item_bytes) {
  const Region region{name, shape, item_bytes, plan_.bytes};
  if (region.bytes() > 0) plan_.regions.push_back(region);
  plan_.bytes += (region.bytes() + alignment_ - 1) / alignment_ * alignment_;
  return region;
}

std::size_t ArenaLayout::add(const Plan& part) {
  const std::size_t begin = plan_.bytes;
  for (Region region : part.regions) {
    region.offset += begin;
    plan_.regions.push_back(region);
  }
  plan_.bytes += part.bytes;
  return begin;
}

}  // namespace lfm
