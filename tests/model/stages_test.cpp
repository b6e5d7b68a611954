// The table of stages: its shapes follow each other, and everything that is numbered or counted by it adds up.
#include "src/model/stages.h"

#include <gtest/gtest.h>

#include "src/model/architecture.h"
#include "src/model/front_end.h"

namespace lfm {
namespace {

TEST(Stages, FollowEachOtherFromPixelsToTheLogit) {
  const StageTable table = stages({}, 257, 256);
  EXPECT_EQ(table.front().in.size, (MapSize{257, 256}));
  EXPECT_EQ(table.front().out.size, (MapSize{256, 256})) << "the front end takes whole cells";
  for (std::size_t i = 1; i < table.size(); ++i) {
    EXPECT_EQ(table[i].in.size, table[i - 1].out.size) << table[i].name;
    EXPECT_EQ(table[i].in.channels, table[i - 1].out.channels) << table[i].name;
    EXPECT_EQ(table[i].index, static_cast<int>(i));
  }
  EXPECT_EQ(block_stage(3).block, 3);
  EXPECT_EQ(table[4].out.channels, 512);
  EXPECT_EQ(table[5].out.size, (MapSize{30, 30}));
  EXPECT_EQ(table.back().in.size.h, 16);
}

TEST(Stages, NumberEveryTrainableParameterOnce) {
  int next = 0;
  for (const Stage& stage : kStages) {
    EXPECT_EQ(stage.parameters.first, next) << stage.name;
    next += stage.parameters.count;
  }
  EXPECT_EQ(next, kTrainable);
  const ParameterTable table = parameter_table({});
  EXPECT_EQ(table[conv_weight(2)].name, "block3.conv.weight");
  EXPECT_EQ(table[kProjection].name, "projection.weight");
  EXPECT_EQ(table[kHeadBias].reference_name, "fc1.bias");
  EXPECT_EQ(table[running_var(3)].reference_name, "cnn.layer4.1.running_var");
  EXPECT_EQ(running_var(kBlocks - 1) + 1, kParameters);
}

// The paper's network at its own size.
TEST(Stages, CountMultiplyAdds) {
  std::int64_t all = 0;
  for (const Stage& stage : stages({}, 256, 256)) all += stage.multiply_adds;
  EXPECT_EQ(all, std::int64_t{4} * (3 * 64 * 255 * 255 + 64 * 128 * 126 * 126 + 128 * 256 * 62 * 62 + 256 * 512 * 30 * 30) +
                     512 * 64 * 900 + 1024);
}

TEST(FrontEnds, HaveAWordEach) {
  for (const FrontEndRow& row : front_ends()) EXPECT_EQ(front_end_from_word(row.word), row.kind);
  EXPECT_FALSE(front_end_from_word("npr"));
  EXPECT_EQ(front_end({}).input_size({49, 64}), (MapSize{48, 64}));
}

}  // namespace
}  // namespace lfm
