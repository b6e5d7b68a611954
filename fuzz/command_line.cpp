// The command line of `detect`, its arguments parted by line ends; it is parsed and not run. Words that are parsed
// later, when the command runs, are tried on each argument.
#include <CLI/CLI.hpp>

#include "fuzz/fuzz.h"
#include "src/cli/commands.h"
#include "src/engine/device.h"
#include "src/engine/precision.h"
#include "src/pipeline/delivery.h"
#include "src/report/terminal.h"

namespace {

using namespace lfm::fuzz;

std::vector<std::string> arguments_of(std::string_view text) {
  std::vector<std::string> arguments(1);
  for (const char c : text) {
    if (c == '\n') {
      arguments.emplace_back();
    } else if (c != '\0') {  // can't be in an argument
      arguments.back() += c;
    }
  }
  return arguments;
}

void parse(std::vector<std::string> arguments) {
  CLI::App app{"", "lfm-cuda"};
  app.require_subcommand(1);
  lfm::add_detect_command(app);
  app.get_subcommand("detect")->callback([] {});
  arguments.insert(arguments.begin(), {"lfm-cuda", "detect"});
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    lfm::printable(error.what());
  }
}

}  // namespace

/// What main.cpp does for a command that runs; none does here.
lfm::ExitCode lfm::do_each(const std::vector<std::function<void()>>&) { return kFailure; }
lfm::ExitCode lfm::report_error(const std::exception&, const std::string&) { return kFailure; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::string> arguments = arguments_of(text_of(bytes_of(data, size)));
  if (arguments.size() > 64) return 0;
  accepts([&] { parse(arguments); });
  for (const std::string& word : arguments) {
    accepts([&] { lfm::parse_device(word); });
    accepts([&] { lfm::parse_precision(word); });
    accepts([&] {
      for (const lfm::Delivery& delivery : lfm::parse_deliveries({word})) {
        demand(lfm::parse_deliveries({delivery.name()}) == std::vector{delivery},
               "a delivery's name is parsed as the delivery");
      }
    });
  }
  return 0;
}
