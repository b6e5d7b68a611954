// What a server counts, as Prometheus reads it (text exposition format 0.0.4).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace lfm {

class ServerMetrics {
 public:
  /// One request answered. route: as the server knows it, never what a client wrote.
  void request(const std::string& route, int status, double seconds);
  /// One picture answered: "real", "fake", "unsure" or "failed".
  void picture(const std::string& verdict);

  /// waiting: pictures without an answer; works: whether the device does.
  std::string text(std::size_t waiting, bool works) const;

 private:
  static constexpr std::array<double, 12> kBounds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                     0.5,   1,    2.5,   5,    10,  30};  // seconds
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> counts = {};  // of each interval; the last has no upper bound
    double sum = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;  // by route and status
  std::map<std::string, Histogram> seconds_;                       // by route
  std::map<std::string, std::uint64_t> pictures_;                  // by verdict
};

}  // namespace lfm
