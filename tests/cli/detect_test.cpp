// lfm-cuda detect as a user meets it: results, formats, exit codes, and what happens to everything that is no good
// image.
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Detect {
 protected:
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
  static std::string model() {
    struct Shared {
      Shared() { write_random_model(folder / "model.lfmw", 7); }
      TemporaryFolder folder;
    };
    static const Shared shared;
    return (shared.folder / "model.lfmw").string();
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  void write(const std::string& name, const std::string& bytes) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }

  TemporaryFolder folder;
};

TEST_CASE_METHOD(Detect, "Detect.ScoresImagesAndFolders") {
  write_ppm(folder / "photos/b.ppm", 64, 48, 1);
  write_ppm(folder / "photos/a/c.ppm", 50, 70, 2);
  write_ppm(folder / "single.ppm", 48, 48, 3);
  write("photos/notes.txt", "no image");
  const auto result = detect({"--format", "jsonl", at("single.ppm"), at("photos")});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  const auto all = records(result.out);
  REQUIRE(all.size() == 3u);
  CHECK(all[0]["path"] == at("single.ppm"));
  CHECK(all[1]["path"] == at("photos/a/c.ppm"));
  CHECK(all[2]["path"] == at("photos/b.ppm"));
  CHECK(all[1]["width"] == 50);
  CHECK(all[1]["height"] == 70);
  for (const json& record : all) {
    const double logit = record["logit"], score = record["score"];
    CHECK_THAT(score, WithinAbs(1 / (1 + std::exp(-logit)), 1e-6));
    CHECK(record["label"] == (score > 0.5 ? "fake" : "real"));
  }
  CHECK_THAT(result.err, ContainsSubstring("3 images scored"));
  CHECK_THAT(result.err, ContainsSubstring("1 file that is no image skipped"));
}

TEST_CASE_METHOD(Detect, "Detect.EveryFormatTellsTheSame") {
  for (std::uint32_t i = 0; i < 3; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/broken.png", "\x89PNG\r\n\x1a\nbroken");
  const auto jsonl = records(detect({"--format", "jsonl", at("f")}).out);
  REQUIRE(jsonl.size() == 4u);
  CHECK(json::parse(detect({"--format", "json", at("f")}).out) == json(jsonl));

  std::istringstream csv(detect({"--format", "csv", at("f")}).out);
  std::istringstream table(detect({at("f")}).out);
  std::string line;
  std::getline(csv, line);
  CHECK(line == "path,logit,score,label,width,height,error,reason,part");
  std::getline(table, line);
  CHECK_THAT(line, ContainsSubstring("score"));
  for (const json& record : jsonl) {
    std::getline(csv, line);
    CHECK_MESSAGE(line.rfind(record["path"].get<std::string>() + ",", 0) == 0u, line);
    if (record.contains("logit")) {
      CHECK(std::stof(line.substr(line.find(',') + 1)) == record["logit"].get<float>());
    }
    std::getline(table, line);
    CHECK_THAT(line, ContainsSubstring(record["path"].get<std::string>()));
    CHECK_THAT(line, ContainsSubstring(record.contains("error") ? "failed" : record["label"].get<std::string>()));
  }
}

TEST_CASE_METHOD(Detect, "Detect.KeepsInputOrderAndValuesWhateverThreadsAndBatch") {
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
  CHECK_MESSAGE(one.exit_code == 0, one.err);
  const auto all = records(one.out);
  REQUIRE(all.size() == expected.size());
  for (std::size_t i = 0; i < all.size(); ++i) CHECK_MESSAGE(all[i]["path"] == expected[i], i);
  CHECK_MESSAGE(one.out == many.out, "a score depends on its image alone");
}

TEST_CASE_METHOD(Detect, "Detect.ReadsListsAsPeoplesToolsWriteThem") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write_ppm(folder / "b c.ppm", 48, 48, 2);
  const std::string a = at("a.ppm"), b = at("b c.ppm");
  const std::string expected = detect({"--format", "csv", a, b}).out;
  for (const std::string& list : {a + "\n" + b + "\n", a + "\r\n" + b + "\r\n", "\xef\xbb\xbf" + a + "\n" + b,
                                  a + "\r" + b, "\n" + a + " \n\n" + b}) {
    const auto result = detect({"--format", "csv", "-"}, {.input = list});
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    CHECK(result.out == expected);
  }
  const std::string zero(1, '\0');
  for (const char* option : {"-0", "--null"})
    CHECK(detect({option, "--format", "csv", "-"}, {.input = a + zero + b + zero}).out == expected);
}

