// mpirun as tests start it.
#pragma once

#include <fmt/core.h>
#include <sys/types.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

namespace lfm::test {

/// For several processes, as root and on any number of cores; for mpirun 4 and 5. Who waits leaves its core to others'
/// threads. Signalled, or when one has ended with an error, mpirun waits so many seconds, sends SIGTERM, and as many
/// later SIGKILL. What the MPI library leaks is not ours.
inline std::vector<std::string> mpi_environment(int patience = 3) {
  return {"OMPI_ALLOW_RUN_AS_ROOT=1",
          "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
          "OMPI_MCA_rmaps_base_oversubscribe=1",
          "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe",
          "OMPI_MCA_mpi_yield_when_idle=1",
          fmt::format("OMPI_MCA_odls_base_sigkill_timeout={}", patience),
          "OMPI_MCA_btl_vader_single_copy_mechanism=none",
          "ASAN_OPTIONS=detect_leaks=0"};
}

/// The process of this rank among mpirun's children.
inline pid_t process_of_rank(pid_t mpirun, int rank) {
  const std::string wanted = fmt::format("OMPI_COMM_WORLD_RANK={}", rank);
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", mpirun));
  for (pid_t child = 0; children >> child;) {
    std::ifstream environment(fmt::format("/proc/{}/environ", child));
    for (std::string variable; std::getline(environment, variable, '\0');) {
      if (variable == wanted) return child;
    }
  }
  return 0;
}

/// How often a part is in a text.
inline std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace lfm::test
