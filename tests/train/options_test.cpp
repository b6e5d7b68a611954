#include "src/train/options.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/model/expect_error.h"

namespace lfm {
namespace {

TrainOptions sensible() {
  TrainOptions options;
  options.data = {"photos"};
  options.out = "run";
  return options;
}

TEST_CASE("TrainOptions.SurviveJson") {
  TrainOptions options = sensible();
  options.classes = {"car", "cat"};
  options.adam.learning_rate = 3.3e-4f;
  options.seed = 0xFFFFFFFFFFFFFFFFull;
  options.view = View::native;
  options.architecture = {Pooling::topk, 7};
  options.regularisation.rbld_scale = RbldScale::rank;
  options.regularisation.rks = false;
  options.augmentation.jpeg_quality = {35, 95};
  options.best_by = BestBy::loss;
  options.precision = Precision::bf16;
  options.teacher = "reference.lfmw";
  options.distill = {"maps"};
  options.distill_weight = 0.3f;
  options.augmentation.untouched = 0.25f;
  const nlohmann::json written = nlohmann::json::parse(to_json(options).dump());
  const TrainOptions read = train_options_from_json(written);
  CHECK(to_json(read) == written);
  CHECK(read.adam.learning_rate == options.adam.learning_rate);
  CHECK(read.seed == options.seed);
  CHECK(read.architecture == options.architecture);
  CHECK(read.regularisation.rbld_scale == RbldScale::rank);
  CHECK_FALSE(read.regularisation.rks);
  CHECK(read.augmentation.jpeg_quality.min == 35);
  CHECK(read.data == options.data);
  CHECK(read.teacher == options.teacher);
  CHECK(read.distill == options.distill);
  CHECK(read.distill_weight == options.distill_weight);
  CHECK(read.augmentation.untouched == options.augmentation.untouched);
}

TEST_CASE("TrainOptions.DefaultsAreThePapers") {
  const TrainOptions o;
  CHECK(o.batch == 32);
  CHECK(o.epochs == 50);
  CHECK(o.crop == 224);
  CHECK(o.adam.learning_rate == 1e-4f);
  CHECK(o.regularisation.alpha == 0.1f);
}

TEST_CASE("TrainOptions.LearningRateFallsInStepsToItsFloor") {
  TrainOptions o;
  CHECK_THAT(learning_rate(o, 0), WithinULP(1e-4f, 4));
  CHECK_THAT(learning_rate(o, 9), WithinULP(1e-4f, 4));
  CHECK_THAT(learning_rate(o, 10), WithinULP(0.9e-4f, 4));
  CHECK_THAT(learning_rate(o, 49), WithinULP(0.6561e-4f, 4));
  CHECK_THAT(learning_rate(o, 100000), WithinULP(1e-6f, 4));
}

TEST_CASE("TrainOptions.AveragePoolingTrainsWithoutTheBranchesThatSelect") {
  TrainOptions o = sensible();
  o.architecture.pooling = Pooling::average;
  complete_options(o);
  CHECK(o.architecture.k == 1);
  CHECK_FALSE(o.regularisation.rbld);
  CHECK_FALSE(o.regularisation.rks);
}

TEST_CASE("TrainOptions.WithoutLabelsNothingRegularisesTheirLoss") {
  TrainOptions o = sensible();
  o.distill_weight = 1;
  CHECK_MESSAGE(label_weight(o) == 1, "without a teacher");
  complete_options(o);
  CHECK(o.regularisation.rks);
  o.teacher = "reference.lfmw";
  CHECK(label_weight(o) == 0);
  CHECK((distills(o, "maps") && distills(o, "logits")));
  complete_options(o);
  CHECK_FALSE(o.regularisation.rbld);
  CHECK_FALSE(o.regularisation.rks);
  o = sensible();
  o.teacher = "reference.lfmw";
  o.distill_weight = 0.25f;
  o.distill = {"maps"};
  complete_options(o);
  CHECK(label_weight(o) == 0.75f);
  CHECK((o.regularisation.rbld && o.regularisation.rks));
  CHECK_FALSE(distills(o, "logits"));
}

TEST_CASE("TrainOptions.ErrorsNameTheOption") {
  const auto message = [](auto change) {
    TrainOptions o = sensible();
    change(o);
    return test::error_of(ErrorCode::usage, [&] { complete_options(o); });
  };
  CHECK_THAT(message([](TrainOptions& o) { o.batch = 0; }), ContainsSubstring("--batch"));
  CHECK_THAT(message([](TrainOptions& o) { o.accumulate = 33; }), ContainsSubstring("--accumulate"));
  CHECK_THAT(message([](TrainOptions& o) { o.regularisation.p_max = 1; }), ContainsSubstring("--p-max"));
  CHECK_THAT(message([](TrainOptions& o) { o.adam.learning_rate = NAN; }), ContainsSubstring("--lr"));
  CHECK_THAT(message([](TrainOptions& o) { o.patience = 3; }), ContainsSubstring("--val"));
  CHECK_THAT(message([](TrainOptions& o) { o.data.clear(); }), ContainsSubstring("--data"));
  CHECK_THAT(message([](TrainOptions& o) { o.distill_weight = 1.1f; }), ContainsSubstring("--distill-weight"));
  CHECK_THAT(message([](TrainOptions& o) { o.distill = {"maps", "features"}; }), ContainsSubstring("--distill"));
  CHECK_THAT(message([](TrainOptions& o) { o.distill.clear(); }), ContainsSubstring("--distill"));
}

}  // namespace
}  // namespace lfm
