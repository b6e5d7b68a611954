// Words and numbers on the command line that mean nothing: refused by name, with what was probably meant.

#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using Arguments = std::vector<std::string>;

ProgramResult expect_usage_error(const Arguments& arguments) {
  ProgramResult result = run_program(kProgram, arguments);
  CHECK_MESSAGE(result.exit_code == 2, test::printed(arguments) << result.err);
  CHECK(result.out == "");
  return result;
}

TEST_CASE("Usage.AnUnknownCommandNamesTheNearest") {
  const std::vector<std::pair<std::string, std::string>> meant = {
      {"detct", "detect"},    {"Detect", "detect"},  {"dtect", "detect"},   {"evalaute", "evaluate"},
      {"eval", "evaluate"},   {"trian", "train"},    {"training", "train"}, {"explian", "explain"},
      {"benchmark", "bench"}, {"conver", "convert"}, {"inof", "info"}};
  for (const auto& [typed, command] : meant) {
    CHECK_THAT(expect_usage_error({typed, "x.png"}).err,
               ContainsSubstring("no command '" + typed + "'; did you mean '" + command + "'"));
  }
  CHECK_THAT(expect_usage_error({"abracadabra"}).err,
             ContainsSubstring("detect") && ContainsSubstring("evaluate") && ContainsSubstring("bench"));
  CHECK_THAT(expect_usage_error({""}).err, ContainsSubstring("no command ''"));
  CHECK_THAT_MESSAGE(expect_usage_error({kProgram}).err, ContainsSubstring("lfm-cuda detect " + std::string(kProgram)),
                     "a file");
}

TEST_CASE("Usage.AnUnknownOptionNamesTheNearest") {
  CHECK_THAT(expect_usage_error({"detect", "--fromat", "csv", "x"}).err, ContainsSubstring("did you mean '--format'?"));
  CHECK_THAT(expect_usage_error({"detect", "--treshold=0.5", "x"}).err,
             ContainsSubstring("did you mean '--threshold'?"));
  CHECK_THAT(expect_usage_error({"train", "--dat", "x", "--out", "y"}).err, ContainsSubstring("'--data'"));
}

TEST_CASE("Usage.AFileNameWithADashIsShownAndHowToGiveIt") {
  CHECK_THAT(expect_usage_error({"detect", "-rf.png"}).err,
             ContainsSubstring("'-rf.png'") && ContainsSubstring("./-rf.png"));
  CHECK_THAT(expect_usage_error({"explain", "a.png", "-x.png"}).err,
             ContainsSubstring("'-x.png'") && ContainsSubstring("./-x.png"));
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_random_model("./model.lfmw", 7);
  for (const char* name : {"-f.ppm", "--x.ppm"}) {  // one is read as --format .ppm
    write_ppm(std::string("./") + name, 48, 48, 1);
    CHECK_THAT(expect_usage_error({"detect", name}).err, ContainsSubstring(std::string("./") + name));
    CHECK(run_program(kProgram, {"detect", "--model", "model.lfmw", std::string("./") + name}).exit_code == 0);
    CHECK(run_program(kProgram, {"detect", "--model", "model.lfmw", "--", name}).exit_code == 0);
  }
  std::filesystem::current_path(before);
}

TEST_CASE("Usage.NumbersThatAreNoneAreRefusedByName") {
  struct Case {
    Arguments command;
    std::vector<std::string> options;
  };
  const std::vector<Case> cases = {
      {{"detect", "x"}, {"--threshold", "--batch", "--threads", "--tiles", "--max-pixels"}},
      {{"evaluate", "x"}, {"--threshold", "--batch", "--threads", "--tiles", "--max-pixels", "--bootstrap", "--seed"}},
      {{"explain", "x"}, {"--threshold", "--batch", "--threads", "--tiles", "--max-pixels", "--regions", "--side"}},
      {{"convert", "x", "y.lfmw"}, {"--threshold"}},
      {{"info", "x"}, {"--size"}},
      {{"bench"}, {"--batch", "--size", "--iterations", "--warm-up", "--threads", "--profile"}},
      {{"train", "--data", "x", "--out", "y"},
       {"--cache-mb",   "--threads", "--epochs",       "--max-steps",  "--seed",     "--batch",
        "--accumulate", "--lr",      "--lr-decay",     "--lr-step",    "--lr-min",   "--beta1",
        "--beta2",      "--eps",     "--weight-decay", "--loss-limit", "--resize",   "--crop",
        "--val-crop",   "--flip",    "--blur",         "--jpeg",       "--webp",     "--rescale",
        "--k",          "--p-min",   "--p-max",        "--alpha",      "--patience", "--checkpoint-every"}}};
  for (const auto& [command, options] : cases) {
    for (const std::string& option : options) {
      for (const char* value : {"nan", "-nan", "NaN", "inf", "-inf", "infinity", "1e999", "99999999999999999999999",
                                "-1e30", "one", "0.5x", ""}) {
        if (command[0] == "train" && value[0] == '9') continue;  // a number for what takes any
        Arguments arguments = command;
        arguments.push_back(option + "=" + value);
        CHECK_THAT_MESSAGE(expect_usage_error(arguments).err, ContainsSubstring(option), value);
      }
    }
  }
}

