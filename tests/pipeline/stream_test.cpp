// The streaming pipeline's promises: input order, whole batches, bounded memory, one image's failure is its own.
#include "src/pipeline/stream.h"

#include <fmt/core.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <new>
#include <optional>
#include <random>
#include <string>

#include "src/engine/out_of_memory.h"
#include "src/pipeline/pixel_pool.h"
#include "tests/catch.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/pipeline/stub_engine.h"

namespace lfm::test {
namespace {

void write_ppm(const std::filesystem::path& path, int width, int height, int first_byte) {
  std::ofstream out(path, std::ios::binary);
  out << "P6\n" << width << ' ' << height << "\n255\n";
  out << static_cast<char>(first_byte) << std::string(static_cast<std::size_t>(width * height * 3 - 1), '\x7f');
}

/// Gives the same files again and again.
class RepeatingSource : public InputSource {
 public:
  RepeatingSource(std::vector<std::filesystem::path> files, std::size_t count)
      : files_(std::move(files)), count_(count) {}
  std::optional<Input> next() override {
    const std::size_t i = given++;
    if (i >= count_) return std::nullopt;
    return Input{files_[i % files_.size()], false, {}};
  }
  std::atomic<std::size_t> given = 0;

 private:
  std::vector<std::filesystem::path> files_;
  std::size_t count_;
};

/// As a list does whose writer pauses: after some inputs it starves until it is cancelled.
class StarvingSource : public RepeatingSource {
 public:
  StarvingSource(std::vector<std::filesystem::path> files, std::size_t before)
      : RepeatingSource(std::move(files), before) {}
  std::optional<Input> next() override {
    if (auto input = RepeatingSource::next()) return input;
    starved_ = true;
    while (!cancelled_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::nullopt;
  }
  bool starved() const override { return starved_; }
  void cancel() override { cancelled_ = true; }

 private:
  std::atomic<bool> starved_ = false, cancelled_ = false;
};

class StreamTest {
 protected:
  StreamTest() {
    options.presentation.view = View::native;
    options.workers = 3;
    options.batch = 4;
    for (int i = 0; i < 12; ++i) {
      files.push_back(folder / fmt::format("{:02}.ppm", i));
      write_ppm(files.back(), i % 3 == 0 ? 64 : 48, 48, i);  // two sizes
    }
  }
  void run(InputSource& source, const std::function<void(Detection&&)>& sink) {
    std::vector<EngineSet> engines = {{&engine}};
    if (members) engines = {{&engine, &*members}};
    for (StubEngine& other : others) engines.push_back({&other});
    score_stream(
        engines, options, source, [](Detection& d, const Input&) { d.status = Detection::Status::scored; }, sink);
  }

  TemporaryFolder folder;
  std::vector<std::filesystem::path> files;
  StubEngine engine;
  std::deque<StubEngine> others;      // further devices'
  std::optional<StubEngine> members;  // a second member's on the same device
  StreamOptions options;
};

TEST_CASE_METHOD(StreamTest, "StreamTest.KeepsInputOrderWithMixedSizes") {
  RepeatingSource source(files, 3000);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) {
    REQUIRE_MESSAGE(d.path == files[seen % files.size()], "result " << seen);
    REQUIRE(d.logit == static_cast<float>(seen % files.size()));
    REQUIRE(d.width == ((seen % files.size()) % 3 == 0 ? 64 : 48));
    ++seen;
  });
  CHECK(seen == 3000u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.BatchesImagesOfOneSizeTheSameWayOnEveryRun") {
  std::vector<int> first;
  for (int repetition = 0; repetition < 8; ++repetition) {
    options.workers = 1 + repetition % 4;
    engine.batch_sizes.clear();
    RepeatingSource source(files, 240);
    run(source, [](Detection&&) {});
    if (repetition == 0) first = engine.batch_sizes;
    CHECK_MESSAGE(engine.batch_sizes == first, "repetition " << repetition);
  }
  CHECK_MESSAGE(first.size() <= 240u / 4 + 4, "most batches are full");
}

TEST_CASE_METHOD(StreamTest, "StreamTest.SeveralEnginesShareTheBatchesAndKeepTheOrder") {
  others.resize(2);
  int slowness = 0;
  for (StubEngine* e : {&engine, &others[0], &others[1]}) {  // batches overtake each other
    e->on_batch = [pause = std::chrono::microseconds(200 * slowness++)](const PixelBatch&) {
      std::this_thread::sleep_for(pause);
    };
  }
  RepeatingSource source(files, 1200);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) {
    REQUIRE_MESSAGE(d.path == files[seen % files.size()], "result " << seen);
    REQUIRE(d.logit == static_cast<float>(seen++ % files.size()));
  });
  CHECK(seen == 1200u);
  std::size_t batches = 0;
  for (const StubEngine* e : {&engine, &others[0], &others[1]}) {
    CHECK_FALSE(e->batch_sizes.empty());
    batches += e->batch_sizes.size();
  }
  CHECK_MESSAGE(batches <= 1200u / 4 + 4, "most batches are full, as with one engine");
}

