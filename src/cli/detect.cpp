// lfm-cuda detect: scores images.
#include <string>
#include <vector>

#include "src/cli/commands.h"

namespace lfm {

void add_detect_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("detect", "Scores images: 0 = real, 1 = generated");
  command->callback([] { throw Error(ErrorCode::model, "no model: give one with --model FILE.lfmw"); });
}

}  // namespace lfm
