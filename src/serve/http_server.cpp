#include "src/serve/http_server.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "lfm/error.h"
#include "src/model/weight_file.h"
#include "src/report/detections.h"
#include "src/report/terminal.h"
#include "src/serve/access.h"
#include "src/serve/answers.h"
#include "src/serve/assets.h"
#include "src/serve/connection_queue.h"
#include "src/serve/upload.h"

namespace lfm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kJson = "application/json";
constexpr const char* kDeviceFailed = "the device has failed; restart the server";
constexpr int kBacklog = 1024;  // connections that the kernel holds for us; the library's own is 5

/// A file that comes with the program.
struct Asset {
  const char* path;
  const char* type;
  const char* const& content;
};
const Asset kAssets[] = {
    {"/", "text/html; charset=utf-8", kServePage},
    {"/serve.css", "text/css; charset=utf-8", kServeStyle},
    {"/serve.js", "text/javascript; charset=utf-8", kServeScript},
    {"/openapi.json", kJson, kServeOpenApi},
};

/// What a browser may do with anything from here: show it, run the page's own script, talk to this server alone, keep
/// nothing.
const httplib::Headers kHeaders = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
     "base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
};

void refuse(httplib::Response& response, int status, const std::string& message) {
  response.status = status;
  response.set_content(error_json(message), kJson);
  if (status == 503) response.set_header("Retry-After", "1");
}

constexpr const char* kTooManyClients =
    "the server is busy: as many clients as it may have are connected already; try again";
constexpr auto kRefusalPatience =
    std::chrono::seconds(1);  // with a body that nobody wants: a client that can't send it sees no answer

/// Answers 503 and closes the connection, which the library does after an answer that ends in a failure alone.
void refuse_and_close(httplib::Response& response) {
  const std::string text = error_json(kTooManyClients);
  response.status = 503;
  response.set_header("Retry-After", "1");
  response.set_header("Connection", "close");
  response.set_content_provider(text.size(), kJson, [text](std::size_t, std::size_t, httplib::DataSink& sink) {
    sink.write(text.data(), text.size());
    return false;
  });
}

/// When the request that this thread answers began.
thread_local Clock::time_point request_began;

/// ?name, ?name=1 and ?name=true are yes.
bool asks_for(const httplib::Request& request, const char* name) {
  if (!request.has_param(name)) return false;
  const std::string value = request.get_param_value(name);
  return value != "0" && value != "false";
}

}  // namespace

struct HttpServer::Impl {
  Impl(ServeOptions options_, ServedModel model_, ScoringService& service_,
       std::function<void(const std::string&)> log_)
      : options(std::move(options_)),
        model(std::move(model_)),
        service(service_),
        log(std::move(log_)),
        budget(options.max_received) {}

  void set_up();
  void answer_models(httplib::Response& response);
  void answer_detect(const httplib::Request& request, httplib::Response& response,
                     const httplib::ContentReader& reader);
  bool may_ask(const httplib::Request& request, httplib::Response& response) const;
  void account(const httplib::Request& request, const httplib::Response& response);
  std::string route_of(const std::string& path) const;

  ServeOptions options;
  ServedModel model;
  ScoringService& service;
  std::function<void(const std::string&)> log;
  ByteBudget budget;
  ServerMetrics metrics;
  httplib::Server server;
  int listening = -1;
  int bound_port = 0;
};

void HttpServer::Impl::set_up() {
  server.new_task_queue = [this] { return new ConnectionQueue(options.connections, options.connections); };
  server.set_socket_options(
      [this](auto socket) {  // no SO_REUSEPORT, the library's default: two servers must not share a port
        const int yes = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        listening = socket;
      });
  server.set_default_headers(kHeaders);
  server.set_tcp_nodelay(true);
  server.set_payload_max_length(options.max_body);
  server.set_keep_alive_max_count(100'000);
  server.set_read_timeout(5);
  server.set_write_timeout(10);
  server.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    request_began = Clock::now();
    if (ConnectionQueue::is_refusing()) {
      if (request.method == "POST") return httplib::Server::HandlerResponse::Unhandled;  // its body comes first
      refuse_and_close(response);
      return httplib::Server::HandlerResponse::Handled;
    }
    return may_ask(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                      : httplib::Server::HandlerResponse::Handled;
  });
  server.set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty() || response.content_length_ > 0) return;
    const int status = response.status;
    refuse(response, status,
           status == 404   ? "there is no such page; /openapi.json lists them"
           : status == 413 ? "the request is too large; start the server with a higher --max-bytes"
                           : "the request can't be read");
  });
  server.set_logger(
      [this](const httplib::Request& request, const httplib::Response& response) { account(request, response); });
  for (const Asset& asset : kAssets) {
    server.Get(asset.path, [&asset](const httplib::Request&, httplib::Response& response) {
      response.set_content(asset.content, asset.type);
    });
  }
  server.Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
    if (!service.works()) return refuse(response, 503, kDeviceFailed);
    response.set_content("{\"status\":\"ok\"}\n", kJson);
  });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics.text(service.waiting(), service.works()), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/v1/models", [this](const httplib::Request&, httplib::Response& response) { answer_models(response); });
  server.Post("/v1/detect", [this](const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& reader) { answer_detect(request, response, reader); });
}

bool HttpServer::Impl::may_ask(const httplib::Request& request, httplib::Response& response) const {
  if (options.tokens.empty()) {
    if (is_local_host_header(request.get_header_value("Host"))) return true;
    refuse(response, 421, "this server is for programs of its own machine; name it 127.0.0.1 or localhost");
    return false;
  }
  const bool is_open = request.path == "/healthz" ||
                       std::ranges::any_of(kAssets, [&](const Asset& a) { return request.path == a.path; });
  if (is_open || is_authorized(request.get_header_value("Authorization"), options.tokens)) return true;
  refuse(response, 401, "give a token: Authorization: Bearer TOKEN");
  response.set_header("WWW-Authenticate", "Bearer");
  return false;
}

