#include "kernels/simt/check/traffic.h"

#include <algorithm>
#include <array>
#include <vector>

namespace lfm::simt {

namespace {

constexpr std::uintptr_t kSector = 32, kWord = 4, kBanks = 32;
constexpr int kLanes = 32;

void sort_unique(std::vector<std::uintptr_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

Cost sectors_of(std::span<const LaneAccess> request) {
  std::vector<std::uintptr_t> sectors, bytes;
  for (const LaneAccess& lane : request) {
    const std::uintptr_t last = lane.address + static_cast<std::uintptr_t>(lane.bytes);
    for (std::uintptr_t s = lane.address / kSector; s * kSector < last; ++s) sectors.push_back(s);
    for (std::uintptr_t b = lane.address; b < last; ++b) bytes.push_back(b);
  }
  sort_unique(sectors);
  sort_unique(bytes);
  return {static_cast<int>(sectors.size()), static_cast<int>((bytes.size() + kSector - 1) / kSector)};
}

Cost wavefronts_of(std::span<const LaneAccess> request) {
  int widest = 0;
  for (const LaneAccess& lane : request) widest = std::max(widest, lane.bytes);
  const int phases = widest <= 4 ? 1 : widest <= 8 ? 2 : 4, lanes_of_phase = kLanes / phases;
  Cost cost;
  for (int phase = 0; phase < phases; ++phase) {
    std::vector<std::uintptr_t> words;
    for (const LaneAccess& lane : request) {
      if (lane.lane / lanes_of_phase != phase) continue;
      const std::uintptr_t last = lane.address + static_cast<std::uintptr_t>(lane.bytes);
      for (std::uintptr_t w = lane.address / kWord; w * kWord < last; ++w) words.push_back(w);
    }
    if (words.empty()) continue;
    sort_unique(words);
    std::array<int, kBanks> of_bank{};
    for (const std::uintptr_t word : words) ++of_bank[word % kBanks];
    cost.taken += *std::max_element(of_bank.begin(), of_bank.end());
    ++cost.least;
  }
  return cost;
}

}  // namespace lfm::simt
