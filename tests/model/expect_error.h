// The message of an expected error.
#pragma once

#include <functional>
#include <string>

#include "lfm/error.h"
#include "tests/catch.h"

namespace lfm::test {

/// Runs `action`, expects an Error of that code, returns its message.
inline std::string error_of(ErrorCode code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_MESSAGE(static_cast<int>(error.code()) == static_cast<int>(code), error.what());
    return error.what();
  }
  FAIL_CHECK("no error");
  return "";
}

}  // namespace lfm::test
