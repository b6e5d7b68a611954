// The one exception type of the library. Its message names the file, the cause and the remedy.
#pragma once

#include <stdexcept>
#include <string>

namespace lfm {

enum class ErrorCode {
  input,   ///< an image or a list of them can't be used
  model,   ///< a weight file or checkpoint can't be used
  device,  ///< the requested device is missing or failed
  output,  ///< a result can't be written
  usage,   ///< arguments that contradict each other or the model
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace lfm
