#include "src/cli/resume.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "src/model/container.h"

namespace lfm {

nlohmann::json resume_settings(const ChosenModel& model, const DetectorOptions& options, const Detector& detector) {
  nlohmann::json checksums = nlohmann::json::array();
  for (const std::filesystem::path& file : model.files)
    checksums.push_back(fmt::format("{:016x}", Container(file).checksum()));
  const std::string device =
      detector
          .description();  // "cpu (AVX2, 2 threads)": vector instructions and threads move no digit that is promised
  nlohmann::json settings = {{"lfm-cuda", LFM_VERSION},
                             {"model checksums", checksums},
                             {"device", device.substr(0, device.find_first_of(" :"))},
                             {"precision", word_of(options.precision)},
                             {"view", word_of(detector.view())},
                             {"tiles", options.tiles},
                             {"threshold", detector.threshold()},
                             {"stable", options.stable},
                             {"max-pixels", options.limits.max_pixels},
                             {"signs", options.signs}};
  if (!model.model.members.empty()) settings["combination"] = word_of(model.model.combination);
  return settings;
}

}  // namespace lfm
