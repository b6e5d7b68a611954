// Commands that several processes, started by mpirun, run as one.
#pragma once

#include <exception>
#include <functional>

#include "lfm/detector.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/launch.h"
#include "src/pipeline/media_source.h"

namespace lfm {

/// For a process that an exception stopped: what stopped all of them the root tells, once, and they end in order; what
/// stopped this one alone is told with its rank and host, and ends all of them. Returns the exit code.
ExitCode end_after(Launch& launch, const std::exception& error);

/// Runs a command that scores pictures, in this process or, under mpirun, in each. Everywhere it is to make the same
/// detector; the root then calls score_together() and the others help_root(). The arguments become this process's own:
/// its cores, its GPU, a voice for the root alone.
ExitCode run_scoring(ScoringArguments& arguments, const std::function<void(Launch&)>& command);

/// As Detector::detect_stream, with the files taken apart and with the other processes, if there are any. Ended by
/// SIGTERM under mpirun, it gives up what is not there in half a second: mpirun kills after one.
void score_together(const Launch& launch, Detector& detector, InputSource& source, const MediaOptions& media,
                    const std::function<void(Detection&&)>& sink);

/// The part of every process but the root.
void help_root(const Launch& launch, Detector& detector, const MediaOptions& media);

}  // namespace lfm
