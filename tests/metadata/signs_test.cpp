// What files say of themselves comes out as lines; which way up a picture is.
#include "src/metadata/signs.h"

#include <algorithm>

#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"
#include "tests/metadata/containers.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using namespace std::string_literals;
using namespace test;

/// The value of the first sign of that name, or "".
std::string value_of(const std::vector<Sign>& signs, const std::string& source, const std::string& name) {
  const auto found = std::ranges::find_if(signs, [&](const Sign& s) { return s.source == source && s.name == name; });
  return found == signs.end() ? "" : found->value;
}

TEST_CASE("Signs.OfAGeneratorsPng") {
  const Image image = random_image(64, 64, 1);
  const std::string file = with_chunks(text_of(encode_png(image)), png_chunk("tEXt", "parameters\0a cat\nSteps: 20"s) +
                                                                       png_chunk("tEXt", "Unknown\0nothing"s) +
                                                                       png_chunk("caBX", c2pa_store()));
  const std::vector<Sign> signs = find_signs(bytes_of(file), image);
  CHECK((value_of(signs, "PNG", "parameters") == "a cat\nSteps: 20"));
  CHECK((value_of(signs, "PNG", "Unknown") == ""));
  CHECK_THAT(value_of(signs, "C2PA", "manifest"), ContainsSubstring("not verified"));
  CHECK((value_of(signs, "C2PA", "claim generator") == "Paintery"));
  CHECK((value_of(signs, "C2PA", "action") == "c2pa.created by Painter 3"));
  CHECK((value_of(signs, "C2PA", "digitalSourceType") == "trainedAlgorithmicMedia"));
}

TEST_CASE("Signs.OfACamerasJpeg") {
  const Image image = random_image(64, 64, 1);
  const std::string xmp =
      "<rdf:Description "
      "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture\">"
      "<xmp:CreatorTool> Editor 1 </xmp:CreatorTool></rdf:Description>";
  const std::string file = with_segments(
      text_of(encode_jpeg(image, 83)),
      jpeg_segment(0xe1, "Exif\0\0"s + exif_block({{0x10f, "Maker"}, {0x110, "M1"}, {0x131, "Firmware"}})) +
          jpeg_segment(0xe1, "http://ns.adobe.com/xap/1.0/\0"s + xmp));
  const std::vector<Sign> signs = find_signs(bytes_of(file), image);
  CHECK((value_of(signs, "EXIF", "camera") == "Maker M1"));
  CHECK((value_of(signs, "EXIF", "software") == "Firmware"));
  CHECK((value_of(signs, "XMP", "DigitalSourceType") == "digitalCapture"));
  CHECK((value_of(signs, "XMP", "CreatorTool") == "Editor 1"));
  CHECK((value_of(signs, "JPEG", "quality") == "83, by libjpeg's tables"));
}

TEST_CASE("Signs.OfIptcAndOfXmpInPieces") {
  const Image image = random_image(64, 64, 1);
  const auto set = [](int number, const std::string& text) {
    return "\x1c\x02"s + static_cast<char>(number) + big(text.size(), 2) + text;
  };
  const std::string iptc = set(5, "title") + set(65, "Painter") + set(110, "Made with an AI");
  const std::string resources = "8BIM\x03\xed\0\0\0\0\0\x01x\0"s + "8BIM\x04\x04\x03odd"s + big(iptc.size(), 4) + iptc;
  const std::string xmp =
      "<x "
      "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/"
      "compositeWithTrainedAlgorithmicMedia\"/>";
  const auto piece = [&](std::size_t from, std::size_t count) {
    return jpeg_segment(0xe1, "http://ns.adobe.com/xmp/extension/\0"s + std::string(32, 'A') + big(xmp.size(), 4) +
                                  big(from, 4) + xmp.substr(from, count));
  };
  const std::string segments =
      jpeg_segment(0xed, "Photoshop 3.0\0"s + resources) + piece(60, std::string::npos) + piece(0, 60);
  const std::vector<Sign> signs = find_signs(bytes_of(with_segments(text_of(encode_jpeg(image, 90)), segments)), image);
  CHECK((value_of(signs, "IPTC", "program") == "Painter"));
  CHECK((value_of(signs, "IPTC", "credit") == "Made with an AI"));
  CHECK((value_of(signs, "XMP", "DigitalSourceType") == "compositeWithTrainedAlgorithmicMedia"));
}

TEST_CASE("Signs.LongValuesAreCutBetweenLetters") {
  const Image image = random_image(64, 64, 1);
  std::string text;
  for (int i = 0; i < 300; ++i) text += "é";
  const std::vector<Sign> signs =
      find_signs(bytes_of(with_chunks(text_of(encode_png(image)), png_chunk("tEXt", "prompt\0"s + text))), image);
  const std::string value = value_of(signs, "PNG", "prompt");
  CHECK(value.size() <= 404u);
  CHECK(value.ends_with("é…"));
}

TEST_CASE("Orientation.IsReadFromEveryContainer") {
  const std::filesystem::path folder = std::filesystem::path(kTestFixtures) / "images";
  CHECK((orientation_of(read_file(folder / "exif_rotated.jpg", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "libraries/rotated.tif", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "rgb.png", 1 << 20)) == 1));
  CHECK((orientation_of(read_file(folder / "libraries/camera.dng", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "libraries/turned5.avif", 1 << 20)) == 5));  // of irot and imir
  CHECK((orientation_of(read_file(folder / "libraries/turned6.avif", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "libraries/turned6.heic", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "libraries/camera.cr3", 1 << 20)) == 6));
  CHECK((orientation_of(read_file(folder / "libraries/camera.raf", 1 << 20)) == 6));
  const std::vector<std::byte> jxl = read_file(folder / "libraries/turned6_packed.jxl", 1 << 20);
  if (find_format(jxl)->decode != nullptr) {
    CHECK(orientation_of(jxl) == 6);
    CHECK((orientation_of(read_file(folder / "libraries/turned6.jxl", 1 << 20)) == 6));
    CHECK((value_of(find_signs(jxl, random_image(61, 43, 1)), "EXIF", "camera") == "Maker M1"));  // of a compressed box
  }
  const std::string png = with_chunks(text_of(encode_png(random_image(8, 8, 1))), png_chunk("eXIf", exif_block({}, 8)));
  CHECK(orientation_of(bytes_of(png)) == 8);
  CHECK(orientation_of({}) == 1);
}

}  // namespace
}  // namespace lfm
