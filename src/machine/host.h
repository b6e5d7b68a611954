// What the kernel tells of this machine: for `lfm-cuda doctor` alone. What it doesn't tell is empty or 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lfm {

struct Host {
  std::string processor;              ///< "AMD EPYC 9R14"
  std::string system;                 ///< "Linux 6.1.0, x86_64"
  std::uint64_t memory_bytes = 0;     ///< of the machine
  std::uint64_t available_bytes = 0;  ///< of it, without swapping
  std::uint64_t limit_bytes = 0;      ///< what this process's control group may take; 0: no limit
  /// PCI addresses of NVIDIA's display and compute devices, with driver or without.
  std::vector<std::string> nvidia_gpus;
  std::string nvidia_driver;  ///< version of the kernel's module, "550.54.15"; empty: not loaded
};

/// root: where proc/ and sys/ are.
Host read_host(const std::filesystem::path& root = "/");

}  // namespace lfm
