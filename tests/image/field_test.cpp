// Pictures as people have them, beside the checkout: read as Pillow reads them, or refused in the right words.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "lfm/error.h"
#include "lfm/image.h"
#include "tests/catch.h"
#include "tests/paths.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

const fs::path kField = fs::path(test::kShared) / "cases/field";

class FieldPictures {
 protected:
  FieldPictures() {
    if (!fs::exists(kField)) SKIP(kField << " is missing: the pictures from the field beside the checkout");
  }
};

TEST_CASE_METHOD(FieldPictures, "FieldPictures.AreReadAsPillowReadsThem") {
  for (const char* name :
       {"b_16_555.bmp",       "b_16_565.bmp",       "b_24.bmp",       "b_24_nolastpad.bmp", "b_24_os2v2_64.bmp",
        "b_24_topdown.bmp",   "b_24_v2_52.bmp",     "b_32_v3_56.bmp", "b_8_topdown.bmp",    "b_rle8.bmp",
        "rgb24pal.bmp",       "rgb32_topdown.bmp",  "n_p3.ppm",       "n_p4.pbm",           "n_p6_100.ppm",
        "n_p6_16.ppm",        "psd_softalpha.psd",  "s_cmyk.psd",     "s_gray.psd",         "t_24_right.tga",
        "p_apng_default.png", "j_cmyk_noadobe.jpg", "j_gainmap.jpg",  "j_mpo.jpg",          "j_ycck.jpg",
        "exif6_portrait.jpg"}) {
    const Image image = read_image(kField / name),
                reference = read_image(kField / "ref" / (std::string(name) + ".png"));
    CHECK_MESSAGE(image.width == reference.width, name);
    CHECK_MESSAGE(image.height == reference.height, name);
    CHECK_MESSAGE(image.rgb == reference.rgb, name);
  }
}

TEST_CASE_METHOD(FieldPictures, "FieldPictures.OfOptionalLibrariesAreNearPillows") {
  for (const char* name : {"o_avif.avif", "o_avif_mif1.avif", "o_bigtiff.tif"}) {
    Image image;
    try {
      image = read_image(kField / name);
    } catch (const Error& error) {
      CHECK_THAT_MESSAGE(error.what(), ContainsSubstring("this build doesn't read"), name);
      continue;
    }
    const Image reference = read_image(kField / "ref" / (std::string(name) + ".png"));
    REQUIRE_MESSAGE(image.width == reference.width, name);
    REQUIRE_MESSAGE(image.rgb.size() == reference.rgb.size(), name);
    double sum = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i) sum += std::abs(image.rgb[i] - reference.rgb[i]);
    CHECK_MESSAGE(sum / static_cast<double>(image.rgb.size()) < 0.3, name);
  }
}

TEST_CASE_METHOD(FieldPictures, "FieldPictures.AreRefusedInTheRightWords") {
  const std::pair<const char*, const char*> cases[] = {
      {"o_msf1.heics", "HEIF"}, {"o_dng.dng", "TIFF"},        {"o_cr3.cr3", "CR3"},
      {"o_raf.raf", "RAF"},     {"o_jp2.jp2", "JPEG 2000"},   {"o_mov.mov", "MOV"},
      {"o_pdf.pdf", "PDF"},     {"o_html.jpg", "a web page"}, {"o_lfs.jpg", "git lfs pull"}};
  for (const auto& [name, words] : cases) {
    try {
      read_image(kField / name);
      FAIL_CHECK(name << " was read");
    } catch (const Error& error) {
      CHECK_MESSAGE(error.code() == ErrorCode::input, name);
      CHECK_THAT_MESSAGE(error.what(), ContainsSubstring(words), name);
    }
  }
}

TEST_CASE_METHOD(FieldPictures, "FieldPictures.SixteenBitGreyKeepsTheHighByte") {
  const Image grey = read_image(kField / "n_p5_16.pgm"), color = read_image(kField / "b_24.bmp");
  REQUIRE(grey.rgb.size() == color.rgb.size());  // the file's samples are the other's reds, times 257
  for (std::size_t i = 0; i < grey.rgb.size(); i += 3) QUICK_REQUIRE(grey.rgb[i] == color.rgb[i], i);
}

}  // namespace
}  // namespace lfm
