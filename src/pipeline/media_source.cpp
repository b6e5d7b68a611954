#include "src/pipeline/media_source.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <span>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"
#include "src/image/file.h"
#include "src/image/formats.h"
#include "src/image/orientation.h"

namespace lfm {
namespace {

/// The format that a file's first bytes tell; null where it can't be read: who decodes it says why.
const Format* format_of(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return nullptr;
  std::vector<char> head(kFormatHeadBytes);
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  return find_format(std::as_bytes(std::span(head)));
}

}  // namespace

std::string time_text(double seconds) {
  const auto thousandths = static_cast<long long>(std::llround(seconds * 1000));
  return fmt::format("{}:{:02}:{:02}.{:03}", thousandths / 3'600'000, thousandths / 60'000 % 60,
                     thousandths / 1000 % 60, thousandths % 1000);
}

std::optional<Input> MediaSource::next() {
  if (auto part = next_part()) return part;
  std::optional<Input> input = inputs_.next();
  if (!input || !input->error.empty()) return input;
  try {
    if (!open(*input)) return input;
  } catch (const Error& error) {
    input->error = error.what();
    return input;
  } catch (const std::bad_alloc&) {
    input->error = "there isn't enough memory to read it";
    return input;
  }
  if (auto part = next_part()) return part;
  input->error = "the film has no frames";
  return input;
}

bool MediaSource::open(const Input& input) {
  const bool may_have_parts = options_.pages || options_.every;
  const Format* const format = may_have_parts ? format_of(input.path) : nullptr;
  if (format == nullptr) return false;
  if (options_.every && format->is_film) {
    video_ = std::make_unique<Video>(input.path, options_.limits);
    frame_ = 0;
  } else if (options_.pages && format->pages != nullptr) {
    std::vector<std::byte> bytes = read_file(input.path, options_.limits.max_file_bytes);
    const int pages = count_pages(bytes, options_.limits);
    if (pages < 2) return false;
    tiff_ = std::move(bytes);
    page_ = 0;
    pages_ = pages;
  } else {
    return false;
  }
  file_ = input;
  return true;
}

std::optional<Input> MediaSource::next_part() {
  Input part = file_;
  try {
    if (video_) {
      auto frame = video_->next(static_cast<double>(frame_) * options_.every.value_or(1));
      if (!frame) {
        video_.reset();
        return std::nullopt;
      }
      frame_ = static_cast<std::size_t>(frame->seconds / options_.every.value_or(1) + 1e-6) + 1;
      part.part = time_text(frame->seconds);
      part.orientation = frame->orientation;
      part.image = std::make_shared<const Image>(std::move(frame->image));
      return part;
    }
    if (page_ < pages_) {
      part.part = fmt::format("page {}", page_ + 1);
      Page page = decode_page(tiff_, page_++, options_.limits);
      part.orientation = page.orientation;
      part.image = std::make_shared<const Image>(std::move(page.image));
      if (page_ == pages_) tiff_ = {};
      return part;
    }
  } catch (const Error& error) {
    part.error = error.what();
  } catch (const std::bad_alloc&) {
    part.error = "there isn't enough memory to decode it";
  }
  if (part.error.empty()) return std::nullopt;
  if (video_) {  // after a frame that fails nothing is sure
    video_.reset();
    if (part.part.empty()) part.part = time_text(static_cast<double>(frame_) * options_.every.value_or(1));
  }
  return part;
}

}  // namespace lfm
