// Writes the inputs that fuzzing begins with, one folder a target: what the project's own writers make, cut down to
// what fuzz/framed_json.h takes. Images and PyTorch files are the tests' fixtures; tools/fuzz copies them.
#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "fuzz/framed_json.h"
#include "fuzz/model_sizes.h"
#include "src/io/atomic_file.h"
#include "src/model/interchange.h"
#include "src/model/safetensors.h"
#include "src/model/weight_file.h"
#include "src/report/detections.h"
#include "src/train/options.h"
#include "tests/metadata/containers.h"
#include "tests/model/pickled_tensor.h"

namespace lfm::fuzz {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Corpus {
 public:
  Corpus(const fs::path& root, const std::string& target) : folder_(root / target) { fs::create_directories(folder_); }
  void add(const std::string& name, std::string_view content) const { write_file_atomically(folder_ / name, content); }
  fs::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  fs::path folder_;
};

TensorShape shape_of(const ParameterSpec& spec) { return {spec.shape.begin(), spec.shape.begin() + spec.rank}; }

/// The header with a table of a model's tensors, for each of what their names begin with, and of the further ones,
/// placed as container_head() places them.
std::string with_table(json header, const std::vector<std::pair<std::string, std::uint64_t>>& further = {},
                       const std::vector<std::string>& prefixes = {""}) {
  const ParameterTable table = parameter_table({});
  for (std::size_t head = 0;;) {  // the offsets stand in the header whose length they follow
    header["tensors"] = json::array();
    std::uint64_t offset = head;
    const auto add = [&](const std::string& name, const TensorShape& shape, std::uint64_t count) {
      header["tensors"].push_back({{"name", name}, {"type", "F32"}, {"shape", shape}, {"offset", offset}});
      offset += aligned(count * sizeof(float));
    };
    for (const std::string& prefix : prefixes) {
      for (int id = 0; id < kParameters; ++id) add(prefix + table[id].name, shape_of(table[id]), table[id].count());
    }
    for (const auto& [name, count] : further) add(name, {count}, count);
    const std::string text = header.dump();
    const std::size_t needed = container_head(text).size();
    if (needed == head) return text;
    head = needed;
  }
}

const std::vector<float> kFew = {1, 2, 3, 4, 5, 6};
const std::vector<Tensor> kSmall = {float_tensor("a", {2, 3}, kFew),
                                    {"b", ElementType::u8, {24}, std::as_bytes(std::span(kFew))},
                                    {"c", ElementType::u64, {3}, std::as_bytes(std::span(kFew))},
                                    {"d", ElementType::f32, {5, 0}, {}}};

void write_lfmw(const fs::path& root) {
  const Corpus corpus(root, "lfmw");
  Model model;
  corpus.add("model", with_table(model_header(model)));
  Model pair;
  pair.members.resize(2);
  corpus.add("members", with_table(model_header(pair), {}, {"member1.", "member2."}));
  write_container(corpus / "container", {{"key", "value"}}, kSmall);
  write_container(corpus / "empty", json::object(), {});
}

void write_checkpoint(const fs::path& root) {
  const Corpus corpus(root, "checkpoint");
  TrainOptions options;
  options.data = {"photos"};
  options.out = "run";
  json header = model_header({});
  header["format"] = "lfm-checkpoint";
  header["training"] = {{"options", to_json(options)},
                        {"state",
                         {{"step", 7},
                          {"epoch", 1},
                          {"epoch_step", 3},
                          {"epoch_loss", 0.5},
                          {"epoch_right", 90},
                          {"epoch_images", 96},
                          {"epochs_without_gain", 0},
                          {"seconds", 12.5},
                          {"data_fingerprint", 1234567890123456789u},
                          {"processes", 1},
                          {"best", {{"epoch", 1}, {"value", 0.9}, {"loss", 0.3}}}}}};
  const std::uint64_t trainable = parameter_table({}).trainable_floats;
  corpus.add("run", with_table(header, {{"training.m", trainable}, {"training.v", trainable}}));
}

void write_safetensors_seeds(const fs::path& root) {
  const Corpus corpus(root, "safetensors");
  Model model;
  model.values.assign(parameter_table({}).total_floats, 0.0f);
  export_model(model, corpus / "model.safetensors");
  const MappedFile file(corpus / "model.safetensors", ErrorCode::model);
  std::uint64_t size = 0;
  std::memcpy(&size, file.bytes().data(), sizeof size);
  demand(file.bytes().size() == 8 + size + state_dict_bytes(), "the state dict has the size it is framed with");
  corpus.add("model", text_of(file.bytes().subspan(8, size)));
  fs::remove(corpus / "model.safetensors");
  write_safetensors(corpus / "small", kSmall, {{"key", "value"}});
}

/// A state dict whose tensors lie behind each other in storage "0".
void write_pickle(const fs::path& root) {
  const Corpus corpus(root, "pth");
  const ParameterTable table = parameter_table({});
  std::string pickle("\x80\x02}(", 4);
  std::int64_t offset = 0;
  for (int id = 0; id < kParameters; ++id) {
    const std::vector<std::int64_t> shape(table[id].shape.begin(), table[id].shape.begin() + table[id].rank);
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) strides[i] = stride, stride *= shape[i];
    pickle += test::pickled(std::string_view(table[id].reference_name)) +
              test::pickled_tensor("FloatStorage", "0", static_cast<std::int64_t>(state_dict_bytes() / sizeof(float)),
                                   offset, shape, strides);
    offset += stride;
  }
  corpus.add("state_dict", pickle + "u.");
  const std::int64_t shape[] = {3, 2}, strides[] = {1, 3};
  corpus.add("strided", std::string("\x80\x02}", 3) + test::pickled("a") +
                            test::pickled_tensor("FloatStorage", "1", 16, 2, shape, strides) + "s.");
}

