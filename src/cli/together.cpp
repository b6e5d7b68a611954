#include "src/cli/together.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/interruption.h"

namespace lfm {
namespace {

/// The root has failed, and tells why; this process has nothing to add.
struct Dismissed {};

/// While it lives, what asks to end reaches the root alone, which then lets the others go.
class DeafToInterrupts {
 public:
  DeafToInterrupts() { set(SIG_IGN); }
  DeafToInterrupts(const DeafToInterrupts&) = delete;
  DeafToInterrupts& operator=(const DeafToInterrupts&) = delete;
  ~DeafToInterrupts() { set(SIG_DFL); }

 private:
  static void set(void (*handler)(int)) {
    for (const int signal : kInterrupts) std::signal(signal, handler);
  }
};

/// Other options would make other records, of which some would be in the report.
void require_same_command(const ProcessGroup& group) {
  if (group.size() == 1) return;
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string own{std::istreambuf_iterator<char>(in), {}};
  own.erase(0, own.find('\0'));  // the program may lie elsewhere on another host
  own += LFM_VERSION;
  std::vector<std::uint8_t> roots(own.begin(), own.end());
  share(group, roots);
  if (any(group, !std::ranges::equal(own, roots, {}, [](char c) { return static_cast<std::uint8_t>(c); }))) {
    throw Error(
        ErrorCode::usage,
        "the processes of this run were given different arguments, or are of different versions; give all the same");
  }
}

void take_share(ScoringArguments& arguments, const ProcessGroup& group) {
  if (arguments.detector.threads == 0) arguments.detector.threads = group.threads;
  arguments.detector.device = device_of_process(group, arguments.detector.device);
  if (!group.is_root()) arguments.quiet = true;
}

}  // namespace

ExitCode end_after(Launch& launch, const std::exception& error) {
  const bool all = launch.all_stopped();
  if (all && !launch.group().is_root()) return kSuccess;
  const ExitCode code = report_error(error, all ? "" : launch.group().name);
  if (!all) launch.abort(code);
  return code;
}

ExitCode run_scoring(ScoringArguments& arguments, const std::function<void(Launch&)>& command) {
  Launch launch;
  const ProcessGroup& group = launch.group();
  ExitCode code = kSuccess;
  try {
    std::optional<DeafToInterrupts> deaf;
    if (!group.is_root()) deaf.emplace();
    require_same_command(group);
    take_share(arguments, group);
    command(launch);
  } catch (const Dismissed&) {
    launch.all_stopped();
    return kSuccess;
  } catch (const CLI::RuntimeError& ended) {
    code = static_cast<ExitCode>(ended.get_exit_code());
  } catch (const std::exception& error) {
    if (group.is_root()) dismiss_all(launch.mail());
    return end_after(launch, error);
  }
  interrupting_signal() == SIGTERM ? launch.leave_at_once() : launch.leave(false);
  return code;
}

void score_together(const Launch& launch, Detector& detector, InputSource& source, const MediaOptions& media,
                    const std::function<void(Detection&&)>& sink) {
  if (launch.group().size() == 1) {
    MediaSource parts(source, media);
    return detector.detect_stream(parts, sink);
  }
  score_shared(detector, launch.mail(), source, media, sink, [] { return interrupting_signal() == SIGTERM; });
}

void help_root(const Launch& launch, Detector& detector, const MediaOptions& media) {
  if (!score_for_root(detector, launch.mail(), media)) throw Dismissed();
}

}  // namespace lfm