void HttpServer::Impl::answer_models(httplib::Response& response) {
  const Detector& detector = service.detector();
  nlohmann::json scorer = {{"name", model.name},
                           {"view", view_name(detector.view())},
                           {"threshold", detector.threshold()},
                           {"meaning", detector.verdict_meaning()}};
  const std::vector<std::string> members = detector.members();
  for (std::size_t m = 0; members.size() > 1 && m < members.size(); ++m)
    scorer["members"].push_back({{"name", members[m]}});
  const nlohmann::json answer = {
      {"models", nlohmann::json::array({scorer})}, {"device", detector.description()}, {"version", model.version}};
  response.set_content(json_text(answer) + '\n', kJson);
}

void HttpServer::Impl::answer_detect(const httplib::Request& request, httplib::Response& response,
                                     const httplib::ContentReader& reader) {
  if (ConnectionQueue::is_refusing()) {
    const auto end = Clock::now() + kRefusalPatience;
    const auto discard = [&](const char*, std::size_t) { return Clock::now() < end; };
    request.is_multipart_form_data() ? reader([](const httplib::MultipartFormData&) { return true; }, discard)
                                     : reader(discard);
    return refuse_and_close(response);
  }
  Upload upload({options.max_body, options.max_pictures, Clock::now() + options.timeout}, budget);
  const auto receive = [&](const char* data, std::size_t bytes) { return upload.append(data, bytes); };
  bool complete = false;
  if (request.is_multipart_form_data()) {
    complete = reader(
        [&](const httplib::MultipartFormData& part) {
          return upload.begin_part(part.filename.empty() ? part.name : part.filename);
        },
        receive);
  } else {
    const std::string name = request.has_param("name") ? request.get_param_value("name") : "picture";
    complete = upload.begin_part(name) && reader(receive);
  }
  if (upload.status() != 200) return refuse(response, upload.status(), upload.error());
  if (!complete) {
    if (response.status < 400) response.status = 400;
    return refuse(response, response.status,
                  response.status == 413 ? "the request is too large; start the server with a higher --max-bytes"
                                         : "the request's body can't be read");
  }
  if (upload.received() == 0) {
    return refuse(response, 400,
                  "there is no picture in the request; send its bytes as the body, or as parts of multipart/form-data");
  }
  std::vector<PictureRequest> pictures;
  for (Upload::Part& part : upload.parts()) {
    pictures.push_back({part.name, std::move(part.bytes), asks_for(request, "explain"), asks_for(request, "stable")});
  }
  auto answers = service.submit(std::move(pictures));
  if (!answers)
    return refuse(response, 503, "the server is busy: as many pictures as it may hold wait already; try again");
  const auto deadline = Clock::now() + options.timeout;
  std::vector<Detection> detections;
  for (std::future<Detection>& answer : *answers) {
    if (answer.wait_until(deadline) != std::future_status::ready) {
      return refuse(response, 503, "the server is busy: the pictures were not scored in time; try again");
    }
    try {
      detections.push_back(answer.get());
    } catch (const std::exception&) {  // that ended the stream: nothing of this picture's
      return refuse(response, 503, kDeviceFailed);
    }
    metrics.picture(detections.back().scored() ? verdict_name(detections.back()) : "failed");
  }
  const bool single = detections.size() == 1;
  if (single && !detections[0].scored()) response.status = 422;
  response.set_content(
      records_json(detections, service.detector().deliveries_when_stable(), service.detector().members()), kJson);
}

std::string HttpServer::Impl::route_of(const std::string& path) const {
  for (const char* route : {"/v1/detect", "/v1/models", "/healthz", "/metrics"}) {
    if (path == route) return route;
  }
  for (const Asset& asset : kAssets) {
    if (path == asset.path) return asset.path;
  }
  return "other";
}

void HttpServer::Impl::account(const httplib::Request& request, const httplib::Response& response) {
  const std::string route = route_of(request.path);
  const double seconds = std::chrono::duration<double>(Clock::now() - request_began).count();
  metrics.request(route, response.status, seconds);
  if (!log) return;
  const std::time_t now = std::time(nullptr);
  log(fmt::format("{:%Y-%m-%dT%H:%M:%SZ} {} {} {} {} {:.1f} ms", fmt::gmtime(now), request.remote_addr, request.method,
                  route, response.status, 1e3 * seconds));
}

HttpServer::HttpServer(ServeOptions options, ServedModel model, ScoringService& service,
                       std::function<void(const std::string&)> log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(model), service, std::move(log))) {
  impl_->set_up();
}

HttpServer::~HttpServer() = default;

void HttpServer::bind() {
  Impl& impl = *impl_;
  const int port = impl.options.port;
  impl.bound_port = port == 0 ? impl.server.bind_to_any_port(impl.options.host)
                    : impl.server.bind_to_port(impl.options.host, port) ? port
                                                                        : -1;
  if (impl.bound_port < 0) {
    throw Error(
        ErrorCode::output,
        fmt::format("can't listen on {} port {}: is another program using it? Choose another --port, or 0 for any",
                    impl.options.host, port));
  }
  ::listen(impl.listening, kBacklog);
}

int HttpServer::port() const { return impl_->bound_port; }

void HttpServer::run() { impl_->server.listen_after_bind(); }

void HttpServer::stop() { impl_->server.stop(); }

}  // namespace lfm
