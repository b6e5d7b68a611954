// What makes a set of pictures measure, or teach, something other than the difference between photographs and generated
// pictures: classes that the file format or the picture's size alone tells apart, pictures in both classes, pictures
// held out that are trained on, folders laid out so that pictures are left out or trained on unawares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/data/dataset.h"

namespace lfm {

/// A picture and what it is said to be.
struct LabelledPicture {
  std::filesystem::path path;
  std::uint8_t label = 0;  ///< as Sample's; of unlabelled ones only the overlap is of interest
};

/// How well the classes are told apart by something that is no picture content.
struct Cue {
  double accuracy = 0.5;     ///< balanced, of guessing each picture's class by the others'
  std::string reals, fakes;  ///< what is most frequent among them: "98 % JPEG, 2 % PNG"
};

/// Of at most kCuePictures of each class, evenly chosen; their first bytes are read. Formats as their content says.
constexpr std::size_t kCuePictures = 2000;
struct Cues {
  Cue format, size;
};
Cues find_cues(const std::vector<LabelledPicture>& pictures);

/// Two files of the same content.
struct SamePicture {
  std::filesystem::path first, second;
};

/// Files of `second` whose content one of `first` has, each with one such. Only files of one length are read, and those
/// whole only whose beginnings agree. What can't be read is left out.
std::vector<SamePicture> find_same(const std::vector<std::filesystem::path>& first,
                                   const std::vector<std::filesystem::path>& second);

/// What the warnings advise: options of `train`, or of `evaluate`.
enum class DataUse { training, evaluation };

/// One line for each of the faults that the set has, without "warning:" and newline; none where it is sound.
std::vector<std::string> data_warnings(const std::vector<LabelledPicture>& pictures, DataUse use);
/// One line where pictures held out are trained on.
std::vector<std::string> overlap_warnings(const std::vector<LabelledPicture>& training,
                                          const std::vector<LabelledPicture>& held_out);
/// One line for each root whose folders are laid out so that pictures are left out, mislabelled, or trained on and held
/// out at once.
std::vector<std::string> layout_warnings(const std::vector<RootSummary>& roots);

std::vector<LabelledPicture> labelled_pictures(const Dataset& dataset);

}  // namespace lfm
