#include "src/serve/scoring_service.h"

#include <utility>

namespace lfm {

ScoringService::ScoringService(const Model& model, const DetectorOptions& options, std::size_t most_waiting,
                               RequestQueue::Clock::duration max_wait)
    : detector_(model, options), queue_(most_waiting, max_wait) {
  thread_ = std::thread([this] {
    try {
      detector_.detect_stream(queue_, [this](Detection&& detection) { queue_.answer(std::move(detection)); });
    } catch (...) {
      works_ = false;
      queue_.fail(std::current_exception());
    }
  });
}

ScoringService::~ScoringService() { stop(); }

void ScoringService::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

bool ScoringService::works() const { return works_; }

}  // namespace lfm
