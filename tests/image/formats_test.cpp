// Which format the first bytes tell, and which files of a folder count as pictures.
#include "src/image/formats.h"

#include <string>

#include "src/image/file.h"
#include "tests/catch.h"
#include "tests/data/image_folder.h"

namespace lfm {
namespace {

using namespace std::string_literals;

std::string name_of(const std::string& head) {
  const Format* format = find_format(std::as_bytes(std::span(head)));
  return format == nullptr ? "" : format->name;
}

/// An ftyp box of these brands, the major one first.
std::string ftyp(const std::string& major, const std::string& others) {
  const std::size_t size = 16 + others.size();
  return std::string("\0\0\0", 3) + static_cast<char>(size) + "ftyp" + major + "\0\0\0\0"s + others +
         std::string(64, '\0');
}

TEST_CASE("Formats.IsoMediaIsToldByAllBrands") {
  CHECK(name_of(ftyp("avif", "mif1")) == "AVIF");
  CHECK(name_of(ftyp("mif1", "miafavif")) == "AVIF");
  CHECK(name_of(ftyp("msf1", "avis")) == "AVIF");
  CHECK(name_of(ftyp("mif1", "heic")) == "HEIF (HEIC)");
  CHECK(name_of(ftyp("msf1", "hevc")) == "HEIF (HEIC)");
  CHECK(name_of(ftyp("crx ", "isom")) == "CR3");
  CHECK(name_of(ftyp("qt  ", "")) == "QuickTime film (MOV)");
  CHECK(name_of(ftyp("isom", "mp42")) == "MPEG-4 film");
  // What follows the box is none of its brands; the minor version neither.
  CHECK(name_of(ftyp("isom", "") + "avif") == "MPEG-4 film");
  CHECK(name_of("\0\0\0\x10"s + "ftypisomavif") == "MPEG-4 film");
  CHECK(name_of("\0\0\0\0"s + "ftypmif1\0\0\0\0avif"s) == "AVIF");  // up to the file's end
}

TEST_CASE("Formats.TiffFamiliesAreToldApart") {
  CHECK(name_of("II*\0\x08\0\0\0"s) == "TIFF");
  CHECK(name_of("II*\0\x10\0\0\0CR\2\0"s) == "CR2");
  CHECK(name_of("II*\0\x08\0\0\0\2\0\0\1\4\0\1\0\0\0\1\0\0\0\x12\xc6\1\0\4\0\0\0\1\4\0\0"s) == "DNG");
  CHECK(name_of("MM\0*\0\0\0\x08\0\1\xc6\x12\0\1\0\0\0\4\1\4\0\0"s) == "DNG");
  // A small copy (0xfe) by a camera's maker (0x10f), with directories below it (0x14a).
  CHECK(name_of("II*\0\x08\0\0\0\3\0\xfe\0\4\0\1\0\0\0\1\0\0\0\x0f\1\2\0\1\0\0\0N\0\0\0\x4a\1\4\0\1\0\0\0\1\0\0\0"s) ==
        "NEF or ARW");
  CHECK(name_of("MM\0*\xff\xff\xff\xff"s) == "TIFF");
  CHECK(name_of("MM\0+\0\x08\0\0"s) == "TIFF");
}

TEST_CASE("Formats.WhatOnlyBeginsLikeAPictureIsNone") {
  for (const std::string& text :
       {""s, "BM"s + " is a letter pair of many texts"s, "P5 is no picture"s, "P6x1 1 255"s, "PF is text"s,
        "BA, BA, black sheep"s, std::string(4096, '\0'), "II* is text"s, "RIFF....WAVE"s, "hello"s}) {
    CHECK_MESSAGE(name_of(text) == "", text.substr(0, 20));
  }
}

TEST_CASE("Formats.EachIsReadOrHasARemedy") {
  for (const std::string& head : {"%PDF-1.7"s, "FOVb"s, "\0\0\0\x0cjP  \r\n\x87\n"s, "qoif"s,
                                  "\x89PNG\r\n\x1a\n\0\0\0\4CgBI"s, "\x1a\x45\xdf\xa3"s}) {
    const Format* format = find_format(std::as_bytes(std::span(head)));
    REQUIRE_MESSAGE(format != nullptr, head);
    CHECK_MESSAGE(format->decode == nullptr, head);
    CHECK_MESSAGE(format->remedy != nullptr, head);
  }
}

TEST_CASE("Formats.ALibraryThatABuildLacksIsNamed") {
  for (const std::string& head : {ftyp("avif", ""), ftyp("heic", ""), ftyp("crx ", ""), "\xff\x0a"s, "II*\0\x08\0\0\0"s,
                                  "FUJIFILMCCD-RAW 0201"s}) {
    const Format* format = find_format(std::as_bytes(std::span(head)));
    REQUIRE_MESSAGE(format != nullptr, head);
    REQUIRE_MESSAGE(format->library != nullptr, head);
    CHECK_THAT_MESSAGE(format->library, ContainsSubstring("-dev"), head);
    CHECK_MESSAGE(format->remedy != nullptr, head);
    CHECK_MESSAGE((format->decode != nullptr) == (readable_formats().find(format->name) != std::string::npos), head);
  }
  CHECK_MESSAGE(readable_formats().rfind("JPEG, PNG, WebP, GIF, BMP, PSD, PNM", 0) == 0u, readable_formats());
}

TEST_CASE("Formats.AFilesContentOrNameMakesItAPicture") {
  const test::ImageFolder folder;
  const std::pair<const char*, std::string> pictures[] = {{"a.jpg_large", "\xff\xd8\xff"s},
                                                          {"b.png?w=300", "P6 1 1 255 abc"s},
                                                          {"c", "%PDF-1.7"s},
                                                          {"d.JPG", ""s},
                                                          {"e.png", "<html>"s}};
  for (const auto& [name, bytes] : pictures) {
    folder.write(name, bytes);
    CHECK_MESSAGE(counts_as_picture(folder.path() / name), name);
  }
  const std::pair<const char*, std::string> others[] = {
      {"f", ""s}, {"g.txt", "BM and many more words"s}, {"h.html", "<html>"s}};
  for (const auto& [name, bytes] : others) {
    folder.write(name, bytes);
    CHECK_MESSAGE(!counts_as_picture(folder.path() / name), name);
  }
  CHECK(counts_as_picture(folder.path() / "missing"));  // told when it is read
}

TEST_CASE("Formats.HiddenEntriesArePassedOver") {
  for (const char* name : {".a.png", "._a.png", ".thumbnails", "__MACOSX"}) CHECK_MESSAGE(is_hidden_entry(name), name);
  for (const char* name : {"a.png", "_a", "MACOSX"}) CHECK_MESSAGE(!is_hidden_entry(name), name);
}

}  // namespace
}  // namespace lfm
