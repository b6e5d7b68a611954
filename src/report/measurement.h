// What a benchmark measured: rows of one table, as JSON for programs and as text for people. bench/README.md tells the
// schema, which `lfm-cuda bench` and `lfm-bench kernels` have in common.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lfm {

inline constexpr const char* kBenchSchema = "lfm-bench/1";

/// Of one quantity's samples, in milliseconds. Percentiles are samples: those of nearest rank.
struct Spread {
  double median = 0, p10 = 0, p90 = 0, least = 0;
  int samples = 0;
};

/// samples: at least one.
Spread spread_of(std::vector<double> samples);

/// One row. What does not apply to it is 0 or empty, and left out of the JSON.
struct Measurement {
  std::string part;          ///< "batch", "layer", "inference kernel" or "training kernel"
  std::string operation;     ///< of the part: "pass", "block 2", "conv2x2, block 3"
  std::string variant = {};  ///< how it is done, where there are several ways
  std::string precision;
  int batch = 0;
  int size = 0;  ///< side of the images
  std::optional<Spread> milliseconds = {};
  double images_per_second = 0;
  double tflops = 0;                ///< by the operations that the row's method has to do
  double gigabytes_per_second = 0;  ///< each byte counted once
  double share = 0;                 ///< of its part
  double share_of_bound = 0;        ///< of what the data sheet would allow
  std::string error = {};           ///< why there is no time
};

struct BenchReport {
  std::string mode;             ///< "end-to-end", "resident", "training", "compare-kernels" or "kernels"
  std::string device;           ///< for people: the engine, or the GPU
  std::string clock;            ///< what measured: "host" or "device events"
  std::string data_sheet = {};  ///< the GPU that share_of_bound is of
  int warm_up = 0;
  int input_sets = 0;  ///< batches of different pixels that take turns
  std::vector<Measurement> rows = {};
  std::vector<std::string> notes = {};  ///< what a reader of the figures has to know
};

/// One JSON object, indented, with a line's end.
std::string bench_json(const BenchReport& report);

}  // namespace lfm
