#include "src/cli/mistyped.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace lfm {
namespace {

/// Letters to add, leave out, replace, or exchange with their neighbour.
std::size_t edits(const std::string& from, const std::string& to) {
  std::vector<std::vector<std::size_t>> rows(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
  for (std::size_t i = 0; i <= from.size(); ++i) {
    for (std::size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = rows[i - 1][j - 1] + (from[i - 1] != to[j - 1]);
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced});
      const bool exchanged = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (exchanged) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows.back().back();
}

std::string small_letters(std::string word) {
  for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return word;
}

bool is_file(const std::string& name) {
  struct stat status {};
  return lstat(name.c_str(), &status) == 0;
}

std::string alternatives(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back("'" + word + "'");
  return fmt::format("{}", fmt::join(quoted, " or "));
}

}  // namespace

std::vector<std::string> nearest_words(const std::string& word, const std::vector<std::string>& known) {
  constexpr std::size_t longest = 64, most = 3;
  if (word.empty() || word.size() > longest) return {};
  const std::string typed = small_letters(word);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& candidate : known) {
    const bool begins = typed.size() > 1 && (candidate.starts_with(typed) || typed.starts_with(candidate));
    const std::size_t distance = begins ? 1 : edits(typed, candidate);
    if (distance <= std::max<std::size_t>(1, std::min(typed.size(), candidate.size()) / 3))
      near.emplace_back(distance, candidate);
  }
  std::ranges::stable_sort(near, {}, &std::pair<std::size_t, std::string>::first);
  std::vector<std::string> words;
  for (const auto& [distance, candidate] : near) {
    if (words.size() < most) words.push_back(candidate);
  }
  return words;
}

std::string unknown_command(const CLI::App& app, const std::string& word) {
  if (word.starts_with('-')) return {};
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(command->get_name());
  if (std::ranges::find(commands, word) != commands.end()) return {};
  const std::vector<std::string> near = nearest_words(word, commands);
  std::string meant = fmt::format("the commands are {}", fmt::join(commands, ", "));
  if (!near.empty()) {
    meant = fmt::format("did you mean {}?", alternatives(near));
  } else if (is_file(word)) {
    meant = fmt::format("to score that file: {} detect {}", app.get_name(), word);
  }
  return fmt::format("there is no command '{}'; {}", word, meant);
}

std::vector<std::string> dash_hints(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> options;
  for (const CLI::App* command : app.get_subcommands()) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
    }
  }
  const std::vector<std::string> unknown = app.remaining(true);
  std::vector<std::string> hints;
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() < 2 || argument[0] != '-') continue;
    const bool is_unknown = std::ranges::find(unknown, argument) != unknown.end();
    if (is_unknown && argument.starts_with("--")) {
      const std::vector<std::string> near = nearest_words(argument.substr(0, argument.find('=')), options);
      if (!near.empty())
        hints.push_back(fmt::format("there is no option '{}'; did you mean {}?", argument, alternatives(near)));
    }
    if (is_file(argument) || (is_unknown && !argument.starts_with("--"))) {
      hints.push_back(fmt::format("'{0}' is read as options; a file of that name is given as ./{0}", argument));
    }
  }
  return hints;
}

}  // namespace lfm
