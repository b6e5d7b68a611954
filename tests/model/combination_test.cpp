// Models of several members: the rules, and the weight file.
#include "src/model/combination.h"

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "lfm/words.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

using test::error_of;

Model pair_of(Combination combination = Combination::first_fake) {
  Model first = test::random_model({}, 1), second = test::random_model({Pooling::topk, 5}, 2);
  first.name = "clean";
  first.view = View::tiles;
  first.calibration = {20, 0.5f};
  first.threshold = 0.8f;
  second.threshold = 0.25f;
  return join_models({first, second}, combination);
}

void expect_combined(Combination rule, const std::vector<float>& margins, float logit, std::size_t decided_by) {
  const Combined combined = combination_spec(rule).combine(margins);
  CHECK_THAT(combined.logit, WithinULP(logit, 4));
  CHECK_MESSAGE(combined.decided_by == decided_by, word_of(rule));
}

TEST_CASE("Combination.TheFirstThatSaysFakeDecidesElseTheLast") {
  expect_combined(Combination::first_fake, {2, 9}, 2, 0);
  expect_combined(Combination::first_fake, {-2, 9}, 9, 1);
  expect_combined(Combination::first_fake, {-2, -9}, -9, 1);
  expect_combined(Combination::first_fake, {-1, 3, 5}, 3, 1);
  expect_combined(Combination::first_fake, {0, -1}, -1, 1);
}

TEST_CASE("Combination.TheMeanIsDecidedByTheOneFurthestOnItsSide") {
  expect_combined(Combination::mean, {2, 4}, 3, 1);
  expect_combined(Combination::mean, {2, -8}, -3, 1);
  expect_combined(Combination::mean, {5, -3, 1}, 1, 0);
}

TEST_CASE("Combination.TheLargestMarginDecides") {
  expect_combined(Combination::max, {2, 4}, 4, 1);
  expect_combined(Combination::max, {-2, -4}, -2, 0);
}

TEST_CASE("Combination.AMarginIsLogOddsAboveTheMembersOwnThreshold") {
  Model member;
  CHECK_THAT(margin(member, 3), WithinULP(3.0f, 4));
  member.calibration = {2, 1};
  member.threshold = 0.75f;
  CHECK_THAT(margin(member, 3), WithinAbs(3.0 / 2 + 1 - std::log(3.0), 1e-6));
  member.threshold = 1;
  CHECK(std::isfinite(margin(member, 3)));
  CHECK(margin(member, 3) < 0);
}

TEST_CASE("Combination.EveryRuleHasAWordThatIsRead") {
  for (const CombinationSpec& spec : combinations()) {
    CHECK(value_of<Combination>(word_of(spec.combination)) == spec.combination);
    CHECK(combination_spec(spec.combination).combination == spec.combination);
  }
  CHECK_FALSE(value_of<Combination>("first"));
}

TEST_CASE("Combination.JoiningTakesMembersOfMembers") {
  const Model joined = join_models({pair_of(), test::random_model({}, 3)});
  REQUIRE(joined.members.size() == 3u);
  CHECK(joined.members[0].name == "clean");
  CHECK(joined.view == View::tiles);
  CHECK(joined.threshold == 0.5f);
  CHECK(joined.name == "clean+member 2+member 3");
  error_of(ErrorCode::usage, [] { join_models({test::random_model({}, 1)}); });
  error_of(ErrorCode::usage, [] { join_models(std::vector<Model>(kMostMembers + 1)); });
}

TEST_CASE("Combination.AnotherRuleLosesWhatWasFitted") {
  Model model = pair_of();
  model.calibration = {2, 1};
  model.threshold = 0.9f;
  set_combination(model, Combination::first_fake);
  CHECK(model.threshold == 0.9f);
  set_combination(model, Combination::max);
  CHECK(model.threshold == 0.5f);
  CHECK(model.calibration.temperature == 1);
}

TEST_CASE("Combination.WhereOneNetworkIsWantedTheRemedyIsNamed") {
  const Model single = test::random_model({}, 1), joined = pair_of();
  CHECK(&one_network(single, "a.lfmw") == &single);
  CHECK_THAT(error_of(ErrorCode::usage, [&] { one_network(joined, "a.lfmw"); }),
             ContainsSubstring("a.lfmw") && ContainsSubstring("clean") && ContainsSubstring("--member"));
}

