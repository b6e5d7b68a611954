// Several processes, here threads with a letter box each, that score one stream.
#include "src/pipeline/shared_stream.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/pipeline/detection_bytes.h"
#include "src/pipeline/path_source.h"
#include "tests/catch.h"
#include "tests/cli/sample_inputs.h"
#include "tests/metadata/containers.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

Detection full_detection() {
  Detection d;
  d.status = Detection::Status::scored;
  d.path = "photos/a.jpg";
  d.ticket = 7;
  d.error = "none";
  d.part = "page 2";
  d.width = 640, d.height = 480, d.orientation = 6;
  d.logit = -1.5f, d.score = 0.25f, d.fake = true, d.unsure = true, d.doubt = Doubt::flips, d.texture = 0.5f;
  d.windows = 9, d.empty_windows = 2;
  d.features = {1, 2, 3}, d.delivered_logits = {4},
  d.delivered_scores = {0.5f, std::numeric_limits<float>::quiet_NaN()};
  d.member_logits = {1, -1}, d.delivered_member_logits = {1, 2, 3, 4}, d.decided_by = 1;
  d.evidence = {{1, 2, 3, 4, 5, 6, 1, 2, {0.5f, 1}, {0, 2}, 1}, {}};
  d.thumbnail = {1, 2, 255};
  d.signs = {{"EXIF", "camera", std::string("a\0\xff", 3)}};
  return d;
}

std::vector<std::byte> bytes_of(const auto& value) {
  std::vector<std::byte> bytes;
  append_bytes(bytes, value);
  return bytes;
}

TEST_CASE("DetectionBytes.EveryFieldComesBack") {
  const std::vector<std::byte> bytes = bytes_of(full_detection());
  std::span<const std::byte> rest = bytes;
  const Detection back = take_detection(rest);
  CHECK(rest.empty());
  CHECK(back.path == "photos/a.jpg");
  CHECK(back.signs.at(0).value == full_detection().signs[0].value);
  CHECK(back.evidence.at(0).grad_cam == std::vector<float>{0, 2});
  CHECK(bytes_of(back) == bytes);  // NaN equals itself as bytes
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    std::span<const std::byte> cut = std::span(bytes).first(size);
    CHECK_THROWS_AS(take_detection(cut), std::runtime_error);
  }
  Input input{"a b.png", true, "why", View::native, "part"};
  input.stable = true;
  const std::vector<std::byte> sent = bytes_of(input);
  rest = sent;
  const Input received = take_input(rest);
  CHECK((received.path == "a b.png" && received.from_folder && received.view == View::native && received.stable &&
         !received.evidence));
  input.bytes = std::make_shared<const std::vector<std::byte>>();
  CHECK_THROWS_AS(bytes_of(input), std::logic_error);
}

/// A letter box for each of several threads.
class Boxes {
 public:
  explicit Boxes(int size) : boxes_(static_cast<std::size_t>(size)) {}
  Mail mail(int rank) {
    const auto send = [this, rank](int to, std::vector<std::byte> bytes) {
      const std::lock_guard lock(mutex_);
      boxes_[static_cast<std::size_t>(to)].push_back({rank, std::move(bytes)});
    };
    const auto receive = [this, rank]() -> std::optional<Letter> {
      const std::lock_guard lock(mutex_);
      auto& box = boxes_[static_cast<std::size_t>(rank)];
      if (box.empty()) return std::nullopt;
      Letter letter = std::move(box.front());
      box.pop_front();
      return letter;
    };
    return {rank, static_cast<int>(boxes_.size()), send, receive};
  }

 private:
  std::mutex mutex_;
  std::vector<std::deque<Letter>> boxes_;
};

class SharedStream {
 protected:
  SharedStream() {
    write_random_model(folder_ / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 40; ++i)
      write_ppm(folder_ / fmt::format("photos/{:02}.ppm", i), 48 + 8 * (i % 3), 48, i);
    std::ofstream(folder_ / "photos/07-broken.png") << "\x89PNG\r\n\x1a\nbroken";
    std::ofstream(folder_ / "photos/notes.txt") << "no image";
    const std::string rgb(64 * 56 * 3, '\x40');
    std::ofstream(folder_ / "photos/20-pages.tif", std::ios::binary)
        << tiff_pages(64, 56, {{rgb, 1}, {rgb, 1}, {rgb, 1}});
  }
  Detector detector() const {
    DetectorOptions options;
    options.device = "cpu";
    options.threads = 1;
    return Detector(folder_ / "model.lfmw", options);
  }
  std::vector<std::string> alone() const {
    Detector one = detector();
    PathSource paths({folder_ / "photos"});
    MediaSource media(paths, media_);
    std::vector<std::string> seen;
    one.detect_stream(media, [&](Detection&& d) { seen.push_back(text(d)); });
    return seen;
  }
  static std::string text(const Detection& d) {
    return fmt::format("{} {} {} {} {}", d.path.string(), d.part, static_cast<int>(d.status), d.logit, d.error);
  }
  /// Scores in so many threads; what the root returns.
  bool shared(int processes, const std::function<void(Detection&&)>& sink) const {
    Boxes boxes(processes);
    std::vector<std::thread> others;
    for (int rank = 1; rank < processes; ++rank) {
      others.emplace_back([this, &boxes, rank] {
        Detector own = detector();
        score_for_root(own, boxes.mail(rank), media_);
      });
    }
    PathSource paths({folder_ / "photos"});
    Detector own = detector();
    bool all = false;
    std::exception_ptr failure;
    try {
      all = score_shared(own, boxes.mail(0), paths, media_, sink, [] { return false; });
    } catch (...) {
      failure = std::current_exception();
      dismiss_all(boxes.mail(0));
    }
    for (std::thread& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
    return all;
  }
  TemporaryFolder folder_;
  MediaOptions media_{.pages = true, .every = {}, .limits = {}};
};

TEST_CASE_METHOD(SharedStream, "SharedStream.GivesInOrderWhatOneProcessGives") {
  const std::vector<std::string> expected = alone();
  CHECK(expected.size() >= 43u);
  for (const int processes : {2, 4}) {
    std::vector<std::string> seen;
    CHECK(shared(processes, [&](Detection&& d) { seen.push_back(text(d)); }));
    CHECK(seen == expected);
  }
}

TEST_CASE_METHOD(SharedStream, "SharedStream.WhatTheSinkThrowsEndsAll") {
  int seen = 0;
  const auto sink = [&](Detection&&) {
    if (++seen == 5) throw std::runtime_error("disk full");
  };
  CHECK_THROWS_WITH(shared(3, sink), "disk full");
  CHECK(seen == 5);
}

TEST_CASE_METHOD(SharedStream, "SharedStream.InAHurryTheRootWaitsForNobodyWhoIsGone") {
  Boxes boxes(2);  // the second process never answers
  PathSource paths({folder_ / "photos"});
  Detector own = detector();
  const std::vector<std::string> expected = alone();
  std::vector<std::string> seen;
  CHECK(!score_shared(
      own, boxes.mail(0), paths, media_, [&](Detection&& d) { seen.push_back(text(d)); }, [] { return true; }));
  REQUIRE(seen.size() < expected.size());
  CHECK(std::equal(seen.begin(), seen.end(), expected.begin()));
}

}  // namespace
}  // namespace lfm::test
