// lfm-cuda doctor: it tells what is there, and of what is missing what to do.
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/image/formats.h"
#include "src/machine/late_library.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;

class Doctor {
 protected:
  Doctor() { write_random_model(folder / "model.lfmw", 7); }
  ProgramResult doctor(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
    arguments.insert(arguments.begin(), {"doctor", "--device", "cpu"});
    return run_program(kProgram, std::move(arguments), options);
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  TemporaryFolder folder;
};

TEST_CASE_METHOD(Doctor, "Doctor.TellsThatAllIsWell") {
  const auto result = doctor({"--model", at("model.lfmw")});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  for (const std::string& part :
       {std::string("CPU path"), std::string("device cpu"), readable_formats(), at("model.lfmw"),
        std::string("by the reference"), std::string("Ready: pictures can be scored.")}) {
    CHECK_THAT(result.out, ContainsSubstring(part));
  }
  const json facts = json::parse(doctor({"--model", at("model.lfmw"), "--json"}).out);
  CHECK(facts["ready"] == true);
  CHECK(facts["machine"]["cores"] >= 1);
  CHECK(facts["cpu_paths"].size() >= 1u);
  std::size_t read = 0;
  for (const json& format : facts["formats"]) {
    if (format["read"] == true) ++read;
    CHECK((format["read"] == true || format["library"].is_string()));
  }
  std::size_t rows = 0;
  for (const Format& format : known_formats()) rows += format.decode != nullptr ? 1 : 0;
  CHECK(read == rows);
}

TEST_CASE_METHOD(Doctor, "Doctor.TellsOfALibraryThatCantBeLoaded") {
  const std::string file = LateLibrary("libtiff").file();
  if (file.empty()) SKIP("this build was made without libtiff");
  std::ofstream(folder / std::filesystem::path(file).filename()) << "no library";
  const ProgramOptions options = {.environment = {"LD_LIBRARY_PATH=" + folder.path().string()}};
  const auto told = doctor({"--model", at("model.lfmw")}, options);
  CHECK(told.exit_code == 0);  // other pictures can be scored
  CHECK_THAT(told.out,
             ContainsSubstring("TIFF can't be read: libtiff can't be loaded") && ContainsSubstring("install "));
  const std::string tiff = (std::filesystem::path(kTestFixtures) / "images/libraries/pages.tif").string();
  for (const char* pages : {"--quiet", "--pages"}) {
    const auto detect = run_program(kProgram, {"detect", pages, "--model", at("model.lfmw"), tiff}, options);
    CHECK(detect.exit_code == 1);
    CHECK_THAT(detect.err, ContainsSubstring("pages.tif: libtiff can't be loaded") && ContainsSubstring("install "));
  }
}

TEST_CASE_METHOD(Doctor, "Doctor.TellsWhatToDoAboutWhatIsMissing") {
  const auto no_model = doctor({"--model", "no-such-model"});
  CHECK(no_model.exit_code == 3);
  CHECK_THAT(no_model.out, ContainsSubstring("What to do:") && ContainsSubstring("lfm-cuda convert") &&
                               ContainsSubstring("Not ready"));
  const auto no_vectors = doctor({"--model", at("model.lfmw")}, {.environment = {"LFM_CPU=abacus"}});
  CHECK(no_vectors.exit_code == 3);
  CHECK_THAT(no_vectors.out, ContainsSubstring("LFM_CPU=abacus") && ContainsSubstring("choose one of"));
  const auto from_environment = doctor({"--json"}, {.environment = {"LFM_MODEL=" + at("nowhere.lfmw")}});
  CHECK(from_environment.exit_code == 3);
  CHECK(json::parse(from_environment.out)["ready"] == false);
  CHECK(run_program(kProgram, {"doctor", "--device", "abacus"}).exit_code == 2);
  CHECK(run_program(kProgram, {"doctor", "--device", "cuda:999", "--model", at("model.lfmw")}).exit_code == 3);
}

}  // namespace
}  // namespace lfm::test
