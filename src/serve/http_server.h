// lfm-cuda's page and REST interface. openapi.json beside this file describes the latter, and is served with it.
//
//   GET  /               the page to drop pictures on, with /serve.css and /serve.js
//   POST /v1/detect      pictures in, records as `detect --format json` writes them out
//   GET  /v1/models      what scores here
//   GET  /healthz        200 while the device works, else 503
//   GET  /metrics        counters, for Prometheus
//   GET  /openapi.json
//
// A thread a connection; pictures are received into memory within a budget, queued, and scored together. Nothing is
// stored.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/serve/metrics.h"
#include "src/serve/scoring_service.h"

namespace lfm {

struct ServeOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                  ///< 0: any that is free
  std::vector<std::string> tokens;  ///< one of them is asked for; none: clients of this machine alone
  std::size_t connections = 256;
  std::size_t max_body = std::size_t{64} << 20;     ///< bytes of one request
  std::size_t max_received = std::size_t{1} << 30;  ///< bytes of all requests under way
  std::size_t max_pictures = 64;                    ///< of one request
  std::chrono::seconds timeout{30};                 ///< for a request to arrive, and then for its answer
};

/// What is told about the model.
struct ServedModel {
  std::string name;     ///< of its file, without folders; of several, with commas between them
  std::string version;  ///< of the program
};

class HttpServer {
 public:
  /// log: told a line a request, without a word of what was in it. Both references must outlive the server.
  HttpServer(ServeOptions options, ServedModel model, ScoringService& service,
             std::function<void(const std::string&)> log);
  ~HttpServer();

  /// Takes the port. Throws Error{output} where it can't be had.
  void bind();
  int port() const;

  /// Answers until stop(). Requests under way are finished.
  void run();

  /// Any thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lfm
