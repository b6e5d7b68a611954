// What must catch this mutant does, and nothing else does before it. kCaughtBy is a line that CMakeLists.txt writes.
#include "tests/kernels/memory/mutants/mutant.h"

#include <fmt/core.h>

#include <string_view>

#include "tests/catch.h"

namespace lfm::test {

extern const char* const kCaughtBy;

namespace {

using simt::Access, simt::FindingKind, simt::Space;

TEST_CASE("Mutant.IsCaught") {
  simt::MemoryChecker checker;
  const double worst = run_mutant(checker);
  const simt::KernelCounters& counted = checker.counters().at(kMutant);
  const auto conflicts =
      counted(Space::shared, Access::load).beyond_least() + counted(Space::shared, Access::store).beyond_least();
  const simt::Requests& loads = counted(Space::global, Access::load);
  const double sectors = static_cast<double>(loads.taken) / static_cast<double>(loads.least);
  const auto found = [&](FindingKind kind) {
    return std::any_of(checker.findings().begin(), checker.findings().end(),
                       [kind](const simt::Finding& f) { return f.kind == kind; });
  };

  fmt::print("  {:.3f} of the least sectors, {} conflicts, deviation {:.1e}, {} findings\n", sectors, conflicts, worst,
             checker.findings().size());

  const std::string_view by = kCaughtBy;
  if (by == "race") {
    CHECK(found(FindingKind::race));
  } else if (by == "uninitialised") {
    CHECK(found(FindingKind::uninitialised));
  } else if (by == "bounds") {
    CHECK(found(FindingKind::out_of_bounds));
  } else {
    for (const simt::Finding& finding : checker.findings()) FAIL_CHECK(finding.message);
    if (by == "conflicts") {
      CHECK(conflicts > 0);
    } else if (by == "sectors") {
      CHECK(sectors > kSectors + 0.03);
    } else if (by == "result") {
      CHECK(worst > 0.1);
    } else {
      REQUIRE(by == "nothing");
      CHECK(conflicts == 0);
      CHECK(sectors < kSectors + 0.005);
      CHECK(worst < 0x1p-10);
    }
  }
}

}  // namespace
}  // namespace lfm::test
