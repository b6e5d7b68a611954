// Carries the fatal errors of C libraries (libjpeg, libpng), which may not return from their error callback,
// into C++.
#pragma once

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <new>

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
    } else if (no_memory_) {
      throw std::bad_alloc();
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

  /// For a library that can't allocate: run() throws std::bad_alloc.
  [[noreturn]] void raise_no_memory() {
    no_memory_ = true;
    std::longjmp(jump_, 1);
  }

 private:
  std::jmp_buf jump_{};
  bool no_memory_ = false;
  ErrorCode code_ = ErrorCode::input;
  std::array<char, 512> message_{};
};

}  // namespace lfm
