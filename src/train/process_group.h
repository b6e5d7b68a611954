// The processes that work together: that take each step of training, every one on its share of the batch, or share a
// stream of pictures. Rank 0, the root, alone writes files and speaks to people. How processes find each other (mpirun)
// is not known here: see src/cli/launch.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lfm/error.h"
#include "src/engine/engine.h"

namespace lfm {

/// By default one process, alone: nothing below then does or costs anything.
struct ProcessGroup {
  Communicator communicator;  ///< rank, size, and sums that have the same bits on every process
  std::function<void(std::span<std::byte>)> broadcast;  ///< the root's bytes to all; empty for one process
  int local_rank = 0;                                   ///< among the processes of this host
  int threads = 0;                                      ///< this process's share of the host's cores; 0: all of them
  std::string name;                                     ///< for people: "rank 1 of 2 (host)"

  int size() const { return communicator.size; }
  bool is_root() const { return communicator.rank == 0; }
};

/// The root's value to all.
void share(const ProcessGroup& group, std::vector<std::uint8_t>& bytes);
void share(const ProcessGroup& group, std::vector<float>& values);
void share(const ProcessGroup& group, std::uint64_t& value);

/// Whether it is true on one of them.
bool any(const ProcessGroup& group, bool value);

/// The device that this process computes on where all are told `name`: of "auto" and "cuda" the GPU of its number on
/// the host, else the name itself. All processes call it. Throws Error{device} where some have a GPU and some have
/// none.
std::string device_of_process(const ProcessGroup& group, const std::string& name);

/// For the root: an lfm::Error that `task` throws, thrown on every process. The others wait.
void on_root(const ProcessGroup& group, const std::function<void()>& task);

}  // namespace lfm