TEST_CASE("MembersFile.RoundTrip") {
  const test::TemporaryFolder folder;
  Model model = pair_of(Combination::mean);
  model.threshold = 0.7f;
  model.calibration = {3, -1};
  save_model(model, folder / "a.lfmw");
  const Model read = load_model(folder / "a.lfmw");
  REQUIRE(read.members.size() == 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(read.members[i].architecture == model.members[i].architecture);
    CHECK(read.members[i].values == model.members[i].values);
  }
  CHECK(model_header(read) == model_header(model));
  CHECK(read.combination == Combination::mean);
  CHECK(read.values.empty());
  save_model(read, folder / "b.lfmw");
  CHECK(test::read_bytes(folder / "a.lfmw") == test::read_bytes(folder / "b.lfmw"));
  CHECK(Container(folder / "a.lfmw").tensors().size() == 2 * std::size_t{kParameters});
}

TEST_CASE("MembersFile.HeadersThatMakeNoSenseAreRefused") {
  const auto expect_refused = [](const char* cause, const std::function<void(nlohmann::json&)>& spoil) {
    nlohmann::json header = model_header(pair_of());
    spoil(header);
    CHECK_THAT(error_of(ErrorCode::model, [&] { model_from_header(header.dump(), "a.lfmw"); }),
               ContainsSubstring("a.lfmw") && ContainsSubstring(cause));
  };
  expect_refused("combination \"vote\"", [](nlohmann::json& h) { h["combination"] = "vote"; });
  expect_refused("members", [](nlohmann::json& h) { h["members"] = nlohmann::json::array(); });
  expect_refused("members", [](nlohmann::json& h) { h["members"] = nlohmann::json::object(); });
  expect_refused("members", [](nlohmann::json& h) { h["members"].erase(0); });
  expect_refused("members", [](nlohmann::json& h) {
    while (h["members"].size() <= kMostMembers) h["members"].push_back(h["members"][0]);
  });
  expect_refused("single", [](nlohmann::json& h) { h["members"][1] = h; });
  expect_refused("k is not", [](nlohmann::json& h) { h["members"][1]["architecture"]["k"] = 0; });
  expect_refused("view", [](nlohmann::json& h) { h["input"]["view"] = "sideways"; });
}

TEST_CASE("MembersFile.TensorsThatMakeNoSenseAreRefused") {
  const test::TemporaryFolder folder;
  const Model model = pair_of();
  save_model(model, folder / "a.lfmw");
  const Container file(folder / "a.lfmw");
  nlohmann::json header = model_header(model);
  std::vector<Tensor> tensors(file.tensors().begin(), file.tensors().end());
  const Tensor last = tensors.back();
  tensors.pop_back();
  write_container(folder / "less.lfmw", header, tensors);
  CHECK_THAT(error_of(ErrorCode::model, [&] { load_model(folder / "less.lfmw"); }), ContainsSubstring("\"member2."));
  tensors.push_back(last);
  tensors.push_back(last);
  tensors.back().name = "member3.head.bias";
  write_container(folder / "more.lfmw", header, tensors);
  CHECK_THAT(error_of(ErrorCode::model, [&] { load_model(folder / "more.lfmw"); }),
             ContainsSubstring("member3.head.bias"));
}

TEST_CASE("MembersFile.WhatItWouldNotReadIsNotWritten") {
  const test::TemporaryFolder folder;
  Model nested = pair_of();
  nested.members[1] = pair_of();
  CHECK_THAT(error_of(ErrorCode::output, [&] { save_model(nested, folder / "a.lfmw"); }), ContainsSubstring("a.lfmw"));
  Model with_values = pair_of();
  with_values.values = {1};
  error_of(ErrorCode::output, [&] { save_model(with_values, folder / "a.lfmw"); });
  Model broken = pair_of();
  broken.members[1].threshold = 2;
  CHECK_THAT(error_of(ErrorCode::output, [&] { save_model(broken, folder / "a.lfmw"); }),
             ContainsSubstring("member 2"));
  CHECK_THAT(error_of(ErrorCode::usage, [&] { export_model(pair_of(), folder / "a.safetensors"); }),
             ContainsSubstring("--member"));
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace lfm