TEST_CASE("Usage.NumbersOutOfRangeAreRefusedByName") {
  const std::vector<Arguments> cases = {{"detect", "x", "--threshold", "1.01"},
                                        {"detect", "x", "--threshold", "-0.1"},
                                        {"detect", "x", "--batch", "0"},
                                        {"detect", "x", "--threads", "0"},
                                        {"detect", "x", "--batch", "010"},
                                        {"detect", "x", "--batch", "0x10"},
                                        {"detect", "x", "--max-pixels", "0"},
                                        {"evaluate", "x", "--bootstrap", "-1"},
                                        {"evaluate", "x", "--seed", "-1"},
                                        {"evaluate", "x", "--perturb", "jpeg:nan"},
                                        {"evaluate", "x", "--perturb", "blur:inf"},
                                        {"evaluate", "x", "--perturb", "jpeg:101"},
                                        {"explain", "x", "--side", "47"},
                                        {"convert", "x", "y.lfmw", "--threshold", "2"},
                                        {"info", "x", "--size", "1"},
                                        {"bench", "--size", "47"}};
  for (const Arguments& arguments : cases) {
    const std::string& option = *(arguments.end() - 2);
    const std::string named = option == "--perturb" ? arguments.back() : option;
    CHECK_THAT(expect_usage_error(arguments).err, ContainsSubstring(named));
  }
  const std::vector<std::pair<std::string, std::string>> train = {
      {"--flip", "1.5"},     {"--blur", "-1"},      {"--jpeg", "2"},        {"--webp", "2"},
      {"--rescale", "2"},    {"--k", "0"},          {"--k", "1025"},        {"--p-max", "1"},
      {"--alpha", "-1"},     {"--lr", "0"},         {"--lr-decay", "2"},    {"--beta1", "1"},
      {"--eps", "0"},        {"--epochs", "0"},     {"--batch", "0"},       {"--threads", "-1"},
      {"--threads", "9999"}, {"--crop", "47"},      {"--crop", "-1"},       {"--resize", "47"},
      {"--crop", "257"},     {"--val-crop", "-1"},  {"--loss-limit", "-1"}, {"--checkpoint-every", "0"},
      {"--cache-mb", "-1"},  {"--accumulate", "33"}};
  const TemporaryFolder folder;
  for (const auto& [option, value] : train) {
    CHECK_THAT_MESSAGE(
        expect_usage_error({"train", "--data", "x", "--out", (folder / "run").string(), option + "=" + value}).err,
        ContainsSubstring(option), value);
  }
  for (const auto& [option, low, high] : {std::tuple{"--jpeg-quality", "0", "50"},
                                          {"--webp-quality", "90", "101"},
                                          {"--blur-sigma", "3", "1"},
                                          {"--rescale-factor", "0.01", "1"},
                                          {"--rescale-factor", "nan", "1"},
                                          {"--blur-sigma", "0", "inf"}}) {
    CHECK_THAT(expect_usage_error({"train", "--data", "x", "--out", (folder / "run").string(), option, low, high}).err,
               ContainsSubstring(option));
  }
  CHECK_MESSAGE(!std::filesystem::exists(folder / "run"), "refused before a folder is made");
}

TEST_CASE("Usage.NumbersThatAreSensibleAreTaken") {
  for (const char* value : {"0", "1", "0.5", ".5", "+0.5", "1e-3", "5E-1"}) {
    CHECK_MESSAGE(run_program(kProgram, {"detect", "--model", "no.lfmw", "--threshold", value, "x"}).exit_code != 2,
                  value);
  }
}

}  // namespace
}  // namespace lfm::test
