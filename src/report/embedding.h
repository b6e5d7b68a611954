// What enters the network's last layer, of many pictures, as files: PREFIX.npy has the values, a row a picture;
// PREFIX.csv tells whose they are; PREFIX.svg shows them by t-SNE.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lfm/detector.h"
#include "src/eval/subsets.h"
#include "src/report/npy.h"
#include "src/report/scatter.h"

namespace lfm {

class EmbeddingFiles {
 public:
  /// columns: values of a picture. Opens PREFIX.npy; throws Error{output}.
  EmbeddingFiles(const std::string& prefix, std::size_t columns);

  /// The next row; one of NaN where the detection has no features. `features` of the detection are read, as
  /// DetectorOptions ask for.
  void add(const Detection& detection, const LabelledFile& file, const Subset& subset);

  /// Call once, last. The picture shows 3000 points at most, evenly chosen: t-SNE's time and memory grow with the
  /// square.
  void write(const TestData& data);

 private:
  std::string prefix_;
  std::size_t columns_;
  NpyWriter rows_;
  std::string list_;
  std::vector<float> features_;
  std::vector<ScatterPoint> points_;
};

}  // namespace lfm
