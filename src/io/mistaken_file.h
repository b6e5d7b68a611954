// What is often found where a picture or a model was expected.
#pragma once

#include <cstddef>
#include <span>

namespace lfm {

/// Names what the file's first bytes (all of them, where it is short) are, if that is one of the usual mistakes: an
/// empty file, a Git LFS pointer, a web page or other XML saved in the file's place, a failed copy of zeros. A clause
/// that follows the file's name, with the remedy: "is a Git LFS pointer, not the file itself; run …". Null for anything
/// else.
const char* mistaken_file(std::span<const std::byte> head);

}  // namespace lfm
