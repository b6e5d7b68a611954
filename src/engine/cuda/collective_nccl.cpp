// Loaded when first needed: a program built with NCCL starts on machines without.
#include <dlfcn.h>
#include <fmt/core.h>
#include <nccl.h>

#include <array>
#include <type_traits>

#include "lfm/error.h"
#include "src/engine/cuda/collective.h"

namespace lfm::device::inline LFM_TARGET {
namespace {

struct Nccl {
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRank) init_rank = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;

  Nccl() {
    void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    const auto find = [library](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(library ? dlsym(library, name) : nullptr);
    };
    find(get_unique_id, "ncclGetUniqueId");
    find(init_rank, "ncclCommInitRank");
    find(destroy, "ncclCommDestroy");
    find(all_reduce, "ncclAllReduce");
    find(error_string, "ncclGetErrorString");
  }
  bool usable() const { return get_unique_id && init_rank && destroy && all_reduce && error_string; }

  void check(ncclResult_t result, const char* what) const {
    if (result == ncclSuccess) return;
    throw Error(ErrorCode::device,
                fmt::format("NCCL: {} failed: {}; every process needs a GPU of its own, and NCCL_DEBUG=INFO tells more",
                            what, error_string(result)));
  }
};

const Nccl& nccl() {
  static const Nccl library;
  return library;
}

class NcclCollective final : public Collective {
 public:
  NcclCollective(const Context& context, const Communicator& communicator) {
    std::array<double, NCCL_UNIQUE_ID_BYTES> bytes{};  // of the root; the others add zeros
    ncclUniqueId id{};
    if (communicator.rank == 0) {
      nccl().check(nccl().get_unique_id(&id), "making an id");
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = id.internal[i];
    }
    communicator.sum(bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) id.internal[i] = static_cast<char>(bytes[i]);
    context.make_current();
    nccl().check(nccl().init_rank(&group_, communicator.size, id, communicator.rank), "joining the GPUs");
  }
  ~NcclCollective() override { nccl().destroy(group_); }

  void sum(float* device, std::size_t count, Stream& stream) override { sum(device, count, ncclFloat32, stream); }
  void sum(double* device, std::size_t count, Stream& stream) override { sum(device, count, ncclFloat64, stream); }

 private:
  void sum(void* device, std::size_t count, ncclDataType_t type, Stream& stream) {
    nccl().check(nccl().all_reduce(device, device, count, type, ncclSum, group_,
                                   reinterpret_cast<cudaStream_t>(stream.handle())),
                 "adding up over the GPUs");
  }

  ncclComm_t group_ = nullptr;
};

}  // namespace

std::unique_ptr<Collective> make_collective(const Context& context, const Communicator& communicator) {
  double usable = nccl().usable() ? 1 : 0;
  communicator.sum({&usable, 1});
  if (usable < communicator.size) return nullptr;
  return std::make_unique<NcclCollective>(context, communicator);
}

}  // namespace lfm::device::inline LFM_TARGET
