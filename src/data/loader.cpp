#include "src/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/data/order.h"
#include "src/image/file.h"
#include "src/machine/cores.h"
#include "src/model/label.h"

namespace lfm {
namespace {

using Order = std::vector<std::uint32_t>;

struct Failure {
  std::uint32_t sample = 0;
  std::string reason;
};

/// A batch in the making. Threads write its images without a lock: each has its own place.
struct Slot {
  explicit Slot(std::pmr::memory_resource* pixel_memory) : batch(pixel_memory) {}

  Batch batch;
  std::shared_ptr<const Order> order;
  std::size_t first = 0;                       ///< place in the epoch of the first image
  std::vector<std::vector<Failure>> failures;  ///< [n], of the files tried for each image
  int issued = 0;                              ///< images some thread has taken on
  int finished = 0;
  std::exception_ptr error;
};

/// Decoded images by sample, first come first kept: every epoch visits each image, so the last one read
/// is no likelier to be wanted than the first. Also remembers which files can't be read.
class ImageCache {
 public:
  explicit ImageCache(std::size_t capacity) : capacity_(capacity) {}

  std::shared_ptr<const Image> find(std::uint32_t sample) {
    const std::lock_guard lock(mutex_);
    const auto found = images_.find(sample);
    return found == images_.end() ? nullptr : found->second;
  }

  void keep(std::uint32_t sample, const std::shared_ptr<const Image>& image) {
    const std::lock_guard lock(mutex_);
    if (used_ + image->rgb.size() > capacity_) return;
    if (images_.emplace(sample, image).second) used_ += image->rgb.size();
  }

  std::optional<std::string> failure(std::uint32_t sample) {
    const std::lock_guard lock(mutex_);
    const auto found = failures_.find(sample);
    return found == failures_.end() ? std::nullopt : std::optional(found->second);
  }

  void remember_failure(std::uint32_t sample, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    failures_.emplace(sample, reason);
  }

 private:
  std::mutex mutex_;
  std::size_t capacity_;
  std::size_t used_ = 0;
  std::unordered_map<std::uint32_t, std::shared_ptr<const Image>> images_;
  std::unordered_map<std::uint32_t, std::string> failures_;
};

void validate(const Dataset& dataset, const LoaderOptions& options) {
  validate(options.view, options.augmentation);
  if (options.batch < 1 || options.prefetch < 1 || options.threads < 0) {
    throw Error(ErrorCode::usage, "batch and prefetch must be at least 1, threads at least 0");
  }
  if (options.size < 1 || options.rank < 0 || options.rank >= options.size || options.batch < options.size) {
    throw Error(ErrorCode::usage,
                fmt::format("a batch of {} can't be split over {} processes (this is rank {}, counted from 0)",
                            options.batch, options.size, options.rank));
  }
  if (options.training && options.balance) require_both_labels(dataset);
}

}  // namespace

struct Loader::Impl {
  Impl(Dataset the_dataset, const LoaderOptions& the_options);

  // ---- what a worker does, without the lock ----
  void work(const std::stop_token& stop);
  void fill(Slot& slot, int i);
  std::shared_ptr<const Image> read(std::uint32_t sample);
  std::pair<std::uint32_t, std::shared_ptr<const Image>> read_or_substitute(std::uint32_t sample,
                                                                            std::vector<Failure>& failures);

  // ---- under the lock ----
  Slot* slot_with_work();
  void open_slot();
  void stop_workers();
  void report(const Slot& slot);

  const Dataset dataset;
  const LoaderOptions options;
  EpochCut cut;
  ImageCache cache;
  std::function<void(const Sample&, const std::string&)> on_unreadable;
  std::set<std::uint32_t> reported;

