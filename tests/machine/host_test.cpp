// What a machine tells of itself, read from a tree that stands for / .
#include "src/machine/host.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

class HostTree {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  }
  test::TemporaryFolder folder;
};

TEST_CASE_METHOD(HostTree, "Host.ReadsProcessorMemoryAndGpus") {
  write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 9000\n\nprocessor\t: 1\nmodel name\t: Some CPU 9000\n");
  write("proc/meminfo", "MemTotal:       2048 kB\nMemFree:         100 kB\nMemAvailable:   1024 kB\n");
  write("sys/fs/cgroup/memory.max", "1048576\n");
  write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
  write("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
  write("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");  // its sound device
  write("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n");
  write("sys/bus/pci/devices/0000:02:00.0/vendor", "0x8086\n");
  write("sys/bus/pci/devices/0000:02:00.0/class", "0x030000\n");
  write("proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC\n");
  const Host host = read_host(folder.path());
  CHECK(host.processor == "Some CPU 9000");
  CHECK(host.memory_bytes == 2048u * 1024);
  CHECK(host.available_bytes == 1024u * 1024);
  CHECK(host.limit_bytes == 1048576u);
  CHECK(host.nvidia_gpus == std::vector<std::string>{"0000:01:00.0"});
  CHECK(host.nvidia_driver == "550.54.15");
}

TEST_CASE_METHOD(HostTree, "Host.WhatIsNotToldIsEmpty") {
  write("sys/fs/cgroup/memory.max", "max\n");
  write("proc/driver/nvidia/version", "nonsense\n");
  const Host host = read_host(folder.path());
  CHECK(host.processor == "");
  CHECK(host.memory_bytes == 0u);
  CHECK(host.limit_bytes == 0u);
  CHECK(host.nvidia_gpus.empty());
  CHECK(host.nvidia_driver == "");
}

}  // namespace
}  // namespace lfm
