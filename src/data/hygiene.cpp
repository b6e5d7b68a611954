#include "src/data/hygiene.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "src/data/picture_header.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

constexpr double kTelling = 0.75;             // balanced accuracy from which a cue is worth a warning
constexpr std::size_t kFewForThreshold = 20;  // pictures of a class below which some threshold parts them by chance
constexpr std::size_t kBeginning = 4096;      // bytes compared before whole files are

struct ClassCounts {
  std::array<std::size_t, 2> of{};
  std::size_t total() const { return of[0] + of[1]; }
};
using Counts = std::map<std::string, ClassCounts>;

std::string most_frequent(const Counts& counts, std::size_t label, std::size_t of_class) {
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [name, count] : counts) {
    if (count.of[label] > 0) order.emplace_back(count.of[label], name);
  }
  std::ranges::sort(
      order, [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(order.size(), 3); ++i) {
    text += fmt::format("{}{:.0f} % {}", i ? ", " : "",
                        100.0 * static_cast<double>(order[i].first) / static_cast<double>(of_class), order[i].second);
  }
  return order.size() > 3 ? text + ", …" : text;
}

/// Guesses each picture's class from the shares of its kind among the other pictures. Kinds met once are one kind
/// together: else every picture of a size of its own would seem told by it.
Cue cue_of_kinds(const Counts& kinds, const std::array<std::size_t, 2>& of_class) {
  ClassCounts single;
  for (const auto& [name, count] : kinds) {
    if (count.total() == 1) single.of[count.of[1]] += 1;
  }
  std::array<double, 2> right{};
  const auto guess = [&](const ClassCounts& count, std::size_t label, std::size_t pictures) {
    std::array<double, 2> share{};
    for (std::size_t l = 0; l < 2; ++l) {
      const double others = static_cast<double>(count.of[l] - (l == label ? 1 : 0)),
                   all = static_cast<double>(of_class[l] - (l == label ? 1 : 0));
      share[l] = all > 0 ? others / all : 0;
    }
    const double hit = share[label] > share[1 - label] ? 1 : share[label] == share[1 - label] ? 0.5 : 0;
    right[label] += hit * static_cast<double>(pictures);
  };
  for (const auto& [name, count] : kinds) {
    if (count.total() == 1) continue;
    for (std::size_t l = 0; l < 2; ++l) {
      if (count.of[l] > 0) guess(count, l, count.of[l]);
    }
  }
  for (std::size_t l = 0; l < 2; ++l) {
    if (single.of[l] > 0) guess(single, l, single.of[l]);
  }
  Cue cue;
  cue.accuracy = (right[0] / static_cast<double>(of_class[0]) + right[1] / static_cast<double>(of_class[1])) / 2;
  cue.reals = most_frequent(kinds, 0, of_class[0]);
  cue.fakes = most_frequent(kinds, 1, of_class[1]);
  return cue;
}

/// The best balanced accuracy of "more pixels than …", whichever class has more.
double best_threshold(std::vector<std::pair<std::uint64_t, std::uint8_t>> pixels,
                      const std::array<std::size_t, 2>& of_class) {
  if (std::min(of_class[0], of_class[1]) < kFewForThreshold) return 0.5;
  std::ranges::sort(pixels);
  std::array<double, 2> below{};
  double best = 0.5;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    below[pixels[i].second] += 1;
    if (i + 1 < pixels.size() && pixels[i + 1].first == pixels[i].first) continue;
    const double parted = below[0] / static_cast<double>(of_class[0]) - below[1] / static_cast<double>(of_class[1]);
    best = std::max(best, 0.5 + std::abs(parted) / 2);
  }
  return best;
}

std::optional<std::uint64_t> hash_of(const fs::path& path, std::uint64_t limit) {
  std::ifstream file(path, std::ios::binary);
  XXH3_state_t* const state = XXH3_createState();
  if (!file || state == nullptr || XXH3_64bits_reset(state) == XXH_ERROR) {
    XXH3_freeState(state);
    return std::nullopt;
  }
  std::vector<char> buffer(std::min<std::uint64_t>(limit, 1 << 20));
  while (limit > 0 && file) {
    file.read(buffer.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(limit, buffer.size())));
    const auto got = static_cast<std::size_t>(file.gcount());
    XXH3_64bits_update(state, buffer.data(), got);
    limit -= got;
  }
  const std::uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return file.bad() ? std::nullopt : std::optional(hash);
}

/// Keeps of both lists the files whose key the other list has, too; key(path) may be missing.
struct KeyedFiles {
  std::vector<fs::path> first, second;
};
template <typename Key>
KeyedFiles keep_shared(const KeyedFiles& files, std::unordered_map<std::string, std::uint64_t>& keys, const Key& key) {
  std::unordered_map<std::uint64_t, int> sides;
  const auto mark = [&](const std::vector<fs::path>& paths, int side) {
    for (const fs::path& path : paths) {
      const std::optional<std::uint64_t> made = key(path);
      if (!made) continue;
      keys[path.string()] = *made;
      sides[*made] |= side;
    }
  };
  mark(files.first, 1);
  mark(files.second, 2);
  const auto shared = [&](const std::vector<fs::path>& paths) {
    std::vector<fs::path> kept;
    for (const fs::path& path : paths) {
      const auto found = keys.find(path.string());
      if (found != keys.end() && sides[found->second] == 3) kept.push_back(path);
    }
    return kept;
  };
  return {shared(files.first), shared(files.second)};
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::vector<fs::path> paths_of(const std::vector<LabelledPicture>& pictures, std::optional<std::uint8_t> label = {}) {
  std::vector<fs::path> paths;
  for (const LabelledPicture& p : pictures) {
    if (!label || p.label == *label) paths.push_back(p.path);
  }
  return paths;
}

}  // namespace

