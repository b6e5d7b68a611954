// Without MPI every process is alone.
#include <fmt/core.h>

#include <cstdlib>

#include "src/cli/commands.h"
#include "src/cli/launch.h"

namespace lfm {

struct Launch::Mpi {};

std::string mpi_version() { return ""; }

Launch::Launch() {
  if (launched_processes() > 1) {
    if (launched_rank() > 0) end_with(kSuccess);  // one of them tells it
    throw Error(
        ErrorCode::usage,
        fmt::format("started as one of {} processes, but this build of lfm-cuda has no MPI, so each would do "
                    "all the work; install libopenmpi-dev and configure with -DLFM_MPI=ON, or start it without mpirun",
                    launched_processes()));
  }
}
Launch::~Launch() = default;
void Launch::leave(bool) {}
void Launch::leave_at_once() {}
bool Launch::all_stopped() { return true; }
void Launch::abort(int exit_code) { std::exit(exit_code); }

}  // namespace lfm
