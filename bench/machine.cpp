// What the machine can do: bytes read and copied per second from memory by all threads together. Prints JSON.
#include <fmt/core.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "bench/commands.h"

namespace lfm::bench {
namespace {

constexpr std::size_t kBytes = std::size_t{192} << 20;  // per thread; larger than any cache's share
constexpr int kRounds = 5;

/// Seconds of the fastest round of `work` on every thread at once.
double fastest_round(int threads, const std::function<void(int)>& work) {
  double fastest = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    std::barrier start(threads + 1);
    std::vector<std::thread> crew;
    for (int t = 0; t < threads; ++t) {
      crew.emplace_back([&, t] {
        start.arrive_and_wait();
        work(t);
      });
    }
    start.arrive_and_wait();
    const auto begin = std::chrono::steady_clock::now();
    for (std::thread& thread : crew) thread.join();
    fastest = std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return fastest;
}

}  // namespace

void measure_memory(int threads) {
  const auto count = static_cast<std::size_t>(threads);
  std::vector<std::vector<std::uint64_t>> from(count), to(count);
  for (std::size_t t = 0; t < count; ++t) {
    from[t].assign(kBytes / 8, t + 1);
    to[t].assign(kBytes / 8, 0);
  }
  std::vector<std::uint64_t> sums(count);
  const double read = fastest_round(threads, [&](int t) {
    const auto& values = from[static_cast<std::size_t>(t)];
    sums[static_cast<std::size_t>(t)] = std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  });
  const double copy = fastest_round(threads, [&](int t) {
    std::memcpy(to[static_cast<std::size_t>(t)].data(), from[static_cast<std::size_t>(t)].data(), kBytes);
  });
  const double gigabytes = static_cast<double>(kBytes * count) / 1e9;
  fmt::print("{{\"threads\":{},\"read_gb_per_s\":{},\"copy_gb_per_s\":{},\"checksum\":{}}}\n", threads,
             gigabytes / read, 2 * gigabytes / copy,
             std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) % 1000);
}

}  // namespace lfm::bench
