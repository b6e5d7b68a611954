// What a server says, as JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lfm/detector.h"

namespace lfm {

/// One picture's record: that of `detect --format json`, where the path is what the client called the picture; with
/// evidence also
///   "explanation": [{"x","y","width","height","rows","columns","contributions":[rows*columns]}], a window each
/// members: the names of the model's; where there are several, a window each of every member, which "member" tells,
/// counted from 1.
std::string record_json(const Detection& detection, std::span<const std::string> deliveries,
                        std::span<const std::string> members = {});

/// An array of records.
std::string records_json(std::span<const Detection> detections, std::span<const std::string> deliveries,
                         std::span<const std::string> members = {});

/// {"error": message}
std::string error_json(const std::string& message);

}  // namespace lfm
