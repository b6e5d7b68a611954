// Frames of films by FFmpeg's libraries. Nothing is read but the file itself: no protocol, no playlist, no other
// container.
#include "src/video/video.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/mem.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <new>
#include <string>
#include <vector>

#include "lfm/error.h"
#include "src/machine/late_library.h"

namespace lfm {
namespace {

constinit const LateLibrary kLibavutil("libavutil");
LFM_LATE(kLibavutil, av_dict_free);
LFM_LATE(kLibavutil, av_dict_set);
LFM_LATE(kLibavutil, av_display_rotation_get);
LFM_LATE(kLibavutil, av_frame_alloc);
LFM_LATE(kLibavutil, av_frame_free);
LFM_LATE(kLibavutil, av_log_set_level);
LFM_LATE(kLibavutil, av_max_alloc);
LFM_LATE(kLibavutil, av_strerror);
constinit const LateLibrary kLibavcodec("libavcodec");
LFM_LATE(kLibavcodec, av_packet_alloc);
LFM_LATE(kLibavcodec, av_packet_free);
LFM_LATE(kLibavcodec, av_packet_unref);
LFM_LATE(kLibavcodec, avcodec_alloc_context3);
LFM_LATE(kLibavcodec, avcodec_free_context);
LFM_LATE(kLibavcodec, avcodec_open2);
LFM_LATE(kLibavcodec, avcodec_parameters_to_context);
LFM_LATE(kLibavcodec, avcodec_receive_frame);
LFM_LATE(kLibavcodec, avcodec_send_packet);
constinit const LateLibrary kLibavformat("libavformat");
LFM_LATE(kLibavformat, av_find_best_stream);
LFM_LATE(kLibavformat, av_read_frame);
LFM_LATE(kLibavformat, avformat_close_input);
LFM_LATE(kLibavformat, avformat_find_stream_info);
LFM_LATE(kLibavformat, avformat_open_input);
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
LFM_LATE(kLibavcodec, av_packet_side_data_get);
#else
LFM_LATE(kLibavformat, av_stream_get_side_data);
#endif
constinit const LateLibrary kLibswscale("libswscale");
LFM_LATE(kLibswscale, sws_freeContext);
LFM_LATE(kLibswscale, sws_getCachedContext);
LFM_LATE(kLibswscale, sws_getCoefficients);
LFM_LATE(kLibswscale, sws_scale);
LFM_LATE(kLibswscale, sws_setColorspaceDetails);

/// FFmpeg's libraries call it a lack of memory, too, where a damaged file asks for more than they ever give: malloc's
/// errno, which is cleared before, tells.
[[noreturn]] void fail_with(const char* what, int code) {
  if (code == AVERROR(ENOMEM)) {
    if (errno == ENOMEM) throw std::bad_alloc();
    throw Error(ErrorCode::input, std::string(what) + " (it asks for more memory than any film needs: it is damaged)");
  }
  char words[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(code, words, sizeof words);
  throw Error(ErrorCode::input, std::string(what) + " (" + words + ")");
}

void check_frame_size(int width, int height, std::uint64_t limit) {
  constexpr int most = 1 << 20;
  const std::uint64_t pixels =
      static_cast<std::uint64_t>(std::max(width, 0)) * static_cast<std::uint64_t>(std::max(height, 0));
  if (pixels == 0 || width > most || height > most || pixels > limit) {
    throw Error(ErrorCode::input, "its frames are of " + std::to_string(width) + " x " + std::to_string(height) +
                                      " pixels; more than the limit of " + std::to_string(limit) +
                                      ", or none; raise --max-pixels if that is right");
  }
}

}  // namespace

std::string why_no_films() {
  for (const LateLibrary* library : {&kLibavformat, &kLibavcodec, &kLibavutil, &kLibswscale}) {
    if (const std::string missing = library->missing(); !missing.empty()) {
      return "films can't be read: " + missing + ", or extract frames as PNG first (ffmpeg -i FILE frame-%05d.png)";
    }
  }
  return {};
}

struct Video::Impl {
  AVFormatContext* format = nullptr;
  AVCodecContext* codec = nullptr;
  AVFrame* frame = nullptr;
  AVPacket* packet = nullptr;
  SwsContext* scaler = nullptr;
  int stream = -1;
  std::uint64_t max_pixels = 0;
  double begin = 0;  ///< seconds of the first frame
  bool begun = false, drained = false;
  double last = -1;  ///< seconds of the frame given last

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (format == nullptr) return;  // the libraries may be missing
    sws_freeContext(scaler);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    avformat_close_input(&format);
  }

