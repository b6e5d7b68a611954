// Formats that optional libraries read: equal to Pillow's where its decoder is the same, within a bound else. Skipped
// where a build lacks one.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "lfm/image.h"
#include "src/image/boxes.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/heif_coded_sizes.h"
#include "src/image/heif_layout.h"
#include "tests/catch.h"
#include "tests/image/sha256.h"
#include "tests/paths.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using test::sha256;

const fs::path kFolder = fs::path(test::kTestFixtures) / "images/libraries";

std::vector<std::byte> bytes_of(const std::string& name) { return read_file(kFolder / name, 1 << 20); }

bool is_read(const std::string& name) {
  const std::vector<std::byte> bytes = bytes_of(name);
  const Format* format = find_format(bytes);
  return format != nullptr && format->decode != nullptr;
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

TEST_CASE("Libraries.PixelsEqualPillows") {
  std::ifstream file(kFolder / "expected.json");
  for (const auto& entry : nlohmann::json::parse(file)) {
    const std::string name = entry["file"];
    INFO(name);
    if (!is_read(name)) {
      CHECK_THAT(error_of(bytes_of(name)), ContainsSubstring("this build doesn't read"));
      continue;
    }
    const Image image = read_image(kFolder / name);
    CHECK(image.width == entry["width"]);
    CHECK(image.height == entry["height"]);
    CHECK(sha256(image.rgb) == entry["rgb_sha256"].get<std::string>());
    CHECK(sha256(read_image_resized(kFolder / name, 256, 256).image.rgb) ==
          entry["resize256_sha256"].get<std::string>());
  }
}

/// How far lossy pictures may lie from Pillow's, whose wheels bring other versions of the libraries: a level or two
/// nearly everywhere, and a few where a saturated colour is clipped.
TEST_CASE("Libraries.LossyPixelsAreNearPillows") {
  constexpr int most = 6;
  constexpr double mean = 0.3;
  int compared = 0;
  for (const char* name : {"lossy.heic", "rotated.heic", "rgba.heic", "gray.heic", "lossy.avif", "full_chroma.avif",
                           "sequence.avif", "lossy.jxl"}) {
    INFO(name);
    if (!is_read(name)) continue;
    const fs::path file = kFolder / name;
    const Image image = read_image(file),
                pillows =
                    read_image(kFolder / (file.stem().string() + "-" + file.extension().string().substr(1) + ".png"));
    REQUIRE(image.width == pillows.width);
    REQUIRE(image.height == pillows.height);
    double sum = 0;
    int worst = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i) {
      const int difference = std::abs(image.rgb[i] - pillows.rgb[i]);
      sum += difference;
      worst = std::max(worst, difference);
    }
    CHECK(worst <= most);
    CHECK(sum / static_cast<double>(image.rgb.size()) < mean);
    ++compared;
  }
  if (compared == 0) SKIP("this build reads neither HEIF nor JPEG XL");
}

TEST_CASE("Libraries.LimitsAreCheckedBeforePixelsAreDecoded") {
  for (const char* name : {"rgb_raw.tif", "lossy.heic", "lossy.avif", "lossy.jxl"}) {
    if (!is_read(name)) continue;
    CHECK_THAT_MESSAGE(error_of(bytes_of(name), {.max_pixels = 61 * 43 - 1}), ContainsSubstring("--max-pixels"), name);
  }
}

TEST_CASE("Libraries.CodedSizesCountToo") {
  for (const char* name : {"lying.heic", "lying.avif"}) {
    INFO(name);
    const std::vector<std::byte> bytes = bytes_of(name);
    CHECK(heif_layout(bytes).stored_width == 61u);
    const std::vector<CodedSize> sizes = heif_coded_sizes(bytes);
    REQUIRE(!sizes.empty());
    for (const CodedSize& size : sizes) CHECK((size.width == 512 && size.height == 512));
    if (is_read(name))
      CHECK_THAT(error_of(bytes, {.max_pixels = 512 * 511}),
                 ContainsSubstring("512 x 512 pixels, more than the limit"));
  }
  const std::vector<std::byte> heic = bytes_of("lossy.heic"), avif = bytes_of("lossy.avif");
  CHECK(heif_coded_sizes(heic).at(0).width == 64u);  // whole blocks
  CHECK(heif_coded_sizes(avif).at(0).height == 43u);
}

