#include "src/io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>

#include "src/io/mapped_file.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using test::error_of;

std::string text_of(const fs::path& path) {
  const auto bytes = test::read_bytes(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::ptrdiff_t entries(const test::TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

TEST(AtomicFile, AppearsOnCommitOnly) {
  const test::TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write("one ");
  file.write("two");
  EXPECT_FALSE(fs::exists(folder / "a"));
  file.commit();
  EXPECT_EQ(text_of(folder / "a"), "one two");
  EXPECT_EQ(entries(folder), 1);
}

TEST(AtomicFile, WithoutCommitTheOldFileStays) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(entries(folder), 1);
}

TEST(AtomicFile, TwoWritersOfOneNameDoNotMix) {
  const test::TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  EXPECT_EQ(text_of(folder / "a"), "first");
  EXPECT_EQ(entries(folder), 1);
}

TEST(AtomicFile, KeepsPermissionsAndHonoursTheUmask) {
  const test::TemporaryFolder folder;
  const auto mode = [&] {
    struct stat status {};
    stat((folder / "a").c_str(), &status);
    return status.st_mode & 07777;
  };
  const mode_t old = umask(027);
  write_file_atomically(folder / "a", "x");
  umask(old);
  EXPECT_EQ(mode(), 0640u);
  chmod((folder / "a").c_str(), 0604);
  write_file_atomically(folder / "a", "y");
  EXPECT_EQ(mode(), 0604u);
}

TEST(AtomicFile, FollowsALinkAndKeepsIt) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "there");
  fs::create_symlink("there/target", folder / "link");
  for (const char* text : {"one", "two"}) {
    write_file_atomically(folder / "link", text);
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
    EXPECT_EQ(text_of(folder / "there/target"), text);
  }
}

TEST(AtomicFile, ReplacesALinkWhereTheNameIsAnInputs) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "precious", "old");
  fs::create_symlink(folder / "precious", folder / "link");
  fs::create_symlink("nowhere", folder / "broken");
  for (const char* name : {"link", "broken", "new"}) {
    write_file_atomically(folder / name, std::as_bytes(std::span("new", 3)), Links::replace);
    EXPECT_FALSE(fs::is_symlink(folder / name));
    EXPECT_EQ(text_of(folder / name), "new");
  }
  EXPECT_EQ(text_of(folder / "precious"), "old");
  EXPECT_FALSE(fs::exists(folder / "nowhere"));
}

TEST(AtomicFile, NeverReplacesWhatIsNoFile) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "d");
  mkfifo((folder / "pipe").c_str(), 0600);
  fs::create_symlink("ring", folder / "ring");
  for (const char* name : {"d", "pipe", "ring"}) {
    EXPECT_THAT(error_of(ErrorCode::output, [&] { write_file_atomically(folder / name, "x"); }),
                AllOf(HasSubstr(name), HasSubstr("not a file")));
  }
  EXPECT_THAT(error_of(ErrorCode::output, [&] { write_file_atomically("/dev/null", "x"); }), HasSubstr("not a file"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, ErrorsNameFileCauseAndRemedy) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(error_of(ErrorCode::output, [&] { write_file_atomically(folder / "no/a", "x"); }),
              AllOf(HasSubstr("no/a"), HasSubstr("No such file"), HasSubstr("create the folder")));
}

// A limit on file sizes stands in for a full disk: the write comes back short, then fails.
TEST(AtomicFile, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of(ErrorCode::output, [&] { write_file_atomically(folder / "a", std::string(20'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, AllOf(HasSubstr("can't be written"), HasSubstr("too large")));
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(entries(folder), 1);
}

TEST(AtomicFile, AFullDiskIsReported) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not here";
  const test::TemporaryFolder folder;
  AtomicFile file(folder / "a");
  const int full = open("/dev/full", O_WRONLY);
  // The descriptor the file was given, by its being the newest one before `full`.
  ASSERT_EQ(dup2(full, full - 1), full - 1);
  close(full);
  EXPECT_THAT(error_of(ErrorCode::output, [&] { file.write("x"); }), AllOf(HasSubstr("No space"), HasSubstr("free some space")));
}

TEST(MappedFile, MapsMovesAndFails) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", "abc");
  write_file_atomically(folder / "empty", "");
  MappedFile a(folder / "a", ErrorCode::model);
  const std::byte* address = a.bytes().data();
  MappedFile b = std::move(a);
  EXPECT_EQ(b.bytes().data(), address);
  EXPECT_EQ(b.bytes().size(), 3u);
  b = MappedFile(folder / "empty", ErrorCode::model);
  EXPECT_TRUE(b.bytes().empty());
  mkfifo((folder / "pipe").c_str(), 0600);
  EXPECT_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder / "none", ErrorCode::input); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder.path(), ErrorCode::input); }), HasSubstr("folder"));
  EXPECT_THAT(error_of(ErrorCode::input, [&] { MappedFile(folder / "pipe", ErrorCode::input); }), HasSubstr("pipe"));
}

TEST(AtomicFile, ANameAsLongAsNamesMayBeIsWritten) {
  const test::TemporaryFolder folder;
  const std::string name(255, 'x');
  write_file_atomically(folder / name, "text");
  EXPECT_EQ(text_of(folder / name), "text");
  EXPECT_THAT(error_of(ErrorCode::output, [&] { AtomicFile file(folder / (name + "x")); }), HasSubstr("shorter name"));
  EXPECT_EQ(entries(folder), 1);
}

}  // namespace
}  // namespace lfm