// A picture's pieces are scored by different engines at the same time.
TEST_CASE_METHOD(StreamTest, "StreamTest.SeveralEnginesShareAPicture") {
  options.presentation.deliveries = {{}, {Delivery::Kind::shift, 3}, {Delivery::Kind::noise, 4}};
  options.presentation.view = View::tiles;
  options.features = true;
  options.batch = 2;
  std::vector<std::filesystem::path> large;
  for (int i = 0; i < 3; ++i) {
    large.push_back(folder / fmt::format("large{}.ppm", i));
    write_ppm(large.back(), 700, 300, i);
  }
  const auto scores = [&] {
    std::vector<std::vector<float>> all;
    RepeatingSource source(large, 30);
    run(source, [&](Detection&& d) {
      all.push_back(d.delivered_logits);
      all.push_back(d.features);
    });
    return all;
  };
  const auto alone = scores();
  others.resize(3);
  CHECK(scores() == alone);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.SeveralRealEnginesScoreAsOneDoes") {
  const Model model = random_model({}, 5);
  std::vector<std::unique_ptr<Engine>> made;
  std::vector<EngineSet> engines;
  for (int i = 0; i < 3; ++i) {
    made.push_back(make_cpu_engine(1));
    made.back()->load(model.architecture, model.values);
    engines.push_back({made.back().get()});
  }
  const auto scores = [&](std::size_t count) {
    std::vector<float> all;
    RepeatingSource source(files, 60);
    score_stream(
        std::span(engines).first(count), options, source, [](Detection&, const Input&) {},
        [&](Detection&& d) { all.push_back(d.logit); });
    return all;
  };
  const auto alone = scores(1);
  CHECK(alone.size() == 60u);
  CHECK(alone[0] != alone[1]);
  CHECK(scores(3) == alone);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.OneOfSeveralEnginesThatFailsEndsTheRun") {
  others.resize(2);
  others[1].on_batch = [this](const PixelBatch&) {
    if (others[1].batch_sizes.size() > 3) throw Error(ErrorCode::device, "the second device fell off the bus");
  };
  RepeatingSource source(files, 100000);
  CHECK_THROWS_AS(run(source, [](Detection&&) {}), Error);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.NeverRunsAheadOfASlowReader") {
  RepeatingSource source(files, 500);
  const std::size_t window = static_cast<std::size_t>(2 * (4 * options.batch + 32));
  std::size_t seen = 0;
  run(source, [&](Detection&&) {
    ++seen;
    if (seen % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    REQUIRE(source.given <= seen + window + 1);
  });
  CHECK(seen == 500u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.StaysWithinThePixelBudget") {
  options.pixel_budget = 64 * 48 * 3;  // one image
  RepeatingSource source(files, 200);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) { REQUIRE(d.logit == static_cast<float>(seen++ % files.size())); });
  CHECK(seen == 200u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.AnImageThatFailsInTheNetworkTakesNoOtherDown") {
  engine.on_batch = [](const PixelBatch& batch) {
    for (int i = 0; i < batch.n; ++i) {
      const int id = *batch.image(i);
      if (id == 5) throw Error(ErrorCode::input, "five fails");
      if (id == 7) throw std::bad_alloc();
    }
  };
  RepeatingSource source(files, 120);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) {
    const std::size_t id = seen++ % files.size();
    REQUIRE_MESSAGE(d.scored() == (id != 5 && id != 7), id << ' ' << d.error);
    if (id == 5) {
      REQUIRE(d.error == "five fails");
    }
    if (id == 7) {
      REQUIRE(d.error.find("memory") != std::string::npos);
    }
  });
  CHECK(seen == 120u);
}

