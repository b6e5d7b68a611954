// Decoding equals Pillow's, byte for byte, and whatever is no sound picture is refused with a cause.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"
#include "tests/image/sha256.h"
#include "tests/paths.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using test::sha256;

nlohmann::json load_expected(const fs::path& folder) {
  std::ifstream file(folder / "expected.json");
  return nlohmann::json::parse(file);
}

/// Every file of the folder's expected.json, made by Pillow: size, SHA-256 of the pixels and of their 256 x
/// 256 resize.
void expect_pillows_pixels(const fs::path& folder, std::size_t at_least) {
  const auto expected = load_expected(folder);
  REQUIRE(expected.size() >= at_least);
  for (const auto& entry : expected) {
    if (entry.contains("refused")) continue;
    const std::string name = entry["file"];
    INFO(name);
    const Image image = read_image(folder / name);
    CHECK(image.width == entry["width"]);
    CHECK(image.height == entry["height"]);
    CHECK(sha256(image.rgb) == entry["rgb_sha256"].get<std::string>());
    CHECK(sha256(resize_bilinear(image, 256, 256).rgb) == entry["resize256_sha256"].get<std::string>());
    const ResizedImage streamed = read_image_resized(folder / name, 256, 256);
    CHECK(streamed.source_width == image.width);
    CHECK(streamed.source_height == image.height);
    CHECK(sha256(streamed.image.rgb) == entry["resize256_sha256"].get<std::string>());
  }
}

std::string error_of(std::span<const std::byte> bytes, const DecodeLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    return error.what();
  }
  return "no error";
}

std::string error_of(const std::string& bytes) { return error_of(std::as_bytes(std::span(bytes))); }

const fs::path kFixtures = fs::path(test::kTestFixtures) / "images";

/// The fixtures that are decoded.
std::vector<fs::path> sound_fixtures() {
  std::vector<fs::path> files;
  for (const fs::path& folder : {kFixtures, kFixtures / "variants"}) {
    for (const auto& entry : load_expected(folder)) {
      if (!entry.contains("refused")) files.push_back(folder / entry["file"].get<std::string>());
    }
  }
  return files;
}

TEST_CASE("Decode.EqualsPillowOnOwnFixtures") { expect_pillows_pixels(kFixtures, 30); }

TEST_CASE("Decode.EqualsPillowOnVariants") { expect_pillows_pixels(kFixtures / "variants", 80); }

TEST_CASE("Decode.RefusesVariantsByName") {
  int refused = 0;
  for (const auto& entry : load_expected(kFixtures / "variants")) {
    if (!entry.contains("refused")) continue;
    const std::string name = entry["file"], message = error_of(read_file(kFixtures / "variants" / name, 1 << 20));
    CHECK_THAT_MESSAGE(message, ContainsSubstring(entry["refused"].get<std::string>()), name);
    CHECK_THAT_MESSAGE(message, ContainsSubstring("isn't supported; convert it to PNG first"), name);
    ++refused;
  }
  CHECK(refused >= 20);
}

TEST_CASE("Decode.EqualsPillowOnSharedFixtures") {
  const fs::path folder = fs::path(test::kShared) / "fixtures/decode";
  if (!fs::exists(folder)) SKIP(folder << " is missing: the larger fixtures beside the checkout");
  expect_pillows_pixels(folder, 14);
}

TEST_CASE("Decode.SixteenBitGrayKeepsTheHighByte") {
  const Image image = read_image(kFixtures / "not_pillow/gray16.png");
  REQUIRE(image.width == 16);
  // Row 0 of the file is 0, 4369, 8738, ... 65535: 0x0000, 0x1111, ... 0xffff.
  for (int x = 0; x < 16; ++x) CHECK(image.rgb[3 * x] == 0x11 * x);
}

TEST_CASE("Decode.TellsFormatsByContent") {
  for (const auto& [name, format] :
       std::initializer_list<std::pair<const char*, const char*>>{{"rgb_420.jpg", "JPEG"},
                                                                  {"rgb.png", "PNG"},
                                                                  {"lossy.webp", "WebP"},
                                                                  {"first_frame.gif", "GIF"},
                                                                  {"rgb.bmp", "BMP"},
                                                                  {"rgb.psd", "PSD"},
                                                                  {"rgb.ppm", "PNM"},
                                                                  {"rgb.tga", "TGA"}}) {
    const Format* found = find_format(read_file(kFixtures / name, 1 << 20));
    REQUIRE_MESSAGE(found != nullptr, name);
    CHECK_MESSAGE(std::string(found->name) == format, name);
  }
}