TEST_CASE_METHOD(Detect, "Detect.WhatIsNoListHasOneMessage") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const std::string zero(1, '\0'), picture = read_text(folder / "a.ppm");
  std::string utf16 = "\xff\xfe";
  for (const char c : at("a.ppm") + "\r\n") (utf16 += c) += '\0';
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {picture, "PNM picture"}, {utf16, "UTF-16"}, {at("a.ppm") + zero + at("a.ppm") + zero, "--null"}};
  for (const auto& [list, words] : wrong) {
    const auto result = detect({"--quiet", "--format", "jsonl", "-"}, {.input = list});
    CHECK(result.exit_code == 1);
    CHECK_THAT(result.err, ContainsSubstring(words));
    CHECK_MESSAGE(std::count(result.err.begin(), result.err.end(), '\n') == 1, result.err);
    CHECK_MESSAGE(records(result.out).size() == 1u, result.out);
  }
}

TEST_CASE_METHOD(Detect, "Detect.AnErrorDoesNotEndAtAZeroByte") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const std::string list = at("a.ppm") + "\n/etc/pass" + std::string(1, '\0') + "wd.png\n" + at("a.ppm") + "\n";
  const auto result = detect({"--format", "jsonl", "-"}, {.input = list});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("/etc/pass\\x00wd.png: the path holds a zero byte"));
  const auto all = records(result.out);
  REQUIRE(all.size() == 3u);
  CHECK(all[1]["error"] == "the path holds a zero byte");
  CHECK(all[2].contains("score"));
}

TEST_CASE_METHOD(Detect, "Detect.EachFailureHasItsReasonAndLosesNoOtherImage") {
  write_ppm(folder / "f/a_good.ppm", 48, 48, 1);
  write_ppm(folder / "f/z_good.ppm", 48, 48, 2);
  write_ppm(folder / "f/small.ppm", 47, 48, 3);
  write("f/empty.jpg", "");
  write("f/text.png", "this is text");
  write("f/bomb.ppm", "P6\n100000 100000\n255\n");
  write("f/truncated.ppm", "P6\n64 64\n255\nabc");
  fs::create_symlink(folder / "nowhere", folder / "f/dangling.png");
  write("f/notes.txt", "not an image, not an error");
  REQUIRE(mkfifo((folder / "f/pipe.png").c_str(), 0600) == 0);  // must not be waited for

  const auto result = detect({"--format", "jsonl", at("f"), at("missing.png"), at("f/a_good.ppm")});
  CHECK(result.exit_code == 1);
  std::map<std::string, json> by_name;
  std::size_t scored = 0;
  for (const json& record : records(result.out)) {
    const std::string name = fs::path(record["path"].get<std::string>()).filename().string();
    by_name[name] = record;
    scored += record.contains("score");
    if (record.contains("error")) {
      CHECK_MESSAGE(record.size() == 2u, record);
      CHECK_THAT(result.err,
                 ContainsSubstring(record["path"].get<std::string>() + ": " + record["error"].get<std::string>()));
      CHECK_THAT_MESSAGE(record["error"].get<std::string>(), !ContainsSubstring(at("")), "the path is not repeated");
    }
  }
  CHECK(scored == 3u);
  CHECK_MESSAGE(by_name.size() == 9u, result.out);
  CHECK_THAT(by_name["small.ppm"]["error"], ContainsSubstring("47x48"));
  CHECK_THAT(by_name["empty.jpg"]["error"], ContainsSubstring("empty"));
  CHECK_THAT(by_name["bomb.ppm"]["error"], ContainsSubstring("--max-pixels"));
  CHECK_THAT(by_name["missing.png"]["error"], ContainsSubstring("No such file"));
  CHECK_THAT(by_name["dangling.png"]["error"], ContainsSubstring("No such file"));
  CHECK(by_name["text.png"].contains("error"));
  CHECK(by_name["truncated.ppm"].contains("error"));
  CHECK_THAT(result.err, ContainsSubstring("3 images scored"));
  CHECK_THAT(result.err, ContainsSubstring("7 failed; 2 files that are no images skipped"));
}