  void open(const char* path);
  bool decode_frame();
  int orientation() const;
  Image rgb();
};

void Video::Impl::open(const char* path) {
  av_log_set_level(AV_LOG_QUIET);
  // What FFmpeg's libraries ask for at once: a plane of a frame, never a gigabyte because a damaged table says so.
  constexpr std::uint64_t least = 1 << 27, bytes_per_pixel = 4;
  av_max_alloc(static_cast<std::size_t>(
      std::clamp<std::uint64_t>(std::min<std::uint64_t>(max_pixels, INT_MAX) * bytes_per_pixel, least, INT_MAX)));
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,matroska,webm,avi", 0);
  const std::string url = std::string("file:") + path;
  const int opened = avformat_open_input(&format, url.c_str(), nullptr, &options);
  av_dict_free(&options);
  if (opened < 0) fail_with("the film can't be read", opened);
  if (const int found = avformat_find_stream_info(format, nullptr); found < 0) fail_with("the film is damaged", found);
  const AVCodec* decoder = nullptr;
  stream = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (stream < 0) fail_with("the film has no pictures that FFmpeg's libraries can decode", stream);
  const AVCodecParameters& parameters = *format->streams[stream]->codecpar;
  check_frame_size(parameters.width, parameters.height, max_pixels);
  codec = avcodec_alloc_context3(decoder);
  frame = av_frame_alloc();
  packet = av_packet_alloc();
  if (codec == nullptr || frame == nullptr || packet == nullptr) throw std::bad_alloc();
  if (const int set = avcodec_parameters_to_context(codec, &parameters); set < 0)
    fail_with("the film can't be decoded", set);
  codec->max_pixels = static_cast<std::int64_t>(std::min<std::uint64_t>(max_pixels, INT64_MAX));
  codec->thread_count = 2;  // the network has the other cores
  if (const int started = avcodec_open2(codec, decoder, nullptr); started < 0)
    fail_with("the film can't be decoded", started);
}

/// The next frame in order of time; false at the end.
bool Video::Impl::decode_frame() {
  for (;;) {
    const int received = avcodec_receive_frame(codec, frame);
    if (received == 0) return true;
    if (received == AVERROR_EOF) return false;
    if (received != AVERROR(EAGAIN)) fail_with("a frame can't be decoded", received);
    if (drained) return false;
    const int read = av_read_frame(format, packet);
    if (read < 0) {
      if (read != AVERROR_EOF) fail_with("the film is truncated or damaged", read);
      drained = true;
      avcodec_send_packet(codec, nullptr);
      continue;
    }
    const int sent = packet->stream_index == stream ? avcodec_send_packet(codec, packet) : 0;
    av_packet_unref(packet);
    if (sent < 0 && sent != AVERROR_INVALIDDATA) fail_with("the film is damaged", sent);  // a bad packet is passed over
  }
}

/// Of the display matrix, a turn counter-clockwise by its angle.
int Video::Impl::orientation() const {
  const std::uint8_t* matrix = nullptr;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVCodecParameters& parameters = *format->streams[stream]->codecpar;
  const AVPacketSideData* data =
      av_packet_side_data_get(parameters.coded_side_data, parameters.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  if (data != nullptr) matrix = data->data;
#else
  matrix = av_stream_get_side_data(format->streams[stream], AV_PKT_DATA_DISPLAYMATRIX, nullptr);
#endif
  if (matrix == nullptr) return 1;
  const double angle = av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
  if (std::isnan(angle)) return 1;
  constexpr int turned[] = {1, 8, 3, 6};
  return turned[static_cast<unsigned>(std::lround(angle / 90) + 8) & 3u];
}

Image Video::Impl::rgb() {
  check_frame_size(frame->width, frame->height, max_pixels);
  constexpr int how = SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND;
  scaler = sws_getCachedContext(scaler, frame->width, frame->height, static_cast<AVPixelFormat>(frame->format),
                                frame->width, frame->height, AV_PIX_FMT_RGB24, how, nullptr, nullptr, nullptr);
  if (scaler == nullptr) throw Error(ErrorCode::input, "its frames are in a pixel format that can't be converted");
  const int usual = frame->height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  const int space = frame->colorspace == AVCOL_SPC_UNSPECIFIED ? usual : static_cast<int>(frame->colorspace);
  const int* const coefficients = sws_getCoefficients(space);
  sws_setColorspaceDetails(scaler, coefficients, frame->color_range == AVCOL_RANGE_JPEG ? 1 : 0, coefficients, 1, 0,
                           1 << 16, 1 << 16);
  // The scaler writes beyond a row's end: its memory is wider than the picture.
  const int stride = (3 * frame->width + 63) / 64 * 64 + 64;
  std::vector<std::uint8_t> wide(static_cast<std::size_t>(stride) * static_cast<std::size_t>(frame->height));
  std::uint8_t* const planes[] = {wide.data()};
  const int strides[] = {stride};
  sws_scale(scaler, frame->data, frame->linesize, 0, frame->height, planes, strides);
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(frame->width);
  Image image{frame->width, frame->height, std::vector<std::uint8_t>(row * static_cast<std::size_t>(frame->height))};
  for (std::size_t y = 0; y < static_cast<std::size_t>(frame->height); ++y) {
    std::copy_n(&wide[y * static_cast<std::size_t>(stride)], row, &image.rgb[y * row]);
  }
  return image;
}

Video::Video(const std::filesystem::path& file, const DecodeLimits& limits) : impl_(std::make_unique<Impl>()) {
  if (const std::string missing = why_no_films(); !missing.empty()) throw Error(ErrorCode::input, missing);
  impl_->max_pixels = limits.max_pixels;
  errno = 0;
  impl_->open(file.c_str());
}

Video::~Video() = default;

std::optional<VideoFrame> Video::next(double seconds) {
  Impl& video = *impl_;
  const AVRational base = video.format->streams[video.stream]->time_base;
  errno = 0;
  while (video.decode_frame()) {
    const std::int64_t stamp = video.frame->best_effort_timestamp;
    const double at =
        stamp == AV_NOPTS_VALUE ? video.last + 1e-3 + video.begin : static_cast<double>(stamp) * av_q2d(base);
    if (!video.begun) video.begin = at;
    video.begun = true;
    video.last = at - video.begin;
    constexpr double rounding = 1e-6, most_seconds = 1e8;  // three years
    if (!(video.last < most_seconds))
      throw Error(ErrorCode::input, "the film is damaged (the times of its frames make no sense)");
    if (video.last + rounding < seconds) continue;
    return VideoFrame{video.rgb(), video.orientation(), video.last};
  }
  return std::nullopt;
}

}  // namespace lfm
