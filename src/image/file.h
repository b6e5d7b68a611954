// Image files: reading one whole, and which files of a folder are some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lfm/error.h"
#include "lfm/image.h"

namespace lfm {

/// A picture that the machine, not the picture, stands in the way of: its file can't be opened or read, or there is
/// no memory for it. Another time it may do.
class Unavailable : public Error {
 public:
  explicit Unavailable(const std::string& message) : Error(ErrorCode::input, message) {}
};

/// The file's bytes; it is read, not mapped, so a file that shrinks meanwhile can't crash the reader. Errors name the
/// file: Unavailable if it can't be opened or read, Error{input} if it is a folder or larger than max_bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Reads the file, and names it in whatever goes wrong while its bytes are decoded.
template <typename Function>
auto from_file(const std::filesystem::path& path, const DecodeLimits& limits, Function&& decode) {
  const std::vector<std::byte> bytes = read_file(path, limits.max_file_bytes);
  try {
    return decode(std::span<const std::byte>(bytes));
  } catch (const Unavailable& error) {
    throw Unavailable(path.string() + ": " + error.what());
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

// The one rule for what counts as a picture in a folder, whoever walks it (detect, evaluate, train):

/// Whether an entry of a folder, file or folder, is passed over unseen: hidden ones (macOS's companions "._photo.jpg"
/// among them) and what macOS's archives add, "__MACOSX".
bool is_hidden_entry(std::string_view name);

/// Whether a regular file found in a folder counts as a picture: by its first bytes, which no name overrules, or
/// because its name ends as a picture's does. Formats that aren't read count, and so does what can't be opened: a
/// picture must not be passed over in silence. A file whose name tells is not opened; of another the first few
/// kilobytes are read.
bool counts_as_picture(const std::filesystem::path& file);

}  // namespace lfm
