#include "src/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace lfm {

void ServerMetrics::request(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  Histogram& histogram = seconds_[route];
  const auto interval = std::ranges::lower_bound(kBounds, seconds) - kBounds.begin();
  ++histogram.counts[static_cast<std::size_t>(interval)];
  histogram.sum += seconds;
}

void ServerMetrics::picture(const std::string& verdict) {
  const std::lock_guard lock(mutex_);
  ++pictures_[verdict];
}

std::string ServerMetrics::text(std::size_t waiting, bool works) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  const auto out = std::back_inserter(text);
  const auto head = [&](const char* name, const char* type, const char* help) {
    fmt::format_to(out, "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  };
  head("lfm_up", "gauge", "Whether the device works.");
  fmt::format_to(out, "lfm_up {}\n", works ? 1 : 0);
  head("lfm_waiting_pictures", "gauge", "Pictures without an answer.");
  fmt::format_to(out, "lfm_waiting_pictures {}\n", waiting);
  head("lfm_requests_total", "counter", "Requests answered, by route and status.");
  for (const auto& [key, count] : requests_) {
    fmt::format_to(out, "lfm_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
  }
  head("lfm_pictures_total", "counter", "Pictures answered, by verdict.");
  for (const auto& [verdict, count] : pictures_)
    fmt::format_to(out, "lfm_pictures_total{{verdict=\"{}\"}} {}\n", verdict, count);
  head("lfm_request_seconds", "histogram", "Time from a request's header to its answer.");
  for (const auto& [route, histogram] : seconds_) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      below += histogram.counts[i];
      fmt::format_to(out, "lfm_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", route, kBounds[i], below);
    }
    below += histogram.counts.back();
    fmt::format_to(out, "lfm_request_seconds_bucket{{route=\"{}\",le=\"+Inf\"}} {}\n", route, below);
    fmt::format_to(out,
                   "lfm_request_seconds_sum{{route=\"{0}\"}} {1}\nlfm_request_seconds_count{{route=\"{0}\"}} {2}\n",
                   route, histogram.sum, below);
  }
  return text;
}

}  // namespace lfm
