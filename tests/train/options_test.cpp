#include "src/train/options.h"

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

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
  options.network = Network::npr;
  options.architecture.trunk = Trunk::resnet;
  options.augmentation.rotate_angle = {-30, 45};
  options.augmentation.mask_patch = 8;
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
  CHECK(read.network == options.network);
  CHECK(read.augmentation.rotate_angle.max == 45);
  CHECK(read.augmentation.mask_patch == 8);
}

TEST_CASE("TrainOptions.ANetworkBringsItsAuthorsProtocol") {
  const auto of = [](Network network, const std::set<std::string>& given = {},
                     const std::function<void(TrainOptions&)>& change = {}) {
    TrainOptions o = sensible();
    o.network = network;
    if (change) change(o);
    apply_network(o, [&](const char* name) {
      return name == std::string("data") || name == std::string("out") || given.contains(name);
    });
    complete_options(o);
    return o;
  };
  CHECK(of(Network::lfm).architecture == Architecture{});
  CHECK(of(Network::npr).architecture == kNprNetwork);
  CHECK(of(Network::npr).adam.learning_rate == 2e-4f);
  CHECK_FALSE(of(Network::npr).regularisation.rks);
  const TrainOptions safe = of(Network::safe);
  CHECK(safe.architecture == kSafeNetwork);
  CHECK((safe.view == View::center && safe.crop == 256));
  CHECK((safe.augmentation.rotate > 0 && safe.augmentation.jitter > 0 && safe.augmentation.mask > 0));

  // What is given stays; the paper's second row: NPR's residual and average pooling on SNet.
  const TrainOptions mixed = of(Network::npr, {"trunk", "lr"}, [](TrainOptions& o) { o.adam.learning_rate = 3e-3f; });
  CHECK(mixed.architecture == (Architecture{Pooling::average, 1, FrontEnd::npr_signed, Trunk::snet}));
  CHECK(mixed.adam.learning_rate == 3e-3f);
  const TrainOptions selecting = of(Network::safe, {"pool"});
  CHECK((selecting.architecture.pooling == Pooling::topk && selecting.architecture.k == 16));
  CHECK(selecting.architecture.head == Head::softmax);
}

TEST_CASE("TrainOptions.PartsThatNoNetworkHasTogetherAreRefused") {
  const auto message = [](auto change) {
    TrainOptions o = sensible();
    change(o);
    return test::error_of(ErrorCode::usage, [&] { complete_options(o); });
  };
  CHECK_THAT(message([](TrainOptions& o) { o.network = Network::safe; }),
             ContainsSubstring("softmax") && ContainsSubstring("--network lfm --residual haar_hh"));
  CHECK_THAT(message([](TrainOptions& o) {
               o.network = Network::safe;
               o.architecture.trunk = Trunk::resnet;
               o.architecture.front_end = FrontEnd::none;
             }),
             ContainsSubstring("--network npr --residual none"));
  CHECK_THAT(message([](TrainOptions& o) {
               o.architecture.trunk = Trunk::resnet;
               o.teacher = "reference.lfmw";
             }),
             ContainsSubstring("--teacher needs --trunk snet"));
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
