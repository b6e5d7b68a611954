// Hostile sizes under a limit on the address space: a clean error, or the right answer, in bounded memory. Sanitizers
// need address space of their own, so these tests are left out of their builds.
#include <fmt/core.h>
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernels/simt/sanitizer.h"
#include "src/model/container.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/model/pytorch_archive.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

#if defined(LFM_SANITIZED_ADDRESS) || defined(LFM_SANITIZED_THREAD)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr int kMegabytes = 700;  ///< the program with one thread takes less than half of it for an ordinary picture

void append(std::string& to, std::uint64_t value, int bytes) {  // little-endian
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> 8 * i);
}

void append_big(std::string& to, std::uint64_t value, int bytes) {
  for (int i = bytes; i-- > 0;) to += static_cast<char>(value >> 8 * i);
}

std::string png_chunk(const std::string& type, const std::string& content) {
  std::string chunk;
  append_big(chunk, content.size(), 4);
  const std::string summed = type + content;
  chunk += summed;
  append_big(chunk, crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size())), 4);
  return chunk;
}

std::string deflated(std::size_t zeros) {
  const std::string plain(zeros, '\0');
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  return packed.substr(0, size);
}

std::string png_header(std::uint32_t width, std::uint32_t height, char depth, char color) {
  std::string header;
  append_big(header, width, 4);
  append_big(header, height, 4);
  header += depth;
  header += color;
  header.append(3, '\0');
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header);
}

/// A whole grey picture of one bit a pixel, all black: a thousandth of what it becomes.
std::string black_png(std::uint32_t side) {
  return png_header(side, side, 1, 0) + png_chunk("IDAT", deflated((side / 8 + 1) * std::size_t{side})) +
         png_chunk("IEND", "");
}

class Limits {
 protected:
  Limits() {
    if (kSanitized) SKIP("sanitizers need address space of their own");
    write_random_model(folder / "model.lfmw", 7);
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  std::string write(const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return at(name);
  }
  ProgramResult run(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"-c", fmt::format("ulimit -v {}; exec \"$0\" \"$@\"", kMegabytes * 1024), kProgram};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program("bash", all);
  }
  ProgramResult detect(const std::string& picture, const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"detect",  "--model", at("model.lfmw"), "--threads", "1",
                                          "--batch", "1",       "--format",       "csv",       picture};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(arguments);
  }
  void expect_refused(const ProgramResult& result, int exit_code, const std::string& cause) {
    CHECK_MESSAGE(result.exit_code == exit_code, result.err);
    CHECK_THAT(result.err + result.out, ContainsSubstring(cause));
  }
  TemporaryFolder folder;
};

TEST_CASE_METHOD(Limits, "Limits.AnOrdinaryPictureFits") {
  write_ppm(folder / "a.ppm", 640, 480, 1);
  const auto result = detect(at("a.ppm"));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
}

