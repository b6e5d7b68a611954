// Walking inputs: order, circles, vanishing folders, lists.
#include "src/pipeline/path_source.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/catch.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << 'x';
}

std::vector<std::string> paths_of(PathSource& source, const fs::path& root) {
  std::vector<std::string> paths;
  while (const auto input = source.next()) {
    paths.push_back(input->path.lexically_relative(root).string() + (input->error.empty() ? "" : "!"));
  }
  return paths;
}

/// A pipe whose writing end a test holds.
struct Pipe {
  Pipe() { CHECK(pipe(ends) == 0); }
  ~Pipe() {
    close(ends[0]);
    close_writer();
  }
  void write(const std::string& text) {
    // From any thread, so that it may not assert.
    if (::write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("the pipe takes nothing");
    }
  }
  void close_writer() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  int ends[2] = {-1, -1};
};

TEST_CASE("PathSource.GivesInputsInOrderAndFoldersByName") {
  const TemporaryFolder folder;
  for (const char* name : {"z.png", "b/2.png", "b/10.png", "b/c/1.png", "a/x.png"}) touch(folder / name);
  PathSource source({folder / "z.png", folder / "b", folder / "a", folder / "z.png"});
  CHECK(paths_of(source, folder.path()) ==
        (std::vector<std::string>{"z.png", "b/10.png", "b/2.png", "b/c/1.png", "a/x.png", "z.png"}));
}

TEST_CASE("PathSource.PassesOverHiddenEntriesOfFoldersAlone") {
  const TemporaryFolder folder;
  for (const char* name : {"f/._1.png", "f/1.png", "f/.thumbnails/t.png", "f/__MACOSX/2.png", ".h/3.png"})
    touch(folder / name);
  PathSource source({folder / "f", folder / "f/._1.png", folder / ".h"});
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"f/1.png", "f/._1.png", ".h/3.png"}));
}

TEST_CASE("PathSource.MarksMembersOfFolders") {
  const TemporaryFolder folder;
  touch(folder / "f/a");
  PathSource source({folder / "f/a", folder / "f"});
  CHECK_FALSE(source.next()->from_folder);
  CHECK(source.next()->from_folder);
}

TEST_CASE("PathSource.CirclesOfLinksEnd") {
  const TemporaryFolder folder;
  touch(folder / "a/1.png");
  touch(folder / "b/2.png");
  fs::create_directory_symlink(folder.path(), folder / "a/up");
  fs::create_directory_symlink(folder / "b", folder / "a/other");
  fs::create_directory_symlink(folder / "a", folder / "b/back");
  fs::create_symlink(folder / "a/self", folder / "a/self");
  PathSource source({folder.path()});
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"a/1.png", "a/other/2.png", "a/self"}));
}

TEST_CASE("PathSource.AFolderNamedTwiceIsWalkedTwice") {
  const TemporaryFolder folder;
  touch(folder / "f/a");
  PathSource source({folder / "f", folder / "f"});
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"f/a", "f/a"}));
}

TEST_CASE("PathSource.AVanishedFolderLosesNoOtherInput") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1", "a/2", "b/1"}) touch(folder / name);
  PathSource source({folder / "a", folder / "b", folder / "gone"});
  CHECK(source.next()->path.filename() == "1");
  fs::remove_all(folder / "a");
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"a/2", "b/1", "gone"}));
}

TEST_CASE("PathSource.ReportsAFolderThatCannotBeRead") {
  if (geteuid() == 0) SKIP("root may read every folder");
  const TemporaryFolder folder;
  touch(folder / "a/1");
  touch(folder / "b/1");
  fs::permissions(folder / "a", fs::perms::none);
  PathSource source({folder.path()});
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"a!", "b/1"}));
  fs::permissions(folder / "a", fs::perms::owner_all);
}

TEST_CASE("PathSource.ReadsAListOfFilesAndFolders") {
  const TemporaryFolder folder;
  touch(folder / "f/a");
  Pipe pipe;
  pipe.write((folder / "one").string() + "\n\n" + (folder / "f").string() + "\n" + (folder / "last").string());
  pipe.close_writer();
  PathSource source({folder / "zero", "-", folder / "end"}, pipe.ends[0]);
  CHECK(paths_of(source, folder.path()) == (std::vector<std::string>{"zero", "one", "f/a", "last", "end"}));
}

TEST_CASE("PathSource.RefusesWhatIsNoList") {
  Pipe pipe;
  pipe.write(std::string(30000, 'x'));
  std::thread writer([&] {
    for (int i = 0; i < 3; ++i) pipe.write(std::string(30000, 'x'));
    pipe.close_writer();
  });
  PathSource source({"-", "after"}, pipe.ends[0]);
  const auto input = source.next();
  CHECK_MESSAGE(input->error.find("too long") != std::string::npos, input->error);
  CHECK(source.next()->path == "after");
  char rest[4096];
  while (read(pipe.ends[0], rest, sizeof rest) > 0) {
  }
  writer.join();
}

TEST_CASE("PathSource.CancelEndsAWaitingList") {
  Pipe pipe;
  PathSource source({"-"}, pipe.ends[0]);
  bool ended = false;
  std::thread reader([&] { ended = !source.next().has_value(); });
  while (!source.starved()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  source.cancel();
  reader.join();
  CHECK(ended);
}

TEST_CASE("PathSource.CancelEndsAWalk") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1", "a/2"}) touch(folder / name);
  PathSource source({folder.path(), folder / "a"});
  CHECK(source.next().has_value());
  source.cancel();
  CHECK_FALSE(source.next().has_value());
}

TEST_CASE("CountPaths.CountsWhatTheSourceWouldGive") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1", "a/2", "b/1"}) touch(folder / name);
  CHECK(count_paths({folder.path(), folder / "a/1"}) == 4u);
  CHECK(count_paths({folder.path(), "-"}) == std::nullopt);
}

}  // namespace
}  // namespace lfm::test
