#include "src/io/atomic_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>

#include "src/io/mapped_file.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using test::error_of;

std::string text_of(const fs::path& path) {
  const auto bytes = test::read_bytes(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::ptrdiff_t entries(const test::TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

TEST_CASE("AtomicFile.AppearsOnCommitOnly") {
  const test::TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write("one ");
  file.write("two");
  CHECK_FALSE(fs::exists(folder / "a"));
  file.commit();
  CHECK(text_of(folder / "a") == "one two");
  CHECK(entries(folder) == 1);
}

TEST_CASE("AtomicFile.WithoutCommitTheOldFileStays") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  CHECK(text_of(folder / "a") == "old");
  CHECK(entries(folder) == 1);
}

TEST_CASE("AtomicFile.TwoWritersOfOneNameDoNotMix") {
  const test::TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  CHECK(text_of(folder / "a") == "first");
  CHECK(entries(folder) == 1);
}

TEST_CASE("AtomicFile.KeepsPermissionsAndHonoursTheUmask") {
  const test::TemporaryFolder folder;
  const auto mode = [&] {
    struct stat status {};
    stat((folder / "a").c_str(), &status);
    return status.st_mode & 07777;
  };
  const mode_t old = umask(027);
  write_file_atomically(folder / "a", "x");
  umask(old);
  CHECK(mode() == 0640u);
  chmod((folder / "a").c_str(), 0604);
  write_file_atomically(folder / "a", "y");
  CHECK(mode() == 0604u);
}

TEST_CASE("AtomicFile.FollowsALinkAndKeepsIt") {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "there");
  fs::create_symlink("there/target", folder / "link");
  for (const char* text : {"one", "two"}) {
    write_file_atomically(folder / "link", text);
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(text_of(folder / "there/target") == text);
  }
}

TEST_CASE("AtomicFile.ReplacesALinkWhereTheNameIsAnInputs") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "precious", "old");
  fs::create_symlink(folder / "precious", folder / "link");
  fs::create_symlink("nowhere", folder / "broken");
  for (const char* name : {"link", "broken", "new"}) {
    write_file_atomically(folder / name, std::as_bytes(std::span("new", 3)), Links::replace);
    CHECK_FALSE(fs::is_symlink(folder / name));
    CHECK(text_of(folder / name) == "new");
  }
  CHECK(text_of(folder / "precious") == "old");
  CHECK_FALSE(fs::exists(folder / "nowhere"));
}

TEST_CASE("AtomicFile.NeverReplacesWhatIsNoFile") {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "d");
  mkfifo((folder / "pipe").c_str(), 0600);
  fs::create_symlink("ring", folder / "ring");
  for (const char* name : {"d", "pipe", "ring"}) {
    CHECK_THAT(error_of(ErrorCode::output, [&] { write_file_atomically(folder / name, "x"); }),
               ContainsSubstring(name) && ContainsSubstring("not a file"));
  }
  CHECK_THAT(error_of(ErrorCode::output, [&] { write_file_atomically("/dev/null", "x"); }),
             ContainsSubstring("not a file"));
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("AtomicFile.ErrorsNameFileCauseAndRemedy") {
  const test::TemporaryFolder folder;
  CHECK_THAT(error_of(ErrorCode::output, [&] { write_file_atomically(folder / "no/a", "x"); }),
             ContainsSubstring("no/a") && ContainsSubstring("No such file") && ContainsSubstring("create the folder"));
}

// A limit on file sizes stands in for a full disk: the write comes back short, then fails.
TEST_CASE("AtomicFile.AFailedWriteLeavesTheOldFileAndNoTemporary") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message =
      error_of(ErrorCode::output, [&] { write_file_atomically(folder / "a", std::string(20'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(message, ContainsSubstring("can't be written") && ContainsSubstring("too large"));
  CHECK(text_of(folder / "a") == "old");
  CHECK(entries(folder) == 1);
}

TEST_CASE("AtomicFile.AFullDiskIsReported") {
  if (!fs::exists("/dev/full")) SKIP("/dev/full is not here");
  const test::TemporaryFolder folder;
  AtomicFile file(folder / "a");
  const int full = open("/dev/full", O_WRONLY);
  // The descriptor the file was given, by its being the newest one before `full`.
  REQUIRE(dup2(full, full - 1) == full - 1);
  close(full);
  CHECK_THAT(error_of(ErrorCode::output, [&] { file.write("x"); }),
             ContainsSubstring("No space") && ContainsSubstring("free some space"));
}

TEST_CASE("MappedFile.MapsMovesAndFails") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "abc");
  write_file_atomically(folder / "empty", "");
  MappedFile a(folder / "a", ErrorCode::model);
  const std::byte* address = a.bytes().data();
  MappedFile b = std::move(a);
  CHECK(b.bytes().data() == address);
  CHECK(b.bytes().size() == 3u);
  b = MappedFile(folder / "empty", ErrorCode::model);
  CHECK(b.bytes().empty());
  mkfifo((folder / "pipe").c_str(), 0600);
  CHECK_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder / "none", ErrorCode::input); }),
             ContainsSubstring("No such file"));
  CHECK_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder.path(), ErrorCode::input); }),
             ContainsSubstring("folder"));
  CHECK_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder / "pipe", ErrorCode::input); }),
             ContainsSubstring("pipe"));
}

TEST_CASE("AtomicFile.ANameAsLongAsNamesMayBeIsWritten") {
  const test::TemporaryFolder folder;
  const std::string name(255, 'x');
  write_file_atomically(folder / name, "text");
  CHECK(text_of(folder / name) == "text");
  CHECK_THAT(error_of(ErrorCode::output, [&] { AtomicFile file(folder / (name + "x")); }),
             ContainsSubstring("shorter name"));
  CHECK(entries(folder) == 1);
}

}  // namespace
}  // namespace lfm
