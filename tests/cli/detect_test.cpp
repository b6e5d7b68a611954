// lfm-cuda detect as a user meets it: results, formats, exit codes, and what happens to everything that is no good image.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Detect : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_random_model(*shared_ / "model.lfmw", 7);
  }
  static void TearDownTestSuite() { delete shared_; }

  /// detect with the test's model.
  ProgramResult detect(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
    arguments.insert(arguments.begin(), {"detect", "--model", model()});
    return run_program(kProgram, std::move(arguments), options);
  }
  std::vector<json> records(const std::string& jsonl) {
    std::vector<json> all;
    std::istringstream in(jsonl);
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
    return all;
  }
  std::string model() { return (*shared_ / "model.lfmw").string(); }
  std::string at(const std::string& name) { return (folder / name).string(); }
  void write(const std::string& name, const std::string& bytes) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder;
};
TemporaryFolder* Detect::shared_ = nullptr;

TEST_F(Detect, ScoresImagesAndFolders) {
  write_ppm(folder / "photos/b.ppm", 64, 48, 1);
  write_ppm(folder / "photos/a/c.ppm", 50, 70, 2);
  write_ppm(folder / "single.ppm", 48, 48, 3);
  write("photos/notes.txt", "no image");
  const auto result = detect({"--format", "jsonl", at("single.ppm"), at("photos")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto all = records(result.out);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["path"], at("single.ppm"));
  EXPECT_EQ(all[1]["path"], at("photos/a/c.ppm"));
  EXPECT_EQ(all[2]["path"], at("photos/b.ppm"));
  EXPECT_EQ(all[1]["width"], 50);
  EXPECT_EQ(all[1]["height"], 70);
  for (const json& record : all) {
    const double logit = record["logit"], score = record["score"];
    EXPECT_NEAR(score, 1 / (1 + std::exp(-logit)), 1e-6);
    EXPECT_EQ(record["label"], score > 0.5 ? "fake" : "real");
  }
  EXPECT_THAT(result.err, HasSubstr("3 images scored"));
  EXPECT_THAT(result.err, HasSubstr("1 file that is no image skipped"));
}

TEST_F(Detect, EveryFormatTellsTheSame) {
  for (std::uint32_t i = 0; i < 3; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/broken.png", "\x89PNG\r\n\x1a\nbroken");
  const auto jsonl = records(detect({"--format", "jsonl", at("f")}).out);
  ASSERT_EQ(jsonl.size(), 4u);
  EXPECT_EQ(json::parse(detect({"--format", "json", at("f")}).out), json(jsonl));

  std::istringstream csv(detect({"--format", "csv", at("f")}).out);
  std::istringstream table(detect({at("f")}).out);
  std::string line;
  std::getline(csv, line);
  EXPECT_EQ(line, "path,logit,score,label,width,height,error,reason");
  std::getline(table, line);
  EXPECT_THAT(line, HasSubstr("score"));
  for (const json& record : jsonl) {
    std::getline(csv, line);
    EXPECT_EQ(line.rfind(record["path"].get<std::string>() + ",", 0), 0u) << line;
    if (record.contains("logit")) {
      EXPECT_EQ(std::stof(line.substr(line.find(',') + 1)), record["logit"].get<float>());
    }
    std::getline(table, line);
    EXPECT_THAT(line, HasSubstr(record["path"].get<std::string>()));
    EXPECT_THAT(line, HasSubstr(record.contains("error") ? "failed" : record["label"].get<std::string>()));
  }
}

TEST_F(Detect, KeepsInputOrderAndValuesWhateverThreadsAndBatch) {
  std::string list;
  std::vector<std::string> expected;
  for (std::uint32_t i = 0; i < 40; ++i) {
    write_ppm(folder / fmt::format("p{}.ppm", i % 10), 48 + static_cast<int>(i % 3) * 6, 48, i % 10);
    expected.push_back(at(fmt::format("p{}.ppm", i * 7 % 10)));
    list += expected.back() + "\n";
  }
  const ProgramOptions input{.input = list};
  const auto one = detect({"--format", "jsonl", "--threads", "1", "--batch", "1", "-"}, input);
  const auto many = detect({"--format", "jsonl", "--threads", "5", "--batch", "7", "-"}, input);
  EXPECT_EQ(one.exit_code, 0) << one.err;
  const auto all = records(one.out);
  ASSERT_EQ(all.size(), expected.size());
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]["path"], expected[i]) << i;
  EXPECT_EQ(one.out, many.out) << "a score depends on its image alone";
}