// A device computes one batch while the next crosses from the memory that the workers wrote to, which comes round again
// and again.
TEST_CASE_METHOD(StreamTest, "StreamTest.BatchesOfADeviceOverlap") {
  engine.depth = 2;
  PixelPool pool(engine, std::size_t{3} * 48 * 48);
  options.presentation.source = &pool;
  RepeatingSource source(files, 3000);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) {
    REQUIRE_MESSAGE(d.path == files[seen % files.size()], "result " << seen);
    REQUIRE(d.logit == static_cast<float>(seen % files.size()));
    ++seen;
  });
  CHECK(seen == 3000u);
  CHECK(engine.most_under_way == 2);
  CHECK_MESSAGE(engine.pinned_batches > 3000 / 4 / 3, "two images in three are of the blocks' size");
  CHECK(engine.pinned_batches < static_cast<int>(engine.batch_sizes.size()));
}

TEST_CASE_METHOD(StreamTest, "StreamTest.AnImageThatFailsTakesNoBatchUnderWayDown") {
  engine.depth = 2;
  engine.on_batch = [](const PixelBatch& batch) {
    for (int i = 0; i < batch.n; ++i) {
      if (*batch.image(i) == 5) throw Error(ErrorCode::input, "five fails");
    }
  };
  RepeatingSource source(files, 240);
  std::size_t seen = 0;
  run(source, [&](Detection&& d) {
    const std::size_t id = seen++ % files.size();
    REQUIRE_MESSAGE(d.scored() == (id != 5), id << ' ' << d.error);
    if (id != 5) {
      REQUIRE(d.logit == static_cast<float>(id));
    }
  });
  CHECK(seen == 240u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.ADeviceThatFailsWithBatchesUnderWayEndsTheRun") {
  engine.depth = 2;
  int waits = 0;
  engine.on_wait = [&] {
    if (++waits > 3) throw Error(ErrorCode::device, "the device fell off the bus");
  };
  RepeatingSource source(files, 100000);
  std::size_t seen = 0;
  try {
    run(source, [&](Detection&& d) { REQUIRE(d.logit == static_cast<float>(seen++ % files.size())); });
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::device);
  }
  CHECK(seen <= 3u * 4);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.RefusesImagesWhoseActivationsDoNotFit") {
  options.arena_limit = 50 * 48;  // the stub takes a byte a pixel
  const auto detections = [&] {
    std::vector<Detection> all;
    RepeatingSource source(files, 12);
    run(source, [&](Detection&& d) { all.push_back(std::move(d)); });
    return all;
  }();
  for (const Detection& d : detections) {
    CHECK_MESSAGE(d.scored() == (d.width == 48), d.path);
    if (!d.scored()) {
      CHECK_MESSAGE(d.error.find("--view") != std::string::npos, d.error);
    }
  }
}

