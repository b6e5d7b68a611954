#include "src/pipeline/path_list.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "lfm/error.h"
#include "src/image/formats.h"

namespace lfm {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kLongestEntry = 64 * 1024;
constexpr std::size_t kTellingBytes = 64;  ///< of a beginning that is no plain text: enough to tell what it is
constexpr int kPollMilliseconds = 100;     ///< after which a waiting reader looks whether it was cancelled
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t\r";
constexpr const char* kZeroBytes =
    "the list has NUL bytes between its paths, as find -print0 writes them; use --null (-0)";

bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

/// A control character that no list of paths has between them.
bool is_control(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\0') || byte == 0x7f;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4)) return false;
    if (i + length > text.size()) return true;  // the text was cut there
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<std::uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

/// "UTF-16" or "UTF-32" by byte-order mark or, without one, by the line ends and zero bytes that ASCII in them has;
/// else nothing.
std::string_view wide_encoding(std::string_view head, ListSeparator separator) {
  if (head.starts_with("\xff\xfe\0\0"sv) || head.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (head.starts_with("\xff\xfe"sv) || head.starts_with("\xfe\xff"sv)) return "UTF-16";
  if (head.size() < 4) return {};
  for (const std::size_t high :
       {std::size_t{1}, std::size_t{0}}) {  // where a code unit's high byte lies: little-endian, big-endian
    const std::size_t low = 1 - high;
    std::size_t zero_high = 0, zero_low = 0, line_ends = 0, units = head.size() / 2;
    for (std::size_t unit = 0; unit < units; ++unit) {
      const char l = head[2 * unit + low], h = head[2 * unit + high];
      zero_high += h == '\0';
      zero_low += l == '\0';
      line_ends += h == '\0' && (l == '\n' || l == '\r');
    }
    const bool all_ascii =
        zero_high == units && units >= 4 && separator == ListSeparator::line;  // else names of one letter
    if (zero_low == 0 && (all_ascii || (line_ends > 0 && 2 * zero_high > units))) return "UTF-16";
  }
  return {};
}

/// What a picture is whose bytes these are, "a PNG picture"; else nothing. File names may begin as some formats do
/// ("BMW.jpg"), so more is asked for.
std::string picture_instead(std::string_view head) {
  const Format* format = find_format(std::as_bytes(std::span(head)));
  if (format == nullptr) return {};
  const bool is_text =
      is_utf8(head) && std::none_of(head.begin(), head.end(), [](char c) { return c == '\0' || is_control(c); });
  bool sure = !is_text && (head.find('\0') != head.npos || static_cast<std::uint8_t>(head[0]) >= 0x80);
  if (head.size() > 4 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7') {  // PNM: its sides come next
    const std::size_t word = head.find_first_not_of(" \t\r\n", 2);
    const std::size_t end = word == head.npos ? head.npos : head.find_first_not_of("0123456789", word);
    sure = end != head.npos && word > 2 && end > word && (head[end] == ' ' || head[end] == '\n');
  }
  return sure ? fmt::format("a {} {}", format->name, format->decode != nullptr ? "picture" : "file") : "";
}

}  // namespace

void PathList::give_up(const std::string& why) {
  ended_ = true;
  buffer_.clear();
  searched_ = 0;
  throw Error(ErrorCode::input, why);
}

bool PathList::wait_until_readable() {
  pollfd request{descriptor_, POLLIN, 0};
  if (poll(&request, 1, 0) > 0) return true;  // an error shows in read()
  starved_ = true;
  int ready = 0;
  while (!cancelled_ && (ready == 0 || (ready < 0 && errno == EINTR))) ready = poll(&request, 1, kPollMilliseconds);
  starved_ = false;
  return !cancelled_;
}

/// Reads on; false after cancel().
bool PathList::fill() {
  for (;;) {
    if (!wait_until_readable()) return false;
    std::array<char, 16 * 1024> block;
    const ssize_t got = read(descriptor_, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) give_up(fmt::format("the list can't be read: {}", std::generic_category().message(errno)));
    if (got == 0) ended_ = true;
    buffer_.append(block.data(), static_cast<std::size_t>(got));
    return true;
  }
}

/// A live list's first path must not wait for more of them; what doesn't begin like text may.
bool PathList::enough_to_judge() const {
  if (ended_ || buffer_.size() >= kTellingBytes) return true;
  if (buffer_.empty()) return false;
  const auto first = static_cast<std::uint8_t>(buffer_[0]);
  const bool text = (first >= 0x20 && first < 0x7f) || first == '\t' || first == '\n' || first == '\r' ||
                    (first >= 0xc2 && first < 0xef);
  return text && buffer_.find_first_of("\n\0"sv) != std::string::npos;
}

/// What no list is gets one message instead of one for each piece of it.
void PathList::judge_beginning() {
  judged_ = true;
  const std::string_view head = buffer_;
  if (const std::string picture = picture_instead(head.substr(0, kFormatHeadBytes)); !picture.empty()) {
    give_up(fmt::format("standard input is {}, not a list of paths; save it as a file and name that", picture));
  }
  if (const std::string_view encoding = wide_encoding(head, separator_); !encoding.empty()) {
    give_up(fmt::format("the list is {}; save it as UTF-8", encoding));
  }
  const bool zero = head.find('\0') != head.npos;
  if (std::any_of(head.begin(), head.end(), is_control) &&
      (!is_utf8(head) || (zero && separator_ == ListSeparator::line))) {
    give_up("standard input is binary data, not a list of paths; give one path a line");
  }
  if (separator_ == ListSeparator::nul) {
    end_of_entry_ = '\0';
  } else if (head.find('\n') == head.npos) {
    const std::size_t cr = head.find('\r');
    if (cr != head.npos && cr + 1 < head.size()) end_of_entry_ = '\r';
  }
}

std::optional<std::string> PathList::next_entry() {
  for (;;) {
    if (!judged_ && enough_to_judge()) judge_beginning();
    if (judged_) {
      const std::size_t end = buffer_.find(end_of_entry_, searched_);
      if (end != std::string::npos) {
        std::string entry = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        searched_ = 0;
        return entry;
      }
      searched_ = buffer_.size();
      if (ended_) {
        searched_ = 0;
        if (buffer_.empty()) return std::nullopt;
        std::string entry = std::exchange(buffer_, {});
        const bool other_separator =
            separator_ == ListSeparator::nul && entries_ == 0 && entry.find('\n') != std::string::npos;
        if (other_separator && !exists(entry))
          give_up("the list has one path a line and no NUL byte; leave --null out");
        if (separator_ == ListSeparator::line && entry.find('\0') != std::string::npos) give_up(kZeroBytes);
        return entry;
      }
    }
    if (buffer_.size() > kLongestEntry) {
      if (separator_ == ListSeparator::nul)
        give_up("the list holds an entry too long to be a path; --null wants a NUL byte after each path");
      give_up(buffer_.find('\0') != std::string::npos
                  ? kZeroBytes
                  : "the list holds a line too long to be a path; give one path a line");
    }
    if (!fill()) return std::nullopt;
  }
}

std::optional<ListedPath> PathList::next() {
  while (auto entry = next_entry()) {
    if (separator_ == ListSeparator::nul) {
      ++entries_;
      if (!entry->empty()) return ListedPath{std::move(*entry)};
      continue;
    }
    const std::ptrdiff_t zeros = std::count(entry->begin(), entry->end(), '\0');
    if (zeros > 1) give_up(kZeroBytes);
    if (zeros == 1) {
      entry->replace(entry->find('\0'), 1, "\\x00");  // a path with a NUL would end messages there
      return ListedPath{std::move(*entry), "the path holds a zero byte"};
    }
    if (entry->empty()) continue;
    if (exists(*entry)) return ListedPath{std::move(*entry)};
    std::string_view path = *entry;
    if (path.starts_with(kByteOrderMark)) path.remove_prefix(kByteOrderMark.size());
    const std::size_t first = path.find_first_not_of(kBlanks);
    if (first == path.npos) continue;
    path = path.substr(first, path.find_last_not_of(kBlanks) + 1 - first);
    return ListedPath{std::string(path)};
  }
  return std::nullopt;
}

}  // namespace lfm
