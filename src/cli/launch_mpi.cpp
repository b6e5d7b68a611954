// The processes that mpirun started, joined by MPI.
#include <fmt/core.h>
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "src/cli/launch.h"
#include "src/machine/cores.h"

namespace lfm {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);  // with processes that may have failed too

MPI_Datatype type_of(double) { return MPI_DOUBLE; }
MPI_Datatype type_of(float) { return MPI_FLOAT; }

int rank_in(MPI_Comm communicator) {
  int rank = 0;
  MPI_Comm_rank(communicator, &rank);
  return rank;
}

int size_of(MPI_Comm communicator) {
  int size = 1;
  MPI_Comm_size(communicator, &size);
  return size;
}

std::string host_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  MPI_Get_processor_name(name.data(), &length);
  return {name.data(), static_cast<std::size_t>(length)};
}

// This process's share of the host's cores: what mpirun itself may use, dealt out to the host's processes, within what
// this one is bound to. Open MPI binds each of up to two processes to a single core, and more to a socket, unless told
// otherwise, which threads would all have to share: that default, and no binding that was asked for, is taken back.
int share_of_cores(int processes_here) {
  cpu_set_t own, launcher;
  if (sched_getaffinity(0, sizeof own, &own) != 0 || sched_getaffinity(getppid(), sizeof launcher, &launcher) != 0) {
    return std::max(1, usable_cores() / processes_here);
  }
  const bool bound = std::getenv("OMPI_MCA_orte_bound_at_launch") != nullptr;
  const bool asked_for =
      std::getenv("OMPI_MCA_hwloc_base_binding_policy") || std::getenv("OMPI_MCA_rmaps_base_mapping_policy");
  if (bound && !asked_for && sched_setaffinity(0, sizeof launcher, &launcher) == 0) own = launcher;
  return std::max(1, std::min(CPU_COUNT(&own), CPU_COUNT(&launcher) / processes_here));
}

// Adds up arrays in order of rank. Each process is handed all parts of one slice, sums it, and hands out the result:
// the order is the same whatever algorithm the MPI library prefers, nobody's bits differ, and no more is sent than by a
// ring.
template <typename T>
class Sum {
 public:
  explicit Sum(MPI_Comm communicator)
      : communicator_(communicator), size_(size_of(communicator)), rank_(rank_in(communicator)) {}

  void operator()(std::span<T> values) {
    cut(static_cast<int>(values.size()));
    const int own = counts_[rank_];
    parts_.resize(static_cast<std::size_t>(own) * size_);
    for (int r = 0; r < size_; ++r) part_counts_[r] = own, part_firsts_[r] = r * own;
    MPI_Alltoallv(values.data(), counts_.data(), firsts_.data(), type_of(T{}), parts_.data(), part_counts_.data(),
                  part_firsts_.data(), type_of(T{}), communicator_);
    for (int i = 0; i < own; ++i) {
      double total = 0;
      for (int r = 0; r < size_; ++r) total += double{parts_[static_cast<std::size_t>(r) * own + i]};
      values[static_cast<std::size_t>(firsts_[rank_]) + i] = static_cast<T>(total);
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values.data(), counts_.data(), firsts_.data(), type_of(T{}),
                   communicator_);
  }

 private:
  void cut(int count) {
    for (auto* numbers : {&counts_, &firsts_, &part_counts_, &part_firsts_})
      numbers->resize(static_cast<std::size_t>(size_));
    for (int r = 0; r < size_; ++r) {
      const auto begin = [&](int slice) { return static_cast<int>(std::int64_t{count} * slice / size_); };
      firsts_[r] = begin(r);
      counts_[r] = begin(r + 1) - begin(r);
    }
  }

  MPI_Comm communicator_;
  int size_, rank_;
  std::vector<int> counts_, firsts_, part_counts_, part_firsts_;
  std::vector<T> parts_;
};

void pause_for_others() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

}  // namespace

struct Launch::Mpi {
  // Letters from one process to another. What is sent is kept until MPI has it.
  class PostOffice {
   public:
    explicit PostOffice(MPI_Comm communicator) : communicator_(communicator) {}