// Cut anywhere, a file decodes to exactly the whole file's pixels (the cut took only what follows them) or is
// refused.
TEST_CASE("Decode.TruncatedFilesAreRefused") {
  for (const fs::path& file : sound_fixtures()) {
    INFO(file);
    const auto bytes = read_file(file, 1 << 20);
    if (bytes[0] == std::byte{'P'} && bytes[1] <= std::byte{'3'}) continue;  // text: a cut number is another number
    const Image whole = decode_image(bytes);
    std::size_t last_refused = 0;
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 300);
    for (std::size_t size = 0; size < bytes.size(); size += size + 40 < bytes.size() ? step : 1) {
      const std::vector<std::byte> cut(bytes.begin(),
                                       bytes.begin() + size);  // its own block: over-reads show under ASan
      try {
        const Image decoded = decode_image(cut);
        REQUIRE_MESSAGE(decoded.rgb == whole.rgb, "cut to " << size << " of " << bytes.size() << " bytes");
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::input);
        last_refused = size;
      }
    }
    CHECK(last_refused > bytes.size() / 3);
  }
}

TEST_CASE("Decode.MessagesNameCauseAndRemedy") {
  const auto jpeg = encode_jpeg(smooth_image(64, 64), 90);
  CHECK_THAT(error_of(std::span(jpeg).first(jpeg.size() / 2)), ContainsSubstring("truncated"));
  const auto png = encode_png(smooth_image(64, 64));
  CHECK_THAT(error_of(std::span(png).first(png.size() / 2)), ContainsSubstring("truncated"));
  const auto webp = encode_webp(smooth_image(64, 64), 80);
  CHECK_THAT(error_of(std::span(webp).first(webp.size() / 2)), ContainsSubstring("truncated"));
  CHECK_THAT(error_of(std::span<const std::byte>{}), ContainsSubstring("empty"));
  CHECK_THAT(error_of("hello, world"), ContainsSubstring("no image in a known format"));
  CHECK_THAT(error_of(std::string("II*\0aaaa", 8)), ContainsSubstring("TIFF"));
  CHECK_THAT(error_of(std::string("\0\0\0\x1c"
                                  "ftypavif",
                                  12)),
             ContainsSubstring("AVIF"));
  CHECK_THAT(error_of("P6 1 1 70000 abc"), ContainsSubstring("1 to 65535"));
  CHECK_THAT(error_of("P3 1 1 100 1 2 101"), ContainsSubstring("above its largest"));
  CHECK_THAT(error_of("<!DOCTYPE html><title>403</title>"), ContainsSubstring("the file is a web page"));
  CHECK_THAT(error_of("version https://git-lfs.github.com/spec/v1\n"), ContainsSubstring("git lfs pull"));
}

