#include "src/data/dataset.h"

#include "lfm/error.h"
#include "src/model/label.h"
#include "tests/catch.h"
#include "tests/data/image_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using test::ImageFolder;

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
    CHECK(error.code() == ErrorCode::input);
    return error.what();
  }
  return "nothing was thrown";
}

TEST_CASE("Dataset.FindsLabelledFoldersAtAnyDepthSortedByPath") {
  ImageFolder folder;
  for (const char* file : {"car/1_fake/b.png", "car/0_real/a.JPG", "cat/deep/1_fake/sub/z.webp", "0_real/y.jpeg"}) {
    folder.write(file, "");
  }
  folder.write("1_fake/x", "\xff\xd8\xff");  // told by its content
  for (const char* file : {"car/0_real/.hidden.png", "car/0_real/.trash/d.png", "car/0_real/__MACOSX/e.png",
                           "__MACOSX/0_real/f.png", "car/other/c.png", "d.png"}) {
    folder.write(file, "");
  }
  folder.write("car/0_real/notes.txt", "BM, the notes of many pictures");
  const Dataset dataset = scan_dataset({folder.path()});
  CHECK_THAT(relative_paths(dataset, folder.path()),
             test::ElementsAre("R 0_real/y.jpeg", "F 1_fake/x", "R car/0_real/a.JPG", "F car/1_fake/b.png",
                               "F cat/deep/1_fake/sub/z.webp"));
  CHECK_THAT(dataset.groups, test::ElementsAre(folder.path().filename().string(), "car", "cat/deep"));
  CHECK(dataset.groups[dataset.samples[4].group] == "cat/deep");
  CHECK(dataset.reals == 2u);
  CHECK(dataset.fakes == 3u);
  REQUIRE(dataset.roots.size() == 1u);
  CHECK(dataset.roots[0].ignored == 1u);
}

TEST_CASE("Dataset.CountsPicturesByContentAndThoseThatAreNotRead") {
  ImageFolder folder;
  folder.write_image("0_real/a.jpg_large", 3, 3, 1);
  folder.write_image("0_real/b.png?w=300", 3, 3, 2);
  folder.write_image("1_fake/DALL-E 2023 12.30.45 - a cat", 3, 3, 3);
  folder.write("1_fake/raw.unknown", std::string_view("II*\0\x08\0\0\0", 8));
  folder.write("1_fake/page.php", "<!DOCTYPE html>");
  folder.write("1_fake/empty.png", "");
  const Dataset dataset = scan_dataset({folder.path()});
  CHECK(dataset.reals == 2u);
  CHECK(dataset.fakes == 3u);
  CHECK(dataset.roots[0].ignored == 1u);
}

TEST_CASE("Dataset.KeepsRootsInTheGivenOrderAndCountsAnImageOnce") {
  ImageFolder first, second;
  first.write("z/0_real/1.png", "");
  first.write("z/1_fake/1.png", "");
  second.write("a/0_real/2.png", "");
  const Dataset dataset = scan_dataset({first.path(), second.path(), first.path() / "z"});
  REQUIRE(dataset.samples.size() == 3u);
  CHECK(dataset.samples[2].path == second.path() / "a/0_real/2.png");
  CHECK(dataset.roots[2].reals == 0u);
}

TEST_CASE("Dataset.FingerprintFollowsNamesNotPlaces") {
  ImageFolder one, same, other;
  one.write("a/0_real/1.png", "");
  same.write("a/0_real/1.png", "other bytes");
  other.write("a/1_fake/1.png", "");
  CHECK(scan_dataset({one.path()}).fingerprint == scan_dataset({same.path()}).fingerprint);
  CHECK(scan_dataset({one.path()}).fingerprint != scan_dataset({other.path()}).fingerprint);
}

TEST_CASE("Dataset.FiltersClasses") {
  ImageFolder folder;
  for (const char* name : {"car", "cat", "set/horse"}) {
    folder.write(std::string(name) + "/0_real/1.png", "");
    folder.write(std::string(name) + "/1_fake/1.png", "");
  }
  const Dataset dataset = scan_dataset({folder.path()}, {"horse", "car"});
  CHECK_THAT(dataset.groups, test::ElementsAre("car", "set/horse"));
  CHECK(dataset.samples.size() == 4u);
  const std::string message = message_of([&] { scan_dataset({folder.path()}, {"car", "dog"}); });
  CHECK_THAT(message, ContainsSubstring("'dog'"));
  CHECK_THAT(message, ContainsSubstring("car cat horse set"));
}

TEST_CASE("Dataset.FollowsLinksButNotInCircles") {
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
  CHECK_THAT(relative_paths(dataset, folder.path()),
             test::ElementsAre("R a/0_real/1.png", "F a/1_fake/1.png", "R b/0_real/1.png"));
  CHECK(dataset.roots[0].ignored == 1u);
}

TEST_CASE("Dataset.NamesTheRootThatIsMissingOrEmpty") {
  ImageFolder folder;
  folder.write("photos/1.png", "");
  folder.write("0_real/readme.txt", "");
  CHECK_THAT(message_of([&] { scan_dataset({folder.path() / "none"}); }),
             ContainsSubstring((folder.path() / "none").string()));
  const std::string message = message_of([&] { scan_dataset({folder.path()}); });
  CHECK_THAT(message, ContainsSubstring(folder.path().string()));
  CHECK_THAT(message, ContainsSubstring("1 other files"));
}

TEST_CASE("Dataset.TakesPicturesWithoutALabelWhereAsked") {
  ImageFolder folder;
  for (const char* file : {"car/0_real/a.jpg", "car/1_fake/b.png", "car/c.webp", "web/d.png", "e.png"})
    folder.write(file, "");
  for (const char* file : {"car/notes.txt", "web/no_extension", ".hidden/f.png"}) folder.write(file, "");
  CHECK(scan_dataset({folder.path()}).samples.size() == 2u);
  const Dataset dataset = scan_dataset({folder.path()}, {}, Unlabelled::take);
  CHECK_THAT(relative_paths(dataset, folder.path()),
             test::ElementsAre("R car/0_real/a.jpg", "F car/1_fake/b.png", "U car/c.webp", "U e.png", "U web/d.png"));
  CHECK(dataset.reals == 1u);
  CHECK(dataset.fakes == 1u);
  CHECK(dataset.unlabelled == 3u);
  CHECK(dataset.roots[0].unlabelled == 3u);
  CHECK(scan_dataset({folder.path()}, {"web"}, Unlabelled::take).samples.size() == 1u);

  ImageFolder empty;
  empty.write("notes.txt", "");
  CHECK_THAT(message_of([&] { scan_dataset({empty.path()}, {}, Unlabelled::take); }),
             ContainsSubstring("no image in this folder"));
}

TEST_CASE("Dataset.OneSidedSetIsAnErrorThatTellsWhatWasFound") {
  ImageFolder reals, both;
  reals.write("a/0_real/1.png", "");
  reals.write("a/0_real/2.png", "");
  both.write("0_real/1.png", "");
  both.write("1_fake/1.png", "");
  CHECK_NOTHROW(require_both_labels(scan_dataset({reals.path(), both.path()})));
  const std::string message = message_of([&] { require_both_labels(scan_dataset({reals.path()})); });
  CHECK_THAT(message, ContainsSubstring("no fakes: " + reals.path().string() + ": 2 reals, 0 fakes"));
}

}  // namespace
}  // namespace lfm
