// What strangers' files and names can't do, tried on the program (SECURITY.md): run code, write where they should not,
// steer a terminal, become a formula.

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "src/report/terminal.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/model/pytorch_archive.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;

// Escape sequences, a DEL, the same sequence begun by a C1 control, a bidirectional override.
const std::string kSteering =
    "\x1b[2J\x1b]0;title\a\x7f\xc2\x9b"
    "2J\xe2\x80\xae";

class Security {
 protected:
  Security() { write_random_model(folder / "model.lfmw", 7); }
  std::string at(const std::string& name) { return (folder / name).string(); }
  ProgramResult run(std::vector<std::string> arguments) { return run_program(kProgram, std::move(arguments)); }
  std::set<std::string> everything() {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path())) names.insert(entry.path().string());
    return names;
  }
  TemporaryFolder folder;
};

// posix.system("touch …"), which any unpickler that runs what it reads would run.
TEST_CASE_METHOD(Security, "Security.NothingInAPthIsRun") {
  const std::string exploits[] = {
      "\x80\x02"
      "cposix\nsystem\n" +
          pickled("touch " + at("run")) + "\x85R.",
      "\x80\x02}" + pickled("a") + "cposix\nsystem\n" + pickled("touch " + at("run")) + "\x85Rs.",
      "\x80\x02}" + pickled("a") + "c__builtin__\neval\n" + pickled("open('" + at("run") + "', 'w')") + "\x85Rs.",
      "\x80\x04}" + pickled("a") + pickled("os") + pickled("system") + "\x93" + pickled("touch " + at("run")) +
          "\x85Rs.",
      "\x80\x02(" + pickled("touch " + at("run")) + "iposix\nsystem\n.",
  };
  for (const std::string& pickle : exploits) {
    write_archive(folder / "a.pth", {{"data.pkl", pickle}, {"data/0", "abcd"}, {"byteorder", "little"}});
    const auto result = run({"convert", at("a.pth"), at("a.lfmw")});
    CHECK_MESSAGE(result.exit_code == 3, result.err);
    CHECK_THAT(result.err, ContainsSubstring("nothing was run"));
    CHECK_FALSE(fs::exists(folder / "run"));
    CHECK_FALSE(fs::exists(folder / "a.lfmw"));
  }
}

TEST_CASE_METHOD(Security, "Security.EntriesOfAPthAreWrittenNowhere") {
  const std::int64_t one[] = {1};
  const std::string pickle =
      "\x80\x02}" + pickled("a") + pickled_tensor("FloatStorage", "../../../evil", 1, 0, one, one) + "s.";
  write_archive(folder / "a.pth",
                {{"data.pkl", pickle}, {"data/../../../evil", "abcd"}, {"../../evil", "abcd"}, {"/evil", "abcd"}});
  const auto before = everything();
  CHECK(run({"convert", at("a.pth"), at("a.lfmw")}).exit_code == 3);
  CHECK(everything() == before);
}

// Where pictures from an archive are explained in the archive's own folder, it may hold links with the outputs' names.
TEST_CASE_METHOD(Security, "Security.ExplainWritesIntoItsFolderAlone") {
  std::ofstream(folder / "precious") << "old";
  for (const char* name : {"..ppm", "...ppm", "-o.ppm", "a.sheet.ppm", ".hidden", "back\\slash.ppm", "linked.ppm"}) {
    write_ppm(folder / "in" / name, 64, 64, 1);
  }
  fs::create_directory(folder / "out");
  fs::create_symlink("../precious", folder / "out/linked.sheet.png");
  fs::create_symlink("../planted", folder / "out/linked.grad-cam.png");
  std::set<std::string> before = everything();
  const auto result = run({"explain", "--model", at("model.lfmw"), "--output", at("out"), at("in"), at("in/..ppm"),
                           at("in/...ppm"), at("in/.hidden")});  // hidden ones are passed over in folders
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  std::size_t written = 0;
  for (const std::string& name : everything()) {
    if (before.contains(name)) continue;
    CHECK_MESSAGE(fs::path(name).parent_path() == folder / "out", name);
    ++written;
  }
  CHECK(written == 7u * 3 - 2);
  CHECK(read_text(folder / "precious") == "old");
  CHECK_FALSE(fs::is_symlink(folder / "out/linked.sheet.png"));
}

