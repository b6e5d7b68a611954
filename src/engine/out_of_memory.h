// What an engine throws where a device's memory does not suffice.
#pragma once

#include <string>

#include "lfm/error.h"

namespace lfm {

/// Smaller batches or smaller images need less.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error(ErrorCode::device, message) {}
};

}  // namespace lfm
