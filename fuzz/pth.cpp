// PyTorch's .pth, as `convert` reads them. An input that is no zip archive is taken for the pickle in one, whose
// storages are zeros: "0" of a whole model, "1" of 64 bytes, "2" empty.
#include <zlib.h>

#include "fuzz/framed_json.h"
#include "fuzz/model_sizes.h"
#include "src/model/interchange.h"
#include "src/model/pytorch.h"

namespace {

using namespace lfm::fuzz;

/// A zip archive of stored entries (APPNOTE.TXT, 4.3).
class Archive {
 public:
  void add(const std::string& name, std::string_view content) {
    const std::size_t at = file_.size();
    const auto size = static_cast<std::uint32_t>(content.size());
    const auto sum = static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(content.data()), size));
    file_ += "PK\3\4";
    describe(file_, name, sum, size);
    file_.append(name).append(content);
    directory_ += std::string("PK\1\2\24\0", 6);
    describe(directory_, name, sum, size);
    number(directory_, 0, 10);  // comment, disk, attributes
    number(directory_, at, 4);
    directory_ += name;
    ++entries_;
  }
  /// The archive with one more entry, which is not kept. Good until the next call.
  Bytes with(const std::string& name, std::string_view content) {
    const std::size_t kept = file_.size(), kept_directory = directory_.size();
    add(name, content);
    const std::size_t at = file_.size();
    std::string end("PK\5\6\0\0\0\0", 8);
    number(end, entries_, 2);
    number(end, entries_, 2);
    number(end, directory_.size(), 4);
    number(end, at, 4);
    number(end, 0, 2);
    whole_.resize(at + directory_.size() + end.size());
    if (whole_start_ != kept) std::copy_n(file_.begin(), kept, whole_.begin());
    whole_start_ = kept;
    auto to = std::copy(file_.begin() + static_cast<std::ptrdiff_t>(kept), file_.end(),
                        whole_.begin() + static_cast<std::ptrdiff_t>(kept));
    to = std::copy(directory_.begin(), directory_.end(), to);
    std::copy(end.begin(), end.end(), to);
    file_.resize(kept);
    directory_.resize(kept_directory);
    --entries_;
    return std::as_bytes(std::span(whole_));
  }

 private:
  static void number(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(i < 8 ? value >> 8 * i : 0);
  }
  static void describe(std::string& to, const std::string& name, std::uint32_t sum, std::uint32_t size) {
    number(to, 20, 2);          // version
    number(to, 0, 4);           // flags, method: stored
    number(to, 0x00210000, 4);  // 1 January 1980
    number(to, sum, 4);
    number(to, size, 4);
    number(to, size, 4);
    number(to, name.size(), 2);
    number(to, 0, 2);
  }

  std::string file_, directory_;
  std::string whole_;
  std::size_t whole_start_ = 0;  ///< the bytes at the start of whole_ that are those of file_
  std::size_t entries_ = 0;
};

Archive storages() {
  Archive archive;
  archive.add("archive/data/0", std::string(state_dict_bytes(), '\0'));
  archive.add("archive/data/1", std::string(64, '\0'));
  archive.add("archive/data/2", "");
  archive.add("archive/byteorder", "little");
  return archive;
}

void read(Bytes file) {
  accepts([&] {
    const lfm::TensorFile tensors = lfm::read_pytorch(file, "file");
    for (const lfm::Tensor& tensor : tensors.tensors) {
      const auto count = lfm::element_count(tensor.type, tensor.shape);
      demand(count && *count == tensor.count(), "tensors have the bytes of their shape");
      lfm::to_floats(tensor);
    }
    lfm::model_from_state_dict(tensors.tensors, "file");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = bytes_of(data, size);
  if (size >= 2 && data[0] == 'P' && data[1] == 'K') {
    read(input);
  } else {
    static Archive archive = storages();
    read(archive.with("archive/data.pkl", text_of(input)));
  }
  return 0;
}
