#include "src/report/embedding.h"

#include <fmt/core.h>

#include <algorithm>

#include "src/eval/tsne.h"
#include "src/io/atomic_file.h"
#include "src/report/csv.h"

namespace lfm {
namespace {

constexpr std::size_t kMostPoints = 3000;

}  // namespace

EmbeddingFiles::EmbeddingFiles(const std::string& prefix, std::size_t columns)
    : prefix_(prefix), columns_(columns), rows_(prefix + ".npy", columns) {}

void EmbeddingFiles::add(const Detection& detection, const LabelledFile& file, const Subset& subset) {
  const bool known = detection.scored() && detection.features.size() == columns_;
  known ? rows_.write_row(detection.features) : rows_.write_missing_row();
  list_ += fmt::format("{},{},{},{}\n", csv_text(file.path.string()), file.label, csv_text(subset.test_set),
                       csv_text(subset.name));
  if (!known) return;
  features_.insert(features_.end(), detection.features.begin(), detection.features.end());
  points_.push_back({{}, file.subset, file.label});
}

void EmbeddingFiles::write(const TestData& data) {
  rows_.commit();
  write_file_atomically(prefix_ + ".csv", "path,label,test_set,subset\n" + list_);
  const std::size_t count = std::min(points_.size(), kMostPoints);
  std::vector<ScatterPoint> chosen;
  std::vector<float> features;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * points_.size() / count;
    chosen.push_back(points_[from]);
    const auto row = features_.begin() + static_cast<std::ptrdiff_t>(from * columns_);
    features.insert(features.end(), row, row + static_cast<std::ptrdiff_t>(columns_));
  }
  const auto layout = tsne(features, columns_);
  for (std::size_t i = 0; i < count; ++i) chosen[i].at = layout[i];
  std::vector<std::string> groups;
  for (const Subset& subset : data.subsets) groups.push_back(subset.test_set + "/" + subset.name);
  write_file_atomically(prefix_ + ".svg",
                        scatter_svg(fmt::format("t-SNE of the features of {} pictures", count), chosen, groups));
}

}  // namespace lfm