TEST_CASE("Libraries.DamagedFilesAreRefusedOrRead") {
  for (const char* name :
       {"rgb_tiff_lzw.tif", "rgb_jpeg.tif", "separate.tif", "palette.tif", "bilevel_group4.tif", "lossy.heic",
        "lossy.avif", "lossless.jxl", "lossy.jxl", "camera.cr2", "camera.cr3", "camera.raf"}) {
    if (!is_read(name)) continue;
    const std::vector<std::byte> whole = bytes_of(name);
    for (std::size_t size = 16; size < whole.size(); size += whole.size() / 16) {
      CHECK_MESSAGE(error_of(std::span(whole).first(size)) != "", name);
    }
    for (std::size_t at = 4; at < whole.size(); at += 1 + whole.size() / 97) {
      std::vector<std::byte> damaged = whole;
      damaged[at] ^= std::byte{0x55};
      error_of(damaged, {.max_pixels = 1 << 18});  // an Error{input} or none
    }
  }
}

TEST_CASE("Libraries.TheLargestPreviewOfARawFileIsRead") {
  if (!is_read("camera.nef")) SKIP("this build reads no raw files");
  const Image preview = decode_image(bytes_of("preview.jpg"));
  for (const char* name : {"camera.arw", "camera.cr2", "camera.cr3", "camera.nef", "camera.raf"}) {
    INFO(name);
    const Image image = read_image(kFolder / name);
    CHECK(image.width == preview.width);
    CHECK(image.rgb == preview.rgb);
  }
}

TEST_CASE("Libraries.APreviewTooSmallToTellByIsRefused") {
  if (!is_read("camera.dng")) SKIP("this build reads no raw files");
  std::vector<std::byte> raw = bytes_of("camera.dng");
  // The sensor's width and height, of 62 x 44, in the second directory: tag, type, count, value.
  for (const auto& [tag, length] : {std::pair(0, 62), std::pair(1, 44)}) {
    const std::byte entry[] = {std::byte(tag),    std::byte{1}, std::byte{4}, {}, std::byte{1}, {}, {}, {},
                               std::byte(length), {},           {},           {}};
    const auto found = std::search(raw.begin(), raw.end(), std::begin(entry), std::end(entry));
    REQUIRE(found != raw.end());
    found[8] = std::byte(2 * length);
  }
  CHECK_THAT(error_of(raw), ContainsSubstring("preview is too small to tell by, 61 x 43 of 124 x 88"));
}

TEST_CASE("Libraries.TurnsLeaveThePixelsAsStored") {
  constexpr std::pair<const char*, const char*> turned[] = {{"turned5.avif", "lossy.avif"},
                                                            {"turned6.avif", "lossy.avif"},
                                                            {"turned6.heic", "lossy.heic"},
                                                            {"turned6.jxl", "lossless.jxl"}};
  int compared = 0;
  for (const auto& [name, stored] : turned) {
    if (!is_read(name)) continue;
    const Image image = decode_image(bytes_of(name));
    CHECK_MESSAGE(image.width == 61, name);
    CHECK_MESSAGE(image.rgb == decode_image(bytes_of(stored)).rgb, name);
    ++compared;
  }
  if (compared == 0) SKIP("this build reads neither HEIF nor JPEG XL");
}

TEST_CASE("Libraries.ATruncatedFileIsCalledSo") {
  for (const char* name : {"rgb_tiff_lzw.tif", "lossy.heic", "lossless.jxl"}) {
    if (!is_read(name)) continue;
    const std::vector<std::byte> whole = bytes_of(name);
    CHECK_THAT_MESSAGE(error_of(std::span(whole).first(whole.size() / 2)), ContainsSubstring("truncated"), name);
  }
}

TEST_CASE("HeifLayout.TellsApertureChromaAndMetadata") {
  const std::vector<std::byte> heic = bytes_of("lossy.heic"), avif = bytes_of("full_chroma.avif");
  const HeifLayout of_heic = heif_layout(heic), of_avif = heif_layout(avif);
  CHECK(of_heic.clean_aperture(64, 64) == (Window{0, 0, 61, 43}));
  CHECK(of_heic.clean_aperture(60, 64) == (Window{0, 0, 60, 64}));  // an aperture that doesn't fit says nothing
  CHECK(of_heic.chroma == HeifLayout::Chroma::half);
  CHECK_FALSE(of_heic.is_av1);
  CHECK(of_avif.chroma == HeifLayout::Chroma::full);
  CHECK(of_avif.is_av1);
  CHECK(heif_layout(bytes_of("rotated.heic")).exif.size() == 1u);
}

TEST_CASE("Boxes.StopAtNonsense") {
  const std::string text(
      "\0\0\0\x0a"
      "aaaaxy"
      "\0\0\0\x07"
      "bbbb",
      18);
  const auto boxes = boxes_in(std::as_bytes(std::span(text)));
  REQUIRE(boxes.size() == 1u);
  CHECK(boxes[0].type == "aaaa");
  CHECK(boxes[0].body.size() == 2u);
  const std::string open(
      "\0\0\0\0"
      "ccccrest",
      12);
  CHECK(box_body(std::as_bytes(std::span(open)), "cccc").size() == 4u);
  CHECK(boxes_in({}).empty());
}

}  // namespace
}  // namespace lfm
