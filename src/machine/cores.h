// How many cores this process may use.
#pragma once

namespace lfm {

/// At least 1; fewer than the machine has under taskset, mpirun's binding or in a container with a set of its own.
/// Asked anew each time.
int usable_cores();

}  // namespace lfm
