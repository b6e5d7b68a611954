// Which sanitizer this is compiled with: gcc tells by macros, clang by __has_feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LFM_SANITIZED_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LFM_SANITIZED_ADDRESS 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define LFM_SANITIZED_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LFM_SANITIZED_THREAD 1
#endif
#endif