void write_metadata(const fs::path& root) {
  const Corpus corpus(root, "metadata");
  const std::string xmp =
      "<rdf:Description "
      "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>";
  const std::string exif = test::exif_block({{0x10f, "Maker"}, {0x131, "Program"}}, 6);
  corpus.add("store", test::c2pa_store());
  corpus.add("exif", exif);
  corpus.add("png", std::string("\x89PNG\r\n\x1a\n") + test::png_chunk("tEXt", std::string("parameters\0Steps", 16)) +
                        test::png_chunk("eXIf", exif) + test::png_chunk("caBX", test::c2pa_store()));
  corpus.add(
      "jpeg",
      std::string("\xff\xd8") + test::jpeg_segment(0xe1, std::string("Exif\0\0", 6) + exif) +
          test::jpeg_segment(0xe1, std::string("http://ns.adobe.com/xap/1.0/\0", 29) + xmp) +
          test::jpeg_segment(0xe1, std::string("http://ns.adobe.com/xmp/extension/\0", 35) + std::string(32, 'A') +
                                       test::big(xmp.size(), 4) + test::big(0, 4) + xmp) +
          test::jpeg_segment(0xed, std::string("Photoshop 3.0\0", 14) + "8BIM\x04\x04" +
                                       std::string("\0\0\0\0\0\x0b", 6) + std::string("\x1c\x02\x41\0\x06maker!", 11)) +
          test::jpeg_segment(0xeb, "JP" + test::big(1, 2) + test::big(1, 4) + test::c2pa_store()));
  corpus.add("jxl", test::box("JXL ", "\r\n\x87\n") + test::box("Exif", std::string(4, '\0') + exif) +
                        test::box("xml ", xmp) + test::c2pa_store());
}

void write_texts(const fs::path& root) {
  const Corpus lists(root, "path_list"), lines(root, "command_line"), reports(root, "report");
  lists.add("files", "a.jpg\nb c.png\n\n./d\n.\nlast");
  lists.add("zero", std::string("a\0b\nc", 5));
  lines.add("all",
            "--model\nm.lfmw\n-d\ncuda:1\n--precision\nbf16\n-b\n8\n--threads\n4\n--view\ntiles\n--tiles\n9\n--"
            "threshold\n0.5\n"
            "--max-pixels\n1000\n-q\n--stable\n--format\njsonl\n-o\nout\n--sort\nscore\n--features\nf.npy\n--report\nr."
            "html\na.png\n-\n--\n-x");
  lines.add("deliveries", "jpeg:90,75\nwebp:80\nblur:1.5\nresize:0.5\nnoise:4\nshift:3\nnone");
  reports.add("plain", "photos/a.jpg\n\nits data end early\n\ncat\n\nreference");
  reports.add("hostile",
              "=cmd|'/c calc'!A1\x1b[2J\n\n</script><script>alert(1)</script>\n\na\"b|c,d\n\n\xff\xe2\x80\xae&");
}

/// The words of options, as on the command line and as in a header, for the dictionaries of the targets that read them.
void write_words(const fs::path& root) {
  std::set<std::string> known;
  const auto add = [&](const auto& rows) {
    for (const auto& row : rows) known.emplace(row.word);
  };
  add(words(View{}));
  add(words(FrontEnd{}));
  add(words(Precision{}));
  add(words(Pooling{}));
  add(words(Combination{}));
  add(words(RbldScale{}));
  add(words(BestBy{}));
  add(words(OutputFormat{}));
  std::string plain, quoted;
  for (const std::string& word : known) {
    plain += fmt::format("\"{}\"\n", word);
    quoted += fmt::format("\"\\\"{}\\\"\"\n", word);
  }
  write_file_atomically(root / "words.dict", plain);
  write_file_atomically(root / "quoted_words.dict", quoted);
}

}  // namespace
}  // namespace lfm::fuzz

int main(int argc, char** argv) {
  using namespace lfm::fuzz;
  if (argc != 2) return 2;
  const std::filesystem::path root = argv[1];
  write_lfmw(root);
  write_checkpoint(root);
  write_safetensors_seeds(root);
  write_pickle(root);
  write_metadata(root);
  write_texts(root);
  write_words(root);
  return 0;
}
