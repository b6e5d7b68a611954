#include "src/machine/host.h"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>

namespace lfm {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The value of the first line that begins with the key: "MemTotal:  123 kB" has "123 kB". Empty where there is none.
std::string value_of_line(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t:", key.size());
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string> nvidia_gpus(const fs::path& pci_devices) {
  constexpr std::string_view nvidia = "0x10de", display = "0x03";
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& device : fs::directory_iterator(pci_devices, none)) {
    if (first_line(device.path() / "vendor") != nvidia || !first_line(device.path() / "class").starts_with(display))
      continue;
    found.push_back(device.path().filename().string());
  }
  std::ranges::sort(found);
  return found;
}

/// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15
/// Tue …": the first word that begins with a digit and has a dot.
std::string driver_version(const std::string& line) {
  for (std::size_t begin = 0; begin < line.size();) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    const std::string word = line.substr(begin, end - begin);
    if (!word.empty() && word[0] >= '0' && word[0] <= '9' && word.find('.') != std::string::npos) return word;
    begin = end + 1;
  }
  return "";
}

}  // namespace

Host read_host(const fs::path& root) {
  constexpr std::uint64_t kib = 1024;
  Host host;
  host.processor = value_of_line(root / "proc/cpuinfo", "model name");
  host.memory_bytes = kib * number(value_of_line(root / "proc/meminfo", "MemTotal"));
  host.available_bytes = kib * number(value_of_line(root / "proc/meminfo", "MemAvailable"));
  host.limit_bytes = number(first_line(root / "sys/fs/cgroup/memory.max"));  // "max": none
  if (host.limit_bytes >= host.memory_bytes) host.limit_bytes = 0;
  host.nvidia_gpus = nvidia_gpus(root / "sys/bus/pci/devices");
  host.nvidia_driver = driver_version(first_line(root / "proc/driver/nvidia/version"));
  utsname name{};
  if (uname(&name) == 0) host.system = std::string(name.sysname) + " " + name.release + ", " + name.machine;
  return host;
}

}  // namespace lfm
