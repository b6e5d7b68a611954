// lfm-cuda: dispatches to the subcommands, one file each.
#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app{"Tells real photos from AI-generated and manipulated ones."};
  app.set_version_flag("--version", "lfm-cuda " LFM_VERSION);
  app.require_subcommand(0, 1);
  CLI11_PARSE(app, argc, argv);
  return 0;
}
