// How this process was started: alone, or by mpirun as one of several that train, or score, together. MPI is known to
// launch_mpi.cpp only; a build without it has launch_single.cpp in its place.
#pragma once

#include <memory>
#include <string>

#include "src/pipeline/shared_stream.h"
#include "src/train/process_group.h"

namespace lfm {

/// Processes that mpirun or a like launcher says it has started, by the environment it gives them; 1 for a program
/// started alone, 0 where a launcher was there but does not say. Starting MPI takes a tenth of a second and threads, so
/// it is left alone unless this asks for it.
int launched_processes();

/// Which of them this is, by the same environment: before MPI has started, what is the same for all of them is told by
/// number 0 alone.
int launched_rank();

/// The MPI library of this build, "Open MPI v4.1.4"; empty: built without.
std::string mpi_version();

/// Whether GPUs add up gradients by NCCL in this build.
bool built_with_nccl();

class Launch {
 public:
  /// Joins the other processes, if there are any. Throws Error{usage} if there are and this build has no MPI.
  Launch();
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  const ProcessGroup& group() const { return group_; }
  /// For messages from one process to another.
  const Mail& mail() const { return mail_; }

  /// Waits until all processes are done. `told_to_end`: mpirun has sent SIGTERM to all; it then does nothing but wait
  /// for their end, not even what MPI_Finalize needs, so that is left out.
  void leave(bool told_to_end);
  /// Waits for nobody, and does nothing that MPI_Finalize would: for a process that others are already gone from.
  void leave_at_once();

  /// To be called after a failure: whether it stopped every process alike, so that they may end in order. They all call
  /// this, within a few seconds, or the others are still waiting for this one.
  bool all_stopped();
  /// Ends every process, at once.
  [[noreturn]] void abort(int exit_code);

 private:
  struct Mpi;
  std::unique_ptr<Mpi> mpi_;  ///< null for a process that is alone, or has left
  ProcessGroup group_;
  Mail mail_;
};

}  // namespace lfm
