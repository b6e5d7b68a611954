// lfm-video.so: frames of films by FFmpeg's libraries. Nothing is read but the file itself: no protocol, no playlist, no other container.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "src/video/module.h"

struct LfmVideo {
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
  std::vector<std::uint8_t> rgb;

  ~LfmVideo() {
    sws_freeContext(scaler);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    avformat_close_input(&format);
  }
};

namespace {

struct Failure {
  std::string words;
};

[[noreturn]] void fail(const char* what, int code) {
  char words[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(code, words, sizeof words);
  throw Failure{std::string(what) + " (" + words + ")"};
}

void check_pixels(std::uint64_t width, std::uint64_t height, std::uint64_t limit) {
  if (width == 0 || height == 0 || width > (1u << 20) || height > (1u << 20) || width * height > limit) {
    throw Failure{"its frames are of " + std::to_string(width) + " x " + std::to_string(height) + " pixels; more than the limit of " +
                  std::to_string(limit) + ", or none; raise --max-pixels if that is right"};
  }
}

void open(LfmVideo& video, const char* path) {
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,matroska,webm,avi", 0);
  const std::string url = std::string("file:") + path;
  const int opened = avformat_open_input(&video.format, url.c_str(), nullptr, &options);
  av_dict_free(&options);
  if (opened < 0) fail("the film can't be read", opened);
  if (const int found = avformat_find_stream_info(video.format, nullptr); found < 0) fail("the film is damaged", found);
  const AVCodec* decoder = nullptr;
  video.stream = av_find_best_stream(video.format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (video.stream < 0) fail("the film has no pictures that FFmpeg's libraries can decode", video.stream);
  const AVCodecParameters& parameters = *video.format->streams[video.stream]->codecpar;
  check_pixels(static_cast<std::uint64_t>(std::max(parameters.width, 0)), static_cast<std::uint64_t>(std::max(parameters.height, 0)), video.max_pixels);
  video.codec = avcodec_alloc_context3(decoder);
  video.frame = av_frame_alloc();
  video.packet = av_packet_alloc();
  if (video.codec == nullptr || video.frame == nullptr || video.packet == nullptr) throw std::bad_alloc();
  if (const int set = avcodec_parameters_to_context(video.codec, &parameters); set < 0) fail("the film can't be decoded", set);
  video.codec->max_pixels = static_cast<std::int64_t>(std::min<std::uint64_t>(video.max_pixels, INT64_MAX));
  video.codec->thread_count = 2;  // the network has the other cores
  if (const int started = avcodec_open2(video.codec, decoder, nullptr); started < 0) fail("the film can't be decoded", started);
}

/// The next frame in order of time; false at the end.
bool decode_frame(LfmVideo& video) {
  for (;;) {
    const int received = avcodec_receive_frame(video.codec, video.frame);
    if (received == 0) return true;
    if (received == AVERROR_EOF) return false;
    if (received != AVERROR(EAGAIN)) fail("a frame can't be decoded", received);
    if (video.drained) return false;
    const int read = av_read_frame(video.format, video.packet);
    if (read < 0) {
      if (read != AVERROR_EOF) fail("the film is truncated or damaged", read);
      video.drained = true;
      avcodec_send_packet(video.codec, nullptr);
      continue;
    }
    const int sent = video.packet->stream_index == video.stream ? avcodec_send_packet(video.codec, video.packet) : 0;
    av_packet_unref(video.packet);
    if (sent < 0 && sent != AVERROR_INVALIDDATA) fail("the film is damaged", sent);  // a bad packet is passed over
  }
}

/// Of the display matrix, a turn counter-clockwise by its angle.
int orientation_of(const LfmVideo& video) {
  const std::uint8_t* matrix = nullptr;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVCodecParameters& parameters = *video.format->streams[video.stream]->codecpar;
  const AVPacketSideData* data =
      av_packet_side_data_get(parameters.coded_side_data, parameters.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  if (data != nullptr) matrix = data->data;
#else
  matrix = av_stream_get_side_data(video.format->streams[video.stream], AV_PKT_DATA_DISPLAYMATRIX, nullptr);
#endif
  if (matrix == nullptr) return 1;
  const double angle = av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
  if (std::isnan(angle)) return 1;
  constexpr int turned[] = {1, 8, 3, 6};
  return turned[static_cast<unsigned>(std::lround(angle / 90) + 8) & 3u];
}

void to_rgb(LfmVideo& video, LfmVideoFrame& out) {
  const AVFrame& frame = *video.frame;
  check_pixels(static_cast<std::uint64_t>(std::max(frame.width, 0)), static_cast<std::uint64_t>(std::max(frame.height, 0)), video.max_pixels);
  constexpr int how = SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND;
  video.scaler = sws_getCachedContext(video.scaler, frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
                                      frame.height, AV_PIX_FMT_RGB24, how, nullptr, nullptr, nullptr);
  if (video.scaler == nullptr) throw Failure{"its frames are in a pixel format that can't be converted"};
  const int space = frame.colorspace == AVCOL_SPC_UNSPECIFIED ? (frame.height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601) : static_cast<int>(frame.colorspace);
  const int* const coefficients = sws_getCoefficients(space);
  sws_setColorspaceDetails(video.scaler, coefficients, frame.color_range == AVCOL_RANGE_JPEG ? 1 : 0, coefficients, 1, 0, 1 << 16, 1 << 16);
  // The scaler writes beyond a row's end: its memory is wider than the picture.
  const int stride = (3 * frame.width + 63) / 64 * 64 + 64;
  std::vector<std::uint8_t> wide(static_cast<std::size_t>(stride) * static_cast<std::size_t>(frame.height));
  std::uint8_t* const planes[] = {wide.data()};
  const int strides[] = {stride};
  sws_scale(video.scaler, frame.data, frame.linesize, 0, frame.height, planes, strides);
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(frame.width);
  video.rgb.resize(row * static_cast<std::size_t>(frame.height));
  for (int y = 0; y < frame.height; ++y) {
    std::copy_n(&wide[static_cast<std::size_t>(y) * static_cast<std::size_t>(stride)], row, &video.rgb[static_cast<std::size_t>(y) * row]);
  }
  out.width = frame.width;
  out.height = frame.height;
  out.rgb = video.rgb.data();
}

template <typename Function>
auto guarded(char* error, std::size_t bytes, Function&& function, decltype(function()) failed) {
  try {
    return function();
  } catch (const Failure& failure) {
    std::snprintf(error, bytes, "%s", failure.words.c_str());
  } catch (const std::bad_alloc&) {
    std::snprintf(error, bytes, "there isn't enough memory to decode it");
  }
  return failed;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) LfmVideo* lfm_video_open(const char* path, std::uint64_t max_pixels, char* error, std::size_t error_bytes) {
  return guarded(
      error, error_bytes,
      [&]() -> LfmVideo* {
        av_log_set_level(AV_LOG_QUIET);
        auto video = std::make_unique<LfmVideo>();
        video->max_pixels = max_pixels;
        open(*video, path);
        return video.release();
      },
      nullptr);
}

__attribute__((visibility("default"))) int lfm_video_next(LfmVideo* video, double seconds, LfmVideoFrame* frame, char* error, std::size_t error_bytes) {
  return guarded(
      error, error_bytes,
      [&] {
        const AVRational base = video->format->streams[video->stream]->time_base;
        while (decode_frame(*video)) {
          const std::int64_t stamp = video->frame->best_effort_timestamp;
          const double at = stamp == AV_NOPTS_VALUE ? video->last + 1e-3 + video->begin : static_cast<double>(stamp) * av_q2d(base);
          if (!video->begun) video->begin = at;
          video->begun = true;
          video->last = at - video->begin;
          constexpr double rounding = 1e-6, most_seconds = 1e8;  // three years
          if (!(video->last < most_seconds)) throw Failure{"the film is damaged (the times of its frames make no sense)"};
          if (video->last + rounding < seconds) continue;
          frame->seconds = video->last;
          frame->orientation = orientation_of(*video);
          to_rgb(*video, *frame);
          return 1;
        }
        return 0;
      },
      -1);
}

__attribute__((visibility("default"))) void lfm_video_close(LfmVideo* video) { delete video; }

}  // extern "C"