    void send(int to, std::vector<std::byte> bytes) {
      forget_sent();
      Sent& sent = under_way_.emplace_back(Sent{std::move(bytes), MPI_REQUEST_NULL});
      MPI_Isend(sent.bytes.data(), static_cast<int>(sent.bytes.size()), MPI_BYTE, to, 0, communicator_, &sent.request);
    }

    std::optional<Letter> receive() {
      forget_sent();
      int there = 0;
      MPI_Message message = MPI_MESSAGE_NULL;
      MPI_Status status;
      MPI_Improbe(MPI_ANY_SOURCE, 0, communicator_, &there, &message, &status);
      if (!there) return std::nullopt;
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      Letter letter{status.MPI_SOURCE, std::vector<std::byte>(static_cast<std::size_t>(size))};
      MPI_Mrecv(letter.bytes.data(), size, MPI_BYTE, &message, MPI_STATUS_IGNORE);
      return letter;
    }

    bool has_sent_all() {
      forget_sent();
      return under_way_.empty();
    }

   private:
    struct Sent {
      std::vector<std::byte> bytes;
      MPI_Request request;
    };

    void forget_sent() {
      while (!under_way_.empty()) {
        int done = 0;
        MPI_Test(&under_way_.front().request, &done, MPI_STATUS_IGNORE);
        if (!done) return;
        under_way_.pop_front();
      }
    }

    MPI_Comm communicator_;
    std::deque<Sent> under_way_;
  };

  MPI_Comm working = MPI_COMM_NULL;  // sums and broadcasts
  MPI_Comm ending = MPI_COMM_NULL;   // processes that have failed meet here, whatever the others are waiting for
  std::optional<PostOffice> post;
};

std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string version(text.data(), static_cast<std::size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

Launch::Launch() {
  if (launched_processes() == 1) return;
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  mpi_ = std::make_unique<Mpi>();
  MPI_Comm_dup(MPI_COMM_WORLD, &mpi_->working);
  MPI_Comm_dup(MPI_COMM_WORLD, &mpi_->ending);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);

  group_.communicator = {rank_in(mpi_->working), size_of(mpi_->working), Sum<double>(mpi_->working),
                         Sum<float>(mpi_->working)};
  group_.broadcast = [communicator = mpi_->working](std::span<std::byte> bytes) {
    MPI_Bcast(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, 0, communicator);
  };
  MPI_Comm letters = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &letters);
  Mpi::PostOffice* const post = &mpi_->post.emplace(letters);
  mail_ = {group_.communicator.rank, group_.size(),
           [post](int to, std::vector<std::byte> bytes) { post->send(to, std::move(bytes)); },
           [post] { return post->receive(); }};
  group_.local_rank = rank_in(host);
  group_.threads = share_of_cores(size_of(host));
  group_.name = fmt::format("rank {} of {} ({})", group_.communicator.rank, group_.size(), host_name());
  MPI_Comm_free(&host);
}

Launch::~Launch() {
  if (!mpi_) return;
  MPI_Finalize();
  // The root may bring an exit code home. When mpirun sees one it ends all others, and is deaf to those that are still
  // leaving.
  if (group_.is_root()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

void Launch::leave(bool told_to_end) {
  if (!mpi_) return;
  while (!mpi_->post->has_sent_all()) pause_for_others();
  MPI_Request met = MPI_REQUEST_NULL;  // a barrier, without the core that MPI_Barrier keeps busy
  MPI_Ibarrier(mpi_->working, &met);
  for (int done = 0; !done; pause_for_others()) MPI_Test(&met, &done, MPI_STATUS_IGNORE);
  if (told_to_end) mpi_.reset();
}

void Launch::leave_at_once() { mpi_.reset(); }

bool Launch::all_stopped() {
  if (!mpi_) return true;
  MPI_Request met = MPI_REQUEST_NULL;
  MPI_Ibarrier(mpi_->ending, &met);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    int done = 0;
    MPI_Test(&met, &done, MPI_STATUS_IGNORE);
    if (done || std::chrono::steady_clock::now() > end) return done != 0;
    pause_for_others();
  }
}

void Launch::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();
}

}  // namespace lfm
