// Every command, with one call of the system or of the allocator failing: the first one, the second one, and so on
// until a run gets by without the fault. Whatever fails, the program neither crashes nor hangs; a run that says it
// succeeded has written what an undisturbed run writes, and one that says it failed says why and leaves every file
// whole, old or new.
//
// Only some of the calls are tried unless LFM_FAULTS=every is set (tools/test --all does).
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "src/image/encode.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/train/run_state.h"
#include "tests/catch.h"
#include "tests/cli/sample_inputs.h"
#include "tests/faults/fault_run.h"
#include "tests/image/random_image.h"
#include "tests/metadata/containers.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"
#include "tests/train/equal_runs.h"
#include "tests/train/generated_set.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kSampledMoments = 10;

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all = {
      {.call = "malloc", .how = "ENOMEM"},
      {.call = "malloc", .how = "ENOMEM", .lasts = true},
      {.call = "open", .how = "EMFILE"},
      {.call = "read", .how = "EIO"},
      {.call = "read", .how = "short", .harmless = true},
      {.call = "read", .how = "EINTR", .harmless = true},
      {.call = "write", .how = "ENOSPC"},
      {.call = "write", .how = "EIO", .lasts = true},
      {.call = "write", .how = "short", .harmless = true},
      {.call = "write", .how = "EINTR", .harmless = true},
      {.call = "fsync", .how = "EIO"},
      {.call = "rename", .how = "EIO"},
      {.call = "mmap", .how = "ENOMEM"},
      {.call = "thread", .how = "EAGAIN"},
  };
  return all;
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void write_encoded(const fs::path& path, const std::vector<std::byte>& bytes) {
  fs::create_directories(path.parent_path());
  write_bytes(path, bytes);
}

/// What the commands read, written once.
class Inputs {
 public:
  Inputs() {
    write_random_model(folder_ / "model.lfmw", 7);
    Image image{56, 48, std::vector<std::uint8_t>(std::size_t{56} * 48 * 3)};
    for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * i % 251);
    write_encoded(folder_ / "pictures/a.png", encode_png(image));
    write_encoded(folder_ / "pictures/b.jpg", encode_jpeg(image, 90));
    write_encoded(folder_ / "pictures/c.webp", encode_webp(image, 90));
    write_encoded(folder_ / "pictures/named_as_nothing", encode_png(image));
    write_ppm(folder_ / "pictures/e.ppm", 64, 48, 5);
    write_pictures_with_more();
    fs::copy(fs::path(kTestFixtures) / "images/frame_inside_screen.gif", folder_ / "pictures/f.gif");
    write_generated_set(folder_ / "set", {2, 56, 1});
    // The model's logits are lower for what this generates as fakes; with the labels exchanged, it can be calibrated.
    write_generated_set(folder_ / "exchanged", {2, 56, 2});
    fs::create_directories(folder_ / "tests/generator");
    fs::rename(folder_ / "exchanged/0_real", folder_ / "tests/generator/1_fake");
    fs::rename(folder_ / "exchanged/1_fake", folder_ / "tests/generator/0_real");
  }
  std::string operator()(const std::string& name) const { return (folder_ / name).string(); }

 private:
  /// What optional libraries decode, as far as this build has them, and what has more than pixels.
  void write_pictures_with_more() {
    for (const char* name : {"lossy.heic", "lossy.avif", "lossy.jxl", "rgb_jpeg.tif", "pages.tif", "camera.dng"}) {
      const fs::path file = fs::path(kTestFixtures) / "images/libraries" / name;
      const std::vector<std::byte> bytes = read_file(file, 1 << 20);
      if (find_format(bytes)->decode != nullptr) write_encoded(folder_ / "formats" / name, bytes);
    }
    const Image image = random_image(56, 48, 1);
    write_text(folder_ / "formats/signed.png",
               with_chunks(test::text_of(encode_png(image)),
                           png_chunk("tEXt", std::string("prompt\0a cat", 12)) + png_chunk("caBX", c2pa_store())));
    write_text(folder_ / "formats/signed.jpg",
               with_segments(test::text_of(encode_jpeg(image, 80)),
                             jpeg_segment(0xe1, std::string("Exif\0\0", 6) + exif_block({{0x10f, "Maker"}}, 6))));
  }

  TemporaryFolder folder_;
};

using Files = std::map<std::string, std::string>;

