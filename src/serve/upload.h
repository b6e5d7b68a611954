// The pictures of one request, as they arrive.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lfm {

/// Bytes that all requests under way may hold together.
class ByteBudget {
 public:
  explicit ByteBudget(std::size_t bytes) : left_(static_cast<std::int64_t>(bytes)) {}
  bool take(std::size_t bytes) {
    if (left_.fetch_sub(static_cast<std::int64_t>(bytes)) >= static_cast<std::int64_t>(bytes)) return true;
    give(bytes);
    return false;
  }
  void give(std::size_t bytes) { left_.fetch_add(static_cast<std::int64_t>(bytes)); }

 private:
  std::atomic<std::int64_t> left_;
};

/// Collects parts within limits; says what was wrong by a status of HTTP.
class Upload {
 public:
  struct Limits {
    std::size_t bytes;
    std::size_t pictures;
    std::chrono::steady_clock::time_point deadline;
  };
  struct Part {
    std::string name;
    std::shared_ptr<std::vector<std::byte>> bytes;
  };

  Upload(const Limits& limits, ByteBudget& budget) : limits_(limits), budget_(budget) {}
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload() { budget_.give(received_); }

  /// Both return false to stop the sender.
  bool begin_part(const std::string& name);
  bool append(const char* data, std::size_t bytes);

  int status() const { return status_; }  ///< 200, 400, 408, 413 or 503
  const std::string& error() const { return error_; }
  std::size_t received() const { return received_; }
  std::vector<Part>& parts() { return parts_; }

 private:
  bool refuse(int status, std::string error);

  const Limits limits_;
  ByteBudget& budget_;
  std::vector<Part> parts_;
  std::size_t received_ = 0;
  int status_ = 200;
  std::string error_;
};

}  // namespace lfm
