#include "src/io/file_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lfm {
namespace {

std::string times(std::size_t n, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

TEST(FileName, IsCutBetweenCharacters) {
  EXPECT_EQ(shortened("photo", 5), "photo");
  EXPECT_EQ(shortened("photo", 3), "pho");
  EXPECT_EQ(shortened("a\xc3\xa9z", 2), "a");
  EXPECT_EQ(shortened("a\xf0\x9f\x98\x80", 4), "a");
  EXPECT_EQ(shortened("a\xf0\x9f\x98\x80z", 5), "a\xf0\x9f\x98\x80");
  EXPECT_EQ(shortened(std::string(300, '\x80'), 10).size(), 10u) << "no UTF-8 at all";
  EXPECT_EQ(shortened("x", 0), "");
}

TEST(FileName, FitsAndStaysItsOwn) {
  EXPECT_EQ(fitting_name("photo", ".sheet.png", 255), "photo.sheet.png");
  EXPECT_EQ(fitting_name(std::string(245, 'x'), ".sheet.png", 255).size(), 255u) << "it fits as it is";
  const std::string long_stem = times(120, "\xc3\xa9");  // 240 bytes
  const std::string first = fitting_name(long_stem + "a", ".contributions.png", 255), second = fitting_name(long_stem + "b", ".contributions.png", 255);
  EXPECT_NE(first, second) << "they differ only where they are cut";
  EXPECT_EQ(first, fitting_name(long_stem + "a", ".contributions.png", 255)) << "another time it is the same";
  for (const std::string& name : {first, second}) {
    EXPECT_LE(name.size(), 255u);
    EXPECT_GT(name.size(), 240u);
    EXPECT_THAT(name, testing::StartsWith("\xc3\xa9\xc3\xa9"));
    EXPECT_THAT(name, testing::EndsWith(".contributions.png"));
  }
}

TEST(FileName, TheLongestIsKnownOfAFolder) {
  EXPECT_GE(longest_name("/tmp"), 100u);
  EXPECT_EQ(longest_name("/no/such/folder"), 255u);
}

}  // namespace
}  // namespace lfm
