#include "src/data/hygiene.h"

#include <filesystem>

#include "lfm/error.h"
#include "src/data/picture_header.h"
#include "tests/catch.h"
#include "tests/data/image_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using test::ImageFolder;

using namespace std::string_literals;

std::string big16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string big32(unsigned v) { return big16(v >> 16) + big16(v); }
std::string little16(unsigned v) { return {static_cast<char>(v), static_cast<char>(v >> 8)}; }

/// Heads of files, with a tail that makes each another file.
std::string jpeg(unsigned width, unsigned height, const std::string& tail = "") {
  return "\xFF\xD8\xFF\xE0\0\x06"
         "JFIF"s +
         "\xFF\xC0\0\x11\x08"s + big16(height) + big16(width) + "\x03"s + std::string(12, '\0') + tail;
}
std::string png(unsigned width, unsigned height, const std::string& tail = "") {
  return "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s + big32(width) + big32(height) + "\x08\x02\0\0\0"s + tail;
}

struct Expected {
  std::string format;
  std::uint32_t width, height;
};
void expect_header(const std::string& bytes, const Expected& expected) {
  const PictureHeader header = picture_header(std::as_bytes(std::span(bytes)));
  CHECK(header.format == expected.format);
  CHECK_MESSAGE(header.width == expected.width, expected.format);
  CHECK_MESSAGE(header.height == expected.height, expected.format);
}

TEST_CASE("PictureHeader.TellsFormatAndSizeFromTheFirstBytes") {
  expect_header(jpeg(640, 480), {"JPEG", 640, 480});
  expect_header(png(70000, 3), {"PNG", 70000, 3});
  expect_header("GIF89a" + little16(300) + little16(200), {"GIF", 300, 200});
  expect_header("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xFF\x03\0\x0F\0\0"s, {"WebP", 1024, 16});
  expect_header("RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xF0\0"s, {"WebP", 320, 240});
  expect_header("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x3F\xC1\x3B\0"s, {"WebP", 320, 240});
  expect_header("P6 # a comment\n 12\n34\n255\n", {"PNM", 12, 34});
  expect_header("BM"s + std::string(12, '\0') + "\x28\0\0\0\x05\0\0\0\xFD\xFF\xFF\xFF"s, {"BMP", 5, 3});
  expect_header("no picture", {"other", 0, 0});
  expect_header("", {"other", 0, 0});
  for (const std::string& whole : {jpeg(640, 480), png(7, 3), "P6 1"s}) {
    for (std::size_t size = 0; size < whole.size(); ++size) picture_header(std::as_bytes(std::span(whole).first(size)));
  }
}

TEST_CASE("PictureHeader.TellsTheSizesOfFormatsThatLibrariesRead") {
  const std::filesystem::path folder = std::filesystem::path(test::kTestFixtures) / "images/libraries";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() == ".py" || entry.path().extension() == ".json") continue;
    INFO(name);
    const auto header = read_picture_header(entry.path());
    REQUIRE(header.has_value());
    using Sides = std::pair<std::uint32_t, std::uint32_t>;
    const Sides sides = name.starts_with("camera.") ? Sides(0, 0)  // of a raw file the preview is read
                        : name == "preview.jpg"     ? Sides(64, 48)
                        : name == "pages.tif"       ? Sides(64, 52)
                                                    : Sides(61, 43);
    CHECK(header->width == sides.first);
    CHECK(header->height == sides.second);
  }
  expect_header("\xFF\x0A\x7F\0"s, {"JPEG XL", 256, 256});  // in eighths, and a square
  expect_header("MM\0*\0\0\0\x08\0\2\1\0\0\3\0\0\0\1\1\x2C\0\0\1\1\0\4\0\0\0\1\0\0\0\xC8"s, {"TIFF", 300, 200});
}

class Hygiene {
 protected:
  void add(const std::string& name, std::uint8_t label, const std::string& bytes) {
    folder_.write(name, bytes);
    pictures_.push_back({folder_.path() / name, label});
  }
  std::vector<std::string> warnings(DataUse use = DataUse::training) const { return data_warnings(pictures_, use); }
  ImageFolder folder_;
  std::vector<LabelledPicture> pictures_;
};

TEST_CASE_METHOD(Hygiene, "Hygiene.SoundDataIsNotWarnedOf") {
  for (unsigned i = 0; i < 40; ++i) {
    const std::string tail = std::to_string(i);
    add("r" + tail, 0, i % 2 ? jpeg(640, 480, tail) : png(200 + i, 200, tail));
    add("f" + tail, 1, i % 2 ? jpeg(640, 480, tail + "f") : png(201 + i, 200, tail + "f"));
  }
  CHECK_THAT(warnings(), test::ElementsAre());
}

TEST_CASE_METHOD(Hygiene, "Hygiene.ClassesToldByTheFormat") {
  for (unsigned i = 0; i < 10; ++i) {
    const std::string tail = std::to_string(i);
    add("r" + tail + ".png", 0, i == 0 ? png(64, 64, tail) : jpeg(64, 64, tail));  // the content decides, not the name
    add("f" + tail + ".png", 1, png(64, 64, tail + "f"));
  }
  CHECK_THAT(warnings(), test::ElementsAre(ContainsSubstring("file format alone") && ContainsSubstring("95 %") &&
                                           ContainsSubstring("reals: 90 % JPEG, 10 % PNG") &&
                                           ContainsSubstring("fakes: 100 % PNG") && ContainsSubstring("--jpeg")));
  CHECK_THAT(warnings(DataUse::evaluation), test::ElementsAre(ContainsSubstring("--perturb jpeg:90")));
}

