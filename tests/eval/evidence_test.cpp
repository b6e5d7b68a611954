#include "src/eval/evidence.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>

#include "src/engine/network.h"
#include "src/model/initialise.h"
#include "tests/cases/engines.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"
#include "tests/model/random_model.h"

namespace lfm {
namespace {

/// Every place of the head and the projection has its own weight, both signs.
Model signed_model(const Architecture& architecture, std::uint32_t seed) {
  Model model = test::random_model(architecture, seed);
  const ParameterTable table = parameter_table(architecture);
  std::mt19937 random(seed + 1);
  std::normal_distribution<float> normal;
  for (const int id : {static_cast<int>(kProjection), static_cast<int>(kHeadWeight), static_cast<int>(kHeadBias),
                       conv_weight(0), conv_weight(1), conv_weight(2), conv_weight(3)}) {
    const float scale = std::sqrt(2.0f / static_cast<float>(table[id].fan_in));
    for (float& value : parameter(std::span<float>(model.values), table, id)) value = scale * normal(random);
  }
  for (int block = 0; block < kBlocks; ++block) {
    for (float& value : parameter(std::span<float>(model.values), table, running_var(block))) value = 1.0f;
    for (float& value : parameter(std::span<float>(model.values), table, norm_scale(block))) value = 1.0f;
  }
  return model;
}

struct Pass {
  float logit = 0;
  MapSize size;
  std::vector<float> maps, block4;
};

Pass run(Engine& engine, const Model& model, const Image& image) {
  engine.load(model.architecture, model.values);
  Pass pass;
  infer(engine, model.architecture, {image.rgb.data(), 1, image.height, image.width}, std::span(&pass.logit, 1));
  pass.size = network_shape(model.architecture, image.height, image.width).maps();
  pass.maps = engine.inference().read(Activation::maps).value();
  pass.block4 = engine.inference().read(Activation::block4).value_or(std::vector<float>{});
  return pass;
}

float bias_of(const Model& model) {
  return parameter(std::span<const float>(model.values), parameter_table(model.architecture), kHeadBias)[0];
}

TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines(),
                   "EvidenceOf.ContributionsSumToTheLogitLessTheBias") {
  for (const Architecture& architecture :
       {Architecture{}, Architecture{Pooling::topk, 3}, Architecture{Pooling::average, 1}}) {
    const Model model = signed_model(architecture, 11);
    const Image image = random_image(72, 66, 4);
    const auto engine = tested.make();
    const Pass pass = run(*engine, model, image);
    const PositionValues values = position_values(pass.maps, pass.size, architecture, model.values);
    REQUIRE(values.contributions.size() == static_cast<std::size_t>(pass.size.area()));
    double sum = 0, magnitude = 1;
    for (const float c : values.contributions) {
      sum += c;
      magnitude += std::abs(c);
    }
    CHECK_THAT_MESSAGE(sum, WithinAbs(pass.logit - bias_of(model), 1e-5 * magnitude), "k " << architecture.k);
    CHECK_MESSAGE(magnitude > 1.5, "the test's logit is made of something");
  }
}

TEST_CASE("EvidenceOf.RivalsSumsToTheLogitToo") {
  for (const Architecture& architecture : {kNprNetwork, kSafeNetwork}) {
    Model model;
    model.architecture = architecture;
    model.values = initial_values(architecture, 2);
    const Image image = random_image(72, 66, 4);
    const auto engine = make_cpu_engine();
    engine->load(architecture, model.values);
    Pass pass;
    infer(*engine, architecture, {image.rgb.data(), 1, image.height, image.width}, std::span(&pass.logit, 1));
    pass.maps = engine->inference().read(Activation::maps).value();
    const PositionValues values =
        position_values(pass.maps, map_size(architecture, image.height, image.width), architecture, model.values);
    const double sum = std::accumulate(values.contributions.begin(), values.contributions.end(), 0.0);
    CHECK_THAT(sum, WithinAbs(pass.logit - linear_head(architecture, model.values).bias, 1e-5));
  }
  constexpr ReceptiveField field = receptive_field(Trunk::resnet);
  CHECK(field.stride == 8);
  CHECK(field.side == 87);
  CHECK(field.before == 43);
}

TEST_CASE("Evidence.OnlySelectedPositionsContribute") {
  const Model model = signed_model({Pooling::topk, 1}, 3);
  const auto engine = make_reference_engine();
  const Pass pass = run(*engine, model, random_image(80, 80, 5));
  const PositionValues values = position_values(pass.maps, pass.size, model.architecture, model.values);
  const auto contributing = std::ranges::count_if(values.contributions, [](float c) { return c != 0; });
  CHECK_MESSAGE(contributing <= 64, "each of 64 maps selects one");
  CHECK(contributing >= 2);
}

// Grad-CAM by its definition: gradients of the logit at the last block's activations, from differences of the head's
// input.
TEST_CASE("Evidence.GradCamIsThatOfTheLastBlock") {
  const Architecture architecture{Pooling::topk, 4};
  const Model model = signed_model(architecture, 7);
  const auto engine = make_reference_engine();
  const Pass pass = run(*engine, model, random_image(64, 72, 6));
  REQUIRE_FALSE(pass.block4.empty());
  const auto area = static_cast<std::size_t>(pass.size.area());
  const ParameterTable table = parameter_table(architecture);
  const auto projection = parameter(std::span<const float>(model.values), table, kProjection);
  const auto head = parameter(std::span<const float>(model.values), table, kHeadWeight);
  constexpr std::size_t channels = 512;

  // d logit / d A_o[p] = sum_c P[c][o] * w[c][rank of p in map c]
  std::vector<double> alpha(channels);
  for (std::size_t c = 0; c < 64; ++c) {
    std::vector<float> sorted(pass.maps.begin() + static_cast<std::ptrdiff_t>(c * area),
                              pass.maps.begin() + static_cast<std::ptrdiff_t>((c + 1) * area));
    std::ranges::sort(sorted, std::greater());
    for (std::size_t p = 0; p < area; ++p) {
      const auto rank = static_cast<std::size_t>(std::ranges::find(sorted, pass.maps[c * area + p]) - sorted.begin());
      if (rank >= 4) continue;
      for (std::size_t o = 0; o < channels; ++o)
        alpha[o] += static_cast<double>(projection[c * channels + o]) * head[c * 4 + rank] / static_cast<double>(area);
    }
  }
  const PositionValues values = position_values(pass.maps, pass.size, architecture, model.values);
  double largest = 0;
  for (std::size_t p = 0; p < area; ++p) {
    double cam = 0;
    for (std::size_t o = 0; o < channels; ++o) cam += alpha[o] * pass.block4[o * area + p];
    largest = std::max(largest, cam);
    CHECK_THAT_MESSAGE(values.grad_cam[p], WithinAbs(std::max(cam, 0.0), 1e-4 * std::max(1.0, std::abs(cam))), p);
  }
  CHECK_MESSAGE(largest > 0, "some of the picture is hot");
}

TEST_CASE("Evidence.APositionSeesItsReceptiveFieldAndNothingElse") {
  const Model model = signed_model({}, 5);
  const auto engine = make_reference_engine();
  const Image image = random_image(96, 88, 8);
  const Pass before = run(*engine, model, image);
  constexpr ReceptiveField field = receptive_field();
  CHECK(field.stride == 8);
  CHECK(field.side == 23);
  for (const auto& [x, y] :
       {std::pair{0, 0}, std::pair{41, 30}, std::pair{40, 30}, std::pair{63, 55}, std::pair{46, 86}}) {
    Image changed = image;
    for (int c = 0; c < 3; ++c) changed.rgb[static_cast<std::size_t>((y * image.width + x) * 3 + c)] ^= 0x7F;
    const Pass after = run(*engine, model, changed);
    bool any_changed = false;
    for (int row = 0; row < before.size.h; ++row) {
      for (int column = 0; column < before.size.w; ++column) {
        bool differs = false;
        for (std::size_t c = 0; c < 64; ++c) {
          const std::size_t at =
              c * static_cast<std::size_t>(before.size.area()) + static_cast<std::size_t>(row * before.size.w + column);
          differs |= before.maps[at] != after.maps[at];
        }
        any_changed |= differs;
        if (!differs) continue;
        // A changed pixel changes its cell's residual: the cell lies in the field, at least in part.
        const auto sees = [&](int position, int pixel) {
          const int first = field.stride * position, cell = pixel / 2 * 2;
          return cell + 1 >= first && cell < first + field.side;
        };
        CHECK_MESSAGE((sees(column, x) && sees(row, y)),
                      "position " << row << ',' << column << " saw pixel " << x << ',' << y);
      }
    }
    CHECK_MESSAGE(any_changed, x << ',' << y);
  }
}

TEST_CASE("Evidence.TopRegionsAreTheStrongestAndApart") {
  Evidence e{100,
             50,
             128,
             128,
             64,
             64,
             4,
             4,
             std::vector<float>(16),
             std::vector<float>(16)};  // the window at twice the view's size
  e.contributions[5] = 3;              // row 1, column 1
  e.contributions[6] = -2;             // next to it: covered
  e.contributions[15] = -2.5f;
  e.contributions[0] = 0.5f;
  const auto regions = top_regions(std::vector{e}, 10);
  REQUIRE(regions.size() == 2u);
  CHECK(regions[0].contribution == 3);
  CHECK(regions[0].x == 100 + 2 * 8);
  CHECK(regions[0].y == 50 + 2 * 8);
  CHECK(regions[0].width == 46);
  CHECK(regions[1].contribution == -2.5f);
  CHECK(regions[1].x == 100 + 2 * 24);
  CHECK(top_regions(std::vector{e}, 1).size() == 1u);

  Evidence beside = e;  // its window begins 20 pixels further right: row 1, column 1 is 20 of the 46 pixels off
  beside.x += 20;
  beside.contributions.assign(16, 0);
  beside.contributions[5] = 2.75f;
  beside.contributions[12] = 2.25f;
  const auto of_both = top_regions(std::vector{e, beside}, 10);
  REQUIRE_MESSAGE(of_both.size() == 3u, "a place that two windows see is one");
  CHECK(of_both[2].contribution == 2.25f);
  CHECK(of_both[2].x == 120);
}

}  // namespace
}  // namespace lfm
