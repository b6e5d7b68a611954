// The main program of every test. It names each test case as it begins and how it ended, so that a log tells where a
// program hung or broke off (tools/gpu/acceptance/test_program.py reads these lines), and how to repeat what failed.
// Exit code: 0 passed, 1 failed, 4 all of them skipped, as Catch2 from 3.3 on has it.
//   PROGRAM [NAME...]           NAME may begin and end with *; Catch2's other options are in --help
//   PROGRAM --names [NAME...]   the names of the test cases, a line each
#if defined(LFM_CATCH2_V3)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/interfaces/catch_interfaces_testcase.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#else
#define CATCH_CONFIG_RUNNER
#define CATCH_CONFIG_NO_POSIX_SIGNALS  // tests send and ignore signals themselves, and sanitizers tell more of a crash
#endif
#include <fmt/core.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/catch.h"

namespace lfm::test {
namespace {

constexpr int kAllSkipped = 4;
#if defined(LFM_CATCH2_V3)
constexpr std::array kListNames = {"--list-tests", "--verbosity", "quiet"};
#else
constexpr std::array kListNames = {"--list-test-names-only"};
#endif

struct Outcomes {
  std::string program;
  int passed = 0, failed = 0, skipped = 0;
  std::string skip_reason;  // of the running case
  bool case_failed = false;
};
Outcomes& outcomes() {
  static Outcomes instance;
  return instance;
}

std::vector<std::function<void()>>& late_cases() {
  static std::vector<std::function<void()>> instance;
  return instance;
}

#if defined(LFM_CATCH2_V3)
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

class Teller : public Listener {
 public:
  using Listener::Listener;
#if !defined(LFM_CATCH2_V3)
  static std::string getDescription() { return "names each case and its outcome"; }
#endif

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    outcomes().skip_reason.clear();
    outcomes().case_failed = false;
    begin_ = std::chrono::steady_clock::now();
    tell(fmt::format("[ RUN      ] {}", info.name));
  }

#if defined(LFM_CATCH2_V3)
  void assertionEnded(const Catch::AssertionStats& stats) override {
    const bool skips = stats.assertionResult.getResultType() == Catch::ResultWas::ExplicitSkip;
    if (skips) outcomes().skip_reason = static_cast<std::string>(stats.assertionResult.getMessage());
    outcomes().case_failed |= !skips && !stats.assertionResult.isOk();
  }
#else
  bool assertionEnded(const Catch::AssertionStats& stats) override {
    outcomes().case_failed |= !stats.assertionResult.isOk();
    return true;
  }
#endif

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin_).count();
    const std::string& name = stats
                                  .testInfo
#if defined(LFM_CATCH2_V3)
                                  ->name;
#else
                                  .name;
#endif
    Outcomes& all = outcomes();
    const char* outcome = "      OK";
    if (stats.totals.assertions.failed > 0) {
      outcome = " FAILED ";
      ++all.failed;
      tell(fmt::format("repeat it: {} '{}'", all.program, name));
    } else if (!all.skip_reason.empty()) {
      outcome = " SKIPPED";
      tell("skipped: " + all.skip_reason);
      ++all.skipped;
    } else {
      ++all.passed;
    }
    tell(fmt::format("[ {} ] {} ({} ms, {} assertions)", outcome, name, elapsed, stats.totals.assertions.total()));
  }

 private:
  static void tell(const std::string& line) {
    std::fflush(stdout);
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  std::chrono::steady_clock::time_point begin_;
};

class Invoker : public Catch::ITestInvoker {
 public:
  explicit Invoker(std::function<void()> body) : body_(std::move(body)) {}
  void invoke() const override { body_(); }

 private:
  std::function<void()> body_;
};

}  // namespace

LateCases::LateCases(std::function<void()> add) { late_cases().push_back(std::move(add)); }

void add_case(const std::string& name, std::function<void()> body, const char* file, int line) {
#if defined(LFM_CATCH2_V3)
  Catch::AutoReg(Catch::Detail::make_unique<Invoker>(std::move(body)),
                 Catch::SourceLineInfo(file, static_cast<std::size_t>(line)), "", Catch::NameAndTags(name));
#else
  Catch::AutoReg(new Invoker(std::move(body)), Catch::SourceLineInfo(file, static_cast<std::size_t>(line)), "",
                 Catch::NameAndTags(name));
#endif
}

bool case_has_failed() { return outcomes().case_failed; }

#if !defined(LFM_CATCH2_V3)
// The exception ends a test without failing it.
void skip_case(const std::string& reason) {
  outcomes().skip_reason = reason.empty() ? "no reason given" : reason;
  throw Catch::TestFailureException();
}
#endif

CATCH_REGISTER_LISTENER(Teller)

}  // namespace lfm::test

int main(int argc, char** argv) {
  using namespace lfm::test;
  outcomes().program = std::filesystem::absolute(argv[0]).string();
  for (const auto& add : late_cases()) add();
  std::vector<const char*> arguments(argv, argv + argc);
  const bool names = argc > 1 && std::string_view(argv[1]) == "--names";
  if (names) {
    arguments.erase(arguments.begin() + 1);
    arguments.insert(arguments.begin() + 1, kListNames.begin(), kListNames.end());
  }
  const int code = Catch::Session().run(static_cast<int>(arguments.size()), arguments.data());
  if (names) return 0;  // of version 2 it is their number
  const Outcomes& all = outcomes();
  if (all.passed + all.failed + all.skipped == 0) return code;  // a listing, or nothing to run
  if (all.failed > 0 || (code != 0 && code != kAllSkipped)) return 1;
  if (all.skipped > 0) fmt::print("{} of {} skipped\n", all.skipped, all.passed + all.skipped);
  return all.passed == 0 ? kAllSkipped : 0;
}