TEST_CASE_METHOD(Hygiene, "Hygiene.ClassesToldByTheSize") {
  for (unsigned i = 0; i < 10; ++i) {
    const std::string tail = std::to_string(i);
    add("r" + tail, 0, png(500 + 7 * i, 333, tail));  // each of its own size
    add("f" + tail, 1, png(1024, 1024, tail));
  }
  CHECK_THAT(warnings(), test::ElementsAre(ContainsSubstring("size alone") && ContainsSubstring("100 %") &&
                                           ContainsSubstring("fakes: 100 % 1024x1024")));
}

TEST_CASE_METHOD(Hygiene, "Hygiene.ClassesToldByMoreOrLessPixels") {
  for (unsigned i = 0; i < 30; ++i) {
    const std::string tail = std::to_string(i);
    add("r" + tail, 0, png(1500 + 7 * i, 1000, tail));
    add("f" + tail, 1, png(400 + 7 * i, 400, tail));
  }
  CHECK_THAT(warnings(), test::ElementsAre(ContainsSubstring("size alone") && ContainsSubstring("100 %")));
}

TEST_CASE_METHOD(Hygiene, "Hygiene.OnePictureInBothClasses") {
  const std::string body(10000, 'x');
  add("real/a.png", 0, png(8, 8, body + "1"));
  add("real/b.png", 0, png(8, 8, body + "2"));
  add("fake/c.png", 1, png(8, 8, body + "2"));
  add("fake/d.png", 1, png(8, 8, body + "3"));  // of the same length and beginning
  CHECK_THAT(warnings(), test::ElementsAre(ContainsSubstring("1 picture is in both classes") &&
                                           ContainsSubstring("b.png") && ContainsSubstring("c.png")));
  pictures_.push_back({folder_.path() / "gone.png", 0});
  CHECK(warnings().size() == 1u);
}

TEST_CASE_METHOD(Hygiene, "Hygiene.PicturesHeldOutThatAreTrainedOn") {
  add("train/a.png", 0, png(8, 8, "1"));
  add("train/b.png", 1, png(8, 8, "2"));
  const std::vector<LabelledPicture> training = pictures_;
  CHECK_THAT(overlap_warnings(training, {}), test::ElementsAre());
  add("val/other-name.png", 1, png(8, 8, "2"));
  add("val/c.png", 0, png(8, 8, "3"));
  const std::vector<LabelledPicture> held_out(pictures_.begin() + 2, pictures_.end());
  CHECK_THAT(overlap_warnings(training, held_out),
             test::ElementsAre(ContainsSubstring("1 of the 2 pictures of --val is in --data") &&
                               ContainsSubstring("b.png") && ContainsSubstring("other-name.png")));
}

std::string hint_of(const ImageFolder& folder) { return layout_hint(scan_dataset({folder.path()}).roots[0].layout); }

TEST_CASE("DataLayout.MistakesAreToldWithWhatIsExpected") {
  ImageFolder sound, alike, stray, nested, splits;
  for (const ImageFolder* folder : {&sound, &alike, &stray, &nested}) {
    folder->write("deepfake/0_real/1.png", "");
    folder->write("deepfake/1_fake/1.png", "");
  }
  CHECK(hint_of(sound) == "");
  alike.write("car/Real/1.png", "");
  alike.write("car/1-fake/1.png", "");
  CHECK_THAT(hint_of(alike), ContainsSubstring("car/1-fake, car/Real, which are left out") &&
                                 ContainsSubstring("0_real") && ContainsSubstring("1_fake"));
  stray.write("car/1.png", "");
  stray.write("2.jpg", "");
  CHECK_THAT(hint_of(stray), ContainsSubstring("2 pictures outside") && ContainsSubstring("2.jpg"));
  nested.write("deepfake/0_real/1_fake/1.png", "");
  CHECK_THAT(hint_of(nested), ContainsSubstring("deepfake/0_real/1_fake") && ContainsSubstring("side by side"));
  for (const char* file : {"train/0_real/1.png", "train/1_fake/1.png", "val/0_real/1.png", "val/1_fake/1.png"})
    splits.write(file, "");
  CHECK_THAT(hint_of(splits), ContainsSubstring("train, val, all of which are used together"));
  CHECK_THAT(layout_warnings(scan_dataset({splits.path(), sound.path()}).roots),
             test::ElementsAre(ContainsSubstring(splits.path().string() + ": holds")));
}

TEST_CASE("DataLayout.ErrorsTellOfFoldersNamedOtherwise") {
  ImageFolder named, one;
  named.write("real/1.png", "");
  named.write("0_Fake/1.png", "");
  const auto message = [](const ImageFolder& folder) {
    try {
      require_both_labels(scan_dataset({folder.path()}));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return ""s;
  };
  CHECK_THAT(message(named), ContainsSubstring("expected") &&
                                 ContainsSubstring("it holds pictures in 0_Fake, real, which are left out: rename"));
  one.write("0_real/1.png", "");
  one.write("fakes/1.png", "");
  CHECK_THAT(message(one), ContainsSubstring("no fakes") && ContainsSubstring("holds pictures in fakes"));
}

}  // namespace
}  // namespace lfm
