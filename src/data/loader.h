// The loader: decoded, augmented, equal-size crops in batches, prefetched by threads.
//
// What is served depends on (data set, options, epoch, step) alone. Every draw is Philox's, keyed by seed,
// epoch and the place in the epoch (src/random/philox.h, streams shuffle and augmentation), so neither the
// number of threads nor the moment a run was interrupted and resumed changes a byte. How a file becomes a
// crop: src/data/view.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

#include "src/data/dataset.h"
#include "src/data/view.h"

namespace lfm {

struct LoaderOptions {
  int batch = 32;  ///< images of a global batch, over all ranks
  std::uint64_t seed = 0;
  /// false: the data set's own order, centred crops, no augmentation, no balance, nothing dropped.
  bool training = true;
  ViewOptions view;
  RandomAugmentation augmentation;
  bool balance = false;    ///< as many reals as fakes per epoch: the rarer label's images come several times
  bool originals = false;  ///< serves Batch::originals as well; in training only
  bool drop_last = true;   ///< leaves out an epoch's last, smaller batch (the order changes every epoch, so
                           ///< nothing is left out for good)

  int threads = 0;   ///< 0: all cores this process may use
  int prefetch = 3;  ///< batches ready or in the making; bounds the memory
  /// Of the batches' pixels; outlives the loader and its batches.
  std::pmr::memory_resource* pixel_memory = std::pmr::new_delete_resource();
  std::size_t cache_bytes = 0;  ///< decoded (and, with View::resize and no rescaling, resized) images kept in memory

  /// Data-parallel runs: of each global batch of n images this process is served [n*rank/size, n*(rank +
  /// 1)/size).
  int rank = 0;
  int size = 1;
};

struct Batch {
  Batch() = default;
  /// pixel_memory: the loader's, so that next() need not copy.
  explicit Batch(std::pmr::memory_resource* pixel_memory) : pixels(pixel_memory), originals(pixel_memory) {}

  std::pmr::vector<std::uint8_t> pixels;  ///< [n][height][width][3]
  /// The same squares before blur, re-compression, jitter and masks (training_view), with LoaderOptions::originals;
  /// else empty.
  std::pmr::vector<std::uint8_t> originals;
  std::vector<std::uint8_t> labels;    ///< [n], as Sample's
  std::vector<std::uint32_t> samples;  ///< [n], indices into Dataset::samples, of the images that are really there
  int n = 0;
  int height = 0;
  int width = 0;
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;  ///< within the epoch, from 0
  int first_image = 0;     ///< index in the global batch of this rank's first image
  int global_n = 0;        ///< images of the global batch
};

/// Not movable; one consumer thread. The destructor stops the threads.
class Loader {
 public:
  /// Throws Error{usage} for options that contradict each other, Error{input} where an epoch has no batch.
  /// The data set is copied. No thread starts before start().
  Loader(Dataset dataset, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::uint64_t steps_per_epoch() const;
  std::uint64_t images_per_epoch() const;  ///< over all ranks, of the batches served
  const Dataset& dataset() const;

  /// (Re)starts at any step of any epoch and serves until epoch `end_epoch` begins: start(e, s, epochs)
  /// resumes a training run, start(0, 0, 1) validates. Drops what was prefetched before.
  void start(std::uint64_t epoch, std::uint64_t step, std::uint64_t end_epoch);

  /// The next batch into `batch`, whose memory is reused; false after the last. A file that is no readable
  /// picture is replaced by the next in the data set with the same label that is; if there is none, throws
  /// Error{input}. A file that is gone, or that the machine fails to read, throws Unavailable.
  bool next(Batch& batch);

  /// Called by next(), once per file and process, in the order in which the images are served.
  void on_unreadable(std::function<void(const Sample&, const std::string& reason)> report);
  std::size_t unreadable() const;  ///< different files found unreadable so far

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lfm
