// Words and numbers on the command line that mean nothing: refused by name, with what was probably meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Arguments = std::vector<std::string>;

ProgramResult expect_usage_error(const Arguments& arguments) {
  ProgramResult result = run_program(kProgram, arguments);
  EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(arguments) << result.err;
  EXPECT_EQ(result.out, "");
  return result;
}

TEST(Usage, AnUnknownCommandNamesTheNearest) {
  const std::vector<std::pair<std::string, std::string>> meant = {{"detct", "detect"},     {"Detect", "detect"},   {"dtect", "detect"},
                                                                  {"evalaute", "evaluate"}, {"eval", "evaluate"},   {"trian", "train"},
                                                                  {"training", "train"},    {"explian", "explain"}, {"benchmark", "bench"},
                                                                  {"conver", "convert"},    {"inof", "info"}};
  for (const auto& [typed, command] : meant) {
    EXPECT_THAT(expect_usage_error({typed, "x.png"}).err, HasSubstr("no command '" + typed + "'; did you mean '" + command + "'"));
  }
  EXPECT_THAT(expect_usage_error({"abracadabra"}).err, AllOf(HasSubstr("detect"), HasSubstr("evaluate"), HasSubstr("bench")));
  EXPECT_THAT(expect_usage_error({""}).err, HasSubstr("no command ''"));
  EXPECT_THAT(expect_usage_error({kProgram}).err, HasSubstr("lfm-cuda detect " + std::string(kProgram))) << "a file";
}

TEST(Usage, AnUnknownOptionNamesTheNearest) {
  EXPECT_THAT(expect_usage_error({"detect", "--fromat", "csv", "x"}).err, HasSubstr("did you mean '--format'?"));
  EXPECT_THAT(expect_usage_error({"detect", "--treshold=0.5", "x"}).err, HasSubstr("did you mean '--threshold'?"));
  EXPECT_THAT(expect_usage_error({"train", "--dat", "x", "--out", "y"}).err, HasSubstr("'--data'"));
}

TEST(Usage, AFileNameWithADashIsShownAndHowToGiveIt) {
  EXPECT_THAT(expect_usage_error({"detect", "-rf.png"}).err, AllOf(HasSubstr("'-rf.png'"), HasSubstr("./-rf.png")));
  EXPECT_THAT(expect_usage_error({"explain", "a.png", "-x.png"}).err, AllOf(HasSubstr("'-x.png'"), HasSubstr("./-x.png")));
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_random_model("./model.lfmw", 7);
  for (const char* name : {"-f.ppm", "--x.ppm"}) {  // one is read as --format .ppm
    write_ppm(std::string("./") + name, 48, 48, 1);
    EXPECT_THAT(expect_usage_error({"detect", name}).err, HasSubstr(std::string("./") + name));
    EXPECT_EQ(run_program(kProgram, {"detect", "--model", "model.lfmw", std::string("./") + name}).exit_code, 0);
    EXPECT_EQ(run_program(kProgram, {"detect", "--model", "model.lfmw", "--", name}).exit_code, 0);
  }
  std::filesystem::current_path(before);
}

TEST(Usage, NumbersThatAreNoneAreRefusedByName) {
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
       {"--cache-mb", "--threads", "--epochs", "--max-steps", "--seed", "--batch", "--accumulate", "--lr", "--lr-decay", "--lr-step",
        "--lr-min", "--beta1", "--beta2", "--eps", "--weight-decay", "--loss-limit", "--resize", "--crop", "--val-crop", "--flip", "--blur",
        "--jpeg", "--webp", "--rescale", "--k", "--p-min", "--p-max", "--alpha", "--patience", "--checkpoint-every"}}};
  for (const auto& [command, options] : cases) {
    for (const std::string& option : options) {
      for (const char* value : {"nan", "-nan", "NaN", "inf", "-inf", "infinity", "1e999", "99999999999999999999999", "-1e30", "one", "0.5x", ""}) {
        if (command[0] == "train" && value[0] == '9') continue;  // a number for what takes any
        Arguments arguments = command;
        arguments.push_back(option + "=" + value);
        EXPECT_THAT(expect_usage_error(arguments).err, HasSubstr(option)) << value;
      }
    }
  }
}

TEST(Usage, NumbersOutOfRangeAreRefusedByName) {
  const std::vector<Arguments> cases = {
      {"detect", "x", "--threshold", "1.01"},      {"detect", "x", "--threshold", "-0.1"},     {"detect", "x", "--batch", "0"},
      {"detect", "x", "--threads", "0"},           {"detect", "x", "--batch", "010"},          {"detect", "x", "--batch", "0x10"},
      {"detect", "x", "--max-pixels", "0"},        {"evaluate", "x", "--bootstrap", "-1"},     {"evaluate", "x", "--seed", "-1"},
      {"evaluate", "x", "--perturb", "jpeg:nan"},  {"evaluate", "x", "--perturb", "blur:inf"}, {"evaluate", "x", "--perturb", "jpeg:101"},
      {"explain", "x", "--side", "47"},            {"convert", "x", "y.lfmw", "--threshold", "2"}, {"info", "x", "--size", "1"},
      {"bench", "--size", "47"}};
  for (const Arguments& arguments : cases) {
    const std::string& option = *(arguments.end() - 2);
    const std::string named = option == "--perturb" ? arguments.back() : option;
    EXPECT_THAT(expect_usage_error(arguments).err, HasSubstr(named));
  }
  const std::vector<std::pair<std::string, std::string>> train = {
      {"--flip", "1.5"},  {"--blur", "-1"},     {"--jpeg", "2"},       {"--webp", "2"},      {"--rescale", "2"}, {"--k", "0"},       {"--k", "1025"},
      {"--p-max", "1"},   {"--alpha", "-1"},    {"--lr", "0"},         {"--lr-decay", "2"},  {"--beta1", "1"},   {"--eps", "0"},     {"--epochs", "0"},
      {"--batch", "0"},   {"--threads", "-1"},  {"--threads", "9999"}, {"--crop", "47"},     {"--crop", "-1"},   {"--resize", "47"}, {"--crop", "257"},
      {"--val-crop", "-1"}, {"--loss-limit", "-1"}, {"--checkpoint-every", "0"}, {"--cache-mb", "-1"}, {"--accumulate", "33"}};
  const TemporaryFolder folder;
  for (const auto& [option, value] : train) {
    EXPECT_THAT(expect_usage_error({"train", "--data", "x", "--out", (folder / "run").string(), option + "=" + value}).err, HasSubstr(option)) << value;
  }
  for (const auto& [option, low, high] : {std::tuple{"--jpeg-quality", "0", "50"}, {"--webp-quality", "90", "101"}, {"--blur-sigma", "3", "1"},
                                          {"--rescale-factor", "0.01", "1"}, {"--rescale-factor", "nan", "1"}, {"--blur-sigma", "0", "inf"}}) {
    EXPECT_THAT(expect_usage_error({"train", "--data", "x", "--out", (folder / "run").string(), option, low, high}).err, HasSubstr(option));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "run")) << "refused before a folder is made";
}

TEST(Usage, NumbersThatAreSensibleAreTaken) {
  for (const char* value : {"0", "1", "0.5", ".5", "+0.5", "1e-3", "5E-1"}) {
    EXPECT_NE(run_program(kProgram, {"detect", "--model", "no.lfmw", "--threshold", value, "x"}).exit_code, 2) << value;
  }
}

}  // namespace
}  // namespace lfm::test
