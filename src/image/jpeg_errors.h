// libjpeg's errors, for whatever reads JPEG files: fatal ones go through an ErrorTrap, which its caller's `client_data`
// points to.
#pragma once

// clang-format off
#include <cstdio>  // jpeglib.h needs it
#include <jpeglib.h>
// clang-format on

#include "src/image/error_trap.h"

namespace lfm {

inline ErrorTrap& trap_of(j_common_ptr info) { return *static_cast<ErrorTrap*>(info->client_data); }

/// Sets both up before the decompressor (or compressor) is made. errors and trap must outlive it.
void trap_jpeg_errors(jpeg_common_struct& info, jpeg_error_mgr& errors, ErrorTrap& trap);

}  // namespace lfm
