// The formats without a library of their own: BMP, PSD, PNM, TGA.
#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lfm/error.h"
#include "src/image/decoders.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_ONLY_PSD
#define STBI_ONLY_PNM
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MALLOC(size) std::calloc(1, size)  // some loaders show what they failed to read
#define STBI_REALLOC(pointer, size) std::realloc(pointer, size)
#define STBI_FREE(pointer) std::free(pointer)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace lfm {
namespace {

struct Header {
  int width = 0, height = 0;
  bool known = false;
};

Header read_header(Bytes bytes) {
  Header header;
  int channels = 0;
  header.known =
      bytes.size() <= INT_MAX &&
      stbi_info_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()), static_cast<int>(bytes.size()),
                            &header.width, &header.height, &channels) != 0;
  return header;
}

// stb_image reads zeros past the end of the file and reports success. So it reads through these callbacks,
// which notice. It buffers ahead by as much as buflen; near the end that is turned down to one byte, so that
// only a true read past the end comes up short.
struct Input {
  Bytes left;
  stbi__context* context;
  bool overrun = false;
};

int on_read(void* user, char* destination, int count) {
  auto& input = *static_cast<Input*>(user);
  const std::size_t wanted = static_cast<std::size_t>(std::max(count, 0));
  const std::size_t n = std::min(input.left.size(), wanted);
  if (n != 0) std::memcpy(destination, input.left.data(), n);
  input.left = input.left.subspan(n);
  const bool filled_ahead =
      count == static_cast<int>(sizeof(input.context->buffer_start)) && input.context->buflen == count;
  if (n < wanted && !filled_ahead) input.overrun = true;
  if (input.left.size() < sizeof(input.context->buffer_start)) input.context->buflen = 1;
  return static_cast<int>(n);
}

void on_skip(void* user, int count) {
  auto& input = *static_cast<Input*>(user);
  const std::size_t wanted = static_cast<std::size_t>(std::max(count, 0));
  if (count < 0 || wanted > input.left.size()) input.overrun = true;
  input.left = input.left.subspan(std::min(wanted, input.left.size()));
  if (input.left.size() < sizeof(input.context->buffer_start)) input.context->buflen = 1;
}

int on_end(void* user) {
  return static_cast<Input*>(user)->left.empty() ? 1 : 0;
}

/// The largest sample value that a binary PNM header states; 0 if it is malformed or states a number that stb_image's int can't hold.
long pnm_maximum(Bytes bytes) {
  std::size_t at = 2;
  long value = 0;
  for (int field = 0; field < 3; ++field) {  // width, height, maximum
    const auto next = [&] { return at < bytes.size() ? static_cast<int>(bytes[at]) : -1; };
    while (std::isspace(next()) != 0 || next() == '#') {
      if (next() == '#') {
        while (next() != '\n' && next() != '\r' && next() != -1) ++at;
      } else {
        ++at;
      }
    }
    if (std::isdigit(next()) == 0) return 0;
    for (value = 0; std::isdigit(next()) != 0 && value < 100'000'000; ++at)
      value = value * 10 + (next() - '0');
    if (std::isdigit(next()) != 0) return 0;
  }
  return value;
}

std::uint32_t little_endian(Bytes bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<std::uint32_t>(bytes[at + i]);
  return value;
}

/// A BMP whose palette lacks colours that its pixels may ask for, which stb_image would take from memory it never set, with that palette
/// filled up with black; nothing for any other file. Throws Error{input} where there is no palette at all.
std::vector<std::byte> with_full_palette(Bytes bytes) {
  constexpr std::size_t file_header = 14, os2_header = 12, colors = 256;
  if (sniff_image(bytes) != ImageFormat::bmp || bytes.size() < 30) return {};
  const std::size_t offset = little_endian(bytes, 10, 4), header = little_endian(bytes, file_header, 4);
  const bool is_os2 = header == os2_header;
  const std::size_t entry = is_os2 ? 3 : 4, begin = file_header + header;
  if (little_endian(bytes, is_os2 ? 24 : 28, 2) > 8) return {};
  if (offset <= begin) {
    throw Error(ErrorCode::input, "the file is corrupt: its pixels begin where its palette should; export it again");
  }
  if (offset > bytes.size() || (offset - begin) / entry > colors) return {};
  // Of an OS/2 palette stb_image looks at twelve bytes less than there are.
  const std::size_t data = begin + colors * entry + (is_os2 ? os2_header : 0);
  std::vector<std::byte> full(data);
  std::copy_n(bytes.begin(), offset, full.begin());
  for (std::size_t i = 0; i < 4; ++i) full[10 + i] = static_cast<std::byte>(data >> 8 * i);
  full.insert(full.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes.end());
  return full;
}

}  // namespace

bool is_stb_image(Bytes bytes) {
  return read_header(bytes).known;
}

Image decode_stb(Bytes bytes, const DecodeLimits& limits) {
  const auto fail = [](const char* reason) {
    if (reason != nullptr && std::strcmp(reason, "outofmem") == 0) throw std::bad_alloc();
    throw Error(ErrorCode::input, std::string("the file is corrupt or of a variant that isn't supported (") +
                                      (reason != nullptr ? reason : "unknown cause") +
                                      "); convert it to PNG with another program");
  };
  if (sniff_image(bytes) == ImageFormat::pnm) {  // first: stb_image's reader of the header overflows
    const long maximum = pnm_maximum(bytes);
    if (maximum != 255) fail(maximum == 0 ? "the PNM header is malformed" : "PNM samples must go from 0 to 255");
  }
  const Header header = read_header(bytes);
  if (!header.known) fail(stbi_failure_reason());
  check_size(static_cast<std::uint64_t>(std::max(header.width, 0)),
             static_cast<std::uint64_t>(std::max(header.height, 0)), limits);

  const std::vector<std::byte> full_palette = with_full_palette(bytes);
  stbi__context context;
  Input input{full_palette.empty() ? bytes : Bytes(full_palette), &context};
  stbi_io_callbacks callbacks{on_read, on_skip, on_end};
  context.buflen = 0;
  stbi__start_callbacks(&context, &callbacks, &input);
  if (input.left.empty()) context.buflen = 1;
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi__load_and_postprocess_8bit(&context, &width, &height, &channels, 3), stbi_image_free);
  if (input.overrun) {
    throw Error(ErrorCode::input,
                "the file is truncated: it ends before the picture does; copy or download it again");
  }
  if (!pixels) fail(stbi_failure_reason());
  if (width != header.width || height != header.height) fail("its header contradicts itself");
  Image image = make_image(width, height);
  std::copy_n(pixels.get(), image.rgb.size(), image.rgb.begin());
  return image;
}

}  // namespace lfm
