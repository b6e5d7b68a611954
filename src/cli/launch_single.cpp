// Without MPI every process is alone.
#include <fmt/core.h>

#include <cstdlib>

#include "src/cli/launch.h"

namespace lfm {

struct Launch::Mpi {};

std::string mpi_version() { return ""; }

Launch::Launch() {
  if (launched_processes() > 1) {
    throw Error(ErrorCode::usage, fmt::format("started as one of {} processes, but this build of lfm-cuda has no MPI, so each would train "
                                              "for itself; install libopenmpi-dev and configure with -DLFM_MPI=ON, or start it without mpirun",
                                              launched_processes()));
  }
}
Launch::~Launch() = default;
void Launch::leave(bool) {}
bool Launch::all_stopped() { return true; }
void Launch::abort(int exit_code) { std::exit(exit_code); }

}  // namespace lfm
