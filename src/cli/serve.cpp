// lfm-cuda serve: a page to drop pictures on, and a REST interface.
#include <fmt/core.h>
#include <pthread.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "lfm/detector.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/number_checks.h"
#include "src/report/terminal.h"

#if LFM_WITH_SERVER
#include "src/serve/access.h"
#include "src/serve/http_server.h"
#include "src/serve/scoring_service.h"
#endif

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct ServeArguments {
  ScoringArguments scoring;
  std::string host = "127.0.0.1";
  int port = 8080;
  fs::path token_file;
  int max_wait_ms = 5;
  std::size_t connections = 256;
  std::size_t queue = 256;
  std::size_t max_bytes = std::size_t{64} << 20;
  int timeout_s = 30;
};

constexpr const char* kServeFooter =
    "Examples:\n"
    "  lfm-cuda serve                                     then open http://127.0.0.1:8080\n"
    "  curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/detect\n"
    "  curl -F a=@one.jpg -F b=@two.png 'http://127.0.0.1:8080/v1/detect?explain=1'\n"
    "  lfm-cuda serve --host 0.0.0.0 --token-file tokens  for others too, who hold a token\n"
    "\n"
    "Pictures are scored in memory and kept nowhere. POST /v1/detect takes a picture as the body, or several as the "
    "parts of\n"
    "multipart/form-data, and answers with detect's JSON records; ?explain=1 adds where each score comes from, "
    "?stable=1 scores\n"
    "mild re-deliveries too. /v1/models, /healthz, /metrics (Prometheus) and /openapi.json tell the rest. Pictures of "
    "many clients\n"
    "are scored together. Ctrl-C stops it once requests under way are answered.\n"
    "\n"
    "Other machines' clients need a token: a line of --token-file, sent as 'Authorization: Bearer TOKEN'. The "
    "connection is not\n"
    "encrypted: put a proxy with TLS in front.\n"
    "\n"
    "Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 the port can't be had or the tokens can't be read, 2 wrong usage,\n"
    "            3 no usable device or model, or the device failed.\n";

#if LFM_WITH_SERVER

/// Stops the server at the first SIGINT or SIGTERM. A second one ends the process at once. Made before any other
/// thread, all of which leave these signals to it.
class StopOnSignal {
 public:
  StopOnSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }

  void watch(HttpServer& server) {
    std::thread([this, &server] {
      int signal = 0;
      sigwait(&signals_, &signal);
      pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
      server.stop();
    }).detach();
  }

 private:
  sigset_t signals_ = {};
};

void serve(ServeArguments& arguments) {
  ServeOptions options;
  options.host = arguments.host;
  options.port = arguments.port;
  options.connections = arguments.connections;
  options.max_body = arguments.max_bytes;
  options.timeout = std::chrono::seconds(arguments.timeout_s);
  if (!arguments.token_file.empty()) options.tokens = read_tokens(arguments.token_file);
  if (options.tokens.empty() && !is_loopback(options.host)) {
    throw Error(
        ErrorCode::usage,
        fmt::format(
            "--host {} lets other machines ask: give them tokens by --token-file (lines made by openssl rand -hex 24)",
            options.host));
  }
  arguments.scoring.detector.signs = true;
  StopOnSignal stop;
  const bool quiet = arguments.scoring.quiet;
  const ChosenModel chosen = choose_model(arguments.scoring);
  ScoringService service(chosen.model, arguments.scoring.detector, arguments.queue,
                         std::chrono::milliseconds(arguments.max_wait_ms));
  std::mutex log;
  std::string names;
  for (const fs::path& file : chosen.files) names += (names.empty() ? "" : ",") + file.filename().string();
  HttpServer server(options, {names, LFM_VERSION}, service, [&](const std::string& line) {
    if (quiet) return;
    const std::lock_guard lock(log);
    tell(stderr, "{}\n", printable(line));
  });
  server.bind();
  const std::string shown = options.host.find(':') == std::string::npos ? options.host : '[' + options.host + ']';
  tell(stderr, "lfm-cuda: serving http://{}:{} on {}; Ctrl-C stops\n", shown, server.port(),
       service.detector().description());
  stop.watch(server);
  server.run();
  service.stop();
  if (!quiet) tell(stderr, "lfm-cuda: stopped\n");
  if (!service.works()) throw Error(ErrorCode::device, "the device failed; start the server again");
}

#else

void serve(ServeArguments&) {
  throw Error(ErrorCode::usage, "this build has no server: install libcpp-httplib-dev and build again");
}

#endif

}  // namespace

void add_serve_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "A page to drop pictures on, and a REST interface");
  const auto a = std::make_shared<ServeArguments>();
  command->footer(kServeFooter);
  command->add_option("-p,--port", a->port, "Port to listen on; 0: any that is free (default: 8080)")
      ->check(number_in(0, 65535))
      ->type_name("N");
  command
      ->add_option("--host", a->host,
                   "Address to listen on; any but this machine's own\nneeds --token-file (default: 127.0.0.1)")
      ->type_name("ADDRESS");
  command->add_option("--token-file", a->token_file, "Who may ask: a token a line, of 16 characters or more")
      ->type_name("FILE");
  command
      ->add_option("--max-wait", a->max_wait_ms,
                   "Milliseconds that a picture waits for others to be scored with\n(default: 5)")
      ->check(number_in(0, 1000))
      ->type_name("MS");
  command
      ->add_option("--queue", a->queue, "Pictures that may wait at a time; more are told to try again\n(default: 256)")
      ->check(number_in(1, 65536))
      ->type_name("N");
  command->add_option("--connections", a->connections, "Clients served at a time, a thread each (default: 256)")
      ->check(number_in(1, 4096))
      ->type_name("N");
  command->add_option("--max-bytes", a->max_bytes, "Refuse larger requests (default: 67108864)")
      ->check(number_in(std::size_t{1024}, std::size_t{1} << 32))
      ->type_name("N");
  command
      ->add_option("--timeout", a->timeout_s,
                   "Seconds that a request may take to arrive, and its pictures to\nbe scored (default: 30)")
      ->check(number_in(1, 3600))
      ->type_name("S");
  add_scoring_options(*command, a->scoring);
  command->callback([a] { serve(*a); });
}

}  // namespace lfm
