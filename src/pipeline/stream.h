// Scoring any number of images in bounded memory: decoding, network and output at the same time, results in input
// order.
//
//   source -> workers: read, decode, deliver, view -> window of slots, in input order -> a thread per device -> caller:
//   sink
//
// A slot is a path. It holds a piece, an image for the network, per delivery of the picture and tile of its view; a
// batch is made of pieces, of one slot or of several, and goes through every member of the model. A delivery's logit is
// the mean over its tiles: since the head is linear, that of the mean features.
//
// The window bounds the memory: a worker takes the next path only while there is a free slot, and a slot is free once
// its result has gone to the sink. An engine that is free takes the first waiting piece and those of the same size
// within a fixed lookahead, so a native view with mixed sizes still makes batches, and the same ones on every run,
// whatever the number of threads. Only where the source starves (a list that is still being written) or huge images use
// up the pixel budget does it take what is there. An engine that computes on a device has two batches under way: one
// crosses while the other is computed (src/engine/network.h).
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "lfm/detector.h"
#include "src/engine/engine.h"
#include "src/pipeline/input_image.h"
#include "src/pipeline/picture.h"

namespace lfm {

struct StreamOptions {
  std::vector<Member> members = std::vector<Member>(1);
  Presentation presentation;
  std::vector<Delivery> stable_deliveries;  ///< of inputs that are to be stable, in place of the presentation's
  DecodeLimits limits;
  int workers = 1;
  int batch = 8;
  bool features = false;
  bool evidence = false;  ///< of every picture, whatever its input asks for
  std::size_t pixel_budget = std::size_t{256}
                             << 20;  ///< bytes of pieces waiting for the network, where more than one path waits
  std::size_t arena_limit = 0;       ///< an image whose activations need more bytes is refused
};

/// The engines of a device, one for each member of the model, which it has loaded.
using EngineSet = std::vector<Engine*>;

/// engines: one set or more; batches go to whichever is free, and the results don't depend on which. finish turns
/// logits into score and verdict; devices' threads call it at the same time, each for a Detection and an Input of its
/// own. Errors of single images end up in their Detection; a failing engine, source or sink ends the run and is thrown.
void score_stream(std::span<const EngineSet> engines, const StreamOptions& options, InputSource& source,
                  const std::function<void(Detection&, const Input&)>& finish,
                  const std::function<void(Detection&&)>& sink);

}  // namespace lfm
