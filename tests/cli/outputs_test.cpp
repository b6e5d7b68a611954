// Nothing of the user's is lost, whatever is named as an output: refused before the first picture, with every file as
// it was.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lfm/image.h"
#include "lfm/model.h"
#include "src/image/encode.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class Outputs {
 protected:
  Outputs() {
    write_random_model(folder / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 2; ++i) {
      write_ppm(folder / ("photos/" + std::to_string(i) + ".ppm"), 56, 48, i);
      write_ppm(folder / ("set/0_real/" + std::to_string(i) + ".ppm"), 56, 48, i);
      write_ppm(folder / ("set/1_fake/" + std::to_string(i) + ".ppm"), 56, 48, 10 + i);
    }
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  std::string write(const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return at(name);
  }

  /// Every file and what it holds.
  std::map<std::string, std::string> state() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
      std::string& content = files[entry.path().string()];
      if (entry.is_regular_file()) content = read_text(entry.path());
      const bool is_lock =
          entry.path().filename() == "lock" && content.find_first_not_of("0123456789") == std::string::npos;
      if (is_lock) content.clear();  // the number of the process that held it last
    }
    return files;
  }

  ProgramResult run(Arguments arguments, const ProgramOptions& options = {}) {
    if (arguments[0] == "detect" || arguments[0] == "evaluate" || arguments[0] == "explain") {
      arguments.insert(arguments.begin() + 1, {"--model", at("model.lfmw"), "--device", "cpu", "--threads", "1"});
      if (arguments[0] == "evaluate") arguments.insert(arguments.begin() + 1, {"--bootstrap", "0"});
    }
    return run_program(kProgram, std::move(arguments), options);
  }

  /// Ends with this code and these words, and leaves everything as it was.
  void expect_refused(const Arguments& arguments, int code, const std::string& words,
                      const ProgramOptions& options = {}) {
    INFO(test::printed(arguments));
    const auto before = state();
    const ProgramResult result = run(arguments, options);
    CHECK_MESSAGE(result.exit_code == code, result.err);
    CHECK_THAT(result.err, ContainsSubstring(words));
    CHECK_THAT_MESSAGE(result.err, !ContainsSubstring("scored"), "before the first picture");
    CHECK(state() == before);
  }

  TemporaryFolder folder;
};

TEST_CASE_METHOD(Outputs, "Outputs.DetectReplacesNoPictureAndNoInput") {
  expect_refused({"detect", "-f", "csv", "-o", at("photos/0.ppm"), at("photos/1.ppm")}, 1, "PNM picture");
  for (const char* option : {"--output", "--features", "--report"}) {
    expect_refused({"detect", option, at("photos/0.ppm"), at("photos")}, 1, "PNM picture");
    expect_refused({"detect", option, at("photos/../photos/0.ppm"), at("photos/0.ppm")}, 2, "is an input");
  }
  fs::create_symlink("photos/0.ppm", at("link.csv"));
  expect_refused({"detect", "-o", at("link.csv"), at("photos/0.ppm")}, 2, "is an input");
  fs::create_hard_link(at("photos/0.ppm"), at("hard.csv"));
  expect_refused({"detect", "-o", at("hard.csv"), at("photos/0.ppm")}, 2, "is an input");
}

TEST_CASE_METHOD(Outputs, "Outputs.ATextThatIsAnInputIsKept") {
  write("photos/page.jpg", "<html>not found</html>");
  expect_refused({"detect", "-f", "csv", "-o", at("photos/page.jpg"), at("photos/0.ppm"), at("photos/page.jpg")}, 2,
                 "is an input");
  expect_refused({"detect", "-q", "-f", "csv", "-o", at("photos/page.jpg"), at("photos")}, 2, "is an input");
  write("list.txt", at("photos/0.ppm") + "\n");
  Arguments from_file = {"-c", "\"$0\" detect --model \"$1\" -o \"$2\" - < \"$2\"", kProgram, at("model.lfmw"),
                         at("list.txt")};
  const auto before = state();
  const ProgramResult result = run_program("bash", from_file);
  CHECK_MESSAGE(result.exit_code == 2, result.err);
  CHECK_THAT(result.err, ContainsSubstring("the list on standard input"));
  CHECK(state() == before);
}

