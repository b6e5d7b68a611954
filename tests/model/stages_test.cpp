// The table of stages: its shapes follow each other, and everything that is numbered or counted by it adds up.
#include "src/model/stages.h"

#include "lfm/words.h"
#include "src/model/architecture.h"
#include "src/model/front_end.h"
#include "tests/catch.h"

namespace lfm {
namespace {

TEST_CASE("Stages.FollowEachOtherFromPixelsToTheLogit") {
  const StageTable table = stages({}, 257, 256);
  CHECK(table.front().in.size == (MapSize{257, 256}));
  CHECK(table.front().out.size == (MapSize{256, 256}));
  for (std::size_t i = 1; i < table.size(); ++i) {
    INFO(table[i].name);
    CHECK(table[i].in.size == table[i - 1].out.size);
    CHECK(table[i].in.channels == table[i - 1].out.channels);
    CHECK(table[i].index == static_cast<int>(i));
  }
  CHECK(block_stage(3).block == 3);
  CHECK(table[4].out.channels == 512);
  CHECK(table[5].out.size == (MapSize{30, 30}));
  CHECK(table.back().in.size.h == 16);
}

TEST_CASE("Stages.NumberEveryTrainableParameterOnce") {
  int next = 0;
  for (const Stage& stage : kStages) {
    INFO(stage.name);
    CHECK(stage.parameters.first == next);
    next += stage.parameters.count;
  }
  CHECK(next == kTrainable);
  const ParameterTable table = parameter_table({});
  CHECK(table[conv_weight(2)].name == "block3.conv.weight");
  CHECK(table[kProjection].name == "projection.weight");
  CHECK(table[kHeadBias].reference_name == "fc1.bias");
  CHECK(table[running_var(3)].reference_name == "cnn.layer4.1.running_var");
  CHECK(running_var(kBlocks - 1) + 1 == kParameters);
}

// The paper's network at its own size.
TEST_CASE("Stages.CountMultiplyAdds") {
  std::int64_t all = 0;
  for (const Stage& stage : stages({}, 256, 256)) all += stage.multiply_adds;
  CHECK(all ==
        std::int64_t{4} * (3 * 64 * 255 * 255 + 64 * 128 * 126 * 126 + 128 * 256 * 62 * 62 + 256 * 512 * 30 * 30) +
            512 * 64 * 900 + 1024);
}

TEST_CASE("FrontEnds.HaveAWordEach") {
  for (const FrontEndRow& row : front_ends()) CHECK(front_end_from_word(row.word) == row.kind);
  CHECK(!front_end_from_word("npr"));
  CHECK(front_end_from_word("npr-nearest-2") == FrontEnd::npr);
  CHECK(front_end({}).input_size({49, 64}) == (MapSize{48, 64}));
  CHECK(front_end_row(FrontEnd::haar_hh).input_size({49, 64}) == (MapSize{49, 64}));
  for (const Word<FrontEnd>& row : words(FrontEnd{})) CHECK(front_end_row(row.value).kind == row.value);
  CHECK(words(FrontEnd{}).size() == front_ends().size());
}

}  // namespace
}  // namespace lfm
