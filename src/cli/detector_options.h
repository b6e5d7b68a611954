// The options of every command that scores pictures.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/pipeline/path_list.h"

namespace lfm {

struct ScoringArguments {
  std::string model;
  DetectorOptions detector;
  bool quiet = false;
};

/// --model, --device, --precision, --batch, --threads, --view, --tiles, --threshold, --max-pixels, --quiet. They write into `arguments`,
/// which must outlive the parsing.
void add_scoring_options(CLI::App& command, ScoringArguments& arguments);

/// --force: replace files that are worth keeping (FilePlan).
void add_force_flag(CLI::App& command, bool& force);
/// -0, --null: how the list on standard input separates paths.
void add_null_flag(CLI::App& command, ListSeparator& separator);

/// An option that takes one of a few words.
template <typename Value>
void add_choice(CLI::App& command, const std::string& name, const std::string& help,
                const std::vector<std::pair<std::string, Value>>& choices, const std::function<void(Value)>& set) {
  std::vector<std::string> words;
  for (const auto& [word, value] : choices) words.push_back(word);
  const auto choose = [choices, set](const std::string& word) {
    for (const auto& [known, value] : choices) {
      if (word == known) set(value);
    }
  };
  command.add_option_function<std::string>(name, choose, help)->check(CLI::IsMember(words).description(""))->type_name("WORD");
}

}  // namespace lfm
