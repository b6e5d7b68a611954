// What was probably meant by words on the command line that mean nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace lfm {

/// Those of `known` that a slip of the fingers, or stopping short, turns into `word`; the nearest first, three at most.
std::vector<std::string> nearest_words(const std::string& word, const std::vector<std::string>& known);

/// Of a first argument that names no command: what to say. Empty where it does, or is an option.
std::string unknown_command(const CLI::App& app, const std::string& word);

/// Hints on arguments that begin with a dash, after they could not be parsed: options that are near, and how a file of
/// that name is given.
std::vector<std::string> dash_hints(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace lfm
