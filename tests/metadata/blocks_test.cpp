// Metadata are found in every container, and nonsense in none of them does harm.
#include "src/metadata/blocks.h"

#include <random>

#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/metadata/exif.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"
#include "tests/metadata/containers.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using namespace std::string_literals;
using namespace test;

const std::string kExif = exif_block({{0x10f, "Maker"}, {0x110, "Model 1"}}, 6);
const std::string kXmp = "<x:xmpmeta>packet</x:xmpmeta>";

std::string png() { return text_of(encode_png(random_image(8, 8, 1))); }
std::string jpeg() { return text_of(encode_jpeg(random_image(8, 8, 1), 90)); }

MetadataBlocks blocks_of(const std::string& file) { return metadata_blocks(bytes_of(file)); }

TEST_CASE("MetadataBlocks.OfPng") {
  uLongf size = 100;
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>("a cat"), 5);
  packed.resize(size);
  const MetadataBlocks blocks = blocks_of(with_chunks(
      png(), png_chunk("tEXt", "parameters\0Steps: 20"s) + png_chunk("zTXt", "prompt\0\0"s + packed) +
                 png_chunk("eXIf", kExif) + png_chunk("iTXt", "workflow\0\0\0\0\0{}"s) +
                 png_chunk("iTXt", "XML:com.adobe.xmp\0\0\0\0\0"s + kXmp) + png_chunk("caBX", c2pa_store())));
  REQUIRE(blocks.texts.size() == 3u);
  CHECK((blocks.texts[0] == std::pair("parameters"s, "Steps: 20"s)));
  CHECK((blocks.texts[1] == std::pair("prompt"s, "a cat"s)));
  CHECK((blocks.texts[2] == std::pair("workflow"s, "{}"s)));
  REQUIRE(blocks.exif.size() == 1u);
  CHECK(text_of(blocks.exif[0]) == kExif);
  CHECK(blocks.xmp == std::vector{kXmp});
  CHECK(blocks.jumbf.size() == 1u);
}

TEST_CASE("MetadataBlocks.AsImageMagickWritesThem") {
  std::string digits;
  for (const char c : "Exif\0\0"s + kExif) {
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) / 16];
    digits += "0123456789abcdef"[static_cast<unsigned char>(c) % 16];
    if (digits.size() % 73 == 72) digits += '\n';
  }
  const MetadataBlocks blocks =
      blocks_of(with_chunks(png(), png_chunk("tEXt", "Raw profile type exif\0\nexif\n      99\n"s + digits + "\n")));
  REQUIRE(blocks.exif.size() == 1u);
  CHECK(text_of(blocks.exif[0]) == kExif);
  CHECK(blocks.texts.empty());
}

TEST_CASE("MetadataBlocks.OfPsd") {
  const auto resource = [](int number, const std::string& data) {
    return "8BIM"s + big(static_cast<std::uint64_t>(number), 2) + "\0\0"s + big(data.size(), 4) + data +
           (data.size() % 2 == 1 ? "\0"s : ""s);
  };
  const std::string resources = resource(0x0422, kExif) + resource(0x0424, kXmp);
  const MetadataBlocks blocks =
      blocks_of("8BPS"s + std::string(22, '\0') + big(3, 4) + "abc" + big(resources.size(), 4) + resources);
  REQUIRE(blocks.exif.size() == 1u);
  CHECK(text_of(blocks.exif[0]) == kExif);
  CHECK(blocks.xmp == std::vector{kXmp});
}

TEST_CASE("MetadataBlocks.OfJpegWithJumbfInPieces") {
  const std::string store = c2pa_store();
  const std::size_t half = store.size() / 2;
  const MetadataBlocks blocks = blocks_of(with_segments(
      jpeg(), jpeg_segment(0xe1, "Exif\0\0"s + kExif) + jpeg_segment(0xe1, "http://ns.adobe.com/xap/1.0/\0"s + kXmp) +
                  jpeg_segment(0xfe, "hello") +
                  jpeg_segment(0xeb, "JP" + big(1, 2) + big(1, 4) + store.substr(0, half)) +
                  jpeg_segment(0xeb, "JP" + big(1, 2) + big(2, 4) + store.substr(0, 8) + store.substr(half))));
  REQUIRE(blocks.exif.size() == 1u);
  CHECK(text_of(blocks.exif[0]) == kExif);
  CHECK(blocks.xmp == std::vector{kXmp});
  REQUIRE(blocks.texts.size() == 1u);
  CHECK(blocks.texts[0].second == "hello");
  REQUIRE(blocks.jumbf.size() == 1u);
  CHECK(text_of(blocks.jumbf[0]) == store);
}

