// Catch2 as the tests use it: version 2.13 (Debian 12, Ubuntu 22.04) or 3 from 3.3 on (Debian 13, Ubuntu 24.04), told
// apart here and in catch_main.cpp alone. Assertions and INFO are for one thread: what a test does in others it notes
// there, and checks after joining them. An assertion takes an exception for a failure: what may throw is called before.
#pragma once

#if defined(LFM_CATCH2_V3)
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstddef>
#include <exception>
#include <functional>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace lfm {

using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinULP;
#if defined(LFM_CATCH2_V3)
using Catch::Matchers::ContainsSubstring;
#else
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif

namespace test {

/// A value as failed assertions show it.
template <typename T>
std::string printed(const T& value) {
  return Catch::Detail::stringify(value);
}

/// Whether the running test has failed an assertion so far.
bool case_has_failed();

#if !defined(LFM_CATCH2_V3)
[[noreturn]] void skip_case(const std::string& reason);
#endif

/// Adds a test case while main() begins: by then every table that cases are made from is there.
struct LateCases {
  explicit LateCases(std::function<void()> add);
};
void add_case(const std::string& name, std::function<void()> body, const char* file, int line);

/// What follows the slash in the name of a case of TEST_CASE_FOR_EACH: the parameter's member `name`, or
/// case_name(parameter).
template <typename T>
std::string name_of_parameter(const T& parameter) {
  if constexpr (requires { std::string(parameter.name); })
    return parameter.name;
  else if constexpr (requires { std::string(parameter->name); })
    return parameter->name;
  else
    return case_name(parameter);
}

template <typename List, typename Body>
void add_cases(const List& list, const std::string& name, Body body, const char* file, int line) {
  for (const auto& element : list) {
    add_case(
        name + "/" + name_of_parameter(element), [element, body] { body(element); }, file, line);
  }
}

/// For CHECK_THAT: a range with these elements, each a value or a matcher.
template <typename... T>
class ElementsAre {
 public:
  explicit ElementsAre(T... expected) : expected_(std::move(expected)...) {}
  template <typename Range>
  bool match(const Range& range) const {
    auto it = std::begin(range);
    const auto end = std::end(range);
    const auto next_is = [&](const auto& expected) {
      if (it == end) return false;
      const auto& value = *it++;
      using Value = std::remove_cvref_t<decltype(value)>;
      using Expected = std::remove_cvref_t<decltype(expected)>;
      if constexpr (requires { expected.match(value); }) {
        return expected.match(value);
      } else if constexpr (std::is_arithmetic_v<Value> && std::is_arithmetic_v<Expected>) {
        using Common = std::common_type_t<Value, Expected>;
        return static_cast<Common>(value) == static_cast<Common>(expected);
      } else {
        return value == expected;
      }
    };
    return std::apply([&](const auto&... expected) { return (next_is(expected) && ...); }, expected_) && it == end;
  }
  std::string toString() const {
    std::string text = "has the elements {";
    const auto add = [&](const auto& expected) {
      text += text.back() == '{' ? " " : ", ";
      if constexpr (requires { expected.toString(); })
        text += expected.toString();
      else
        text += printed(expected);
    };
    std::apply([&](const auto&... expected) { (add(expected), ...); }, expected_);
    return text + " }";
  }

 private:
  std::tuple<T...> expected_;
};

/// For CHECK_THROWS_MATCHES: an exception whose message matches.
template <typename Matcher>
class Says {
 public:
  explicit Says(Matcher matcher) : matcher_(std::move(matcher)) {}
  bool match(const std::exception& error) const { return matcher_.match(error.what()); }
  std::string toString() const { return "says what " + matcher_.toString(); }

 private:
  Matcher matcher_;
};

}  // namespace test
}  // namespace lfm

/// An assertion with what to say if it fails: CHECK_MESSAGE(a == b, "at " << i).
#define CHECK_MESSAGE(expression, message) \
  do {                                     \
    INFO(message);                         \
    CHECK(expression);                     \
  } while (false)
#define REQUIRE_MESSAGE(expression, message) \
  do {                                       \
    INFO(message);                           \
    REQUIRE(expression);                     \
  } while (false)
#define CHECK_THAT_MESSAGE(value, matcher, message) \
  do {                                              \
    INFO(message);                                  \
    CHECK_THAT(value, matcher);                     \
  } while (false)

/// For loops over thousands of values, where an assertion costs more than what it looks at: asserts, and evaluates once
/// more, only what is false.
#define QUICK_REQUIRE(expression, message)                   \
  do {                                                       \
    if (!(expression)) REQUIRE_MESSAGE(expression, message); \
  } while (false)

// Ends the running test, which counts as skipped: ctest and the summary say so, and why.
#if !defined(LFM_CATCH2_V3)
#define SKIP(message)                         \
  do {                                        \
    std::ostringstream lfm_reason;            \
    lfm_reason << message;                    \
    ::lfm::test::skip_case(lfm_reason.str()); \
  } while (false)
#endif

#define LFM_CASES_NAME_2(line) lfm_cases_##line
#define LFM_CASES_NAME(line) LFM_CASES_NAME_2(line)
#define LFM_CASE_BODY_2(line) lfm_case_body_##line
#define LFM_CASE_BODY(line) LFM_CASE_BODY_2(line)

/// A test case for each element of a list that only the running program knows (which engines there are), named
/// "NAME/element":
///   TEST_CASE_FOR_EACH(const EngineCase& engine, engines(), "Suite.Name") { ... }
// clang-format off
#define TEST_CASE_FOR_EACH(parameter, list, name)                                                              \
  static void LFM_CASE_BODY(__LINE__)(parameter);                                                              \
  static const ::lfm::test::LateCases LFM_CASES_NAME(__LINE__)([] {                                            \
    ::lfm::test::add_cases(                                                                                    \
        list, name, [](const auto& element) { LFM_CASE_BODY(__LINE__)(element); }, __FILE__, __LINE__);        \
  });                                                                                                          \
  static void LFM_CASE_BODY(__LINE__)(parameter)
// clang-format on

/// The same with a fixture, which is made of the element:
///   TEST_CASE_METHOD_FOR_EACH(Fixture, engines(), "Suite.Name") { ... }
// clang-format off
#define TEST_CASE_METHOD_FOR_EACH(fixture, list, name)                                                         \
  namespace {                                                                                                  \
  struct LFM_CASE_BODY(__LINE__) : fixture {                                                                   \
    explicit LFM_CASE_BODY(__LINE__)(const auto& element) : fixture(element) {}                                \
    void body();                                                                                               \
  };                                                                                                           \
  const ::lfm::test::LateCases LFM_CASES_NAME(__LINE__)([] {                                                   \
    ::lfm::test::add_cases(                                                                                    \
        list, name, [](const auto& element) { LFM_CASE_BODY(__LINE__)(element).body(); }, __FILE__, __LINE__); \
  });                                                                                                          \
  }                                                                                                            \
  void LFM_CASE_BODY(__LINE__)::body()
// clang-format on
