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
inline void announce(const nlohmann::json& ready) {
  std::cout << ready.dump() << std::endl;
}

/// Answers "run N" with the seconds of N repetitions, "memory" with the peak, until the input ends.
inline void serve(const std::function<void()>& repeat_once) {
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer;
    if (line.starts_with("run ")) {
      const int repetitions = std::stoi(line.substr(4));
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < repetitions; ++i) repeat_once();
      answer["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
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
