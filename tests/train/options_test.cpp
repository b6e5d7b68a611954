#include "src/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/model/expect_error.h"

namespace lfm {
namespace {

TrainOptions sensible() {
  TrainOptions options;
  options.data = {"photos"};
  options.out = "run";
  return options;
}

TEST(TrainOptions, SurviveJson) {
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
  EXPECT_EQ(to_json(read), written);
  EXPECT_EQ(read.adam.learning_rate, options.adam.learning_rate);
  EXPECT_EQ(read.seed, options.seed);
  EXPECT_EQ(read.architecture, options.architecture);
  EXPECT_EQ(read.regularisation.rbld_scale, RbldScale::rank);
  EXPECT_FALSE(read.regularisation.rks);
  EXPECT_EQ(read.augmentation.jpeg_quality.min, 35);
  EXPECT_EQ(read.data, options.data);
  EXPECT_EQ(read.teacher, options.teacher);
  EXPECT_EQ(read.distill, options.distill);
  EXPECT_EQ(read.distill_weight, options.distill_weight);
  EXPECT_EQ(read.augmentation.untouched, options.augmentation.untouched);
}

TEST(TrainOptions, DefaultsAreThePapers) {
  const TrainOptions o;
  EXPECT_EQ(o.batch, 32);
  EXPECT_EQ(o.epochs, 50);
  EXPECT_EQ(o.crop, 224);
  EXPECT_EQ(o.adam.learning_rate, 1e-4f);
  EXPECT_EQ(o.regularisation.alpha, 0.1f);
}

TEST(TrainOptions, LearningRateFallsInStepsToItsFloor) {
  TrainOptions o;
  EXPECT_FLOAT_EQ(learning_rate(o, 0), 1e-4f);
  EXPECT_FLOAT_EQ(learning_rate(o, 9), 1e-4f);
  EXPECT_FLOAT_EQ(learning_rate(o, 10), 0.9e-4f);
  EXPECT_FLOAT_EQ(learning_rate(o, 49), 0.6561e-4f);
  EXPECT_FLOAT_EQ(learning_rate(o, 100000), 1e-6f);
}

TEST(TrainOptions, AveragePoolingTrainsWithoutTheBranchesThatSelect) {
  TrainOptions o = sensible();
  o.architecture.pooling = Pooling::average;
  complete_options(o);
  EXPECT_EQ(o.architecture.k, 1);
  EXPECT_FALSE(o.regularisation.rbld);
  EXPECT_FALSE(o.regularisation.rks);
}

TEST(TrainOptions, WithoutLabelsNothingRegularisesTheirLoss) {
  TrainOptions o = sensible();
  o.distill_weight = 1;
  EXPECT_EQ(label_weight(o), 1) << "without a teacher";
  complete_options(o);
  EXPECT_TRUE(o.regularisation.rks);
  o.teacher = "reference.lfmw";
  EXPECT_EQ(label_weight(o), 0);
  EXPECT_TRUE(distills(o, "maps") && distills(o, "logits"));
  complete_options(o);
  EXPECT_FALSE(o.regularisation.rbld);
  EXPECT_FALSE(o.regularisation.rks);
  o = sensible();
  o.teacher = "reference.lfmw";
  o.distill_weight = 0.25f;
  o.distill = {"maps"};
  complete_options(o);
  EXPECT_EQ(label_weight(o), 0.75f);
  EXPECT_TRUE(o.regularisation.rbld && o.regularisation.rks);
  EXPECT_FALSE(distills(o, "logits"));
}

TEST(TrainOptions, ErrorsNameTheOption) {
  const auto message = [](auto change) {
    TrainOptions o = sensible();
    change(o);
    return test::error_of(ErrorCode::usage, [&] { complete_options(o); });
  };
  EXPECT_THAT(message([](TrainOptions& o) { o.batch = 0; }), testing::HasSubstr("--batch"));
  EXPECT_THAT(message([](TrainOptions& o) { o.accumulate = 33; }), testing::HasSubstr("--accumulate"));
  EXPECT_THAT(message([](TrainOptions& o) { o.regularisation.p_max = 1; }), testing::HasSubstr("--p-max"));
  EXPECT_THAT(message([](TrainOptions& o) { o.adam.learning_rate = NAN; }), testing::HasSubstr("--lr"));
  EXPECT_THAT(message([](TrainOptions& o) { o.patience = 3; }), testing::HasSubstr("--val"));
  EXPECT_THAT(message([](TrainOptions& o) { o.data.clear(); }), testing::HasSubstr("--data"));
  EXPECT_THAT(message([](TrainOptions& o) { o.distill_weight = 1.1f; }), testing::HasSubstr("--distill-weight"));
  EXPECT_THAT(message([](TrainOptions& o) { o.distill = {"maps", "features"}; }), testing::HasSubstr("--distill"));
  EXPECT_THAT(message([](TrainOptions& o) { o.distill.clear(); }), testing::HasSubstr("--distill"));
}

}  // namespace
}  // namespace lfm
