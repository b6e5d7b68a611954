// Image files: reading one whole, and telling one by its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lfm/error.h"

namespace lfm {

/// A picture that the machine, not the picture, stands in the way of: its file can't be opened or read, or there is no memory for it. Another
/// time it may do.
class Unavailable : public Error {
 public:
  explicit Unavailable(const std::string& message) : Error(ErrorCode::input, message) {}
};

/// The file's bytes; it is read, not mapped, so a file that shrinks meanwhile can't crash the reader. Errors name the file: Unavailable if it
/// can't be opened or read, Error{input} if it is a folder or larger than max_bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Whether the name ends as a picture's does, in any case. Formats that are not read count too: pictures must not be passed over in
/// silence.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace lfm