TEST_CASE_METHOD(Detect, "Detect.UnreadableFilesAreReported") {
  if (geteuid() == 0) SKIP("root may read every file");
  write_ppm(folder / "a.ppm", 48, 48, 1);
  fs::permissions(folder / "a.ppm", fs::perms::none);
  const auto result = detect({at("a.ppm")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("Permission denied"));
}

TEST_CASE_METHOD(Detect, "Detect.MaxPixelsIsChecked") {
  write_ppm(folder / "a.ppm", 60, 50, 1);
  CHECK(detect({"--max-pixels", "3000", at("a.ppm")}).exit_code == 0);
  const auto result = detect({"--max-pixels", "2999", at("a.ppm")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("2999"));
}

TEST_CASE_METHOD(Detect, "Detect.LinksInACircleEnd") {
  write_ppm(folder / "f/a/1.ppm", 48, 48, 1);
  fs::create_directory_symlink(folder / "f", folder / "f/a/up");
  const auto result = detect({"--format", "jsonl", at("f")});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK(records(result.out).size() == 1u);
}

TEST_CASE_METHOD(Detect, "Detect.NothingToScoreIsAFailure") {
  write("f/notes.txt", "text");
  const auto result = detect({at("f")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("no images"));
}

TEST_CASE_METHOD(Detect, "Detect.OutputReplacesAFileOnlyWhenComplete") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write("report.json", "old");
  CHECK(detect({"--format", "json", "--output", at("report.json"), at("a.ppm")}).exit_code == 0);
  CHECK(json::parse(read_text(folder / "report.json")).size() == 1u);

  write("report.json", "old");
  const auto result =
      detect({"--format", "json", "--output", at("report.json"), "--features", "/dev/full", at("a.ppm")});
  CHECK(result.exit_code == 1);
  CHECK(read_text(folder / "report.json") == "old");
  CHECK_MESSAGE(std::distance(fs::directory_iterator(folder.path()), {}) == 2, "no temporary file is left");

  CHECK(detect({"--output", at("missing/report.json"), at("a.ppm")}).exit_code == 1);
}

TEST_CASE_METHOD(Detect, "Detect.AFullDiskIsAnError") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  for (const ProgramResult& result :
       {detect({at("a.ppm")}, {.out = "/dev/full"}), detect({"-o", "/dev/full", at("a.ppm")})}) {
    CHECK(result.exit_code == 1);
    CHECK_THAT(result.err, ContainsSubstring("No space left"));
  }
}

TEST_CASE_METHOD(Detect, "Detect.AClosedPipeIsAnErrorAndNoCrash") {
  for (std::uint32_t i = 0; i < 10; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  const auto result = detect({"--format", "jsonl", at("f")}, {.out_descriptor = ends[1]});
  close(ends[1]);
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("standard output: its reader has closed it"));
}

TEST_CASE_METHOD(Detect, "Detect.AnInterruptLeavesTheOldFile") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  write("x.npy", "old");
  // The list goes on after its first line: the signal comes when that is scored and the program waits for the next.
  const std::string script =
      "mkfifo \"$5\"; exec 3<>\"$5\"; echo \"$2\" >&3; "
      "\"$0\" detect --model \"$1\" --format jsonl --features \"$3\" - < \"$5\" > \"$4\" 3>&- & "
      "until grep -q score \"$4\"; do sleep 0.1; done; kill -INT $!; wait $!";
  const auto result =
      run_program("bash", {"-c", script, kProgram, model(), at("a.ppm"), at("x.npy"), at("out.jsonl"), at("list")});
  CHECK(result.exit_code == 130);
  CHECK_THAT(result.err, ContainsSubstring("interrupted"));
  CHECK(records(read_text(folder / "out.jsonl")).size() == 1u);
  CHECK(read_text(folder / "x.npy") == "old");
  CHECK_MESSAGE(std::distance(fs::directory_iterator(folder.path()), {}) == 4, "no temporary file is left");
}

TEST_CASE_METHOD(Detect, "Detect.ClosedStandardOutputIsAnError") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto result = run_program("bash", {"-c", "\"$0\" detect --model \"$1\" --features \"$3\" \"$2\" >&-", kProgram,
                                           model(), at("a.ppm"), at("x.npy")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("standard output"));
}

TEST_CASE_METHOD(Detect, "Detect.HostileNamesDoNoHarm") {
  const std::string name = "\x1b[2J\x1b]0;title\a\n=cmd.ppm";
  write_ppm(folder / name, 48, 48, 1);
  write("\x1b[31mempty.png", "");
  const auto table = detect({folder.path().string()});
  CHECK_THAT(table.out + table.err, !ContainsSubstring("\x1b"));
  CHECK_MESSAGE(std::count(table.out.begin(), table.out.end(), '\n') == 3, table.out);

  write_ppm(fs::current_path() / "=formula.ppm", 48, 48, 1);
  const auto csv = detect({"--format", "csv", "=formula.ppm"});
  fs::remove("=formula.ppm");
  CHECK_THAT(csv.out, ContainsSubstring("\n'=formula.ppm,"));
  const auto record = json::parse(detect({"--format", "jsonl", at(name)}).out);
  CHECK(record["path"] == at(name));
}

