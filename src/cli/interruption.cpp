#include "src/cli/interruption.h"

#include <atomic>

namespace lfm {
namespace {

std::atomic<InputSource*> interruptible = nullptr;
std::atomic<int> seen_signal = 0;

}  // namespace

Interruption::Interruption(InputSource& source) {
  interruptible = &source;
  struct sigaction action = {};
  action.sa_handler = [](int signal) {
    seen_signal = signal;
    if (InputSource* asked = interruptible.exchange(nullptr)) asked->cancel();
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : kInterrupts) sigaction(signal, &action, nullptr);
}

Interruption::~Interruption() { interruptible = nullptr; }

bool Interruption::happened() const { return interruptible == nullptr; }

int interrupting_signal() { return seen_signal; }

}  // namespace lfm
