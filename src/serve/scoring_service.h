// A detector that many clients share: their pictures go through the network together.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "lfm/detector.h"
#include "src/serve/request_queue.h"

namespace lfm {

class ScoringService {
 public:
  /// The detector's options, but for what each picture says for itself (`stable`, `evidence`). Throws as Detector does.
  ScoringService(const Model& model, const DetectorOptions& options, std::size_t most_waiting,
                 RequestQueue::Clock::duration max_wait);
  ScoringService(const ScoringService&) = delete;
  ScoringService& operator=(const ScoringService&) = delete;
  ~ScoringService();  ///< as stop()

  /// Nothing where too many pictures wait already, or the service has stopped.
  std::optional<std::vector<std::future<Detection>>> submit(std::vector<PictureRequest> pictures) {
    return queue_.push(std::move(pictures));
  }

  /// Takes no more pictures and waits for those that are there.
  void stop();

  bool works() const;  ///< false once the device has failed
  std::size_t waiting() const { return queue_.waiting(); }
  const Detector& detector() const { return detector_; }

 private:
  Detector detector_;
  RequestQueue queue_;
  std::atomic<bool> works_ = true;
  std::thread thread_;
};

}  // namespace lfm
