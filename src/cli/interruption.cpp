#include "src/cli/interruption.h"

#include <atomic>
#include <csignal>

namespace lfm {
namespace {

std::atomic<InputSource*> interruptible = nullptr;

}  // namespace

Interruption::Interruption(InputSource& source) {
  interruptible = &source;
  struct sigaction action = {};
  action.sa_handler = [](int) {
    if (InputSource* asked = interruptible.exchange(nullptr)) asked->cancel();
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

Interruption::~Interruption() { interruptible = nullptr; }

bool Interruption::happened() const { return interruptible == nullptr; }

}  // namespace lfm
