// The folder of a training run: one process at a time writes to it.
//
//   last.lfmw     the latest checkpoint: the model and all that --resume needs
//   best.lfmw     the best model by validation
//   log.jsonl     one line a step and an epoch
//   curves.html   the curves, rewritten as the run goes
//   lock          held (flock) by the process that trains
#pragma once

#include <filesystem>
#include <vector>

namespace lfm {

struct RunFiles {
  std::filesystem::path folder;
  std::filesystem::path last() const { return folder / "last.lfmw"; }
  std::filesystem::path best() const { return folder / "best.lfmw"; }
  std::filesystem::path log() const { return folder / "log.jsonl"; }
  std::filesystem::path curves() const { return folder / "curves.html"; }
};

/// Throws Error{usage} where the folder holds a run, or files of one whose last.lfmw is gone, which a new run would
/// replace.
void require_no_run(const RunFiles& files);

/// Throws Error{usage} where the folder lies among the pictures of a class (0_real, 1_fake) below one of the data
/// roots.
void require_outside_classes(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& data_roots);

/// Holds the folder as long as it lives.
class RunFolder {
 public:
  /// Makes the folder if need be, locks it, and clears away what a process that was killed left unfinished. Throws
  /// Error{output} where another process holds it, naming that process, where it can't be made, or where its lock is a
  /// file of another kind.
  explicit RunFolder(const std::filesystem::path& path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

 private:
  int lock_ = -1;
};

}  // namespace lfm
