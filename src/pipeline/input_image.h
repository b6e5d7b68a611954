// From one input of a stream to the pixels the network sees.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lfm/detector.h"
#include "src/image/view.h"

namespace lfm {

/// Reads, decodes and brings into the view. Nothing for a folder's member that is no image: no regular file, or neither its content
/// nor its extension claims to be one. Throws Error{input}; the message starts with the path.
std::optional<ResizedImage> read_input(const Input& input, View view, const DecodeLimits& limits);

/// An error's message without the path it starts with: a Detection has its path in a field of its own.
std::string cause(const Error& error, const std::filesystem::path& path);

}  // namespace lfm
