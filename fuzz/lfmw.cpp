// .lfmw models, as `detect --model` reads them.
#include <nlohmann/json.hpp>

#include "fuzz/framed_json.h"
#include "fuzz/model_sizes.h"
#include "src/model/weight_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm::fuzz;
  static ZeroFilled zeros(lfmw_tensor_bytes()), zeros_of_two(2 * lfmw_tensor_bytes());
  const Bytes input = bytes_of(data, size);
  const bool has_members = text_of(input).find("\"lfm-members\"") != std::string_view::npos;
  with_container(input, has_members ? zeros_of_two : zeros, [](Bytes file) {
    accepts([&] {
      const lfm::Container container(file, "file");
      for (const lfm::Tensor& tensor : container.tensors()) {
        demand(tensor.bytes.data() >= file.data() &&
                   tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size(),
               "tensors lie in the file");
      }
      const lfm::Model model = lfm::read_model(container, "file");
      lfm::model_header(model);
    });
  });
  return 0;
}
