#include "src/io/file_name.h"

#include <string>

#include "tests/catch.h"

namespace lfm {
namespace {

std::string times(std::size_t n, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

TEST_CASE("FileName.IsCutBetweenCharacters") {
  CHECK(shortened("photo", 5) == "photo");
  CHECK(shortened("photo", 3) == "pho");
  CHECK(shortened("a\xc3\xa9z", 2) == "a");
  CHECK(shortened("a\xf0\x9f\x98\x80", 4) == "a");
  CHECK(shortened("a\xf0\x9f\x98\x80z", 5) == "a\xf0\x9f\x98\x80");
  CHECK_MESSAGE(shortened(std::string(300, '\x80'), 10).size() == 10u, "no UTF-8 at all");
  CHECK(shortened("x", 0) == "");
}

TEST_CASE("FileName.FitsAndStaysItsOwn") {
  CHECK(fitting_name("photo", ".sheet.png", 255) == "photo.sheet.png");
  CHECK_MESSAGE(fitting_name(std::string(245, 'x'), ".sheet.png", 255).size() == 255u, "it fits as it is");
  const std::string long_stem = times(120, "\xc3\xa9");  // 240 bytes
  const std::string first = fitting_name(long_stem + "a", ".contributions.png", 255),
                    second = fitting_name(long_stem + "b", ".contributions.png", 255);
  CHECK_MESSAGE(first != second, "they differ only where they are cut");
  CHECK_MESSAGE(first == fitting_name(long_stem + "a", ".contributions.png", 255), "another time it is the same");
  for (const std::string& name : {first, second}) {
    CHECK(name.size() <= 255u);
    CHECK(name.size() > 240u);
    CHECK_THAT(name, StartsWith("\xc3\xa9\xc3\xa9"));
    CHECK_THAT(name, EndsWith(".contributions.png"));
  }
}

TEST_CASE("FileName.TheLongestIsKnownOfAFolder") {
  CHECK(longest_name("/tmp") >= 100u);
  CHECK(longest_name("/no/such/folder") == 255u);
}

}  // namespace
}  // namespace lfm
