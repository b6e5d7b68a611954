// What must catch this mutant does, and nothing else does before it. kCaughtBy is a line that CMakeLists.txt writes.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string_view>

#include "tests/kernels/memory/mutants/mutant.h"

namespace lfm::test {

extern const char* const kCaughtBy;

namespace {

using simt::Access, simt::FindingKind, simt::Space;

TEST(Mutant, IsCaught) {
  simt::MemoryChecker checker;
  const double worst = run_mutant(checker);
  const simt::KernelCounters& counted = checker.counters().at(kMutant);
  const auto conflicts = counted(Space::shared, Access::load).beyond_least() + counted(Space::shared, Access::store).beyond_least();
  const simt::Requests& loads = counted(Space::global, Access::load);
  const double sectors = static_cast<double>(loads.taken) / static_cast<double>(loads.least);
  const auto found = [&](FindingKind kind) {
    return std::any_of(checker.findings().begin(), checker.findings().end(), [kind](const simt::Finding& f) { return f.kind == kind; });
  };

  fmt::print("  {:.3f} of the least sectors, {} conflicts, deviation {:.1e}, {} findings\n", sectors, conflicts, worst, checker.findings().size());

  const std::string_view by = kCaughtBy;
  if (by == "race") {
    EXPECT_TRUE(found(FindingKind::race));
  } else if (by == "uninitialised") {
    EXPECT_TRUE(found(FindingKind::uninitialised));
  } else if (by == "bounds") {
    EXPECT_TRUE(found(FindingKind::out_of_bounds));
  } else {
    for (const simt::Finding& finding : checker.findings()) ADD_FAILURE() << finding.message;
    if (by == "conflicts") {
      EXPECT_GT(conflicts, 0);
    } else if (by == "sectors") {
      EXPECT_GT(sectors, kSectors + 0.03);
    } else if (by == "result") {
      EXPECT_GT(worst, 0.1);
    } else {
      ASSERT_EQ(by, "nothing");
      EXPECT_EQ(conflicts, 0);
      EXPECT_LT(sectors, kSectors + 0.005);
      EXPECT_LT(worst, 0x1p-10);
    }
  }
}

}  // namespace
}  // namespace lfm::test