TEST_F(Detect, ReadsListsAsPeoplesToolsWriteThem) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write_ppm(folder / "b c.ppm", 48, 48, 2);
  const std::string a = at("a.ppm"), b = at("b c.ppm");
  const std::string expected = detect({"--format", "csv", a, b}).out;
  for (const std::string& list : {a + "\n" + b + "\n", a + "\r\n" + b + "\r\n", "\xef\xbb\xbf" + a + "\n" + b, a + "\r" + b, "\n" + a + " \n\n" + b}) {
    const auto result = detect({"--format", "csv", "-"}, {.input = list});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, expected);
  }
  const std::string zero(1, '\0');
  for (const char* option : {"-0", "--null"}) EXPECT_EQ(detect({option, "--format", "csv", "-"}, {.input = a + zero + b + zero}).out, expected);
}

TEST_F(Detect, WhatIsNoListHasOneMessage) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const std::string zero(1, '\0'), picture = read_text(folder / "a.ppm");
  std::string utf16 = "\xff\xfe";
  for (const char c : at("a.ppm") + "\r\n") (utf16 += c) += '\0';
  const std::vector<std::pair<std::string, std::string>> wrong = {{picture, "PNM picture"}, {utf16, "UTF-16"}, {at("a.ppm") + zero + at("a.ppm") + zero, "--null"}};
  for (const auto& [list, words] : wrong) {
    const auto result = detect({"--quiet", "--format", "jsonl", "-"}, {.input = list});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(records(result.out).size(), 1u) << result.out;
  }
}

TEST_F(Detect, AnErrorDoesNotEndAtAZeroByte) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const std::string list = at("a.ppm") + "\n/etc/pass" + std::string(1, '\0') + "wd.png\n" + at("a.ppm") + "\n";
  const auto result = detect({"--format", "jsonl", "-"}, {.input = list});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("/etc/pass\\x00wd.png: the path holds a zero byte"));
  const auto all = records(result.out);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1]["error"], "the path holds a zero byte");
  EXPECT_TRUE(all[2].contains("score"));
}

TEST_F(Detect, EachFailureHasItsReasonAndLosesNoOtherImage) {
  write_ppm(folder / "f/a_good.ppm", 48, 48, 1);
  write_ppm(folder / "f/z_good.ppm", 48, 48, 2);
  write_ppm(folder / "f/small.ppm", 47, 48, 3);
  write("f/empty.jpg", "");
  write("f/text.png", "this is text");
  write("f/bomb.ppm", "P6\n100000 100000\n255\n");
  write("f/truncated.ppm", "P6\n64 64\n255\nabc");
  fs::create_symlink(folder / "nowhere", folder / "f/dangling.png");
  write("f/notes.txt", "not an image, not an error");
  ASSERT_EQ(mkfifo((folder / "f/pipe.png").c_str(), 0600), 0);  // must not be waited for

  const auto result = detect({"--format", "jsonl", at("f"), at("missing.png"), at("f/a_good.ppm")});
  EXPECT_EQ(result.exit_code, 1);
  std::map<std::string, json> by_name;
  std::size_t scored = 0;
  for (const json& record : records(result.out)) {
    const std::string name = fs::path(record["path"].get<std::string>()).filename().string();
    by_name[name] = record;
    scored += record.contains("score");
    if (record.contains("error")) {
      EXPECT_EQ(record.size(), 2u) << record;
      EXPECT_THAT(result.err, HasSubstr(record["path"].get<std::string>() + ": " + record["error"].get<std::string>()));
      EXPECT_THAT(record["error"].get<std::string>(), Not(HasSubstr(at("")))) << "the path is not repeated";
    }
  }
  EXPECT_EQ(scored, 3u);
  EXPECT_EQ(by_name.size(), 9u) << result.out;
  EXPECT_THAT(by_name["small.ppm"]["error"], HasSubstr("47x48"));
  EXPECT_THAT(by_name["empty.jpg"]["error"], HasSubstr("empty"));
  EXPECT_THAT(by_name["bomb.ppm"]["error"], HasSubstr("--max-pixels"));
  EXPECT_THAT(by_name["missing.png"]["error"], HasSubstr("No such file"));
  EXPECT_THAT(by_name["dangling.png"]["error"], HasSubstr("No such file"));
  EXPECT_TRUE(by_name["text.png"].contains("error"));
  EXPECT_TRUE(by_name["truncated.ppm"].contains("error"));
  EXPECT_THAT(result.err, HasSubstr("3 images scored"));
  EXPECT_THAT(result.err, HasSubstr("7 failed; 2 files that are no images skipped"));
}

