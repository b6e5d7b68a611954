// What a contender written in C++ says to bench/compare: bench/harness/contender.py tells the protocol.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

namespace lfm::bench {

/// The first line: that everything is loaded and has run once, or an "error".
inline void announce(const nlohmann::json& ready) { std::cout << ready.dump() << std::endl; }

/// Seconds that this process's threads have had a processor for.
inline double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/// Answers "run N" with the seconds of N repetitions, "memory" with the peak, until the input ends.
inline void serve(const std::function<void()>& repeat_once) {
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer;
    if (line.starts_with("run ")) {
      const int repetitions = std::stoi(line.substr(4));
      const double processor_begin = processor_seconds();
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < repetitions; ++i) repeat_once();
      answer["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      answer["processor_seconds"] = processor_seconds() - processor_begin;
    } else if (line == "memory") {
      rusage usage{};
      getrusage(RUSAGE_SELF, &usage);
      answer["peak_bytes"] = std::int64_t{usage.ru_maxrss} * 1024;
    } else {
      answer["error"] = "unknown request: " + line;
    }
    std::cout << answer.dump() << std::endl;
  }
}

}  // namespace lfm::bench
