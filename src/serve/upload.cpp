#include "src/serve/upload.h"

#include <fmt/core.h>

#include <utility>

namespace lfm {

bool Upload::refuse(int status, std::string error) {
  if (status_ == 200) {
    status_ = status;
    error_ = std::move(error);
  }
  return false;
}

bool Upload::begin_part(const std::string& name) {
  if (status_ != 200) return false;
  if (parts_.size() == limits_.pictures) {
    return refuse(413, fmt::format("a request has at most {} pictures; send several", limits_.pictures));
  }
  parts_.push_back({name, std::make_shared<std::vector<std::byte>>()});
  return true;
}

bool Upload::append(const char* data, std::size_t bytes) {
  if (status_ != 200) return false;
  if (parts_.empty()) return refuse(400, "the request's parts can't be read");
  if (std::chrono::steady_clock::now() > limits_.deadline) return refuse(408, "the request took too long to arrive");
  if (bytes > limits_.bytes - received_) {
    return refuse(
        413, fmt::format("a request has at most {} bytes; start the server with a higher --max-bytes", limits_.bytes));
  }
  if (!budget_.take(bytes)) return refuse(503, "the server is busy: it holds as many pictures as it may; try again");
  received_ += bytes;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte>& to = *parts_.back().bytes;
  to.insert(to.end(), begin, begin + bytes);
  return true;
}

}  // namespace lfm