TEST_CASE_METHOD(Detect, "Detect.SortsByScoreWithFailuresLast") {
  for (std::uint32_t i = 0; i < 6; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/0empty.png", "");
  const auto all = records(detect({"--format", "jsonl", "--sort", "score", at("f")}).out);
  REQUIRE(all.size() == 7u);
  for (std::size_t i = 1; i < 6; ++i) CHECK(all[i - 1]["score"] >= all[i]["score"]);
  CHECK(all[6].contains("error"));
}

TEST_CASE_METHOD(Detect, "Detect.ThresholdDecidesTheLabelAlone") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto real = json::parse(detect({"--format", "jsonl", "--threshold", "1", at("a.ppm")}).out);
  const auto fake = json::parse(detect({"--format", "jsonl", "--threshold", "0", at("a.ppm")}).out);
  CHECK(real["label"] == "real");
  CHECK(fake["label"] == "fake");
  CHECK(real["logit"] == fake["logit"]);
}

TEST_CASE_METHOD(Detect, "Detect.ViewsDiffer") {
  write_ppm(folder / "a.ppm", 300, 280, 1);
  std::map<std::string, json> by_view;
  for (const char* view : {"resize", "native", "center"}) {
    by_view[view] = json::parse(detect({"--format", "jsonl", "--view", view, at("a.ppm")}).out);
    CHECK(by_view[view]["width"] == 300);
  }
  CHECK(by_view["resize"]["logit"] != by_view["native"]["logit"]);
  CHECK(by_view["center"]["logit"] != by_view["native"]["logit"]);
}

TEST_CASE_METHOD(Detect, "Detect.WritesFeaturesInRecordOrder") {
  for (std::uint32_t i = 0; i < 2; ++i) write_ppm(folder / fmt::format("f/{}.ppm", i), 48, 48, i);
  write("f/0empty.png", "");
  CHECK(detect({"--features", at("x.npy"), at("f")}).exit_code == 1);
  const std::string bytes = read_text(folder / "x.npy");
  REQUIRE(bytes.size() == 128 + 3 * 1024 * sizeof(float));
  CHECK_THAT(bytes.substr(0, 128), ContainsSubstring("'shape': (3, 1024)"));
  const auto value = [&](std::size_t row, std::size_t column) {
    float v;
    std::memcpy(&v, bytes.data() + 128 + (row * 1024 + column) * sizeof v, sizeof v);
    return v;
  };
  CHECK_FALSE(std::isnan(value(0, 0)));  // 0.ppm
  CHECK(std::isnan(value(1, 0)));        // 0empty.png
  CHECK_MESSAGE(value(2, 0) >= value(2, 1), "largest first");
  CHECK(detect({"--features", at("y.npy"), "--sort", "score", at("f")}).exit_code == 2);
}

TEST_CASE_METHOD(Detect, "Detect.QuietSaysOnlyErrors") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  CHECK(detect({"--quiet", at("a.ppm")}).err == "");
  CHECK_THAT(detect({"--quiet", at("b.ppm")}).err, ContainsSubstring("b.ppm"));
}

TEST_CASE_METHOD(Detect, "Detect.NoProgressBarInAPipe") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  CHECK_THAT(detect({at("a.ppm")}).err, !ContainsSubstring("\r"));
}

TEST_CASE_METHOD(Detect, "Detect.WrongUsageExitsWithTwo") {
  const std::vector<std::vector<std::string>> wrong = {{"detect"},
                                                       {"detect", "--no-such", "x"},
                                                       {"detect", "--view", "wide", "x"},
                                                       {"detect", "--threshold", "2", "x"},
                                                       {"detect", "--batch", "0", "x"},
                                                       {"detect", "--format", "xml", "x"},
                                                       {"no-such-command"},
                                                       {}};
  for (const auto& arguments : wrong) {
    const auto result = run_program(kProgram, arguments);
    CHECK_MESSAGE(result.exit_code == 2, test::printed(arguments));
    CHECK_THAT(result.err, ContainsSubstring("lfm-cuda"));
    CHECK(result.out == "");
  }
  CHECK(detect({"--device", "abacus", at("x")}).exit_code == 2);
  CHECK(detect({"--precision", "fp4", at("x")}).exit_code == 2);
}

