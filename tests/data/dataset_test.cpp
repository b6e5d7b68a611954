#include "src/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lfm/error.h"
#include "src/model/label.h"
#include "tests/data/image_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using test::ImageFolder;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> relative_paths(const Dataset& dataset, const fs::path& root) {
  std::vector<std::string> paths;
  for (const Sample& sample : dataset.samples) {
    const char* mark = sample.label == kUnlabelled ? "U " : sample.label == kFake ? "F " : "R ";
    paths.push_back(mark + sample.path.lexically_relative(root).string());
  }
  return paths;
}

template <typename Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Dataset, FindsLabelledFoldersAtAnyDepthSortedByPath) {
  ImageFolder folder;
  for (const char* file :
       {"car/1_fake/b.png", "car/0_real/a.JPG", "cat/deep/1_fake/sub/z.webp", "0_real/y.jpeg"}) {
    folder.write(file, "");
  }
  folder.write("1_fake/x", "\xff\xd8\xff");  // told by its content
  for (const char* file : {"car/0_real/.hidden.png", "car/0_real/.trash/d.png", "car/0_real/__MACOSX/e.png",
                           "__MACOSX/0_real/f.png", "car/other/c.png", "d.png"}) {
    folder.write(file, "");
  }
  folder.write("car/0_real/notes.txt", "BM, the notes of many pictures");
  const Dataset dataset = scan_dataset({folder.path()});
  EXPECT_THAT(relative_paths(dataset, folder.path()),
              ElementsAre("R 0_real/y.jpeg", "F 1_fake/x", "R car/0_real/a.JPG", "F car/1_fake/b.png",
                          "F cat/deep/1_fake/sub/z.webp"));
  EXPECT_THAT(dataset.groups, ElementsAre(folder.path().filename().string(), "car", "cat/deep"));
  EXPECT_EQ(dataset.groups[dataset.samples[4].group], "cat/deep");
  EXPECT_EQ(dataset.reals, 2u);
  EXPECT_EQ(dataset.fakes, 3u);
  ASSERT_EQ(dataset.roots.size(), 1u);
  EXPECT_EQ(dataset.roots[0].ignored, 1u);
}

TEST(Dataset, CountsPicturesByContentAndThoseThatAreNotRead) {
  ImageFolder folder;
  folder.write_image("0_real/a.jpg_large", 3, 3, 1);
  folder.write_image("0_real/b.png?w=300", 3, 3, 2);
  folder.write_image("1_fake/DALL-E 2023 12.30.45 - a cat", 3, 3, 3);
  folder.write("1_fake/raw.unknown", std::string_view("II*\0\x08\0\0\0", 8));
  folder.write("1_fake/page.php", "<!DOCTYPE html>");
  folder.write("1_fake/empty.png", "");
  const Dataset dataset = scan_dataset({folder.path()});
  EXPECT_EQ(dataset.reals, 2u);
  EXPECT_EQ(dataset.fakes, 3u);
  EXPECT_EQ(dataset.roots[0].ignored, 1u);
}

TEST(Dataset, KeepsRootsInTheGivenOrderAndCountsAnImageOnce) {
  ImageFolder first, second;
  first.write("z/0_real/1.png", "");
  first.write("z/1_fake/1.png", "");
  second.write("a/0_real/2.png", "");
  const Dataset dataset = scan_dataset({first.path(), second.path(), first.path() / "z"});
  ASSERT_EQ(dataset.samples.size(), 3u);
  EXPECT_EQ(dataset.samples[2].path, second.path() / "a/0_real/2.png");
  EXPECT_EQ(dataset.roots[2].reals, 0u);
}

TEST(Dataset, FingerprintFollowsNamesNotPlaces) {
  ImageFolder one, same, other;
  one.write("a/0_real/1.png", "");
  same.write("a/0_real/1.png", "other bytes");
  other.write("a/1_fake/1.png", "");
  EXPECT_EQ(scan_dataset({one.path()}).fingerprint, scan_dataset({same.path()}).fingerprint);
  EXPECT_NE(scan_dataset({one.path()}).fingerprint, scan_dataset({other.path()}).fingerprint);
}

