// What comes out does not depend on how many threads there are, nor on what happens to files meanwhile.
//
// A few counts of threads are tried, or all from 1 to 64 where LFM_THREADS=every is set (tools/test --all).
#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "lfm/detector.h"
#include "src/train/trainer.h"
#include "tests/catch.h"
#include "tests/cli/sample_inputs.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/equal_runs.h"
#include "tests/train/generated_set.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;

std::vector<int> thread_counts() {
  const char* extent = std::getenv("LFM_THREADS");
  if (!extent || std::string(extent) != "every") return {2, 7, 64};
  std::vector<int> all(63);
  std::iota(all.begin(), all.end(), 2);
  return all;
}

class ThreadStress {
 protected:
  std::vector<Detection> detect(int threads) {
    DetectorOptions options;
    options.device = "cpu";
    options.threads = threads;
    Detector detector(folder_ / "model.lfmw", options);
    return detector.detect_files({folder_ / "pictures"});
  }

  void write_pictures(int count) {
    write_random_model(folder_ / "model.lfmw", 3);
    for (int i = 0; i < count; ++i) {
      const fs::path path = folder_ / fmt::format("pictures/{:03}.ppm", i);
      write_ppm(path, 48 + i % 3 * 8, 48, static_cast<std::uint32_t>(i));
      if (i % 10 == 9) fs::resize_file(path, 100);
    }
  }

  TemporaryFolder folder_;
};

TEST_CASE_METHOD(ThreadStress, "ThreadStress.DetectionsAreThoseOfOneThread") {
  write_pictures(60);
  const std::vector<Detection> expected = detect(1);
  REQUIRE(expected.size() == 60u);
  for (const int threads : thread_counts()) {
    INFO(fmt::format("{} threads", threads));
    const std::vector<Detection> got = detect(threads);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].path == expected[i].path);
      CHECK(got[i].error == expected[i].error);
      CHECK_MESSAGE(got[i].logit == expected[i].logit, got[i].path);
    }
  }
}

TEST_CASE_METHOD(ThreadStress, "ThreadStress.TrainedWeightsAreThoseOfOneThread") {
  write_generated_set(folder_ / "set", {4, 56, 1});
  const auto train = [&](int threads) {
    TrainOptions o;
    o.data = o.val = {folder_ / "set"};
    o.out = folder_ / fmt::format("run{}", threads);
    o.device = "cpu";
    o.view = View::native;
    o.crop = o.val_crop = 48;
    o.batch = 4;
    o.epochs = 2;
    o.threads = threads;
    start_training(o, {});
    return o.out;
  };
  const fs::path expected = train(1);
  for (const int threads : thread_counts()) {
    INFO(fmt::format("{} threads", threads));
    const fs::path run = train(threads);
    expect_equal_runs(run, expected);
    fs::remove_all(run);
  }
}

// One picture is truncated, rewritten in place and replaced all the time: whatever is read of it is a picture or a
// failure, and the others are as ever.
TEST_CASE_METHOD(ThreadStress, "ThreadStress.FilesThatChangeWhileTheyAreReadHarmNoOther") {
  write_pictures(20);
  const std::vector<Detection> expected = detect(1);
  const fs::path changing = folder_ / "pictures/004.ppm";
  const std::jthread writer([&](const std::stop_token& stop) {
    for (std::uint32_t i = 0; !stop.stop_requested(); ++i) {
      write_ppm(changing, 48, 48 + static_cast<int>(i % 64), i);
      std::error_code ignored;
      fs::resize_file(changing, i % 5000, ignored);
      write_ppm(folder_ / "other/new.ppm", 64, 48, i);
      fs::rename(folder_ / "other/new.ppm", changing);
    }
  });
  for (int round = 0; round < 10; ++round) {
    const std::vector<Detection> got = detect(4);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (got[i].path == changing) {
        CHECK(got[i].scored() != !got[i].error.empty());
        continue;
      }
      CHECK_MESSAGE(got[i].logit == expected[i].logit, got[i].path);
      CHECK(got[i].error == expected[i].error);
    }
  }
}

}  // namespace
}  // namespace lfm::test