TEST_CASE_METHOD(Detect, "Detect.APrecisionThatTheDeviceLacksIsRefused") {
  for (const std::string device : {"cpu", "reference"}) {
    const auto result = detect({"--device", device, "--precision", "tf32", at("x")});
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.err, ContainsSubstring("does not support tf32: its precisions are auto, fp32"));
  }
  write_ppm(folder / "a.ppm", 48, 48, 1);
  CHECK(detect({"--device", "cpu", "--precision", "fp32", at("a.ppm")}).exit_code == 0);
  const auto avx2 = detect({"--device", "cpu", "--precision", "bf16", at("a.ppm")}, {.environment = {"LFM_CPU=avx2"}});
  if (avx2.err.find("is not an instruction set") != std::string::npos) return;
  CHECK(avx2.exit_code == 3);
  CHECK_THAT(avx2.err, ContainsSubstring("AVX512_BF16"));
  CHECK_THAT(avx2.err, ContainsSubstring("use --precision fp32"));
}

TEST_CASE_METHOD(Detect, "Detect.NoModelOrDeviceExitsWithThree") {
  write("damaged.lfmw", read_text(model()).substr(0, 100000));
  write("text.lfmw", "text");
  for (const std::string& broken :
       {at("missing.lfmw"), at("damaged.lfmw"), at("text.lfmw"), std::string("no-such-name")}) {
    const auto result = run_program(kProgram, {"detect", "--model", broken, "x.png"});
    CHECK_MESSAGE(result.exit_code == 3, broken);
    CHECK_THAT(result.err, ContainsSubstring(broken));
  }
  const auto none = run_program(kProgram, {"detect", "x.png"}, {.environment = {"LFM_MODEL=none-of-that-name"}});
  CHECK(none.exit_code == 3);
  CHECK_THAT(none.err, ContainsSubstring("lfm-cuda convert"));
  CHECK(detect({"--device", "cuda:99", at("x")}).exit_code == 3);
  const auto all = detect({"--device", "cuda:all", at("x")});  // a file that is not there, or no GPU: never wrong usage
  CHECK_MESSAGE((all.exit_code == 1 || all.exit_code == 3), all.exit_code);
  CHECK(run_program(kProgram, {"bench", "--device", "cuda:all"}).exit_code == 2);
}

TEST_CASE_METHOD(Detect, "Detect.TheEnvironmentNamesAModel") {
  write_ppm(folder / "a.ppm", 48, 48, 1);
  const auto result =
      run_program(kProgram, {"detect", at("a.ppm")}, {.environment = {fmt::format("LFM_MODEL={}", model())}});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
}

TEST_CASE_METHOD(Detect, "Detect.HelpTeaches") {
  const auto general = run_program(kProgram, {"--help"});
  CHECK(general.exit_code == 0);
  for (const char* taught : {"detect", "convert", "info", "Examples:", "Exit codes:"})
    CHECK_THAT(general.out, ContainsSubstring(taught));
  const auto version = run_program(kProgram, {"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.out, ContainsSubstring("lfm-cuda 0."));
}

TEST_CASE_METHOD(Detect, "Detect.EqualsTheReferenceModelOnTheFixtures") {
  const fs::path fixtures = fs::path(kShared) / "fixtures";
  if (!fs::exists(fixtures / "lfm_official.safetensors"))
    SKIP("the parity fixtures (../shared/fixtures) are not on this machine");
  const auto converted =
      run_program(kProgram, {"convert", (fixtures / "lfm_official.safetensors").string(), at("reference.lfmw")});
  REQUIRE_MESSAGE(converted.exit_code == 0, converted.err);
  const json expected = json::parse(read_text(fixtures / "inference.json"));
  for (const auto& [mode, view] : {std::pair("resize256", "resize"), std::pair("native", "native")}) {
    const auto result = run_program(kProgram, {"detect", "--model", at("reference.lfmw"), "--view", view, "--format",
                                               "jsonl", (fixtures / "images").string()});
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    std::size_t compared = 0;
    for (const json& record : records(result.out)) {
      const std::string name = fs::path(record["path"].get<std::string>()).stem().string();
      for (const json& e : expected) {
        if (e["image"] != name || e["mode"] != mode) continue;
        const double logit = e["logit"];
        CHECK_THAT_MESSAGE(record["logit"].get<double>(), WithinAbs(logit, 2e-4 * std::max(1.0, std::abs(logit))),
                           name << ' ' << mode);
        CHECK_THAT_MESSAGE(record["score"].get<double>(), WithinAbs(e["score"].get<double>(), 2e-4),
                           name << ' ' << mode);
        ++compared;
      }
    }
    CHECK(compared == 5u);
  }
}

}  // namespace
}  // namespace lfm::test