TEST_CASE_METHOD(StreamTest, "StreamTest.AFailingDeviceEndsTheRunAfterWhatWasDone") {
  engine.on_batch = [this](const PixelBatch&) {
    if (engine.batch_sizes.size() > 3) throw Error(ErrorCode::device, "the device fell off the bus");
  };
  RepeatingSource source(files, 100000);
  std::size_t seen = 0;
  try {
    run(source, [&](Detection&&) { ++seen; });
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::device);
  }
  CHECK(source.given < 1000u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.WhatTheSinkThrowsEndsTheRun") {
  StarvingSource source(files, 40);
  std::size_t seen = 0;
  CHECK_THROWS_AS(run(source,
                      [&](Detection&&) {
                        if (++seen == 20) throw Error(ErrorCode::output, "closed");
                      }),
                  Error);
  CHECK(seen == 20u);
}

TEST_CASE_METHOD(StreamTest, "StreamTest.AStarvingListDoesNotHoldBackWhatItGave") {
  StarvingSource source(files, 2);  // fewer than a batch
  std::size_t seen = 0;
  run(source, [&](Detection&&) {
    if (++seen == 2) source.cancel();
  });
  CHECK(seen == 2u);
}

class StreamOfMembers : public StreamTest {
 protected:
  StreamOfMembers() {
    members.emplace();
    options.members.resize(2);
  }
  void expect_scores(std::size_t count, std::size_t failing = 12) {
    RepeatingSource source(files, count);
    std::size_t seen = 0;
    run(source, [&](Detection&& d) {
      const std::size_t id = seen++ % files.size();
      REQUIRE_MESSAGE(d.scored() == (id != failing), id << ' ' << d.error);
      if (id == failing) return;
      const auto byte = static_cast<float>(id);
      REQUIRE(d.delivered_member_logits == (std::vector{byte, byte + 1000}));
    });
    CHECK(seen == count);
  }
};

TEST_CASE_METHOD(StreamOfMembers, "StreamOfMembers.EveryPieceGoesThroughEveryMember") {
  members->offset = 1000;
  expect_scores(300);
  CHECK_MESSAGE(engine.batch_sizes == members->batch_sizes, "the same batches");
}

TEST_CASE_METHOD(StreamOfMembers, "StreamOfMembers.OnADeviceTooWhereBatchesAreUnderWay") {
  engine.depth = members->depth = 2;
  members->offset = 1000;
  options.features = true;
  expect_scores(2000);
  CHECK(members->most_under_way == 2);
}

TEST_CASE_METHOD(StreamOfMembers, "StreamOfMembers.AnImageThatFailsInOneTakesNoOtherDown") {
  engine.depth = members->depth = 2;
  members->offset = 1000;
  members->on_batch = [](const PixelBatch& batch) {
    if (batch.n > 2) throw OutOfMemory("too many");
    for (int i = 0; i < batch.n; ++i) {
      if (*batch.image(i) == 5) throw Error(ErrorCode::input, "five fails");
    }
  };
  expect_scores(240, 5);
}

TEST_CASE_METHOD(StreamOfMembers, "StreamOfMembers.ADeviceThatFailsInOneEndsTheRun") {
  engine.depth = members->depth = 2;
  members->offset = 1000;
  int waits = 0;
  members->on_wait = [&] {
    if (++waits > 3) throw Error(ErrorCode::device, "the device fell off the bus");
  };
  RepeatingSource source(files, 100000);
  std::size_t seen = 0;
  try {
    run(source, [&](Detection&& d) {
      const auto byte = static_cast<float>(seen++ % files.size());
      REQUIRE(d.delivered_member_logits == (std::vector{byte, byte + 1000}));
    });
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::device);
  }
}

TEST_CASE_METHOD(StreamTest, "StreamTest.ReadsFeaturesOnlyWhenAsked") {
  options.features = true;
  RepeatingSource source(files, 5);
  run(source, [&](Detection&& d) { CHECK(d.features.size() == 1024u); });
  options.features = false;
  RepeatingSource again(files, 5);
  run(again, [&](Detection&& d) { CHECK(d.features.empty()); });
}

}  // namespace
}  // namespace lfm::test