TEST_CASE_METHOD(Outputs, "Outputs.AListThatNamesAnOutputEndsTheRunThere") {
  write("old.csv", "path\n");
  const auto before = state();
  const ProgramResult result = run({"detect", "-o", at("old.csv"), "--features", at("x.npy"), "-"},
                                   {.input = at("photos/0.ppm") + "\n" + at("old.csv") + "\n"});
  CHECK_MESSAGE(result.exit_code == 2, result.err);
  CHECK_THAT(result.err, ContainsSubstring("is an input"));
  CHECK(state() == before);
  expect_refused({"detect", "-f", "csv", "-o", at("photos/0.ppm"), "-"}, 1, "PNM picture",
                 {.input = at("photos/0.ppm") + "\n"});
}

TEST_CASE_METHOD(Outputs, "Outputs.AnEarlierReportInAnInputFolderIsReplaced") {
  for (int round = 0; round < 2; ++round) {
    CHECK(run({"detect", "-q", "-o", at("photos/scores.csv"), "--features", at("photos/x.npy"), "--report",
               at("photos/r.html"), at("photos")})
              .exit_code == 0);
  }
  CHECK_THAT(read_text(at("photos/scores.csv")), StartsWith("path,logit"));
}

TEST_CASE_METHOD(Outputs, "Outputs.NoCommandReplacesTheModelOrAnother") {
  write_random_model(folder / "trained.lfmw", 8);
  expect_refused({"detect", "-o", at("model.lfmw"), at("photos")}, 2, "is the model");
  expect_refused({"detect", "-o", at("trained.lfmw"), at("photos")}, 1, "a model (.lfmw)");
  expect_refused({"detect", "--report", at("trained.lfmw"), at("photos")}, 1, "a model (.lfmw)");
  expect_refused({"evaluate", "--fit-calibration", at("trained.lfmw"), at("set")}, 1, "a model (.lfmw)");
  expect_refused({"evaluate", "--fit-calibration", at("model.lfmw"), at("set")}, 2, "is the model");
  expect_refused({"evaluate", "--report", at("model.lfmw"), at("set")}, 2, "is the model");
  expect_refused({"convert", at("model.lfmw"), at("model.lfmw")}, 1, "--force");
  expect_refused({"convert", at("model.lfmw"), at("trained.lfmw")}, 1, "--force");
  fs::create_symlink("model.lfmw", at("same.lfmw"));
  expect_refused({"evaluate", "--fit-calibration", at("same.lfmw"), at("set")}, 2, "is the model");
}

TEST_CASE_METHOD(Outputs, "Outputs.EvaluateReplacesNoPicture") {
  for (const char* name : {"a.csv", "a.html"}) fs::copy_file(at("photos/0.ppm"), at(name));
  expect_refused({"evaluate", "--output", at("a.csv"), at("set")}, 1, "PNM picture");
  expect_refused({"evaluate", "--output", at("a.html"), at("set")}, 1, "PNM picture");
  expect_refused({"evaluate", "--report", at("set/0_real/0.ppm"), at("set")}, 2, "is an input");
  write("e.svg", "<svg>mine</svg>");
  fs::copy_file(at("photos/0.ppm"), at("e.npy"));
  expect_refused({"evaluate", "--embed", at("e"), at("set")}, 1, "e.npy");
}

TEST_CASE_METHOD(Outputs, "Outputs.TwoOfOneNameAreRefused") {
  expect_refused({"detect", "-f", "csv", "-o", at("same"), "--features", at("same"), at("photos")}, 2,
                 "--output and --features");
  expect_refused({"detect", "-o", at("a.html"), "--report", at("./a.html"), at("photos")}, 2, "same file");
  expect_refused({"detect", "--report", "-", at("photos")}, 2, "the report and --report");
  expect_refused({"evaluate", "-o", at("a.csv"), "-o", at("photos/../a.csv"), at("set")}, 2, "same file");
  expect_refused({"evaluate", "-o", at("e.csv"), "--embed", at("e"), at("set")}, 2, "--output and --embed");
  expect_refused({"evaluate", "-o", at("a.html"), "--fit-calibration", at("a.html"), at("set")}, 2, "same file");
}