/// Headers of 60000 x 60000 pixels, with next to nothing behind them.
std::vector<std::pair<std::string, std::string>> huge_headers() {
  constexpr std::uint32_t side = 60000;
  std::vector<std::pair<std::string, std::string>> files;
  files.emplace_back("a.png", png_header(side, side, 8, 2) + png_chunk("IDAT", deflated(1000)));
  files.emplace_back("interlaced.png", [] {
    std::string header;
    append_big(header, 60000, 4);
    append_big(header, 60000, 4);
    return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header + std::string("\x08\x02\0\0\x01", 5)) +
           png_chunk("IDAT", deflated(1000));
  }());
  std::string jpeg("\xff\xd8\xff\xc2\0\x11\x08", 7);  // progressive: libjpeg keeps the whole picture
  append_big(jpeg, side, 2);
  append_big(jpeg, side, 2);
  jpeg += std::string("\x03\x01\x11\0\x02\x11\0\x03\x11\0", 10) +
          std::string("\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\0\0", 14) + "data";
  files.emplace_back("a.jpg", jpeg);
  std::string gif = "GIF89a";
  for (int i = 0; i < 2; ++i) append(gif, side, 2);
  gif += std::string("\0\0\0,\0\0\0\0", 8);
  for (int i = 0; i < 2; ++i) append(gif, side, 2);
  files.emplace_back("a.gif", gif + std::string("\0\x02\x02\x44\x01\0;", 7));
  std::string bmp("BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 18);
  for (int i = 0; i < 2; ++i) append(bmp, side, 4);
  files.emplace_back("a.bmp", bmp + std::string("\x01\0\x18\0", 4) + std::string(24, '\0') + "pixels");
  std::string psd("8BPS\0\x01\0\0\0\0\0\0\0\x03", 14);
  for (int i = 0; i < 2; ++i) append_big(psd, side, 4);
  files.emplace_back("a.psd", psd + std::string("\0\x08\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18));
  std::string tga("\0\0\x02\0\0\0\0\0\0\0\0\0", 12);
  for (int i = 0; i < 2; ++i) append(tga, side, 2);
  files.emplace_back("a.tga", tga + std::string("\x18\0", 2) + "pixels");
  files.emplace_back("a.ppm", "P6\n60000 60000\n255\npixels");
  std::string webp("WEBPVP8X\x0a\0\0\0\x02\0\0\0", 16);  // an animation's canvas
  for (int i = 0; i < 2; ++i) append(webp, side - 1, 3);
  webp += std::string("ANIM\x06\0\0\0\0\0\0\0\0\0", 14);
  files.emplace_back("a.webp", "RIFF" + std::string("\x24\0\0\0", 4) + webp);
  return files;
}

TEST_CASE_METHOD(Limits, "Limits.HugeHeadersAreRefusedBeforeAllocation") {
  for (const auto& [name, content] : huge_headers()) {
    INFO(name);
    const auto result = detect(write(name, content));
    CHECK_MESSAGE(result.exit_code == 1, result.err);
    CHECK_THAT(result.err, !ContainsSubstring("memory"));
    CHECK_THAT(result.err, ContainsSubstring(name == "a.webp" ? "WebP" : "60000 x 60000 pixels, more than the limit"));
  }
}

TEST_CASE_METHOD(Limits, "Limits.WithoutALimitOnPixelsMemoryIsTheLimit") {
  for (const auto& [name, content] : huge_headers()) {
    INFO(name);
    const auto result = detect(write(name, content), {"--view", "native", "--max-pixels", "100000000000"});
    CHECK_MESSAGE(result.exit_code == 1, result.err);
    CHECK_THAT(result.err, !(ContainsSubstring("terminate") || ContainsSubstring("bad_alloc")));
  }
}

TEST_CASE_METHOD(Limits, "Limits.ADecompressionBombIsScoredRowByRowOrRefused") {
  const std::string bomb = write("bomb.png", black_png(15000));  // 30 kB; 675 MB as RGB
  CHECK(std::filesystem::file_size(bomb) < 100'000u);
  const auto resized = detect(bomb, {"--view", "resize"});
  CHECK_MESSAGE(resized.exit_code == 0, resized.err);
  CHECK_THAT(resized.out, ContainsSubstring(",15000,15000,"));
  expect_refused(detect(bomb, {"--view", "native"}), 1, "isn't enough memory");
}

// Each would grow to 7 MB, which is below libpng's limit for one.
TEST_CASE_METHOD(Limits, "Limits.CompressedTextInAPngIsNotUnpacked") {
  std::string png = png_header(64, 64, 8, 0);
  const std::string text = png_chunk("zTXt", std::string("key\0\0", 5) + deflated(7'000'000));
  for (int i = 0; i < 300; ++i) png += text;
  png += png_chunk("IDAT", deflated(65 * 64)) + png_chunk("IEND", "");
  const auto result = detect(write("text.png", png));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
}

TEST_CASE_METHOD(Limits, "Limits.HugeLengthsInModelsAreRefused") {
  std::string lfmw(64, '\0');
  lfmw.replace(0, kContainerMagic.size(), kContainerMagic);
  lfmw[8] = 1;
  for (const std::uint64_t size : {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    std::string file = lfmw;
    std::memcpy(&file[16], &size, 8);
    expect_refused(run({"info", write("size.lfmw", file)}), 3, "truncated");
    file = lfmw + "{}";
    const std::uint64_t whole = file.size();
    std::memcpy(&file[16], &whole, 8);
    std::memcpy(&file[24], &size, 8);
    const std::uint64_t checksum = container_checksum(std::as_bytes(std::span(file)));
    std::memcpy(&file[32], &checksum, 8);
    expect_refused(run({"info", write("json.lfmw", file)}), 3, "malformed");

    std::string safetensors;
    append(safetensors, size, 8);
    expect_refused(run({"convert", write("a.safetensors", safetensors + "{}"), at("out.lfmw")}), 3,
                   "header is said to be");
    for (const char* sides : {"4294967296,4294967296", "18446744073709551615", "1099511627776"}) {
      const std::string header =
          fmt::format(R"({{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", sides, size);
      std::string file_of_tensor;
      append(file_of_tensor, header.size(), 8);
      expect_refused(run({"convert", write("b.safetensors", file_of_tensor + header), at("out.lfmw")}), 3,
                     "not a whole safetensors file");
    }
  }
}

TEST_CASE_METHOD(Limits, "Limits.HugeTensorsInAPthAreRefused") {
  constexpr std::int64_t huge = std::int64_t{1} << 60;
  const std::int64_t side[] = {huge}, square[] = {huge, huge}, one[] = {1}, strides[] = {huge, 1}, none[] = {0};
  const std::string tensors[] = {pickled_tensor("FloatStorage", "0", huge, 0, side, one),
                                 pickled_tensor("FloatStorage", "0", 1, 0, square, strides),
                                 pickled_tensor("FloatStorage", "0", 1, huge, one, one),
                                 pickled_tensor("FloatStorage", "0", 1, 0, side, none)};
  for (const std::string& tensor : tensors) {
    write_archive(folder / "a.pth",
                  {{"data.pkl", "\x80\x02}" + pickled("fc1.weight") + tensor + "s."}, {"data/0", "abcd"}});
    CHECK(run({"convert", at("a.pth"), at("out.lfmw")}).exit_code == 3);
  }
  // A stored entry that the directory says is 4 GB long.
  write_archive(folder / "a.pth", {{"data.pkl", "\x80\x02}."}, {"data/0", "abcd"}});
  std::string file = read_text(folder / "a.pth");
  for (std::size_t entry = 0; (entry = file.find("PK\1\2", entry)) != std::string::npos; entry += 4) {
    file.replace(entry + 20, 8, "\xf0\xff\xff\xff\xf0\xff\xff\xff");
  }
  CHECK(run({"convert", write("b.pth", file), at("out.lfmw")}).exit_code == 3);
}

}  // namespace
}  // namespace lfm::test
