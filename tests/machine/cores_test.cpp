#include "src/machine/cores.h"

#include <gtest/gtest.h>

#include "tests/machine/bound_to_one_core.h"

namespace lfm {
namespace {

TEST(Cores, AreThoseThatTheProcessMayUse) {
  const int before = usable_cores();
  {
    const test::BoundToOneCore bound;
    EXPECT_EQ(before, bound.cores_before());
    EXPECT_EQ(usable_cores(), 1);
  }
  EXPECT_EQ(usable_cores(), before);
}

}  // namespace
}  // namespace lfm