TEST_F(Detect, UnreadableFilesAreReported) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  write_ppm(folder / "a.ppm", 48, 48, 1);
  fs::permissions(folder / "a.ppm", fs::perms::none);
  const auto result = detect({at("a.ppm")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("Permission denied"));
}

TEST_F(Detect, MaxPixelsIsChecked) {
  write_ppm(folder / "a.ppm", 60, 50, 1);
  EXPECT_EQ(detect({"--max-pixels", "3000", at("a.ppm")}).exit_code, 0);
  const auto result = detect({"--max-pixels", "2999", at("a.ppm")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("2999"));
}

TEST_F(Detect, LinksInACircleEnd) {
  write_ppm(folder / "f/a/1.ppm", 48, 48, 1);
  fs::create_directory_symlink(folder / "f", folder / "f/a/up");
  const auto result = detect({"--format", "jsonl", at("f")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(records(result.out).size(), 1u);
}

TEST_F(Detect, NothingToScoreIsAFailure) {
  write("f/notes.txt", "text");
  const auto result = detect({at("f")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("no images"));
}

TEST_F(Detect, OutputReplacesAFileOnlyWhenComplete) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write("report.json", "old");
  EXPECT_EQ(detect({"--format", "json", "--output", at("report.json"), at("a.ppm")}).exit_code, 0);
  EXPECT_EQ(json::parse(read_text(folder / "report.json")).size(), 1u);

  write("report.json", "old");
  const auto result = detect({"--format", "json", "--output", at("report.json"), "--features", "/dev/full", at("a.ppm")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(read_text(folder / "report.json"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 2) << "no temporary file is left";

  EXPECT_EQ(detect({"--output", at("missing/report.json"), at("a.ppm")}).exit_code, 1);
}

TEST_F(Detect, AFullDiskIsAnError) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  for (const ProgramResult& result : {detect({at("a.ppm")}, {.out = "/dev/full"}), detect({"-o", "/dev/full", at("a.ppm")})}) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr("No space left"));
  }
}

TEST_F(Detect, AClosedPipeIsAnErrorAndNoCrash) {
  for (std::uint32_t i = 0; i < 10; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const auto result = detect({"--format", "jsonl", at("f")}, {.out_descriptor = ends[1]});
  close(ends[1]);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("standard output: its reader has closed it"));
}

TEST_F(Detect, AnInterruptLeavesTheOldFile) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write("x.npy", "old");
  // The list goes on after its first line: the signal comes when that is scored and the program waits for the next.
  const std::string script =
      "mkfifo \"$5\"; exec 3<>\"$5\"; echo \"$2\" >&3; "
      "\"$0\" detect --model \"$1\" --format jsonl --features \"$3\" - < \"$5\" > \"$4\" 3>&- & "
      "until grep -q score \"$4\"; do sleep 0.1; done; kill -INT $!; wait $!";
  const auto result = run_program("bash", {"-c", script, kProgram, model(), at("a.ppm"), at("x.npy"), at("out.jsonl"), at("list")});
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
  EXPECT_EQ(records(read_text(folder / "out.jsonl")).size(), 1u);
  EXPECT_EQ(read_text(folder / "x.npy"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 4) << "no temporary file is left";
}

TEST_F(Detect, ClosedStandardOutputIsAnError) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto result = run_program("bash", {"-c", "\"$0\" detect --model \"$1\" --features \"$3\" \"$2\" >&-", kProgram, model(),
                                           at("a.ppm"), at("x.npy")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("standard output"));
}

TEST_F(Detect, HostileNamesDoNoHarm) {
  const std::string name = "\x1b[2J\x1b]0;title\a\n=cmd.ppm";
  write_ppm(folder / name, 48, 48, 1);
  write("\x1b[31mempty.png", "");
  const auto table = detect({folder.path().string()});
  EXPECT_THAT(table.out + table.err, Not(HasSubstr("\x1b")));
  EXPECT_EQ(std::count(table.out.begin(), table.out.end(), '\n'), 3) << table.out;

  write_ppm(fs::current_path() / "=formula.ppm", 48, 48, 1);
  const auto csv = detect({"--format", "csv", "=formula.ppm"});
  fs::remove("=formula.ppm");
  EXPECT_THAT(csv.out, HasSubstr("\n'=formula.ppm,"));
  const auto record = json::parse(detect({"--format", "jsonl", at(name)}).out);
  EXPECT_EQ(record["path"], at(name));
}

TEST_F(Detect, SortsByScoreWithFailuresLast) {
  for (std::uint32_t i = 0; i < 6; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/0empty.png", "");
  const auto all = records(detect({"--format", "jsonl", "--sort", "score", at("f")}).out);
  ASSERT_EQ(all.size(), 7u);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_GE(all[i - 1]["score"], all[i]["score"]);
  EXPECT_TRUE(all[6].contains("error"));
}

TEST_F(Detect, ThresholdDecidesTheLabelAlone) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto real = json::parse(detect({"--format", "jsonl", "--threshold", "1", at("a.ppm")}).out);
  const auto fake = json::parse(detect({"--format", "jsonl", "--threshold", "0", at("a.ppm")}).out);
  EXPECT_EQ(real["label"], "real");
  EXPECT_EQ(fake["label"], "fake");
  EXPECT_EQ(real["logit"], fake["logit"]);
}

TEST_F(Detect, ViewsDiffer) {
  write_ppm(folder / "a.ppm", 300, 280, 1);
  std::map<std::string, json> by_view;
  for (const char* view : {"resize", "native", "center"}) {
    by_view[view] = json::parse(detect({"--format", "jsonl", "--view", view, at("a.ppm")}).out);
    EXPECT_EQ(by_view[view]["width"], 300);
  }
  EXPECT_NE(by_view["resize"]["logit"], by_view["native"]["logit"]);
  EXPECT_NE(by_view["center"]["logit"], by_view["native"]["logit"]);
}

TEST_F(Detect, WritesFeaturesInRecordOrder) {
  for (std::uint32_t i = 0; i < 2; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/0empty.png", "");
  EXPECT_EQ(detect({"--features", at("x.npy"), at("f")}).exit_code, 1);
  const std::string bytes = read_text(folder / "x.npy");
  ASSERT_EQ(bytes.size(), 128 + 3 * 1024 * sizeof(float));
  EXPECT_THAT(bytes.substr(0, 128), HasSubstr("'shape': (3, 1024)"));
  const auto value = [&](std::size_t row, std::size_t column) {
    float v;
    std::memcpy(&v, bytes.data() + 128 + (row * 1024 + column) * sizeof v, sizeof v);
    return v;
  };
  EXPECT_FALSE(std::isnan(value(0, 0)));  // 0.ppm
  EXPECT_TRUE(std::isnan(value(1, 0)));   // 0empty.png
  EXPECT_GE(value(2, 0), value(2, 1)) << "largest first";
  EXPECT_EQ(detect({"--features", at("y.npy"), "--sort", "score", at("f")}).exit_code, 2);
}

TEST_F(Detect, QuietSaysOnlyErrors) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  EXPECT_EQ(detect({"--quiet", at("a.ppm")}).err, "");
  EXPECT_THAT(detect({"--quiet", at("b.ppm")}).err, HasSubstr("b.ppm"));
}

TEST_F(Detect, NoProgressBarInAPipe) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  EXPECT_THAT(detect({at("a.ppm")}).err, Not(HasSubstr("\r")));
}

TEST_F(Detect, WrongUsageExitsWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {{"detect"}, {"detect", "--no-such", "x"}, {"detect", "--view", "wide", "x"},
                                                       {"detect", "--threshold", "2", "x"}, {"detect", "--batch", "0", "x"},
                                                       {"detect", "--format", "xml", "x"}, {"no-such-command"}, {}};
  for (const auto& arguments : wrong) {
    const auto result = run_program(kProgram, arguments);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(result.err, HasSubstr("lfm-cuda"));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(detect({"--device", "abacus", at("x")}).exit_code, 2);
  EXPECT_EQ(detect({"--precision", "fp4", at("x")}).exit_code, 2);
}

TEST_F(Detect, APrecisionThatTheDeviceLacksIsRefused) {
  for (const std::string device : {"cpu", "reference"}) {
    const auto result = detect({"--device", device, "--precision", "tf32", at("x")});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("does not support tf32: its precisions are auto, fp32"));
  }
  write_ppm(folder / "a.ppm", 48, 48, 1);
  EXPECT_EQ(detect({"--device", "cpu", "--precision", "fp32", at("a.ppm")}).exit_code, 0);
  const auto avx2 = detect({"--device", "cpu", "--precision", "bf16", at("a.ppm")}, {.environment = {"LFM_CPU=avx2"}});
  if (avx2.err.find("is not an instruction set") != std::string::npos) return;
  EXPECT_EQ(avx2.exit_code, 3);
  EXPECT_THAT(avx2.err, HasSubstr("AVX512_BF16"));
  EXPECT_THAT(avx2.err, HasSubstr("use --precision fp32"));
}

TEST_F(Detect, NoModelOrDeviceExitsWithThree) {
  write("damaged.lfmw", read_text(model()).substr(0, 100000));
  write("text.lfmw", "text");
  for (const std::string& broken : {at("missing.lfmw"), at("damaged.lfmw"), at("text.lfmw"), std::string("no-such-name")}) {
    const auto result = run_program(kProgram, {"detect", "--model", broken, "x.png"});
    EXPECT_EQ(result.exit_code, 3) << broken;
    EXPECT_THAT(result.err, HasSubstr(broken));
  }
  const auto none = run_program(kProgram, {"detect", "x.png"}, {.environment = {"LFM_MODEL=none-of-that-name"}});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, HasSubstr("lfm-cuda convert"));
  EXPECT_EQ(detect({"--device", "cuda:99", at("x")}).exit_code, 3);
  const auto all = detect({"--device", "cuda:all", at("x")});  // a file that is not there, or no GPU: never wrong usage
  EXPECT_TRUE(all.exit_code == 1 || all.exit_code == 3) << all.exit_code;
  EXPECT_EQ(run_program(kProgram, {"bench", "--device", "cuda:all"}).exit_code, 2);
}

TEST_F(Detect, TheEnvironmentNamesAModel) {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto result = run_program(kProgram, {"detect", at("a.ppm")}, {.environment = {fmt::format("LFM_MODEL={}", model())}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(Detect, HelpTeaches) {
  const auto general = run_program(kProgram, {"--help"});
  EXPECT_EQ(general.exit_code, 0);
  for (const char* taught : {"detect", "convert", "info", "Examples:", "Exit codes:"}) EXPECT_THAT(general.out, HasSubstr(taught));
  const auto version = run_program(kProgram, {"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, HasSubstr("lfm-cuda 0."));
}

TEST_F(Detect, EqualsTheReferenceModelOnTheFixtures) {
  const fs::path fixtures = fs::path(kShared) / "fixtures";
  if (!fs::exists(fixtures / "lfm_official.safetensors")) GTEST_SKIP() << "the parity fixtures (../shared/fixtures) are not on this machine";
  const auto converted =
      run_program(kProgram, {"convert", (fixtures / "lfm_official.safetensors").string(), at("reference.lfmw")});
  ASSERT_EQ(converted.exit_code, 0) << converted.err;
  const json expected = json::parse(read_text(fixtures / "inference.json"));
  for (const auto& [mode, view] : {std::pair("resize256", "resize"), std::pair("native", "native")}) {
    const auto result = run_program(kProgram, {"detect", "--model", at("reference.lfmw"), "--view", view, "--format", "jsonl",
                                                  (fixtures / "images").string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::size_t compared = 0;
    for (const json& record : records(result.out)) {
      const std::string name = fs::path(record["path"].get<std::string>()).stem().string();
      for (const json& e : expected) {
        if (e["image"] != name || e["mode"] != mode) continue;
        const double logit = e["logit"];
        EXPECT_NEAR(record["logit"].get<double>(), logit, 2e-4 * std::max(1.0, std::abs(logit))) << name << ' ' << mode;
        EXPECT_NEAR(record["score"].get<double>(), e["score"].get<double>(), 2e-4) << name << ' ' << mode;
        ++compared;
      }
    }
    EXPECT_EQ(compared, 5u);
  }
}

}  // namespace
}  // namespace lfm::test
