#include "src/train/process_group.h"

#include <cstdint>
#include <optional>
#include <string>

#include "src/engine/cuda/devices.h"

namespace lfm {
namespace {

template <typename T>
void share_vector(const ProcessGroup& group, std::vector<T>& values) {
  if (group.size() == 1) return;
  std::uint64_t count = values.size();
  share(group, count);
  values.resize(count);
  group.broadcast(std::as_writable_bytes(std::span(values)));
}

}  // namespace

void share(const ProcessGroup& group, std::vector<std::uint8_t>& bytes) { share_vector(group, bytes); }
void share(const ProcessGroup& group, std::vector<float>& values) { share_vector(group, values); }

void share(const ProcessGroup& group, std::uint64_t& value) {
  if (group.size() > 1) group.broadcast(std::as_writable_bytes(std::span(&value, 1)));
}

bool any(const ProcessGroup& group, bool value) {
  double count = value ? 1 : 0;
  group.communicator.sum({&count, 1});
  return count > 0;
}

std::string device_of_process(const ProcessGroup& group, const std::string& name) {
  if (group.size() == 1 || (name != "auto" && name != "cuda")) return name;
  const CudaDevices found = cuda_devices();
  if (!any(group, !found.devices.empty())) return name == "auto" ? "cpu" : name;
  if (any(group, found.devices.empty())) {
    throw Error(ErrorCode::device,
                "some processes of this run have a GPU and some have none; use --device cpu, or hosts with a GPU only");
  }
  return "cuda:" +
         std::to_string(found.devices[static_cast<std::size_t>(group.local_rank) % found.devices.size()].ordinal);
}

void on_root(const ProcessGroup& group, const std::function<void()>& task) {
  if (group.size() == 1) return task();
  std::optional<Error> failure;
  if (group.is_root()) {
    try {
      task();
    } catch (const Error& error) {
      failure = error;
    }
  }
  const std::string text = failure ? failure->what() : "";
  std::vector<std::uint8_t> message(text.begin(), text.end());
  std::uint64_t code = failure ? 1 + static_cast<std::uint64_t>(failure->code()) : 0;
  share(group, code);
  if (code == 0) return;
  share(group, message);
  throw Error(static_cast<ErrorCode>(code - 1), std::string(message.begin(), message.end()));
}

}  // namespace lfm
