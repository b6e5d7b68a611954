// The options of every command that scores pictures.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lfm/detector.h"
#include "lfm/words.h"
#include "src/pipeline/path_list.h"

namespace lfm {

struct ScoringArguments {
  std::string model;  ///< file or name, or several with commas
  std::optional<Combination> combination;
  DetectorOptions detector;
  bool quiet = false;
};

/// What `--model` and `--combine` name.
struct ChosenModel {
  Model model;
  std::vector<std::filesystem::path> files;
  std::string name() const;  ///< the files', for people
};

/// Throws Error{model}; Error{usage} for --combine with a single network.
ChosenModel choose_model(const ScoringArguments& arguments);

/// --model, --combine, --device, --precision, --batch, --threads, --view, --tiles, --threshold, --max-pixels, --quiet.
/// They write into `arguments`, which must outlive the parsing.
void add_scoring_options(CLI::App& command, ScoringArguments& arguments);

/// --kernels, as parse_providers() takes it.
void add_kernels_option(CLI::App& command, std::string& kernels);

/// --combine, for models of several members.
void add_combine_option(CLI::App& command, std::optional<Combination>& combination);

/// --force: replace files that are worth keeping (FilePlan).
void add_force_flag(CLI::App& command, bool& force);
/// -0, --null: how the list on standard input separates paths.
void add_null_flag(CLI::App& command, ListSeparator& separator);

/// The first word of each value: "resize|native|center|tiles", as help and completions show an option's values.
template <typename Rows>
std::string alternatives(const Rows& rows) {
  std::string text;
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    if (std::any_of(rows.begin(), row, [&](const auto& earlier) { return earlier.value == row->value; })) continue;
    text.append(text.empty() ? "" : "|").append(row->word);
  }
  return text;
}

/// "resize (to 256x256), native (every pixel)": the words and what they mean.
template <typename Rows>
std::string meanings(const Rows& rows) {
  std::string text;
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    if (std::any_of(rows.begin(), row, [&](const auto& earlier) { return earlier.value == row->value; })) continue;
    text.append(text.empty() ? "" : ", ").append(row->word);
    if (!row->meaning.empty()) text.append(" (").append(row->meaning).append(")");
  }
  return text;
}

/// In lines as wide as help has room for.
std::string wrapped(std::string_view text);

/// An option that takes one of the words of a list. Help is wrapped here.
template <typename Value, typename Rows>
void add_choice(CLI::App& command, const std::string& name, const std::string& help, const Rows& rows,
                const std::function<void(Value)>& set) {
  std::vector<std::string> known;
  for (const Word<Value>& row : rows) known.emplace_back(row.word);
  const auto choose = [rows, set](const std::string& word) {
    for (const Word<Value>& row : rows) {
      if (word == row.word) set(row.value);
    }
  };
  command.add_option_function<std::string>(name, choose, wrapped(help))
      ->check(CLI::IsMember(known).description(""))
      ->type_name(alternatives(rows));
}
template <typename Value>
void add_choice(CLI::App& command, const std::string& name, const std::string& help,
                const std::function<void(Value)>& set) {
  add_choice<Value>(command, name, help, words(Value{}), set);
}

}  // namespace lfm
