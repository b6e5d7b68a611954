// What the server is made of, without a network: who may ask, what a request may hold, and how pictures wait.
#include <atomic>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lfm/error.h"
#include "src/serve/access.h"
#include "src/serve/metrics.h"
#include "src/serve/request_queue.h"
#include "src/serve/upload.h"
#include "tests/catch.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("Access.TokensAreReadFromLines") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokens";
  const auto read = [&](const std::string& text) {
    std::ofstream(file) << text;
    return read_tokens(file);
  };
  CHECK(read("# ours\n\n0123456789abcdef\r\nfedcba9876543210 \n") ==
        std::vector<std::string>{"0123456789abcdef", "fedcba9876543210"});
  CHECK_THROWS_AS(read("short\n"), Error);
  CHECK_THROWS_AS(read("# none\n"), Error);
  CHECK_THROWS_AS(read_tokens(folder.path() / "missing"), Error);
}

TEST_CASE("Access.OnlyTheWholeTokenOpens") {
  const std::vector<std::string> tokens = {"0123456789abcdef", "fedcba9876543210"};
  CHECK(is_authorized("Bearer 0123456789abcdef", tokens));
  CHECK(is_authorized("Bearer fedcba9876543210", tokens));
  for (const char* wrong : {"", "Bearer ", "0123456789abcdef", "bearer 0123456789abcdef", "Bearer 0123456789abcde",
                            "Bearer 0123456789abcdeff"}) {
    CAPTURE(wrong);
    CHECK_FALSE(is_authorized(wrong, tokens));
  }
}

TEST_CASE("Access.KnowsThisMachinesAddresses") {
  for (const char* own : {"127.0.0.1", "127.1.2.3", "localhost", "::1"}) CHECK(is_loopback(own));
  for (const char* other :
       {"0.0.0.0", "::", "", "127", "127.0.0.1.evil.example", "192.168.0.1", "localhost.evil.example"}) {
    CAPTURE(other);
    CHECK_FALSE(is_loopback(other));
  }
  for (const char* own : {"127.0.0.1:8080", "localhost", "[::1]:1"}) CHECK(is_local_host_header(own));
  for (const char* other : {"", "evil.example", "evil.example:8080", "[::1", "[fe80::1]", "127.evil.example"}) {
    CAPTURE(other);
    CHECK_FALSE(is_local_host_header(other));
  }
}

TEST_CASE("Upload.KeepsToItsLimits") {
  const std::string data(100, 'x');
  const auto later = std::chrono::steady_clock::now() + 1h;
  ByteBudget budget(250);
  {
    Upload upload({150, 2, later}, budget);
    CHECK_FALSE(Upload({150, 2, later}, budget).append("x", 1));  // before any part
    REQUIRE(upload.begin_part("a"));
    REQUIRE(upload.append(data.data(), 100));
    REQUIRE(upload.begin_part("b"));
    CHECK(upload.parts()[0].bytes->size() == 100);
    CHECK_FALSE(upload.append(data.data(), 51));
    CHECK(upload.status() == 413);
    CHECK_FALSE(upload.begin_part("c"));

    Upload other({200, 2, later}, budget);
    REQUIRE(other.begin_part("a"));
    REQUIRE(other.append(data.data(), 100));
    CHECK_FALSE(other.append(data.data(), 51));
    CHECK(other.status() == 503);
  }
  CHECK(budget.take(250));  // all was given back
  CHECK_FALSE(budget.take(1));
  budget.give(250);

  Upload many({150, 1, later}, budget);
  CHECK(many.begin_part("a"));
  CHECK_FALSE(many.begin_part("b"));
  CHECK(many.status() == 413);

  Upload late({150, 1, std::chrono::steady_clock::now() - 1s}, budget);
  REQUIRE(late.begin_part("a"));
  CHECK_FALSE(late.append("x", 1));
  CHECK(late.status() == 408);
}

Detection answer_to(std::uint64_t ticket, float score) {
  Detection detection;
  detection.status = Detection::Status::scored;
  detection.ticket = ticket;
  detection.score = score;
  return detection;
}

TEST_CASE("RequestQueue.AnswersReachWhoeverWaits") {
  RequestQueue queue(3, 0ms);
  const auto picture = std::make_shared<const std::vector<std::byte>>(10);
  auto first = queue.push({{"a", picture}, {"b", picture, true, true}});
  REQUIRE(first);
  CHECK_FALSE(queue.push({{"c", picture}, {"d", picture}}));  // all or none
  auto second = queue.push({{"c", picture}});
  REQUIRE(second);
  CHECK(queue.waiting() == 3);

  const auto a = queue.next(), b = queue.next(), c = queue.next();
  REQUIRE((a && b && c));
  CHECK(b->evidence);
  CHECK(b->stable);
  CHECK(a->bytes == picture);
  queue.answer(answer_to(c->ticket, 0.3f));
  queue.answer(answer_to(a->ticket, 0.1f));
  queue.answer(answer_to(12345, 1));  // nobody's
  CHECK(second->at(0).get().score == 0.3f);
  const Detection of_a = first->at(0).get();
  CHECK(of_a.path == "a");
  CHECK(of_a.score == 0.1f);
  CHECK(queue.waiting() == 1);

  queue.fail(std::make_exception_ptr(std::runtime_error("the device is gone")));
  CHECK_THROWS_AS(first->at(1).get(), std::runtime_error);
  CHECK_FALSE(queue.push({{"e", picture}}));
  CHECK_FALSE(queue.next());
}

TEST_CASE("RequestQueue.ClosedItGivesWhatItHolds") {
  RequestQueue queue(3, 0ms);
  const auto picture = std::make_shared<const std::vector<std::byte>>(10);
  REQUIRE(queue.push({{"a", picture}}));
  queue.close();
  CHECK(queue.next());
  CHECK_FALSE(queue.next());
}

// The first picture of a batch waits max_wait for others; then the stream is told to go on without, from a thread that
// waits in next().
TEST_CASE("RequestQueue.TellsTheStreamWhenNoMoreComesInTime") {
  RequestQueue queue(3, 20ms);
  std::atomic<int> told = 0;
  queue.when_starved([&] { told += queue.starved(); });
  REQUIRE(queue.push({{"a", std::make_shared<const std::vector<std::byte>>(10)}}));
  CHECK_FALSE(queue.starved());
  REQUIRE(queue.next());
  bool gave = true;
  std::thread worker([&] { gave = queue.next().has_value(); });
  while (told == 0) std::this_thread::yield();
  queue.close();
  worker.join();
  CHECK_FALSE(gave);
  CHECK(told == 1);
}

TEST_CASE("Metrics.AreWhatPrometheusReads") {
  ServerMetrics metrics;
  metrics.request("/v1/detect", 200, 0.02);
  metrics.request("/v1/detect", 200, 100);
  metrics.request("/v1/detect", 503, 0.005);
  metrics.picture("fake");
  const std::string text = metrics.text(7, false);
  for (const char* line :
       {"lfm_up 0\n", "lfm_waiting_pictures 7\n", "lfm_requests_total{route=\"/v1/detect\",status=\"200\"} 2\n",
        "lfm_pictures_total{verdict=\"fake\"} 1\n", "le=\"0.005\"} 1\n", "le=\"0.025\"} 2\n", "le=\"30\"} 2\n",
        "le=\"+Inf\"} 3\n", "lfm_request_seconds_count{route=\"/v1/detect\"} 3\n"}) {
    CHECK_THAT(text, ContainsSubstring(line));
  }
}

}  // namespace
}  // namespace lfm::test