/// A command line to be disturbed. It works in a folder of its own, which is made anew for each run.
struct Scene {
  std::string name;
  std::vector<std::string> (*arguments)(const Inputs& in, const std::string& work);
  std::vector<std::string> outputs;      ///< in the folder; each replaces a file that says "old"
  bool trains = false;                   ///< its output is a run folder, "run", instead
  std::vector<std::string> faults = {};  ///< by name; none: all
  /// libheif, libjxl and libtiff's JPEG codec use some small blocks without asking whether there was memory for them.
  /// That ends the program; the files have to be whole even so.
  bool may_die_for_want_of_memory = false;
};

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all = {
      {.name = "convert",
       .arguments =
           [](const Inputs& in, const std::string& work) {
             return std::vector<std::string>{"convert", "--force", in("model.lfmw"), work + "/out.safetensors"};
           },
       .outputs = {"out.safetensors"}},
      {.name = "detect",
       .arguments =
           [](const Inputs& in, const std::string& work) {
             return std::vector<std::string>{
                 "detect",          "--model",  in("model.lfmw"),   "--threads",         "3",
                 "--format",        "jsonl",    "--output",         work + "/out.jsonl", "--features",
                 work + "/out.npy", "--report", work + "/out.html", in("pictures")};
           },
       .outputs = {"out.jsonl", "out.npy", "out.html"}},
      {.name = "detect_formats",
       .arguments =
           [](const Inputs& in, const std::string& work) {
             return std::vector<std::string>{
                 "detect",   "--model",          in("model.lfmw"), "--threads", "2",        "--view",
                 "resize",   "--pages",          "--format",       "jsonl",     "--output", work + "/out.jsonl",
                 "--report", work + "/out.html", in("formats")};
           },
       .outputs = {"out.jsonl", "out.html"},
       .faults = {"malloc_ENOMEM", "read_EIO"},
       .may_die_for_want_of_memory = true},
      {.name = "evaluate",
       .arguments =
           [](const Inputs& in, const std::string& work) {
             return std::vector<std::string>{"evaluate",
                                             "--model",
                                             in("model.lfmw"),
                                             "--threads",
                                             "3",
                                             "--bootstrap",
                                             "10",
                                             "--output",
                                             work + "/out.json",
                                             work + "/out.html",
                                             "--fit-calibration",
                                             work + "/out.lfmw",
                                             "--perturb",
                                             "jpeg:80",
                                             "--",
                                             in("tests")};
           },
       .outputs = {"out.json", "out.html", "out.lfmw"}},
      {.name = "train",
       .arguments =
           [](const Inputs& in, const std::string& work) {
             return std::vector<std::string>{"train",
                                             "--data",
                                             in("set"),
                                             "--val",
                                             in("set"),
                                             "--out",
                                             work + "/run",
                                             "--device",
                                             "cpu",
                                             "--view",
                                             "native",
                                             "--crop",
                                             "48",
                                             "--val-crop",
                                             "48",
                                             "--batch",
                                             "2",
                                             "--epochs",
                                             "1",
                                             "--threads",
                                             "3",
                                             "--checkpoint-every",
                                             "1"};
           },
       .outputs = {},
       .trains = true},
  };
  return all;
}

/// One command under one fault.
struct Sweep {
  std::string name;
  const Scene* scene;
  const Fault* fault;
};

std::vector<Sweep> sweeps() {
  std::vector<Sweep> all;
  for (const Scene& scene : scenes()) {
    for (const Fault& fault : faults()) {
      const bool wanted = scene.faults.empty() || std::ranges::find(scene.faults, fault.name()) != scene.faults.end();
      if (wanted) all.push_back({scene.name + std::string("_") + fault.name(), &scene, &fault});
    }
  }
  return all;
}

class FaultSweep {
 public:
  explicit FaultSweep(const Sweep& sweep) : sweep_(sweep) {}

  void never_crashes_nor_corrupts_a_file();

 private:
  static const Inputs& inputs() {
    static const Inputs all;
    return all;
  }
  const Scene& scene() const { return *sweep_.scene; }
  const Fault& fault() const { return *sweep_.fault; }
  std::string work() const { return (folder_ / "work").string(); }

  FaultOutcome run(std::uint64_t at) {
    fs::remove_all(work());
    fs::create_directory(work());
    for (const std::string& output : scene().outputs) write_text(work() + "/" + output, "old");
    return repeat(scene().arguments(inputs(), work()), at);
  }

  FaultOutcome repeat(std::vector<std::string> arguments, std::uint64_t at) {
    arguments.insert(arguments.begin(), kProgram);
    return run_with_fault(arguments, fault(), at, folder_.path());
  }

  /// An undisturbed run: what it writes, and how many calls it makes.
  std::uint64_t learn() {
    const FaultOutcome outcome = run(0);
    CHECK_MESSAGE(outcome.code == 0, outcome.text);
    for (const std::string& output : scene().outputs) expected_[output] = text_of(work() + "/" + output);
    if (scene().trains) fs::rename(work() + "/run", folder_ / "expected");
    return outcome.calls;
  }