TEST_CASE_METHOD(Outputs, "Outputs.WhatCannotBeWrittenIsToldBeforeTheFirstPicture") {
  for (const char* option : {"--output", "--features", "--report"}) {
    expect_refused({"detect", option, at("missing/x"), at("photos")}, 1, "create the folder first");
    expect_refused({"detect", option, at("photos"), at("photos")}, 1, "is not a file");
  }
  for (const Arguments& output : {Arguments{"--output", at("missing/x.csv")},
                                  {"--report", at("missing/x.html")},
                                  {"--fit-calibration", at("missing/x.lfmw")},
                                  {"--embed", at("missing/x")}}) {
    Arguments command = {"evaluate", at("set")};
    command.insert(command.end(), output.begin(), output.end());
    expect_refused(command, 1, "create the folder first");
  }
  expect_refused({"convert", at("model.lfmw"), at("missing/x.lfmw")}, 1, "create the folder first");
  expect_refused({"convert", at("photos/0.ppm"), at("x.pth")}, 2, "use .lfmw, .safetensors or .onnx");
  expect_refused({"explain", "--output", at("model.lfmw"), at("photos")}, 1, "model.lfmw");
  expect_refused({"explain", "--output", "-", at("photos")}, 2, "name a folder");
}

TEST_CASE_METHOD(Outputs, "Outputs.ForceReplacesWhatItIsToldTo") {
  CHECK(run({"detect", "-q", "--force", "-f", "csv", "-o", at("photos/0.ppm"), at("photos/0.ppm")}).exit_code == 0);
  CHECK_THAT(read_text(at("photos/0.ppm")), StartsWith("path,logit"));
  // The higher logits of this model are called fakes, so that there is something to fit.
  const auto records = nlohmann::json::parse(run({"detect", "-f", "json", at("set")}).out);
  std::vector<std::pair<float, std::string>> ranked;
  for (const auto& record : records)
    ranked.emplace_back(record["logit"].get<float>(), record["path"].get<std::string>());
  std::sort(ranked.begin(), ranked.end());
  for (const char* label : {"0_real", "1_fake"}) fs::create_directories(folder / "ranked" / label);
  for (std::size_t i = 0; i < 4; ++i)
    fs::copy_file(ranked[i].second,
                  folder / "ranked" / (i == 0 || i == 2 ? "0_real" : "1_fake") / (std::to_string(i) + ".ppm"));
  const ProgramResult fitted = run({"evaluate", "--force", "--fit-calibration", at("model.lfmw"), at("ranked")});
  CHECK_MESSAGE(fitted.exit_code == 0, fitted.err);
  CHECK_THAT(load_model(at("model.lfmw")).provenance, ContainsSubstring("ranked"));
}

TEST_CASE_METHOD(Outputs, "Outputs.EndingsChooseFormats") {
  const std::map<std::string, std::string> beginnings = {{"s.csv", "path,logit"}, {"s.CSV", "path,logit"},
                                                         {"s.json", "["},         {"s.jsonl", "{\"path\""},
                                                         {"s.txt", "table"},      {"s", "table"}};
  for (const auto& [name, beginning] : beginnings) {
    const ProgramResult result = run({"detect", "-q", "-o", at(name), at("photos")});
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    CHECK(result.out == "");
    const std::string text = read_text(at(name));
    CHECK_MESSAGE(
        (beginning == "table" ? text.find("score") < text.find('\n') && text[0] != 'p' : text.starts_with(beginning)),
        name << ": " << text);
  }
  CHECK(run({"detect", "-q", "-f", "jsonl", "-o", at("t.csv"), at("photos")}).exit_code == 0);
  CHECK_THAT_MESSAGE(read_text(at("t.csv")), StartsWith("{"), "--format wins");
  const ProgramResult page = run({"detect", "-q", "-o", at("s.html"), at("photos")});
  CHECK_MESSAGE(page.exit_code == 0, page.err);
  CHECK(page.out == "");
  CHECK_THAT(read_text(at("s.html")), ContainsSubstring("2 pictures scored"));
}