TEST_CASE("Decode.FileErrorsNameTheFile") {
  const auto message_of = [](const fs::path& path) {
    try {
      read_image(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(message_of("/nonexistent/a.png"),
             ContainsSubstring("/nonexistent/a.png") && ContainsSubstring("No such file"));
  CHECK_THAT(message_of(kFixtures), ContainsSubstring(kFixtures.string()) && ContainsSubstring("folder"));
  CHECK_THAT(message_of(kFixtures / "expected.json"),
             ContainsSubstring("expected.json") && ContainsSubstring("no image"));
}

TEST_CASE("Decode.LimitsAreCheckedBeforeAllocation") {
  const Image image = smooth_image(40, 30);
  for (const auto& bytes : {encode_jpeg(image, 80), encode_png(image), encode_webp(image, 80)}) {
    CHECK(decode_image(bytes, {.max_pixels = 1200}).width == 40);
    CHECK_THAT(error_of(bytes, {.max_pixels = 1199}), ContainsSubstring("40 x 30 pixels, more than the limit of 1199"));
  }
  for (const auto* name : {"first_frame.gif", "rgb.bmp", "rgb.psd", "rgb.ppm", "rgb.tga", "animated.webp"}) {
    CHECK_THAT_MESSAGE(error_of(read_file(kFixtures / name, 1 << 20), {.max_pixels = 10}),
                       ContainsSubstring("limit of 10"), name);
  }
  CHECK_THROWS_AS(read_file(kFixtures / "rgb.bmp", 100), Error);
}

// Headers that claim far more than there is: 2^31 - 1 squared and the like.
TEST_CASE("Decode.HugeClaimsAreRefused") {
  auto png = encode_png(smooth_image(8, 8));
  for (int i = 16; i < 24; ++i) png[i] = std::byte{0x7f};  // width and height; the checksum no longer fits either
  CHECK(error_of(png) != "no error");
  CHECK_THAT(error_of("P6 100000 100000 255 "), ContainsSubstring("limit"));
  CHECK_THAT(error_of(std::string("P6 10000 10000 255 ")), ContainsSubstring("truncated"));
  std::string gif("GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2", 24);
  CHECK_THAT(error_of(gif), ContainsSubstring("limit"));
}

/// An 8-bit BMP of one row, with a header of 40 bytes or OS/2's of 12; colors: as many as the former states, 0 for all.
std::string palette_bmp(bool os2, const std::string& palette, const std::string& pixels, std::size_t colors = 0) {
  const auto number = [](std::size_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i);
    return text;
  };
  const int side = os2 ? 2 : 4;
  std::string header =
      number(os2 ? 12 : 40, 4) + number(pixels.size(), side) + number(1, side) + number(1, 2) + number(8, 2);
  header.resize(os2 ? 12 : 32);
  if (!os2) header += number(colors, 8);
  return "BM" + number(0, 8) + number(14 + header.size() + palette.size(), 4) + header + palette + pixels;
}

// Found by fuzzing of a reader before: it took colours beyond the palette's end from memory that it never set.
TEST_CASE("Decode.ColorsThatAPaletteLacksAreBlack") {
  for (const bool os2 : {false, true}) {
    const std::size_t entry = os2 ? 3 : 4;
    const std::string pixels = {0, 1, 2, '\xff'};
    const auto decode = [&](std::size_t colors, std::size_t stated) {
      const std::string file = palette_bmp(os2, std::string(colors * entry, '\x7f'), pixels, stated);
      return decode_image(std::as_bytes(std::span(file))).rgb;
    };
    CHECK(decode(256, 0) == std::vector<std::uint8_t>(12, 0x7f));  // leaves its palette in that memory
    // As Pillow, a palette that isn't said to be short goes on into the pixels.
    CHECK_MESSAGE(decode(2, 0) == (std::vector<std::uint8_t>{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 2, 1, 0, 0, 0, 0}),
                  "os2: " << os2);
    if (os2) continue;  // its header has no place to say so
    CHECK(decode(2, 2) == (std::vector<std::uint8_t>{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0, 0, 0, 0, 0, 0}));
  }
}

// Found by fuzzing of a reader before: its numbers overflowed an int.
TEST_CASE("Decode.PnmNumbersFit") {
  const std::string many(30, '6');
  for (const std::string& header : {"P5 " + many + " 1 255\n", "P5 1 " + many + " 255\n", "P6 1 1 " + many + "\n"}) {
    CHECK_THAT_MESSAGE(error_of(header + "abc"), ContainsSubstring("PNM header"), header);
  }
}

// Found by fuzzing of a reader before: with no palette at all it took every colour from there.
TEST_CASE("Decode.APaletteIsThere") {
  for (const bool os2 : {false, true}) {
    std::string file = palette_bmp(os2, "", {0, 1, 2, '\xff'});
    CHECK_THAT_MESSAGE(error_of(file), ContainsSubstring("palette"), "os2: " << os2);
    file.replace(10, 4, 4, '\0');
    CHECK_THAT_MESSAGE(error_of(file), ContainsSubstring("palette"), "os2: " << os2);
  }
}

// Any damage gives pixels or an Error, never a crash; ASan and UBSan watch.
TEST_CASE("Decode.DamagedFilesNeverCrash") {
  std::mt19937_64 generator(20260501);
  for (const fs::path& file : sound_fixtures()) {
    const auto bytes = read_file(file, 1 << 20);
    for (int round = 0; round < 60; ++round) {
      auto damaged = bytes;
      const int changes = 1 + static_cast<int>(generator() % 8);
      // Half of the rounds aim at the header, where the sizes are.
      const std::size_t range = round % 2 == 0 ? damaged.size() : std::min<std::size_t>(damaged.size(), 64);
      for (int i = 0; i < changes; ++i) damaged[generator() % range] = static_cast<std::byte>(generator());
      try {
        const Image image = decode_image(damaged, {.max_pixels = 1'000'000});
        REQUIRE(image.rgb.size() == std::size_t{3} * image.width * image.height);
      } catch (const Error& error) {
        REQUIRE_MESSAGE(error.code() == ErrorCode::input, file << " round " << round);
      }
    }
  }
}

}  // namespace
}  // namespace lfm
