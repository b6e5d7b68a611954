#include "kernels/simt/async_proxy.h"

#include <algorithm>

#include "kernels/simt/multiprocessor.h"

namespace lfm::simt {

namespace {

constexpr std::uint8_t kInitialised = 0x5a;  // of a barrier

void check_barrier(const Barrier& barrier, const Site& site) {
  if (!multiprocessor().shared().contains(&barrier)) fail("a barrier lies outside of shared memory", site);
  if (barrier.initialised != kInitialised) fail("a barrier that nobody has initialised", site);
}

}  // namespace

void Multiprocessor::check_async(const void* p, const Site& site) {
  shared_.check_async(
      p, [&](int thread) { return threads_[static_cast<std::size_t>(thread)].fences; }, site);
}

void Multiprocessor::issue_product(const Product& product, int rows, int columns, const Site& site) {
  if (!running_->may_multiply) fail("a product without begin_products() since the last wait", site);
  const auto check_row = [&](const Matrix& m, int row) {
    for (int chunk = 0; chunk < 2; ++chunk) {
      const std::byte* const p = m.chunk(row, chunk);
      if (!shared_.contains(p)) fail("a matrix of a product lies outside of shared memory", site);
      shared_.check(p, 16, site);
      check_async(p, site);
    }
  };
  // A warp's lanes share out what they read: its rows of a, and all of b.
  const int lane = product.thread % kWarp, of_warp = rows / 4;
  for (int row = lane; row < of_warp && !product.registers; row += kWarp)
    check_row(product.a, product.thread / kWarp * of_warp + row);
  for (int column = lane; column < columns; column += kWarp) check_row(product.b, column);
  const Unobserved reads;
  running_->products.issue(product, at_once());
}

void Multiprocessor::wait_products(std::size_t pending) {
  const Unobserved reads;
  running_->products.wait(pending, [](const Product&) {});
  running_->may_multiply = false;  // something may touch the sums now
}

void Multiprocessor::init_barrier(Barrier& barrier) {
  barrier = {.bytes = 0, .initialised = kInitialised, .expecting = 0, .phases = 0, .unused = 0};
  shared_.wrote(&barrier, running(), running_->fences);
}

void Multiprocessor::copy_bulk(const AsyncCopy& copy, Barrier& barrier, const Site& site) {
  check_async(&barrier, site);
  for (std::size_t i = 0; i < copy.bytes; i += 16) check_async(static_cast<std::byte*>(copy.to) + i, site);
  bulk_copies_.push_back({copy, &barrier});
  if (at_once()) static_cast<void>(has_ended(barrier, 0));
}

// All copies to the barrier take place now at the latest.
bool Multiprocessor::has_ended(Barrier& barrier, unsigned parity) {
  for (const BulkCopy& bulk : bulk_copies_) {
    if (bulk.barrier != &barrier) continue;
    bulk.copy.run();
    barrier.bytes -= static_cast<std::int32_t>(bulk.copy.bytes);
  }
  std::erase_if(bulk_copies_, [&](const BulkCopy& bulk) { return bulk.barrier == &barrier; });
  if (barrier.expecting != 0 && barrier.bytes == 0) {
    barrier.expecting = 0;
    barrier.phases ^= 1;
  }
  return barrier.phases != parity;
}

void Multiprocessor::wait_barrier(Barrier& barrier, unsigned parity, const Site& site) {
  if (barrier.phases != parity || has_ended(barrier, parity)) return;
  running_->state = State::awaiting_bytes;
  running_->site = site;
  running_->barrier = &barrier;
  running_->parity = parity;
  wait();
}

void Multiprocessor::require_nothing_under_way() const {
  const bool products =
      std::any_of(threads_.begin(), threads_.end(), [](const Thread& t) { return !t.products.empty(); });
  if (!products && bulk_copies_.empty()) return;
  throw Failure(fmt::format("kernel {}, block {}: ends with {} under way", grid_->kernel,
                            name_of(threads_.front().position.block), products ? "products" : "bulk copies"));
}

void begin_products() { multiprocessor().begin_products(); }
void issue_product(const Product& product, int rows, int columns, const Site& site) {
  multiprocessor().issue_product(product, rows, columns, site);
}
void commit_products() { multiprocessor().commit_products(); }
void wait_products(int pending) { multiprocessor().wait_products(static_cast<std::size_t>(pending)); }

void fence_async_proxy() { multiprocessor().fence_async_proxy(); }

void init_barrier(Barrier& barrier, const Site& site) {
  if (!multiprocessor().shared().contains(&barrier)) fail("a barrier lies outside of shared memory", site);
  multiprocessor().init_barrier(barrier);
}

void expect_bytes(Barrier& barrier, unsigned bytes, const Site& site) {
  check_barrier(barrier, site);
  if (barrier.expecting != 0) fail("a barrier's phase that expects its bytes already", site);
  barrier.expecting = 1;
  barrier.bytes += static_cast<std::int32_t>(bytes);
}

void copy_bulk(void* shared, const void* global, unsigned bytes, Barrier& barrier, const Site& site) {
  constexpr std::size_t unit = 16;
  check_barrier(barrier, site);
  check_shared_access(shared, unit, site);
  check_vector_access(global, unit, site);
  if (bytes % unit != 0) fail("a bulk copy of " + std::to_string(bytes) + " bytes", site);
  multiprocessor().shared().check(shared, bytes, site);
  if (observer) observer->bulk_copy(own_index(), shared, global, bytes, site);
  multiprocessor().copy_bulk({shared, global, bytes}, barrier, site);
}

void wait_barrier(Barrier& barrier, unsigned parity, const Site& site) {
  check_barrier(barrier, site);
  multiprocessor().wait_barrier(barrier, parity, site);
}

}  // namespace lfm::simt