TEST_CASE_METHOD(Outputs, "Outputs.ADashIsStandardOutput") {
  const std::string csv = run({"detect", "-q", "-f", "csv", at("photos")}).out;
  for (const char* output : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
    const ProgramResult result = run({"detect", "-q", "-f", "csv", "-o", output, at("photos")});
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    CHECK_MESSAGE(result.out == csv, output);
  }
  const ProgramResult page = run({"detect", "-q", "-o", at("s.csv"), "--report", "-", at("photos")});
  CHECK_THAT(page.out, ContainsSubstring("2 pictures scored"));
  CHECK(read_text(at("s.csv")) == csv);
  const ProgramResult table = run({"evaluate", "-q", "-o", "-", at("set")});
  CHECK_MESSAGE(table.exit_code == 0, table.err);
  CHECK(table.out == run({"evaluate", "-q", at("set")}).out);
  CHECK_FALSE(fs::exists("-"));
  expect_refused({"detect", "--features", "-", at("photos")}, 2, "name a file");
  expect_refused({"evaluate", "--fit-calibration", "-", at("set")}, 2, "name a file");
}

TEST_CASE_METHOD(Outputs, "Outputs.DevicesAndPipesStayOutputs") {
  CHECK(run({"detect", "-q", "-o", "/dev/null", "--report", "/dev/null", at("photos")}).exit_code == 0);
  CHECK(run({"detect", "-q", "-o", "/dev/full", at("photos")}).exit_code == 1);
  const std::string script =
      "mkfifo \"$3\"; cat \"$3\" > \"$4\" & \"$0\" detect -q -f csv --model \"$1\" -o \"$3\" \"$2\"; code=$?; wait; "
      "\"$0\" detect -q --model \"$1\" -o \"$5\" --report >(cat > \"$6\") \"$2\"; sleep 0.2; exit $code";
  const ProgramResult result = run_program("bash", {"-c", script, kProgram, at("model.lfmw"), at("photos"), at("pipe"),
                                                    at("from_pipe"), at("s.csv"), at("page.html")});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK(read_text(at("from_pipe")) == read_text(at("s.csv")));
  CHECK_THAT(read_text(at("page.html")), ContainsSubstring("2 pictures scored"));
}

