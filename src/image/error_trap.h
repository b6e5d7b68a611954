// Carries the fatal errors of C libraries (libjpeg, libpng), which may not return from their error callback,
// into C++.
#pragma once

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include "lfm/error.h"

namespace lfm {

/// The library's error callback calls raise(). Every call into the library goes through run(), as a lambda
/// that owns nothing: longjmp then skips no destructor, and the exception is thrown from C++ frames only.
class ErrorTrap {
 public:
  template <typename Function>
  void run(Function&& function) {
    if (setjmp(jump_) == 0) {
      function();
    } else {
      throw Error(code_, message_.data());
    }
  }

  /// prefix: what was being done, e.g. "the JPEG data is corrupt"; detail: the library's words. Never
  /// allocates.
  [[noreturn]] void raise(ErrorCode code, const char* prefix, const char* detail) {
    code_ = code;
    std::snprintf(message_.data(), message_.size(), "%s (%s)", prefix, detail);
    std::longjmp(jump_, 1);
  }

 private:
  std::jmp_buf jump_{};
  ErrorCode code_ = ErrorCode::input;
  std::array<char, 512> message_{};
};

}  // namespace lfm
