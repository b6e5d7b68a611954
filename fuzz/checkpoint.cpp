// Training checkpoints, as `train --resume` reads them.
#include <nlohmann/json.hpp>

#include "fuzz/framed_json.h"
#include "fuzz/model_sizes.h"
#include "src/train/run_state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm::fuzz;
  static ZeroFilled zeros(checkpoint_tensor_bytes());
  with_container(bytes_of(data, size), zeros, [](Bytes file) {
    accepts([&] {
      lfm::SavedRun run = lfm::load_run(lfm::load_checkpoint(lfm::Container(file, "file"), "file"));
      demand(
          run.m.size() == run.v.size() && run.m.size() == lfm::parameter_table(run.model.architecture).trainable_floats,
          "moments for every trainable parameter");
      lfm::complete_options(run.options);
      lfm::to_json(run.options).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      lfm::learning_rate(run.options, run.state.epoch);
    });
  });
  return 0;
}
