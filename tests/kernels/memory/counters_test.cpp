// Every kernel under the memory checker: no race, no access out of bounds, nothing uninitialised, and the
// traffic that it promises.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "tests/catch.h"
#include "tests/kernels/memory/counters_table.h"
#include "tests/kernels/memory/every_kernel.h"
#include "tests/kernels/memory/promises.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using simt::Access, simt::Space;

const simt::MemoryChecker& watched() {
  static simt::MemoryChecker checker;
  static const bool once = [] {
    run_inference_kernels(checker);
    run_training_kernels(checker);
    return true;
  }();
  static_cast<void>(once);
  return checker;
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What kernels/*.cu launch, by the names they give.
std::set<std::string> launched_in_sources() {
  std::set<std::string> names;
  const std::regex launch(R"re((?:\.kernel = |one_thread_per\()"(\w+)")re");
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(kSourceFolder) / "kernels")) {
    if (entry.path().extension() != ".cu") continue;
    const std::string text = text_of(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), launch), end; match != end; ++match)
      names.insert((*match)[1]);
  }
  return names;
}

TEST_CASE("KernelMemory.NoKernelDoesWhatItMustNot") {
  for (const auto& finding : watched().findings()) FAIL_CHECK(finding.message);
}

TEST_CASE("KernelMemory.EveryKernelIsRunAndPromises") {
  std::set<std::string> promised;
  for (const Promise& promise : kPromises) promised.insert(promise.kernel);
  for (const std::string& name : launched_in_sources()) {
    CHECK_MESSAGE(watched().counters().contains(name),
                  name << " is not run: call its launcher in tests/kernels/memory/*_kernels.cpp");
    CHECK_MESSAGE(promised.contains(name), name << " promises nothing: tests/kernels/memory/promises.h");
  }
  CHECK_MESSAGE(promised.size() == std::size(kPromises), "a kernel promises twice");
}

// Two sides: a promise that a kernel surpasses by far says nothing.
TEST_CASE("KernelMemory.SectorsAreThosePromised") {
  for (const Promise& promise : kPromises) {
    REQUIRE_MESSAGE(watched().counters().contains(promise.kernel), promise.kernel << " promises, but was not run");
    const auto& counted = watched().counters().at(promise.kernel);
    CHECK_THAT_MESSAGE(counted(Space::global, Access::load).taken_each(),
                       WithinAbs(promise.sectors_a_load, 0.02 * promise.sectors_a_load), promise.kernel);
    CHECK_THAT_MESSAGE(counted(Space::global, Access::store).taken_each(),
                       WithinAbs(promise.sectors_a_store, 0.02 * promise.sectors_a_store), promise.kernel);
    if (*promise.because != '\0') continue;
    for (const Access kind : {Access::load, Access::store}) {
      const simt::Requests& requests = counted(Space::global, kind);
      CHECK_MESSAGE(static_cast<double>(requests.taken) <= 1.005 * static_cast<double>(requests.least),
                    promise.kernel << " takes more sectors than its bytes need, and does not say why");
    }
  }
}

TEST_CASE("KernelMemory.NoBankConflicts") {
  for (const auto& [kernel, counted] : watched().counters()) {
    CHECK_MESSAGE(counted(Space::shared, Access::load).beyond_least() == 0, kernel);
    CHECK_MESSAGE(counted(Space::shared, Access::store).beyond_least() == 0, kernel);
  }
}

TEST_CASE("KernelMemory.TheTableInTheDocsIsCurrent") {
  CHECK_MESSAGE(
      text_of(std::filesystem::path(kSourceFolder) / "docs/KERNEL-COUNTERS.md") == counters_document(watched()),
      "tools/kernel-counters --update writes it anew");
}

}  // namespace
}  // namespace lfm::test
