// Records of a long run, a JSON object a line, that survive any stop: each is written as it comes, and the next run
// goes on behind the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lfm {

/// A file of records and, beside it, FILE.settings: what they were made with, which has to be the same in every run.
class ResumableFile {
 public:
  /// Opens the file or begins it; one process at a time has it. A last line that a stop has torn is cut off. Throws
  /// Error{usage} where the settings, a JSON object, differ from those of the records that are there, or these have
  /// none beside them or aren't records; the file is then left as it is. Throws Error{output} where it can't be read or
  /// written.
  ResumableFile(const std::filesystem::path& path, const nlohmann::json& settings);
  ResumableFile(const ResumableFile&) = delete;
  ResumableFile& operator=(const ResumableFile&) = delete;
  ~ResumableFile();

  /// Whether a record of this path was there when the file was opened; each counts once. Records of paths that are
  /// given twice are two.
  bool take(const std::filesystem::path& path);

  std::size_t records() const { return records_; }  ///< that were there
  std::size_t failed() const { return failed_; }    ///< of them, those with an error in place of a score

  /// One line, with its end. It is the kernel's when this returns: only a crash of the machine loses it, and it is then
  /// made again.
  void write(std::string_view line);
  /// Makes all lines durable.
  void commit();

  static std::filesystem::path settings_path(const std::filesystem::path& path);

 private:
  [[noreturn]] void fail(const char* action, int error) const;
  void read_records();

  std::filesystem::path path_;
  int fd_ = -1;
  std::unordered_map<std::string, std::size_t> untaken_;  ///< by path, as JSON has it
  std::size_t records_ = 0, failed_ = 0;
};

}  // namespace lfm
