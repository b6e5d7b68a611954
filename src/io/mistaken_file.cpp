#include "src/io/mistaken_file.h"

#include <algorithm>
#include <string_view>

namespace lfm {
namespace {

constexpr std::size_t kLooked = 1024;  ///< bytes that are looked at: the head may be a file of gigabytes

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool starts_with_any_case(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) { return a == lower(b); });
}

/// The text after a byte order mark and white space.
std::string_view after_blanks(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

}  // namespace

const char* mistaken_file(std::span<const std::byte> head) {
  if (head.empty()) return "is empty; copy or download it again";
  const std::string_view bytes(reinterpret_cast<const char*>(head.data()), std::min(head.size(), kLooked));
  if (bytes.starts_with("version https://git-lfs.github.com/spec/")) {
    return "is a Git LFS pointer, not the file itself; run `git lfs pull` where it was cloned";
  }
  const std::string_view text = after_blanks(bytes);
  for (const std::string_view tag : {"<!doctype html", "<html", "<head", "<body", "<script"}) {
    if (starts_with_any_case(text, tag)) {
      return "is a web page, saved in the file's place; open it to see what the server said, then download the file "
             "itself";
    }
  }
  if (starts_with_any_case(text, "<?xml") && text.find("<svg") == std::string_view::npos) {
    return "is an XML document, perhaps a server's error message; open it to see, then download the file itself";
  }
  if (bytes.find_first_not_of('\0') == std::string_view::npos) {
    return "holds zeros where its data should be, as a failed copy does; copy or download it again";
  }
  return nullptr;
}

}  // namespace lfm
