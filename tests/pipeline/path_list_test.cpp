// Lists of paths as people's tools write them, and what is given for one by mistake.
#include "src/pipeline/path_list.h"

#include <unistd.h>

#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lfm/error.h"
#include "src/image/encode.h"
#include "tests/catch.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

using namespace std::string_view_literals;

using Strings = std::vector<std::string>;

/// What a list of these bytes gives, in pieces of so many; an entry that can't be a path has a '!', and what ends the
/// list stands last.
Strings entries_of(std::string_view bytes, ListSeparator separator = ListSeparator::line, std::size_t piece = 1 << 20) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  std::thread writer([&] {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const std::string_view part = bytes.substr(at, piece);
      if (write(ends[1], part.data(), part.size()) != static_cast<ssize_t>(part.size())) break;
    }
    close(ends[1]);
  });
  PathList list(ends[0], separator);
  Strings entries;
  try {
    while (const auto entry = list.next()) entries.push_back(entry->path + (entry->error.empty() ? "" : "!"));
  } catch (const Error& error) {
    entries.push_back(error.what());
    CHECK_MESSAGE(!list.next().has_value(), "told once");
  }
  char rest[4096];
  while (read(ends[0], rest, sizeof rest) > 0) {
  }
  writer.join();
  close(ends[0]);
  return entries;
}

std::string utf16(std::string_view ascii, bool big_endian, bool mark) {
  std::string text = mark ? (big_endian ? "\xfe\xff" : "\xff\xfe") : "";
  for (const char c : ascii) (text += big_endian ? '\0' : c) += big_endian ? c : '\0';
  return text;
}

TEST_CASE("PathList.LinesEndAsOnUnixWindowsAndOldMacs") {
  for (const std::string_view list :
       {"/n/a.png\n/n/b.png\n"sv, "/n/a.png\n/n/b.png"sv, "/n/a.png\r\n/n/b.png\r\n"sv, "/n/a.png\r/n/b.png\r"sv,
        "\n\r\n/n/a.png\n \t\r\n\n/n/b.png\n\n"sv, "\xef\xbb\xbf/n/a.png\r\n/n/b.png"sv,
        "  /n/a.png \n/n/b.png\t\r\n"sv, "/n/a.png\n\xef\xbb\xbf/n/b.png\n"sv}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
      if (piece == 1 && list.find('\n') == list.npos) continue;  // a CR that came alone may be followed by anything
      CHECK_THAT_MESSAGE(entries_of(list, ListSeparator::line, piece), test::ElementsAre("/n/a.png", "/n/b.png"),
                         test::printed(list));
    }
  }
}

TEST_CASE("PathList.ANameThatExistsIsTakenAsItStands") {
  const TemporaryFolder folder;
  for (const char* name : {" a.png ", "b.png\r", "c.png"}) {
    const std::string path = (folder / name).string();
    std::ofstream(path) << 'x';
    CHECK_THAT(entries_of(path + "\n"), test::ElementsAre(path));
  }
  const std::string plain = (folder / "c.png").string();
  CHECK_THAT(entries_of(plain + "  \r\n"), test::ElementsAre(plain));
}

TEST_CASE("PathList.NullSeparatedNamesMayHoldAnything") {
  CHECK_THAT(entries_of("/n/a\nb.png\0 c.png\r\0\xef\xbb\xbf\x64\0\0e"sv, ListSeparator::nul),
             test::ElementsAre("/n/a\nb.png", " c.png\r", "\xef\xbb\xbf\x64", "e"));
  CHECK_THAT(entries_of("a\0b\0c\0d\0e\0f\0"sv, ListSeparator::nul), test::ElementsAre("a", "b", "c", "d", "e", "f"));
  CHECK_THAT(entries_of("/n/only"sv, ListSeparator::nul), test::ElementsAre("/n/only"));
}

