// detect on what has more than pixels or more than one picture: signs beside the score, orientation, pages and films.

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/orientation.h"
#include "tests/catch.h"
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

const fs::path kMediaFixtures = kTestFixtures;

class Media {
 protected:
  Media() { write_random_model(folder_ / "model.lfmw", 7); }

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

TEST_CASE_METHOD(Media, "Media.SignsStandBesideTheScore") {
  const std::string png = text_of(encode_png(random_image(64, 56, 1)));
  const std::string plain = write("plain.png", png),
                    signed_ = write("signed.png", with_chunks(png, png_chunk("tEXt", "parameters\0Steps: 20"s) +
                                                                       png_chunk("caBX", c2pa_store())));
  const std::vector<json> of = records(run("detect", {"--format", "jsonl", plain, signed_}).out);
  REQUIRE(of.size() == 2u);
  CHECK(of[0]["score"] == of[1]["score"]);
  const std::string signs = of[1]["signs"].dump();
  for (const char* words : {"Steps: 20", "trainedAlgorithmicMedia", "Paintery", "not verified"})
    CHECK_THAT(signs, ContainsSubstring(words));
  CHECK(of[0].dump().find("Steps") == std::string::npos);
  CHECK((!(records(run("detect", {"--format", "jsonl", "--no-signs", signed_}).out)[0].contains("signs"))));
  CHECK_THAT(run("explain", {"--output", at("why"), signed_}).out, ContainsSubstring("PNG: parameters: Steps: 20"));
  run("detect", {"--report", at("page.html"), signed_});
  std::ifstream page(folder_ / "page.html");
  CHECK_THAT(std::string(std::istreambuf_iterator<char>(page), {}), ContainsSubstring("Steps: 20"));
}

TEST_CASE_METHOD(Media, "Media.OrientationChangesWhatIsShownAndNoScore") {
  const std::string jpeg = text_of(encode_jpeg(smooth_image(96, 64), 95));
  const std::string stored = write("stored.jpg", jpeg),
                    turned =
                        write("turned.jpg", with_segments(jpeg, jpeg_segment(0xe1, "Exif\0\0"s + exif_block({}, 6))));
  const std::vector<json> of = records(run("detect", {"--format", "jsonl", stored, turned}).out);
  CHECK(of[0]["logit"] == of[1]["logit"]);
  CHECK(of[1]["orientation"] == 6);
  CHECK(of[1]["width"] == 64);
  CHECK(of[1]["height"] == 96);
  CHECK(!(of[0].contains("orientation")));

  for (const char* view : {"native", "tiles"}) {
    const ProgramResult told =
        run("explain", {"--view", view, "--regions", "3", "--json", "--output", at(view), stored, turned});
    const json both = json::parse(told.out);
    CHECK(both[0]["logit"] == both[1]["logit"]);
    const Image sheet = read_image(at(view) + "/stored.contributions.png"),
                upright_sheet = read_image(at(view) + "/turned.contributions.png");
    CHECK(upright_sheet.width == sheet.height);
    REQUIRE(both[0]["regions"].size() == both[1]["regions"].size());
    for (std::size_t i = 0; i < both[0]["regions"].size(); ++i) {
      // A turn to the right: what was at the left is at the top, what was below is at the left.
      const json &a = both[0]["regions"][i], &b = both[1]["regions"][i];
      CHECK(a["contribution"] == b["contribution"]);
      CHECK(std::abs(b["y"].get<double>() - (a["x"].get<double>())) <= 1e-6);
      CHECK(std::abs(b["x"].get<double>() - (64 - a["y"].get<double>() - a["height"].get<double>())) <= 1e-6);
    }
  }
}

TEST_CASE_METHOD(Media, "Media.HeifsOwnTurnsAndPreviewsKeepTheirScores") {
  const fs::path folder = kMediaFixtures / "images/libraries";
  const auto of = [&](const char* name) {
    return records(run("detect", {"--view", "resize", "--format", "jsonl", (folder / name).string()}).out)[0];
  };
  const json stored = of("lossy.avif"), turned = of("turned6.avif"), preview = of("preview.jpg");
  if (!stored.contains("error")) {
    CHECK(stored["logit"] == turned["logit"]);
    CHECK(turned["orientation"] == 6);
    CHECK(turned["width"] == stored["height"]);
  }
  const std::pair<const char*, const char*> cameras[] = {
      {"camera.dng", "Maker M1"},     {"camera.arw", "SONY ILCE-7M4"}, {"camera.cr2", "Canon EOS 70D"},
      {"camera.cr3", "Canon EOS R6"}, {"camera.nef", "NIKON D90"},     {"camera.raf", "FUJIFILM X-T1"}};
  for (const auto& [file, camera] : cameras) {
    INFO(file);
    const json raw = of(file);
    if (raw.contains("error")) {
      CHECK_THAT(raw["error"].get<std::string>(), ContainsSubstring("libraw"));
      continue;
    }
    CHECK(raw["part"] == "preview");
    CHECK(raw["orientation"] == 6);
    CHECK_THAT(raw["signs"].dump(), ContainsSubstring("the JPEG that the camera embedded was scored"));
    CHECK_THAT(raw["signs"].dump(), ContainsSubstring(camera));
    if (raw["height"] == preview["width"]) CHECK(raw["logit"] == preview["logit"]);
  }
}

TEST_CASE_METHOD(Media, "Media.PagesAreRecordsOfTheirOwn") {
  const std::string tiff = (kMediaFixtures / "images/libraries/pages.tif").string();
  if (find_format(read_file(tiff, 1 << 20))->decode == nullptr) SKIP("this build reads no TIFF");
  CHECK((records(run("detect", {"--format", "jsonl", tiff}).out).size() == 1u));
  const std::vector<json> all = records(run("detect", {"--format", "jsonl", "--pages", tiff}).out);
  REQUIRE(all.size() == 4u);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(all[i]["part"] == "page " + std::to_string(i + 1));
    CHECK(all[i].contains("score"));
  }
  CHECK(all[0]["score"] != all[1]["score"]);
  CHECK(all[3]["parts"] == 3);
  CHECK(all[3]["lowest"] <= all[3]["median"]);
}