  std::mutex mutex;
  std::condition_variable_any work_or_stop;
  std::condition_variable batch_finished;
  std::deque<std::unique_ptr<Slot>> slots;                     ///< in the order in which they are served
  std::unique_ptr<Slot> spare;                                 ///< a served slot, for its memory
  std::uint64_t next_epoch = 0, next_step = 0, end_epoch = 0;  ///< of the slot to be opened next
  std::shared_ptr<const Order> order;                          ///< of order_epoch
  std::uint64_t order_epoch = 0;
  std::exception_ptr no_more;         ///< why no further batch can be opened
  std::vector<std::jthread> workers;  ///< last member: they end before what they use
};

Loader::Impl::Impl(Dataset the_dataset, const LoaderOptions& the_options)
    : dataset(std::move(the_dataset)), options(the_options), cache(the_options.cache_bytes) {
  validate(dataset, options);
  cut = {options.training ? training_order_size(dataset, options.balance) : dataset.samples.size(),
         static_cast<std::size_t>(options.batch), static_cast<std::size_t>(options.size),
         options.training && options.drop_last};
  if (cut.steps() == 0) {
    throw Error(ErrorCode::input, fmt::format("{} images make no batch of {}; use a smaller batch or more images",
                                              cut.images, options.batch));
  }
}

void Loader::Impl::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  while (true) {
    Slot* slot = nullptr;
    try {
      work_or_stop.wait(lock, stop, [&] { return (slot = slot_with_work()) != nullptr; });
    } catch (...) {  // no memory for a batch
      no_more = std::current_exception();
      batch_finished.notify_one();
      return;
    }
    if (stop.stop_requested()) return;
    const int image = slot->issued++;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill(*slot, image);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !slot->error) slot->error = error;
    if (++slot->finished == slot->batch.n) batch_finished.notify_one();
  }
}

Slot* Loader::Impl::slot_with_work() {
  for (const auto& slot : slots) {
    if (slot->issued < slot->batch.n) return slot.get();
  }
  if (next_epoch >= end_epoch || slots.size() >= static_cast<std::size_t>(options.prefetch)) return nullptr;
  open_slot();
  return slots.back().get();
}

void Loader::Impl::open_slot() {
  if (options.training && (!order || order_epoch != next_epoch)) {
    order = std::make_shared<const Order>(training_order(dataset, options.seed, next_epoch, options.balance));
    order_epoch = next_epoch;
  }
  auto slot = spare ? std::move(spare) : std::make_unique<Slot>(options.pixel_memory);
  const auto step = static_cast<std::size_t>(next_step);
  const ImageRange all = cut.global(step), mine = cut.of_rank(step, static_cast<std::size_t>(options.rank));
  const auto side = static_cast<std::size_t>(served_side(options.view));
  Batch& batch = slot->batch;
  batch.n = static_cast<int>(mine.count());
  batch.height = batch.width = static_cast<int>(side);
  batch.epoch = next_epoch;
  batch.step = next_step;
  batch.first_image = static_cast<int>(mine.first - all.first);
  batch.global_n = static_cast<int>(all.count());
  batch.pixels.resize(mine.count() * side * side * 3);
  batch.originals.resize(options.training && options.originals ? batch.pixels.size() : 0);
  batch.labels.resize(mine.count());
  batch.samples.resize(mine.count());
  slot->order = order;
  slot->first = mine.first;
  slot->failures.assign(mine.count(), {});
  slot->issued = slot->finished = 0;
  slot->error = nullptr;
  slots.push_back(std::move(slot));
  if (++next_step == cut.steps()) {
    next_step = 0;
    ++next_epoch;
  }
}

void Loader::Impl::fill(Slot& slot, int i) {
  const auto image_index = static_cast<std::size_t>(i);
  const auto position = static_cast<std::uint32_t>(slot.first + image_index);
  const std::uint32_t wanted = slot.order ? (*slot.order)[position] : position;
  const auto [sample, image] = read_or_substitute(wanted, slot.failures[image_index]);
  slot.batch.samples[image_index] = sample;
  slot.batch.labels[image_index] = dataset.samples[sample].label;
  const std::size_t square_bytes = slot.batch.pixels.size() / static_cast<std::size_t>(slot.batch.n);
  std::uint8_t* square = slot.batch.pixels.data() + image_index * square_bytes;
  if (options.training) {
    std::uint8_t* original = options.originals ? slot.batch.originals.data() + image_index * square_bytes : nullptr;
    training_view(*image, options.view, options.augmentation, {options.seed, slot.batch.epoch, position}, square,
                  original);
  } else {
    validation_view(*image, options.view, square);
  }
}

std::shared_ptr<const Image> Loader::Impl::read(std::uint32_t sample) {
  if (auto cached = cache.find(sample)) return cached;
  const std::filesystem::path& path = dataset.samples[sample].path;
  const bool is_rescaled = options.training && options.augmentation.rescale > 0;
  const int side = options.view.resize;
  Image image =
      options.view.view == View::resize && !is_rescaled ? read_image_resized(path, side, side).image : read_image(path);
  auto shared = std::make_shared<const Image>(std::move(image));
  cache.keep(sample, shared);
  return shared;
}

