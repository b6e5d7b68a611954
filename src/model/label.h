// What a picture of the training set is known to be.
#pragma once

#include <cstdint>

namespace lfm {

inline constexpr std::uint8_t kReal = 0;
inline constexpr std::uint8_t kFake = 1;
inline constexpr std::uint8_t kUnlabelled = 2;  ///< takes no part in the loss of the labels

}  // namespace lfm
