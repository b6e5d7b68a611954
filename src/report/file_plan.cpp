#include "src/report/file_plan.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <span>
#include <system_error>

#include "lfm/error.h"
#include "src/image/formats.h"
#include "src/io/atomic_file.h"
#include "src/model/container.h"
#include "src/report/output.h"
#include "src/report/own_picture.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

/// The beginning of a regular file; nothing for anything else.
std::optional<std::string> beginning(const fs::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  std::string head(4096, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  if (!file.is_open() || file.bad()) {
    throw Error(
        ErrorCode::output,
        fmt::format("{}: exists and can't be read to see what it is; use --force to replace it", path.string()));
  }
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

bool is_safetensors(std::string_view head) {
  return head.size() > 8 && head[8] == '{' && head.substr(0, 8).find('\0') != head.npos;
}

bool is_svg(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == head.npos) return false;
  head.remove_prefix(first);
  return head.starts_with("<svg") ||
         ((head.starts_with("<?xml") || head.starts_with("<!--")) && head.find("<svg") != head.npos);
}

/// Texts that no report of this program begins like.
constexpr std::array<std::pair<std::string_view, const char*>, 3> kOtherTexts = {
    {{"version https://git-lfs.", "a Git LFS pointer"}, {"#!", "a script"}, {"%!PS", "a PostScript file"}}};

std::string what_it_holds(std::string_view head, Content content) {
  if (head.empty()) return {};
  if (head.starts_with(kContainerMagic)) return "a model (.lfmw)";
  if (is_safetensors(head)) return "a model (safetensors)";
  if (head.starts_with("PK\3\4") || head.starts_with("\x80\x02")) return "a PyTorch file or an archive";
  if (head.starts_with("\x93NUMPY")) return content == Content::array ? "" : "a NumPy array";
  if (is_own_picture(head) && content == Content::picture) return {};
  if (const Format* format = find_format(std::as_bytes(std::span(head)))) {
    return fmt::format("a {} {}", format->name, format->decode != nullptr ? "picture" : "file");
  }
  for (const auto& [start, name] : kOtherTexts) {
    if (head.starts_with(start)) return name;
  }
  if (is_svg(head)) return content == Content::drawing ? "" : "an SVG picture";
  if (head.find('\0') != head.npos) return "no result of lfm-cuda, but binary data";
  return content == Content::picture ? "no picture that lfm-cuda made" : "";
}

[[noreturn]] void fail(const fs::path& path, const std::string& cause) {
  throw Error(ErrorCode::output, fmt::format("{}: {}", path.string(), cause));
}

/// Standard output and what else is open already.
void try_descriptor(const fs::path& path, int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || ((flags & O_ACCMODE) == O_RDONLY && descriptor != STDOUT_FILENO))
    fail(path, "isn't open for writing");
}

}  // namespace

std::string worth_keeping(const fs::path& path, Content content) {
  const std::optional<std::string> head = beginning(path);
  return head ? what_it_holds(*head, content) : "";
}

void FilePlan::write(const fs::path& path, const std::string& option, Content content) {
  if (path.empty()) return;
  const std::optional<int> descriptor = descriptor_of(path);
  if (descriptor && content != Content::text) {
    throw Error(ErrorCode::usage,
                fmt::format("{} can't go to {}; name a file", option, path == "-" ? "standard output" : path.string()));
  }
  const std::size_t index = planned_.size();
  planned_.push_back({path, option, content});
  const auto claim = [&](const Identity& identity, const std::string& name) {
    const auto [place, is_new] = claimed_.try_emplace({identity, name}, index);
    if (is_new) return;
    throw Error(ErrorCode::usage,
                fmt::format("{}: {} and {} would write to the same {}, and one be lost; name two files", path.string(),
                            planned_[place->second].option, option, descriptor ? "place" : "file"));
  };
  struct stat status {};
  if (descriptor) {
    claim({}, fmt::format("{}", *descriptor));
    if (fstat(*descriptor, &status) == 0 && S_ISREG(status.st_mode)) claim({status.st_dev, status.st_ino}, "");
    return;
  }
  if (stat(path.c_str(), &status) == 0) {
    if (S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode)) claim({status.st_dev, status.st_ino}, "");
    if (S_ISREG(status.st_mode)) existing_.try_emplace({status.st_dev, status.st_ino}, index);
    return;
  }
  const fs::path target = followed(path);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
  if (stat(folder.c_str(), &status) == 0) claim({status.st_dev, status.st_ino}, target.filename().string());
}

void FilePlan::refuse_input(const Identity& identity, std::string_view role, const std::string& name) const {
  const auto found = existing_.find(identity);
  if (found == existing_.end()) return;
  const Planned& output = planned_[found->second];
  const std::string also = name.empty() || name == output.path.string() ? "" : fmt::format(" ({})", name);
  throw Error(ErrorCode::usage,
              fmt::format("{}: is {}{}, which {} would replace; write to another place, or use --force",
                          output.path.string(), role, also, output.option));
}

void FilePlan::read(const fs::path& path, std::string_view role) {
  struct stat status {};
  if (watches() && stat(path.c_str(), &status) == 0) refuse_input({status.st_dev, status.st_ino}, role, path.string());
}

void FilePlan::read_descriptor(int descriptor, std::string_view role) {
  struct stat status {};
  if (watches() && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
    refuse_input({status.st_dev, status.st_ino}, role, "");
}

void FilePlan::settle() const {
  for (const auto& [path, option, content] : planned_) {
    if (const std::optional<int> descriptor = descriptor_of(path)) {
      try_descriptor(path, *descriptor);
      continue;
    }
    if (!path.has_filename() || path.filename() == "." || path.filename() == "..")
      fail(path, "names a folder, not a file; add a file name");
    struct stat status {};
    const bool exists = stat(path.c_str(), &status) == 0;
    const bool stream = exists && (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode));
    if (exists && (S_ISREG(status.st_mode) || stream) && !force_) {
      const std::string kept = worth_keeping(path, content);
      if (!kept.empty()) {
        fail(path, fmt::format("exists already and is {}, which {} would replace; name another file, or use --force",
                               kept, option));
      }
      if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
        fail(path, fmt::format("can't be written: {}; name another file{}", std::generic_category().message(errno),
                               stream ? "" : ", or use --force to replace it"));
      }
    }
    if (!stream || content != Content::text) const AtomicFile trial(path);
  }
}

}  // namespace lfm
