// The files that a command reads and those it will write, settled before its work begins: nothing of the user's is
// lost, and no output fails after hours for a reason that was there from the start.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lfm {

/// What will be written to a file.
enum class Content {
  text,     ///< tables, CSV, JSON, pages: may also go to pipes, devices and standard output
  array,    ///< .npy
  drawing,  ///< .svg
  model,    ///< .lfmw, .safetensors
  picture,  ///< .png that the program marks as its own
};

/// What a file holds that no such content may replace unasked, for messages: "a PNG picture", "a model (.lfmw)"; empty
/// where it may: the file holds text other than that of a drawing or a Git LFS pointer, or nothing, or what the program
/// itself wrote as such content, models apart. Of what is no regular file, or isn't there: empty. Throws Error{output}
/// where it can't be read.
std::string worth_keeping(const std::filesystem::path& path, Content content);

/// Announce what will be written, then what is read, then settle().
class FilePlan {
 public:
  /// force: replaces existing files whatever they are, inputs and the model too. Two outputs never share a file.
  explicit FilePlan(bool force) : force_(force) {}

  /// `option` names the output in messages. "-" is standard output, an empty path no output. Throws Error{usage} where
  /// another output is the same file, by whatever spelling or link, or where the content can't go to standard output.
  void write(const std::filesystem::path& path, const std::string& option, Content content);

  /// `role` names it in messages: "the model". Throws Error{usage} where it is one of the outputs.
  void read(const std::filesystem::path& path, std::string_view role);
  /// The same of an open file.
  void read_descriptor(int descriptor, std::string_view role);
  /// Whether any output is there already: else nothing that is read can be one.
  bool watches() const { return !force_ && !existing_.empty(); }

  /// Throws Error{output} where an output would replace what is worth keeping, or can't be written: its folder is
  /// missing or takes no files, it is read-only, a folder. Leaves nothing behind.
  void settle() const;

 private:
  using Identity = std::pair<dev_t, ino_t>;
  struct Planned {
    std::filesystem::path path;
    std::string option;
    Content content;
  };
  void refuse_input(const Identity& identity, std::string_view role, const std::string& name) const;

  bool force_;
  std::vector<Planned> planned_;
  std::map<Identity, std::size_t> existing_;  ///< regular files that are there: index into planned_
  std::map<std::pair<Identity, std::string>, std::size_t> claimed_;  ///< by folder and name, and standard output
};

}  // namespace lfm