TEST_CASE_METHOD(Media, "Media.PagesAreTurnedEachAsItSays") {
  const Image image = random_image(64, 56, 1);
  const std::string rgb(image.rgb.begin(), image.rgb.end()),
      tiff = write("turned.tif", tiff_pages(64, 56, {{rgb, 1}, {rgb, 6}}));
  if (find_format(read_file(tiff, 1 << 20))->decode == nullptr) SKIP("this build reads no TIFF");
  const std::vector<json> all = records(run("detect", {"--format", "jsonl", "--pages", tiff}).out);
  REQUIRE(all.size() == 3u);
  CHECK(all[0]["logit"] == all[1]["logit"]);
  CHECK(all[0]["width"] == 64);
  CHECK(all[1]["width"] == 56);
  CHECK(all[1]["orientation"] == 6);
  CHECK(!all[0].contains("orientation"));
}

TEST_CASE_METHOD(Media, "Media.FilmsAreScoredFrameByFrame") {
  for (const char* name : {"clip.mp4", "clip.webm"}) {
    const std::string film = (kMediaFixtures / "videos" / name).string();
    const ProgramResult told = run("detect", {"--format", "jsonl", "--every", "0.5s", film});
    const std::vector<json> all = records(told.out);
    if (all.size() == 1) {
      CHECK_THAT(all[0]["error"].get<std::string>(), ContainsSubstring("libav"));
      SKIP("films can't be read here");
    }
    REQUIRE(all.size() == 5u);
    CHECK(told.exit_code == 0);
    CHECK(all[0]["part"] == "0:00:00.000");
    CHECK(all[1]["part"] == "0:00:00.600");  // five frames a second: the first one from half a second on
    CHECK(all[0]["width"] == 96);
    CHECK(all[4]["parts"] == 4);
    CHECK((records(run("detect", {"--format", "jsonl", "--every", "60", film}).out).size() == 2u));
    CHECK_THAT(run("detect", {"--every", "1", "--max-pixels", "100", film}).err, ContainsSubstring("--max-pixels"));
    const std::string whole = text_of(read_file(film, 1 << 20));
    CHECK((run("detect", {"--every", "1", write(name, whole.substr(0, 200))}).exit_code == 1));
  }
}

TEST_CASE_METHOD(Media, "Media.AFilmThatAsksForTooMuchMemoryIsCalledDamaged") {
  std::string film = text_of(read_file(kMediaFixtures / "videos/clip.mp4", 1 << 20));
  film.replace(film.find("stts") + 8, 4, "\x7f\xff\xff\xff");  // so many times of frames
  const ProgramResult told = run("detect", {"--every", "1", write("damaged.mp4", film)});
  CHECK(told.exit_code == 1);
  CHECK_THAT(told.err, ContainsSubstring("damaged") || ContainsSubstring("FFmpeg's libraries") ||
                           ContainsSubstring("can't be loaded"));
}

TEST_CASE_METHOD(Media, "Media.AFilmWithoutEverySaysWhatToDo") {
  const ProgramResult told = run("detect", {(kMediaFixtures / "videos/clip.mp4").string()});
  CHECK(told.exit_code == 1);
  CHECK_THAT(told.err, ContainsSubstring("--every 1s"));
  CHECK((run("detect", {"--every", "soon", at("model.lfmw")}).exit_code == 2));
}

}  // namespace
}  // namespace lfm::test
