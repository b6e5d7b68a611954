#include "src/serve/access.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <fstream>

#include "lfm/error.h"

namespace lfm {
namespace {

constexpr std::size_t kShortestToken = 16;

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

}  // namespace

std::vector<std::string> read_tokens(const std::filesystem::path& file) {
  std::ifstream lines(file);
  if (!lines)
    throw Error(ErrorCode::input,
                fmt::format("{}: the tokens can't be read; is it there, and readable?", file.string()));
  std::vector<std::string> tokens;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < kShortestToken) {
      throw Error(ErrorCode::input,
                  fmt::format("{}: a token has fewer than {} characters; make one with: openssl rand -hex 24",
                              file.string(), kShortestToken));
    }
    tokens.push_back(line);
  }
  if (tokens.empty()) {
    throw Error(ErrorCode::input,
                fmt::format("{}: there is no token in it; make one with: openssl rand -hex 24", file.string()));
  }
  return tokens;
}

bool is_authorized(std::string_view header, const std::vector<std::string>& tokens) {
  constexpr std::string_view scheme = "Bearer ";
  if (!header.starts_with(scheme)) return false;
  header.remove_prefix(scheme.size());
  bool found = false;
  for (const std::string& token : tokens) found |= equal_in_constant_time(header, token);
  return found;
}

bool is_loopback(std::string_view address) {
  if (address == "localhost" || address == "::1") return true;
  const bool numeric =
      !address.empty() && std::ranges::all_of(address, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return numeric && address.starts_with("127.") && std::ranges::count(address, '.') == 3;
}

bool is_local_host_header(std::string_view header) {
  if (header.starts_with('[')) {  // [::1]:8080
    const std::size_t end = header.find(']');
    return end != std::string_view::npos && is_loopback(header.substr(1, end - 1));
  }
  return is_loopback(header.substr(0, header.find(':')));
}

}  // namespace lfm