TEST_CASE_METHOD(Outputs, "Outputs.EvaluatePrintsItsTableThoughAFileFails") {
  const ProgramResult result = run({"evaluate", "-q", "-o", at("t.csv"), "--report", "/dev/full", at("set")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("/dev/full"));
  CHECK(result.out == run({"evaluate", "-q", at("set")}).out);
  CHECK_THAT(read_text(at("t.csv")), StartsWith("condition,"));
  fs::create_directories(at("reals/0_real"));
  fs::copy_file(at("photos/0.ppm"), at("reals/0_real/0.ppm"));
  const ProgramResult unfit = run({"evaluate", "-q", "--fit-calibration", at("f.lfmw"), at("reals")});
  CHECK_MESSAGE(unfit.exit_code != 0, "there is nothing to fit to");
  CHECK_THAT(unfit.out, ContainsSubstring("reals"));
}

TEST_CASE_METHOD(Outputs, "Outputs.DetectKeepsItsReportThoughThePageFails") {
  const ProgramResult result = run({"detect", "-q", "-o", at("s.csv"), "--report", "/dev/full", at("photos")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(read_text(at("s.csv")), StartsWith("path,logit"));
}

TEST_CASE_METHOD(Outputs, "Outputs.ExplainWritesEveryPictureItCan") {
  const std::string prompt(242, 'p');  // with .ppm a name of 246 bytes, as pictures called after their prompts have
  for (const char* end : {"a", "b"}) fs::copy_file(at("photos/0.ppm"), at("photos/" + prompt.substr(1) + end + ".ppm"));
  ProgramResult result = run({"explain", "--output", at("why"), "--json", at("photos")});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  std::set<std::string> files;
  for (const auto& record : nlohmann::json::parse(result.out)) {
    for (const std::string file : record["files"]) {
      CHECK(read_image(file).width > 0);
      files.insert(file);
    }
  }
  CHECK(files.size() == 4u * 3);
  const auto first = state();
  CHECK_MESSAGE(run({"explain", "--output", at("why"), at("photos")}).exit_code == 0, "its own pictures are replaced");
  CHECK_MESSAGE(state() == first, "under the same names");

  fs::remove(at("why/1.sheet.png"));
  fs::create_directory(at("why/1.sheet.png"));  // can't be written
  result = run({"explain", "--output", at("why"), at("photos")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("1.sheet.png"));
  CHECK_THAT(result.out, ContainsSubstring("0.sheet.png"));
  CHECK_THAT(result.out, ContainsSubstring("pppp"));
}

TEST_CASE_METHOD(Outputs, "Outputs.ExplainReplacesNoPictureOfTheUsers") {
  const Image image = read_image(at("photos/0.ppm"));
  const std::vector<std::byte> png = encode_png(image);
  write("0.sheet.png", {reinterpret_cast<const char*>(png.data()), png.size()});
  expect_refused({"explain", "--output", folder.path().string(), at("photos/0.ppm")}, 1, "0.sheet.png");
  // Those on a list come to light one by one: that picture fails, and the others are explained.
  const auto sheet = read_text(at("0.sheet.png"));
  const ProgramResult listed = run({"explain", "--output", folder.path().string(), "-"},
                                   {.input = at("photos/0.ppm") + "\n" + at("photos/1.ppm") + "\n"});
  CHECK(listed.exit_code == 1);
  CHECK_THAT(listed.err, ContainsSubstring("0.sheet.png"));
  CHECK(read_text(at("0.sheet.png")) == sheet);
  CHECK(fs::exists(at("1.sheet.png")));
  // What it made and is given to explain is not written over either.
  CHECK(run({"explain", "--output", at("photos"), at("photos/1.ppm")}).exit_code == 0);
  expect_refused({"explain", "--output", at("photos"), at("photos")}, 2, "is an input");
  CHECK(run({"explain", "--force", "--output", folder.path().string(), at("photos/0.ppm")}).exit_code == 0);
  CHECK_FALSE(read_text(at("0.sheet.png")) == sheet);
}

TEST_CASE_METHOD(Outputs, "Outputs.TrainReplacesNothingOfAnotherRun") {
  const Arguments train = {"train",   "--data", at("set"),  "--view", "native",   "--crop", "48",
                           "--batch", "2",      "--epochs", "1",      "--device", "cpu",    "--out"};
  const auto into = [&](const std::string& name) {
    Arguments all = train;
    all.push_back(at(name));
    return all;
  };
  for (const char* file : {"best.lfmw", "curves.html", "log.jsonl"}) {
    const fs::path run_folder = folder / ("run_of_" + std::string(file));
    fs::create_directory(run_folder);
    std::ofstream(run_folder / "lock");
    fs::copy_file(at("model.lfmw"), run_folder / file);
    expect_refused(into(run_folder.filename()), 2, file);
  }
  fs::create_directory(folder / "mine");
  write("mine/lock", "the combination is 1234");
  expect_refused(into("mine"), 1, "is no lock");
  expect_refused(into("set/0_real"), 2, "among the pictures");
  expect_refused(into("set/1_fake/run"), 2, "among the pictures");
  expect_refused(into("model.lfmw"), 1, "model.lfmw");
  CHECK_MESSAGE(run(into("set/run")).exit_code == 0, "below the data, but not among its pictures");
  expect_refused(into("set/run"), 2, "--resume");
}

}  // namespace
}  // namespace lfm::test