TEST_CASE("PathList.TheOtherSeparatorIsToldOnce") {
  for (const std::string_view list :
       {"/n/a.png\0/n/b.png\0"sv, "/n/a.png\0"sv, "/n/a.png\0/n/b.png"sv, "/n/a\nb\0/n/c\0"sv}) {
    CHECK_THAT_MESSAGE(entries_of(list).back(), ContainsSubstring("--null"), test::printed(list));
    CHECK(entries_of(list).size() <= 2u);
  }
  std::string thousands;
  for (int i = 0; i < 20000; ++i) (thousands += "/n/a.png") += '\0';
  CHECK_THAT(entries_of(thousands), test::ElementsAre(ContainsSubstring("--null")));
  CHECK_THAT(entries_of("/n/a.png\n/n/b.png\n"sv, ListSeparator::nul),
             test::ElementsAre(ContainsSubstring("leave --null out")));
  CHECK_THAT(entries_of(std::string(70000, 'x'), ListSeparator::nul), test::ElementsAre(ContainsSubstring("too long")));
}

TEST_CASE("PathList.AZeroByteInOneLineLosesThatLineAlone") {
  CHECK_THAT(entries_of("/n/a.png\n/etc/passwd\0.png\n/n/b.png\n"sv),
             test::ElementsAre("/n/a.png", "/etc/passwd\\x00.png!", "/n/b.png"));
}

TEST_CASE("PathList.Utf16And32AreToldOnce") {
  for (const bool big : {false, true}) {
    for (const bool mark : {false, true}) {
      for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
        if (!mark && !big && piece == 1) continue;  // what begins with a letter isn't waited for
        for (const std::string list : {"photos/a.png\r\nphotos/b.png\r\n", "photos/a.png"}) {
          CHECK_THAT(entries_of(utf16(list, big, mark), ListSeparator::line, piece),
                     test::ElementsAre("the list is UTF-16; save it as UTF-8"));
        }
      }
    }
  }
  CHECK_THAT(entries_of(utf16("photos/a.png\r\nphotos/b.png\r\n", false, true), ListSeparator::nul),
             test::ElementsAre(ContainsSubstring("UTF-16")));
  CHECK_THAT(entries_of("\xff\xfe\0\0p\0\0\0h\0\0\0"sv), test::ElementsAre(ContainsSubstring("UTF-32")));
}

TEST_CASE("PathList.PicturesAndOtherBinaryDataAreToldOnce") {
  Image image{48, 48, std::vector<std::uint8_t>(std::size_t{48} * 48 * 3, 200)};
  const auto text = [](const std::vector<std::byte>& bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  const std::vector<std::pair<std::string, std::string>> pictures = {
      {text(encode_png(image)), "PNG"},
      {text(encode_jpeg(image, 90)), "JPEG"},
      {text(encode_webp(image, 90)), "WebP"},
      {"P6\n48 48\n255\n" + std::string(48 * 48 * 3, '\n'), "PNM"},
      {std::string("BM\x36\1\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 18) + std::string(436, '\n'), "BMP"}};
  for (const auto& [bytes, name] : pictures) {
    for (const ListSeparator separator : {ListSeparator::line, ListSeparator::nul}) {
      CHECK_THAT_MESSAGE(entries_of(bytes, separator),
                         test::ElementsAre(ContainsSubstring("is a " + name + " picture")), name);
    }
  }
  CHECK_THAT(entries_of("\x1f\x8b\x08\0\0\0\0\0\0\x03\n\n\n"sv), test::ElementsAre(ContainsSubstring("binary data")));
  CHECK_THAT(entries_of("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\x01\n\n"sv), test::ElementsAre(ContainsSubstring("not a list")));
}

TEST_CASE("PathList.NamesThatBeginLikeFormatsAreNames") {
  CHECK_THAT(entries_of("BMW.jpg\nP6\nP5 x\nGIF89a.gif\n8BPS\nRIFF.webp\n"),
             test::ElementsAre("BMW.jpg", "P6", "P5 x", "GIF89a.gif", "8BPS", "RIFF.webp"));
  CHECK_THAT_MESSAGE(entries_of("caf\xe9.jpg\nBM\xe9.jpg\n"), test::ElementsAre("caf\xe9.jpg", "BM\xe9.jpg"),
                     "Latin-1");
}

}  // namespace
}  // namespace lfm::test
