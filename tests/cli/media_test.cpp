// detect on what has more than pixels or more than one picture: signs beside the score, orientation, pages and films.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/orientation.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/image/random_image.h"
#include "tests/metadata/containers.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kFixtures = kTestFixtures;

class Media : public ::testing::Test {
 protected:
  void SetUp() override { write_random_model(folder_ / "model.lfmw", 7); }

  ProgramResult run(const std::string& command, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {command, "--model", at("model.lfmw")});
    return run_program(kProgram, std::move(arguments), {});
  }
  std::vector<json> records(const std::string& jsonl) {
    std::vector<json> all;
    std::istringstream in(jsonl);
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
    return all;
  }
  std::string at(const std::string& name) { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return at(name);
  }

  TemporaryFolder folder_;
};

TEST_F(Media, SignsStandBesideTheScore) {
  const std::string png = text_of(encode_png(random_image(64, 56, 1)));
  const std::string plain = write("plain.png", png), signed_ = write("signed.png", with_chunks(png, png_chunk("tEXt", "parameters\0Steps: 20"s) + png_chunk("caBX", c2pa_store())));
  const std::vector<json> of = records(run("detect", {"--format", "jsonl", plain, signed_}).out);
  ASSERT_EQ(of.size(), 2u);
  EXPECT_EQ(of[0]["score"], of[1]["score"]);
  const std::string signs = of[1]["signs"].dump();
  for (const char* words : {"Steps: 20", "trainedAlgorithmicMedia", "Paintery", "not verified"}) EXPECT_THAT(signs, HasSubstr(words));
  EXPECT_THAT(of[0].dump(), Not(HasSubstr("Steps")));
  EXPECT_FALSE(records(run("detect", {"--format", "jsonl", "--no-signs", signed_}).out)[0].contains("signs"));
  EXPECT_THAT(run("explain", {"--output", at("why"), signed_}).out, HasSubstr("PNG: parameters: Steps: 20"));
  run("detect", {"--report", at("page.html"), signed_});
  std::ifstream page(folder_ / "page.html");
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(page), {}), HasSubstr("Steps: 20"));
}

TEST_F(Media, OrientationChangesWhatIsShownAndNoScore) {
  const std::string jpeg = text_of(encode_jpeg(smooth_image(96, 64), 95));
  const std::string stored = write("stored.jpg", jpeg), turned = write("turned.jpg", with_segments(jpeg, jpeg_segment(0xe1, "Exif\0\0"s + exif_block({}, 6))));
  const std::vector<json> of = records(run("detect", {"--format", "jsonl", stored, turned}).out);
  EXPECT_EQ(of[0]["logit"], of[1]["logit"]);
  EXPECT_EQ(of[1]["orientation"], 6);
  EXPECT_EQ(of[1]["width"], 64);
  EXPECT_EQ(of[1]["height"], 96);
  EXPECT_FALSE(of[0].contains("orientation"));

  for (const char* view : {"native", "tiles"}) {
    const ProgramResult told = run("explain", {"--view", view, "--regions", "3", "--json", "--output", at(view), stored, turned});
    const json both = json::parse(told.out);
    EXPECT_EQ(both[0]["logit"], both[1]["logit"]);
    const Image sheet = read_image(at(view) + "/stored.contributions.png"), upright_sheet = read_image(at(view) + "/turned.contributions.png");
    EXPECT_EQ(upright_sheet.width, sheet.height);
    ASSERT_EQ(both[0]["regions"].size(), both[1]["regions"].size());
    for (std::size_t i = 0; i < both[0]["regions"].size(); ++i) {
      // A turn to the right: what was at the left is at the top, what was below is at the left.
      const json &a = both[0]["regions"][i], &b = both[1]["regions"][i];
      EXPECT_EQ(a["contribution"], b["contribution"]);
      EXPECT_NEAR(b["y"].get<double>(), a["x"].get<double>(), 1e-6);
      EXPECT_NEAR(b["x"].get<double>(), 64 - a["y"].get<double>() - a["height"].get<double>(), 1e-6);
    }
  }
}

TEST_F(Media, PagesAreRecordsOfTheirOwn) {
  const std::string tiff = (kFixtures / "images/libraries/pages.tif").string();
  if (find_format(read_file(tiff, 1 << 20))->decode == nullptr) GTEST_SKIP() << "this build reads no TIFF";
  EXPECT_EQ(records(run("detect", {"--format", "jsonl", tiff}).out).size(), 1u);
  const std::vector<json> all = records(run("detect", {"--format", "jsonl", "--pages", tiff}).out);
  ASSERT_EQ(all.size(), 4u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i]["part"], "page " + std::to_string(i + 1));
    EXPECT_TRUE(all[i].contains("score"));
  }
  EXPECT_NE(all[0]["score"], all[1]["score"]);
  EXPECT_EQ(all[3]["parts"], 3);
  EXPECT_LE(all[3]["lowest"], all[3]["median"]);
}

TEST_F(Media, FilmsAreScoredFrameByFrame) {
  for (const char* name : {"clip.mp4", "clip.webm"}) {
    const std::string film = (kFixtures / "videos" / name).string();
    const ProgramResult told = run("detect", {"--format", "jsonl", "--every", "0.5s", film});
    const std::vector<json> all = records(told.out);
    if (all.size() == 1) {
      EXPECT_THAT(all[0]["error"].get<std::string>(), HasSubstr("libavformat-dev"));
      GTEST_SKIP() << "this build has no video module";
    }
    ASSERT_EQ(all.size(), 5u) << told.out << told.err;
    EXPECT_EQ(told.exit_code, 0);
    EXPECT_EQ(all[0]["part"], "0:00:00.000");
    EXPECT_EQ(all[1]["part"], "0:00:00.600");  // five frames a second: the first one from half a second on
    EXPECT_EQ(all[0]["width"], 96);
    EXPECT_EQ(all[4]["parts"], 4);
    EXPECT_EQ(records(run("detect", {"--format", "jsonl", "--every", "60", film}).out).size(), 2u);
    EXPECT_THAT(run("detect", {"--every", "1", "--max-pixels", "100", film}).err, HasSubstr("--max-pixels"));
    const std::string whole = text_of(read_file(film, 1 << 20));
    EXPECT_EQ(run("detect", {"--every", "1", write(name, whole.substr(0, 200))}).exit_code, 1);
  }
}

TEST_F(Media, AFilmWithoutEverySaysWhatToDo) {
  const ProgramResult told = run("detect", {(kFixtures / "videos/clip.mp4").string()});
  EXPECT_EQ(told.exit_code, 1);
  EXPECT_THAT(told.err, HasSubstr("--every 1s"));
  EXPECT_EQ(run("detect", {"--every", "soon", at("model.lfmw")}).exit_code, 2);
}

}  // namespace
}  // namespace lfm::test