  void check(const FaultOutcome& outcome) {
    REQUIRE_MESSAGE(!outcome.hung, outcome.text);
    const bool no_memory = fault().call == "malloc";
    if (outcome.signal != 0 && no_memory && scene().may_die_for_want_of_memory) return check_outputs(outcome);
    REQUIRE_MESSAGE(outcome.signal == 0, "killed by a signal; " << outcome.text);
    if (outcome.failed == 0 || fault().harmless) {
      CHECK_MESSAGE(outcome.code == 0, outcome.text);
    }
    if (outcome.code != 0) {
      CHECK_THAT(outcome.text, ContainsSubstring("lfm-cuda: "));
      CHECK_THAT(outcome.text, ContainsSubstring(no_memory ? "memory" : ""));
    }
    scene().trains ? check_run(outcome) : check_outputs(outcome);
    for (const auto& entry : fs::recursive_directory_iterator(work())) {
      const bool may_stay = no_memory;  // a destructor that finds none ends the program at once
      CHECK_MESSAGE((may_stay || entry.path().extension() != ".tmp"), "left behind: " << entry.path());
    }
  }

  void check_outputs(const FaultOutcome& outcome) {
    for (const std::string& output : scene().outputs) {
      const std::string text = text_of(work() + "/" + output);
      if (text == expected_[output]) continue;
      CHECK_MESSAGE(outcome.code != 0, output << " is not what an undisturbed run writes; " << outcome.text);
      if (text != "old") check_whole(output, text);
    }
  }

  /// A report in which pictures failed.
  void check_whole(const std::string& output, const std::string& text) {
    const std::string& expected = expected_[output];
    const std::string ending = fs::path(output).extension();
    if (ending == ".jsonl") {
      std::set<std::string> lines, failed;
      std::istringstream in(text), expected_in(expected);
      for (std::string line; std::getline(in, line); lines.insert(line)) {
        const json record = json::parse(line, nullptr, false);
        REQUIRE_MESSAGE(record.is_object(), line);
        if (record.contains("error")) failed.insert(record.at("path"));
      }
      for (std::string line; std::getline(expected_in, line);) {
        const fs::path path = json::parse(line).at("path").get<std::string>();
        CHECK_MESSAGE((lines.contains(line) || failed.contains(path) || failed.contains(path.parent_path())),
                      path << " is missing from " << text);
      }
    } else if (ending == ".npy") {
      CHECK((text.size() - 128) % (1024 * sizeof(float)) == 0u);
    } else if (ending == ".json") {
      CHECK_MESSAGE(!json::parse(text, nullptr, false).is_discarded(), text);
    } else if (ending == ".html") {
      CHECK_THAT(text, EndsWith(expected.substr(expected.size() - 10)));
    } else if (ending == ".lfmw") {
      CHECK_NOTHROW(load_model(work() + "/" + output));
    } else {
      FAIL_CHECK(output << " is neither old nor new");
    }
  }

  /// What a failed run has saved can be resumed, to the bits of the undisturbed run.
  void check_run(const FaultOutcome& outcome) {
    if (outcome.code != 0) {
      if (!fs::exists(work() + "/run/last.lfmw")) return;
      const FaultOutcome resumed = repeat({"train", "--resume", "--out", work() + "/run"}, 0);
      REQUIRE_MESSAGE(resumed.code == 0, resumed.text);
    }
    expect_equal_runs(work() + "/run", folder_ / "expected");
  }

  const Sweep& sweep_;
  TemporaryFolder folder_;
  Files expected_;
};

/// The calls to fail: a few of those with which every command line begins, the others evenly spread over what follows.
std::set<std::uint64_t> sampled(std::uint64_t beginning, std::uint64_t calls) {
  std::set<std::uint64_t> moments;
  for (const std::uint64_t at : {std::uint64_t{1}, std::uint64_t{2}, beginning / 2}) {
    if (at >= 1 && at <= calls) moments.insert(at);
  }
  for (std::uint64_t i = 0; i < kSampledMoments && beginning + i < calls; ++i)
    moments.insert(calls - (calls - beginning) * i / kSampledMoments);
  return moments;
}

void FaultSweep::never_crashes_nor_corrupts_a_file() {
  const std::uint64_t calls = learn();
  const char* extent = std::getenv("LFM_FAULTS");
  const bool every = extent && std::string(extent) == "every";
  std::uint64_t runs = 0;
  const auto disturb = [&](std::uint64_t at) {
    INFO(fmt::format("call {} of some {} fails", at, calls));
    const FaultOutcome outcome = run(at);
    check(outcome);
    ++runs;
    return outcome.failed > 0;
  };
  if (every) {
    for (std::uint64_t at = 1; disturb(at) && !case_has_failed(); ++at) {
    }
  } else {
    const std::uint64_t beginning = std::min(repeat({"--version"}, 0).calls, calls);
    for (const std::uint64_t at : sampled(beginning, calls)) disturb(at);
  }
  fmt::print("  {} calls, {} runs\n", calls, runs);
}

TEST_CASE_FOR_EACH(const Sweep& sweep, sweeps(), "FaultSweep.NeverCrashesNorCorruptsAFile") {
  FaultSweep(sweep).never_crashes_nor_corrupts_a_file();
}

}  // namespace
}  // namespace lfm::test
