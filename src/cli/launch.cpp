#include "src/cli/launch.h"

#include <cstdlib>

namespace lfm {

int launched_processes() {
  for (const char* size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {  // Open MPI; MPICH and its relatives
    if (const char* value = std::getenv(size)) return std::atoi(value);
  }
  return std::getenv("PMIX_RANK") ? 0 : 1;  // a batch system's own launcher
}

int launched_rank() {
  for (const char* rank : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"}) {
    if (const char* value = std::getenv(rank)) return std::atoi(value);
  }
  return 0;
}

bool built_with_nccl() { return LFM_WITH_NCCL; }

}  // namespace lfm
