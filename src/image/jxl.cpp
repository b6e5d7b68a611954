#include "src/image/jxl.h"

#include <jxl/decode.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "lfm/error.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

constinit const LateLibrary kLibjxl("libjxl");
LFM_LATE(kLibjxl, JxlDecoderCloseInput);
LFM_LATE(kLibjxl, JxlDecoderCreate);
LFM_LATE(kLibjxl, JxlDecoderDestroy);
LFM_LATE(kLibjxl, JxlDecoderGetBasicInfo);
LFM_LATE(kLibjxl, JxlDecoderGetBoxType);
LFM_LATE(kLibjxl, JxlDecoderImageOutBufferSize);
LFM_LATE(kLibjxl, JxlDecoderProcessInput);
LFM_LATE(kLibjxl, JxlDecoderReleaseBoxBuffer);
LFM_LATE(kLibjxl, JxlDecoderSetBoxBuffer);
LFM_LATE(kLibjxl, JxlDecoderSetDecompressBoxes);
LFM_LATE(kLibjxl, JxlDecoderSetImageOutBuffer);
LFM_LATE(kLibjxl, JxlDecoderSetInput);
LFM_LATE(kLibjxl, JxlDecoderSetKeepOrientation);
LFM_LATE(kLibjxl, JxlDecoderSubscribeEvents);

[[noreturn]] void fail_corrupt() {
  throw Error(ErrorCode::input, "the JPEG XL file is truncated or corrupt; copy or download it again");
}

using Decoding = std::unique_ptr<JxlDecoder, decltype(&::JxlDecoderDestroy)>;

Decoding start(Bytes bytes, int events) {
  Decoding decoder(JxlDecoderCreate(nullptr), JxlDecoderDestroy);
  if (!decoder) throw std::bad_alloc();
  // The pixel grid as it is stored; who shows the picture turns it.
  if (JxlDecoderSetKeepOrientation(decoder.get(), JXL_TRUE) != JXL_DEC_SUCCESS ||
      JxlDecoderSubscribeEvents(decoder.get(), events) != JXL_DEC_SUCCESS ||
      JxlDecoderSetInput(decoder.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) !=
          JXL_DEC_SUCCESS) {
    fail_corrupt();
  }
  JxlDecoderCloseInput(decoder.get());
  return decoder;
}

JxlBasicInfo info_of(const Decoding& decoder) {
  JxlBasicInfo info{};
  if (JxlDecoderGetBasicInfo(decoder.get(), &info) != JXL_DEC_SUCCESS) fail_corrupt();
  return info;
}

std::string type_of_box(const Decoding& decoder, JXL_BOOL unpacked) {
  JxlBoxType type{};
  if (JxlDecoderGetBoxType(decoder.get(), type, unpacked) != JXL_DEC_SUCCESS) fail_corrupt();
  return {type, sizeof type};
}

/// Reads the box at which the decoder stands, as far as it has no more than `most_bytes`, and what came after it.
JxlDecoderStatus read_box(const Decoding& decoder, std::size_t most_bytes, std::vector<std::byte>& body) {
  constexpr std::size_t at_first = 4096;
  std::size_t size = 0;
  JxlDecoderStatus status = JXL_DEC_BOX_NEED_MORE_OUTPUT;
  while (status == JXL_DEC_BOX_NEED_MORE_OUTPUT && body.size() < most_bytes) {
    body.resize(std::min(most_bytes, std::max(at_first, 2 * body.size())));
    if (JxlDecoderSetBoxBuffer(decoder.get(), reinterpret_cast<std::uint8_t*>(&body[size]), body.size() - size) !=
        JXL_DEC_SUCCESS)
      fail_corrupt();
    status = JxlDecoderProcessInput(decoder.get());
    size = body.size() - JxlDecoderReleaseBoxBuffer(decoder.get());
  }
  body.resize(status == JXL_DEC_BOX_NEED_MORE_OUTPUT ? 0 : size);
  return status;
}

}  // namespace

void decode_jxl(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  const Decoding decoder = start(bytes, JXL_DEC_BASIC_INFO | JXL_DEC_FULL_IMAGE);
  constexpr JxlPixelFormat rgb = {3, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
  Image image;
  for (;;) {
    switch (JxlDecoderProcessInput(decoder.get())) {
      case JXL_DEC_BASIC_INFO: {
        const JxlBasicInfo info = info_of(decoder);
        check_size(info.xsize, info.ysize, limits);
        image = make_image(static_cast<int>(info.xsize), static_cast<int>(info.ysize));
        break;
      }
      case JXL_DEC_NEED_IMAGE_OUT_BUFFER: {
        std::size_t needed = 0;
        if (JxlDecoderImageOutBufferSize(decoder.get(), &rgb, &needed) != JXL_DEC_SUCCESS ||
            needed != image.rgb.size() ||
            JxlDecoderSetImageOutBuffer(decoder.get(), &rgb, image.rgb.data(), needed) != JXL_DEC_SUCCESS) {
          fail_corrupt();
        }
        break;
      }
      case JXL_DEC_FULL_IMAGE:  // the first frame; others aren't looked at
        return sink.take(std::move(image));
      case JXL_DEC_NEED_MORE_INPUT:
        throw Error(ErrorCode::input, "the JPEG XL file is truncated; copy or download it again");
      default: fail_corrupt();
    }
  }
}

int jxl_orientation(Bytes bytes) {
  errno = 0;
  try {
    const Decoding decoder = start(bytes, JXL_DEC_BASIC_INFO);
    if (JxlDecoderProcessInput(decoder.get()) == JXL_DEC_BASIC_INFO)
      return static_cast<int>(info_of(decoder).orientation);
  } catch (const Error&) {  // told when the picture is decoded
  }
  if (errno == ENOMEM) throw std::bad_alloc();  // which libjxl calls an error of the file
  return 1;
}

std::vector<PackedBox> jxl_packed_boxes(Bytes bytes, std::size_t most_bytes) {
  constexpr std::size_t most_boxes = 16;
  std::vector<PackedBox> boxes;
  errno = 0;
  try {
    const Decoding decoder = start(bytes, JXL_DEC_BOX);
    if (JxlDecoderSetDecompressBoxes(decoder.get(), JXL_TRUE) != JXL_DEC_SUCCESS) return {};
    JxlDecoderStatus status = JxlDecoderProcessInput(decoder.get());
    while (status == JXL_DEC_BOX && boxes.size() < most_boxes) {
      if (type_of_box(decoder, JXL_FALSE) == "brob") {
        PackedBox& box = boxes.emplace_back();
        box.type = type_of_box(decoder, JXL_TRUE);
        status = read_box(decoder, most_bytes, box.body);
      } else {
        status = JxlDecoderProcessInput(decoder.get());
      }
    }
  } catch (const Error&) {  // what was read till then remains
  }
  if (errno == ENOMEM) throw std::bad_alloc();
  return boxes;
}

}  // namespace lfm