Cues find_cues(const std::vector<LabelledPicture>& pictures) {
  Counts formats, sizes;
  std::array<std::size_t, 2> with_format{}, with_size{};
  std::vector<std::pair<std::uint64_t, std::uint8_t>> pixels;
  for (const std::uint8_t label : {std::uint8_t{0}, std::uint8_t{1}}) {
    const std::vector<fs::path> paths = paths_of(pictures, label);
    const std::size_t count = std::min(paths.size(), kCuePictures);
    for (std::size_t i = 0; i < count; ++i) {
      const std::optional<PictureHeader> header = read_picture_header(paths[i * paths.size() / count]);
      if (!header) continue;
      ++formats[header->format].of[label];
      ++with_format[label];
      if (header->width == 0) continue;
      ++sizes[fmt::format("{}x{}", header->width, header->height)].of[label];
      ++with_size[label];
      pixels.emplace_back(std::uint64_t{header->width} * header->height, label);
    }
  }
  Cues cues;
  if (with_format[0] > 1 && with_format[1] > 1) cues.format = cue_of_kinds(formats, with_format);
  if (with_size[0] > 1 && with_size[1] > 1) {
    cues.size = cue_of_kinds(sizes, with_size);
    cues.size.accuracy = std::max(cues.size.accuracy, best_threshold(std::move(pixels), with_size));
  }
  return cues;
}

std::vector<SamePicture> find_same(const std::vector<fs::path>& first, const std::vector<fs::path>& second) {
  std::unordered_map<std::string, std::uint64_t> length, beginning, content;
  KeyedFiles files = keep_shared({first, second}, length, [](const fs::path& path) -> std::optional<std::uint64_t> {
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(path, error);
    return error || bytes == 0 ? std::nullopt : std::optional(bytes);
  });
  const auto with_length = [&](const fs::path& path, std::optional<std::uint64_t> hash) {
    return hash ? std::optional(*hash ^ length.at(path.string()) * 0x9E3779B97F4A7C15u) : std::nullopt;
  };
  files =
      keep_shared(files, beginning, [&](const fs::path& path) { return with_length(path, hash_of(path, kBeginning)); });
  files = keep_shared(files, content,
                      [&](const fs::path& path) { return with_length(path, hash_of(path, length.at(path.string()))); });
  std::unordered_map<std::uint64_t, const fs::path*> one;
  for (const fs::path& path : files.first) one.emplace(content.at(path.string()), &path);
  std::vector<SamePicture> same;
  for (const fs::path& path : files.second) {
    if (const auto found = one.find(content.at(path.string())); found != one.end())
      same.push_back({*found->second, path});
  }
  return same;
}

std::vector<LabelledPicture> labelled_pictures(const Dataset& dataset) {
  std::vector<LabelledPicture> pictures;
  pictures.reserve(dataset.samples.size());
  for (const Sample& sample : dataset.samples) pictures.push_back({sample.path, sample.label});
  return pictures;
}

std::vector<std::string> data_warnings(const std::vector<LabelledPicture>& pictures, DataUse use) {
  std::vector<std::string> lines;
  const Cues cues = find_cues(pictures);
  struct Advice {
    const char* what;
    const Cue& cue;
    const char* to_trainers;
    const char* to_evaluators;
  };
  const Advice all[] = {
      {"the file format", cues.format,
       "a model may learn that instead; keep both classes in one format, or re-compress both alike with --jpeg 0.5 "
       "--webp 0.5",
       "figures may measure that instead; compare with both classes re-compressed alike, --perturb jpeg:90 webp:80"},
      {"the picture's size", cues.size,
       "resizing leaves other traces in each class, and a model may learn those; use --view native, with --rescale 0.5 "
       "so that both are "
       "scaled",
       "resizing leaves other traces in each class; compare with --view native or center, and --perturb resize:0.75"},
  };
  for (const Advice& advice : all) {
    if (advice.cue.accuracy < kTelling) continue;
    lines.push_back(fmt::format("{} alone tells reals from fakes in {} (reals: {}; fakes: {}): {}", advice.what,
                                percent(advice.cue.accuracy), advice.cue.reals, advice.cue.fakes,
                                use == DataUse::training ? advice.to_trainers : advice.to_evaluators));
  }
  const std::vector<SamePicture> both =
      find_same(paths_of(pictures, std::uint8_t{0}), paths_of(pictures, std::uint8_t{1}));
  if (!both.empty()) {
    lines.push_back(fmt::format(
        "{} {} in both classes, the first {} and {}: one of the labels is wrong; remove the file that has it",
        both.size(), both.size() == 1 ? "picture is" : "pictures are", both[0].first.string(),
        both[0].second.string()));
  }
  return lines;
}

std::vector<std::string> overlap_warnings(const std::vector<LabelledPicture>& training,
                                          const std::vector<LabelledPicture>& held_out) {
  const std::vector<SamePicture> shared = find_same(paths_of(training), paths_of(held_out));
  if (shared.empty()) return {};
  return {
      fmt::format("{} of the {} pictures of --val {} in --data, too, the first {} and {}: validation will flatter the "
                  "model; keep them in "
                  "one of the two",
                  shared.size(), held_out.size(), shared.size() == 1 ? "is" : "are", shared[0].first.string(),
                  shared[0].second.string())};
}

std::vector<std::string> layout_warnings(const std::vector<RootSummary>& roots) {
  std::vector<std::string> lines;
  for (const RootSummary& root : roots) {
    const std::string hint = layout_hint(root.layout);
    if (!hint.empty()) lines.push_back(fmt::format("{}: {}", root.path.string(), hint));
  }
  return lines;
}

}  // namespace lfm