TEST(Dataset, FiltersClasses) {
  ImageFolder folder;
  for (const char* name : {"car", "cat", "set/horse"}) {
    folder.write(std::string(name) + "/0_real/1.png", "");
    folder.write(std::string(name) + "/1_fake/1.png", "");
  }
  const Dataset dataset = scan_dataset({folder.path()}, {"horse", "car"});
  EXPECT_THAT(dataset.groups, ElementsAre("car", "set/horse"));
  EXPECT_EQ(dataset.samples.size(), 4u);
  const std::string message = message_of([&] { scan_dataset({folder.path()}, {"car", "dog"}); });
  EXPECT_THAT(message, HasSubstr("'dog'"));
  EXPECT_THAT(message, HasSubstr("car cat horse set"));
}

TEST(Dataset, FollowsLinksButNotInCircles) {
  ImageFolder folder, elsewhere;
  elsewhere.write("1.png", "");
  folder.write("a/1_fake/1.png", "");
  fs::create_directory_symlink(elsewhere.path(), folder.path() / "a/0_real");
  fs::create_directories(folder.path() / "b");
  fs::create_directory_symlink(elsewhere.path(),
                               folder.path() / "b/0_real");  // shared by two groups: counts in both
  fs::create_directory_symlink(folder.path(), folder.path() / "a/loop");
  fs::create_directory_symlink(folder.path() / "nowhere", folder.path() / "a/broken");
  fs::create_symlink(folder.path() / "nowhere.png", folder.path() / "a/1_fake/broken.png");
  const Dataset dataset = scan_dataset({folder.path()});
  EXPECT_THAT(relative_paths(dataset, folder.path()),
              ElementsAre("R a/0_real/1.png", "F a/1_fake/1.png", "R b/0_real/1.png"));
  EXPECT_EQ(dataset.roots[0].ignored, 1u);
}

TEST(Dataset, NamesTheRootThatIsMissingOrEmpty) {
  ImageFolder folder;
  folder.write("photos/1.png", "");
  folder.write("0_real/readme.txt", "");
  EXPECT_THAT(message_of([&] { scan_dataset({folder.path() / "none"}); }),
              HasSubstr((folder.path() / "none").string()));
  const std::string message = message_of([&] { scan_dataset({folder.path()}); });
  EXPECT_THAT(message, HasSubstr(folder.path().string()));
  EXPECT_THAT(message, HasSubstr("1 other files"));
}

TEST(Dataset, TakesPicturesWithoutALabelWhereAsked) {
  ImageFolder folder;
  for (const char* file : {"car/0_real/a.jpg", "car/1_fake/b.png", "car/c.webp", "web/d.png", "e.png"}) folder.write(file, "");
  for (const char* file : {"car/notes.txt", "web/no_extension", ".hidden/f.png"}) folder.write(file, "");
  EXPECT_EQ(scan_dataset({folder.path()}).samples.size(), 2u);
  const Dataset dataset = scan_dataset({folder.path()}, {}, Unlabelled::take);
  EXPECT_THAT(relative_paths(dataset, folder.path()),
              ElementsAre("R car/0_real/a.jpg", "F car/1_fake/b.png", "U car/c.webp", "U e.png", "U web/d.png"));
  EXPECT_EQ(dataset.reals, 1u);
  EXPECT_EQ(dataset.fakes, 1u);
  EXPECT_EQ(dataset.unlabelled, 3u);
  EXPECT_EQ(dataset.roots[0].unlabelled, 3u);
  EXPECT_EQ(scan_dataset({folder.path()}, {"web"}, Unlabelled::take).samples.size(), 1u);

  ImageFolder empty;
  empty.write("notes.txt", "");
  EXPECT_THAT(message_of([&] { scan_dataset({empty.path()}, {}, Unlabelled::take); }), HasSubstr("no image in this folder"));
}

TEST(Dataset, OneSidedSetIsAnErrorThatTellsWhatWasFound) {
  ImageFolder reals, both;
  reals.write("a/0_real/1.png", "");
  reals.write("a/0_real/2.png", "");
  both.write("0_real/1.png", "");
  both.write("1_fake/1.png", "");
  EXPECT_NO_THROW(require_both_labels(scan_dataset({reals.path(), both.path()})));
  const std::string message = message_of([&] { require_both_labels(scan_dataset({reals.path()})); });
  EXPECT_THAT(message, HasSubstr("no fakes: " + reals.path().string() + ": 2 reals, 0 fakes"));
}

}  // namespace
}  // namespace lfm
