#include "tests/faults/fault_run.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

#include "tests/cli/process.h"
#include "tests/faults/fault.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(120);  // far beyond what a run takes on a loaded machine

/// A file that the interposing library and this process both map.
class SharedRecord {
 public:
  explicit SharedRecord(const std::filesystem::path& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(FaultRecord)) != 0) throw std::runtime_error("no record file");
    void* place = mmap(nullptr, sizeof(FaultRecord), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (place == MAP_FAILED) throw std::runtime_error("the record file can't be mapped");
    record_ = static_cast<FaultRecord*>(place);
  }
  ~SharedRecord() { munmap(record_, sizeof(FaultRecord)); }
  SharedRecord(const SharedRecord&) = delete;
  SharedRecord& operator=(const SharedRecord&) = delete;
  const FaultRecord& operator*() const { return *record_; }

 private:
  FaultRecord* record_ = nullptr;
};

}  // namespace

FaultOutcome run_with_fault(const std::vector<std::string>& command, const Fault& fault, std::uint64_t at,
                            const std::filesystem::path& folder) {
  const SharedRecord record(folder / "record");
  const auto set = [](const char* variable, const std::string& value) { return std::string(variable) + "=" + value; };
  std::vector<std::string> environment = {set("LD_PRELOAD", kFaultLibrary), set(kFaultCall, fault.call),
                                          set(kFaultHow, fault.how), set(kFaultAt, std::to_string(at)),
                                          set(kFaultRecord, folder / "record")};
  if (fault.lasts) environment.push_back(set(kFaultLasts, "1"));

  FaultOutcome outcome;
  Process process(command, folder / "text", environment);
  if (!process.ended_within(kPatience)) {
    outcome.hung = true;
    process.signal(SIGKILL);
  }
  outcome.code = process.wait();
  outcome.signal = process.ending_signal();
  outcome.text = process.text();
  outcome.calls = (*record).calls;
  outcome.failed = (*record).fired;
  return outcome;
}

}  // namespace lfm::test