TEST_CASE_METHOD(Security, "Security.NamesSteerNoTerminal") {
  const std::string set = "set" + kSteering, model = "model" + kSteering + ".lfmw";
  fs::copy_file(folder / "model.lfmw", folder / model);
  std::ofstream(folder / ("broken" + kSteering + ".lfmw")) << "broken";
  for (const char* label : {"0_real", "1_fake"}) {
    for (int i = 0; i < 2; ++i)
      write_ppm(folder / set / label / (std::to_string(i) + kSteering + ".ppm"), 64, 64, static_cast<std::uint32_t>(i));
    std::ofstream(folder / set / label / ("bad" + kSteering + ".png")) << "broken";
  }
  const std::vector<std::vector<std::string>> commands = {
      {"detect", "--model", at(model), at(set)},
      {"detect", "--model", at(model), "--format", "json", at(set)},
      {"detect", "--stable", "--model", at(model), at(set), at("missing" + kSteering)},
      {"detect", "--model", at("broken" + kSteering + ".lfmw"), at(set)},
      {"detect", "--device", kSteering, "--model", at(model), at(set)},
      {"detect", kSteering, "--" + kSteering},
      {"evaluate", "--model", at(model), "--bootstrap", "0", at(set)},
      {"evaluate", "--model", at(model), "--bootstrap", "0", "--format", "md", at(set)},
      {"evaluate", "--model", at(model), "--bootstrap", "0", "--format", "json", at(set)},
      {"evaluate", at("missing" + kSteering)},
      {"explain", "--model", at(model), "--output", at("why" + kSteering), at(set)},
      {"explain", "--model", at(model), "--json", "--output", at("why" + kSteering), at(set)},
      {"info", at(model)},
      {"info", "--json", at(model)},
      {"info", at("broken" + kSteering + ".lfmw")},
      {"convert", at(model), at("copy" + kSteering + ".lfmw")},
      {"train", "--data", at(set), "--out", at("run" + kSteering), "--epochs", "1", "--batch", "2", "--view", "native",
       "--crop", "48"},
      {"train", "--resume", "--out", at("nothing" + kSteering)},
  };
  for (const auto& command : commands) {
    const auto result = run(command);
    std::string text = result.out + result.err;
    CHECK_FALSE(text.empty());
    std::erase(text, '\n');
    CHECK_MESSAGE(printable(text) == text, test::printed(command));
  }
}

TEST_CASE_METHOD(Security, "Security.NoCellOfACsvIsAFormula") {
  for (const std::string start : {"=", "+", "-", "@"}) {
    const std::string set = start + "cmd|'/c calc'!A1";
    for (const char* label : {"0_real", "1_fake"})
      write_ppm(folder / "data" / set / label / (start + "1+1.ppm"), 64, 64, 1);
  }
  const auto result = run({"evaluate", "--model", at("model.lfmw"), "--bootstrap", "0", "--output", at("t.csv"),
                           "--embed", at("e"), at("data")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  for (const char* file : {"t.csv", "e.csv"}) {
    const std::string text = "\n" + read_text(folder / file);
    CHECK_THAT_MESSAGE(text, ContainsSubstring("'=cmd"), file);
    for (const char start : {'=', '+', '@'}) {  // a number may begin with a minus
      CHECK_THAT_MESSAGE(text, !ContainsSubstring(std::string(",") + start), file);
      CHECK_THAT_MESSAGE(text, !ContainsSubstring(std::string(",\"") + start), file);
    }
    CHECK_THAT_MESSAGE(text, !ContainsSubstring(",-cmd"), file);
  }
}

}  // namespace
}  // namespace lfm::test
