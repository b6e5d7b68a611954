// Image files: reading one whole, and telling one by its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace lfm {

/// The file's bytes; it is read, not mapped, so a file that shrinks meanwhile can't crash the reader. Throws
/// Error{input} that names the file if it can't be opened or read, is a folder, or is larger than max_bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Whether the name ends as a picture's does, in any case. Formats that are not read count too: pictures must not be passed over in
/// silence.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace lfm
