// Who may ask a server: clients of this machine, or those that hold a token.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lfm {

/// One token a line; empty lines and lines that begin with # don't count. Throws Error{input} where the file can't be
/// read or holds none, and for a token of fewer than 16 characters.
std::vector<std::string> read_tokens(const std::filesystem::path& file);

/// Whether an Authorization header's value is "Bearer TOKEN" with one of the tokens. Takes the same time for all wrong
/// ones of a length.
bool is_authorized(std::string_view header, const std::vector<std::string>& tokens);

/// Whether an address to listen on is this machine's own: 127.0.0.0/8, ::1 or localhost.
bool is_loopback(std::string_view address);

/// Whether a Host header names this machine. A page from elsewhere whose name was made to resolve to this machine has
/// another (DNS rebinding), and must not read answers that are for this machine's user.
bool is_local_host_header(std::string_view header);

}  // namespace lfm
