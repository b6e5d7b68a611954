#include "src/image/jpeg_errors.h"

#include <jerror.h>

#include <array>

namespace lfm {
namespace {

// Callbacks; all are C++ functions that own nothing.

void on_error(j_common_ptr info) {
  if (info->err->msg_code == JERR_OUT_OF_MEMORY) trap_of(info).raise_no_memory();
  std::array<char, JMSG_LENGTH_MAX> text{};
  info->err->format_message(info, text.data());
  trap_of(info).raise(ErrorCode::input, "the JPEG data is corrupt or of a kind that libjpeg can't read", text.data());
}

// Warnings (a bad code, a stray marker) leave decodable, if damaged, pixels: libjpeg and Pillow go on, and so
// do we.
void on_message(j_common_ptr, int) {}
void on_output(j_common_ptr) {}

}  // namespace

void trap_jpeg_errors(jpeg_common_struct& info, jpeg_error_mgr& errors, ErrorTrap& trap) {
  info.err = jpeg_std_error(&errors);
  errors.error_exit = on_error;
  errors.emit_message = on_message;
  errors.output_message = on_output;
  info.client_data = &trap;
}

}  // namespace lfm
