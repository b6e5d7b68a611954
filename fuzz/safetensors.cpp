// .safetensors, as `convert` reads them.
#include "src/model/safetensors.h"

#include "fuzz/framed_json.h"
#include "fuzz/model_sizes.h"
#include "src/model/interchange.h"

namespace {

using namespace lfm::fuzz;

void read(Bytes file) {
  const auto within = [&](const lfm::Tensor& tensor) {
    return tensor.bytes.data() >= file.data() && tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size();
  };
  accepts([&] {
    const lfm::TensorFile tensors = lfm::read_safetensors(file, "file");
    for (const lfm::Tensor& tensor : tensors.tensors) {
      demand(within(tensor), "tensors lie in the file");
      demand(lfm::to_floats(tensor).size() == tensor.count(), "as many floats as elements");
    }
  });
  accepts([&] { lfm::import_model(file, "file.safetensors"); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = bytes_of(data, size);
  if (size == 0 || data[0] != '{') {
    read(input);
  } else if (size + 8 <= kLongestHeader) {
    static ZeroFilled zeros(state_dict_bytes());
    std::string head(8, '\0');
    store(head, 0, std::uint64_t{size});
    read(zeros.after(head.append(text_of(input))));
  }
  return 0;
}