TEST_CASE("MetadataBlocks.OfWebpHeifAndJpegXl") {
  const std::string webp = "RIFF" + little(100, 4) + "WEBP" + "EXIF" + little(kExif.size(), 4) + kExif +
                           (kExif.size() % 2 == 1 ? "\0"s : ""s) + "XMP " + little(kXmp.size(), 4) + kXmp;
  CHECK(blocks_of(webp).exif.size() == 1u);
  CHECK(blocks_of(webp).xmp.size() == 1u);
  const std::string uuid = "\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81"s;
  const std::string heif =
      box("ftyp", "mif1\0\0\0\0"s) + box("uuid", uuid + "\0\0\0\0manifest\0"s + std::string(8, '\0') + c2pa_store());
  REQUIRE(blocks_of(heif).jumbf.size() == 1u);
  CHECK(text_of(blocks_of(heif).jumbf[0]) == c2pa_store());
  const std::string jxl =
      box("JXL ", "\r\n\x87\n") + box("Exif", "\0\0\0\0"s + kExif) + box("xml ", kXmp) + c2pa_store();
  CHECK(blocks_of(jxl).exif.size() == 1u);
  for (const std::string& exif : {kExif, "Exif\0\0"s + kExif}) {  // without the offset that belongs in front
    const MetadataBlocks blocks = blocks_of(box("JXL ", "\r\n\x87\n") + box("Exif", exif));
    REQUIRE(blocks.exif.size() == 1u);
    CHECK(text_of(blocks.exif[0]) == kExif);
  }
  CHECK(blocks_of(jxl).xmp.size() == 1u);
  CHECK(text_of(blocks_of(jxl).jumbf.at(0)) == c2pa_store());
  CHECK((blocks_of(text_of(read_file(std::filesystem::path(kTestFixtures) / "images/libraries/rotated.heic", 1 << 20)))
             .exif.size() == 1u));
}

TEST_CASE("Exif.OfBothByteOrders") {
  const Exif exif = read_exif(bytes_of(kExif));
  CHECK(exif.orientation == 6);
  CHECK(exif.make == "Maker");
  CHECK(exif.model == "Model 1");
  CHECK(read_exif(bytes_of("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x08\0\0"s)).orientation == 8);
  CHECK(read_exif(bytes_of("II*\0\xff\xff\xff\xff"s)).orientation == 1);
  CHECK(read_exif({}).orientation == 1);
}

TEST_CASE("MetadataBlocks.DamageDoesNoHarm") {
  const std::string whole[] = {
      with_chunks(png(),
                  png_chunk("tEXt", "parameters\0Steps"s) + png_chunk("eXIf", kExif) + png_chunk("caBX", c2pa_store())),
      with_segments(jpeg(), jpeg_segment(0xe1, "Exif\0\0"s + kExif) +
                                jpeg_segment(0xeb, "JP" + big(1, 2) + big(1, 4) + c2pa_store())),
      kExif};
  std::mt19937 random(3);
  for (const std::string& file : whole) {
    for (std::size_t size = 0; size < file.size(); ++size) blocks_of(file.substr(0, size));
    for (int i = 0; i < 500; ++i) {
      std::string damaged = file;
      for (int j = 0; j < 4; ++j) damaged[random() % damaged.size()] = static_cast<char>(random());
      for (const ByteBlock& block : blocks_of(damaged).exif) read_exif(block);
      read_exif(bytes_of(damaged));
    }
  }
}

}  // namespace
}  // namespace lfm