std::pair<std::uint32_t, std::shared_ptr<const Image>> Loader::Impl::read_or_substitute(
    std::uint32_t sample, std::vector<Failure>& failures) {
  const auto count = static_cast<std::uint32_t>(dataset.samples.size());
  const std::uint8_t label = dataset.samples[sample].label;
  for (std::uint32_t tried = 0; tried < count; ++tried) {
    const std::uint32_t candidate = (sample + tried) % count;
    if (dataset.samples[candidate].label != label) continue;
    if (auto known = cache.failure(candidate)) {
      failures.push_back({candidate, std::move(*known)});
      continue;
    }
    try {
      return {candidate, read(candidate)};
    } catch (const Unavailable&) {
      throw;  // another picture in its place would make this run differ from its repetition
    } catch (const Error& cause) {
      cache.remember_failure(candidate, cause.what());
      failures.push_back({candidate, cause.what()});
    }
  }
  const char* kind = label == kUnlabelled ? "unlabelled pictures" : label == kFake ? "fakes" : "reals";
  throw Error(ErrorCode::input, fmt::format("none of the {} {} can be read; the first: {}", failures.size(), kind,
                                            failures.front().reason));
}

void Loader::Impl::stop_workers() {
  for (std::jthread& worker : workers) worker.request_stop();
  workers.clear();
}

void Loader::Impl::report(const Slot& slot) {
  for (const auto& failures : slot.failures) {
    for (const Failure& failure : failures) {
      const bool is_new = reported.insert(failure.sample).second;
      if (is_new && on_unreadable) on_unreadable(dataset.samples[failure.sample], failure.reason);
    }
  }
}

Loader::Loader(Dataset dataset, LoaderOptions options) : impl_(std::make_unique<Impl>(std::move(dataset), options)) {}

Loader::~Loader() { impl_->stop_workers(); }

std::uint64_t Loader::steps_per_epoch() const { return impl_->cut.steps(); }

std::uint64_t Loader::images_per_epoch() const { return impl_->cut.global(impl_->cut.steps() - 1).last; }

const Dataset& Loader::dataset() const { return impl_->dataset; }

void Loader::start(std::uint64_t epoch, std::uint64_t step, std::uint64_t end_epoch) {
  if (step >= steps_per_epoch()) {
    throw Error(ErrorCode::usage, fmt::format("an epoch of this data set has {} steps; it can't be started at step {}",
                                              steps_per_epoch(), step));
  }
  impl_->stop_workers();
  impl_->slots.clear();
  impl_->no_more = nullptr;
  impl_->next_epoch = epoch;
  impl_->next_step = step;
  impl_->end_epoch = end_epoch;
  const int threads = impl_->options.threads > 0 ? impl_->options.threads : usable_cores();
  for (int i = 0; i < threads; ++i) {
    impl_->workers.emplace_back([impl = impl_.get()](const std::stop_token& stop) { impl->work(stop); });
  }
}

bool Loader::next(Batch& batch) {
  std::unique_ptr<Slot> slot;
  {
    std::unique_lock lock(impl_->mutex);
    if (impl_->workers.empty() || (impl_->slots.empty() && impl_->next_epoch >= impl_->end_epoch)) return false;
    impl_->batch_finished.wait(lock, [&] {
      return impl_->no_more ||
             (!impl_->slots.empty() && impl_->slots.front()->finished == impl_->slots.front()->batch.n);
    });
    if (impl_->no_more) std::rethrow_exception(impl_->no_more);
    if (impl_->slots.front()->error) std::rethrow_exception(impl_->slots.front()->error);
    slot = std::move(impl_->slots.front());
    impl_->slots.pop_front();
  }
  impl_->work_or_stop.notify_all();
  impl_->report(*slot);
  std::swap(batch, slot->batch);
  const std::lock_guard lock(impl_->mutex);
  impl_->spare = std::move(slot);
  return true;
}

void Loader::on_unreadable(std::function<void(const Sample&, const std::string& reason)> report) {
  impl_->on_unreadable = std::move(report);
}

std::size_t Loader::unreadable() const { return impl_->reported.size(); }

}  // namespace lfm
