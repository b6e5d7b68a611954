// Training: memory, what persists between steps, Adam.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/adam.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/cuda/training.h"

namespace lfm::inline LFM_TARGET {

namespace {

// Calls f(id, oc, ic, taps) for the parameters whose layout on the device differs from the table's: the convolutions'
// weights.
template <typename F>
void for_convolutions(const ParameterTable& table, F f) {
  for (int id = 0; id < table.trainable; ++id) {
    const ParameterSpec& spec = table[id];
    if (spec.rank == 4) f(id, spec.shape[0], spec.shape[1], spec.shape[2] * spec.shape[3]);
  }
}

// From the table's layout to the device's; values may be all parameters or the trainable ones.
std::vector<float> to_device_layout(std::span<const float> values, const ParameterTable& table) {
  std::vector<float> packed(values.begin(), values.end());
  for_convolutions(table, [&](int id, int oc, int ic, int taps) {
    std::ranges::copy(pack_weight(parameter(values, table, id), oc, ic, taps),
                      parameter(std::span(packed), table, id).begin());
  });
  return packed;
}

void to_table_layout(std::span<float> values, const ParameterTable& table) {
  for_convolutions(table, [&](int id, int oc, int ic, int taps) {
    const auto weight = parameter(values, table, id);
    std::ranges::copy(unpack_weight(weight, oc, ic, taps), weight.begin());
  });
}

}  // namespace

CudaTraining::CudaTraining(const device::Context& context, device::Stream& stream, const Architecture& architecture,
                           std::span<const float> parameters, Precision precision)
    : context_(context),
      stream_(stream),
      architecture_(architecture),
      precision_(precision),
      table_(parameter_table(architecture)),
      state_plan_(plan_training_state(table_)),
      state_(context, state_plan_.arena.bytes),
      uploaded_(context) {
  stream_.zero(state_.data(), state_plan_.arena.bytes);  // gradients of convolution biases stay zero, moments start so
  const auto packed = to_device_layout(parameters, table_);
  overwrite(in_state(state_plan_.parameters), packed.data(), packed.size() * sizeof(float));
}

void CudaTraining::make_room(const PlanRequest& request) {
  const bool has_room = plan_.teacher || !request.teacher;
  if (has_room && request.n <= plan_.n && request.height == plan_.height && request.width == plan_.width) return;
  const TrainingPlan plan =
      plan_training(architecture_, request.n, request.height, request.width, precision_, request.teacher);
  stream_.synchronize();
  plan_ = {};  // nothing is planned should an allocation fail
  n_ = 0;
  if (arena_.bytes() < plan.arena.bytes) {
    arena_ = {};
    arena_ = device::Memory(context_, plan.arena.bytes);
  }
  if (inputs_.bytes() < plan.input_bytes) {
    inputs_ = {};
    inputs_ = device::PinnedMemory(context_, plan.input_bytes);
  }
  plan_ = plan;
}

void CudaTraining::upload(const Region& input, const void* from, std::size_t bytes) {
  std::memcpy(inputs_.data() + input.offset, from, bytes);
  stream_.copy_to_device(arena_.data() + input.offset, inputs_.data() + input.offset, bytes);
  uploaded_.record(stream_);
}

// Pinned memory that copies pass through; it grows to the largest of them, so that steps do not allocate.
std::byte* CudaTraining::transfer(std::size_t bytes) {
  if (transfer_.bytes() < bytes) {
    transfer_ = {};
    transfer_ = device::PinnedMemory(context_, bytes);
  }
  return transfer_.data();
}

void CudaTraining::download(void* to, const void* device, std::size_t bytes) {
  std::byte* pinned = transfer(bytes);
  stream_.copy_to_host(pinned, device, bytes);
  stream_.synchronize();
  std::memcpy(to, pinned, bytes);
}

void CudaTraining::overwrite(void* device, const void* from, std::size_t bytes) {
  std::byte* pinned = transfer(bytes);
  std::memcpy(pinned, from, bytes);
  stream_.copy_to_device(device, pinned, bytes);
  stream_.synchronize();
}

template <typename T>
void CudaTraining::sum_over_processes(T* device, std::size_t count) {
  if (communicator_.size == 1) return;
  if (collective_) return collective_->sum(device, count, stream_);
  std::vector<T> values(count);
  download(values.data(), device, count * sizeof(T));
  communicator_.sum(values);
  overwrite(device, values.data(), count * sizeof(T));
}
template void CudaTraining::sum_over_processes(float* device, std::size_t count);
template void CudaTraining::sum_over_processes(double* device, std::size_t count);

std::optional<std::vector<float>> CudaTraining::read(Activation activation) {
  if (n_ == 0) return std::nullopt;
  const auto values = [&](const Region& region, int area, int c) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(n_) * area * c * region.item_bytes);
    download(bytes.data(), at(region), bytes.size());
    return to_floats(bytes, region.item_bytes == sizeof(float) ? Precision::fp32 : precision_);
  };
  const auto positions = [&](const Region& region) -> std::optional<std::vector<float>> {
    if (region.bytes() == 0) return std::nullopt;  // of another trunk
    const auto& [images, h, w, c] = region.shape;
    const int area = static_cast<int>(h * w), channels = static_cast<int>(c);
    return channels_first(values(region, area, channels), n_, area, channels);
  };
  const bool resnet = architecture_.trunk == Trunk::resnet;
  switch (activation) {
    case Activation::block1: return positions(resnet ? plan_.resnet.stem : plan_.out[0]);
    case Activation::block2: return positions(resnet ? plan_.resnet.out[kLayer1End - 1] : plan_.out[1]);
    case Activation::block3: return positions(plan_.out[2]);
    case Activation::block4: return positions(plan_.out[3]);
    case Activation::maps: return values(plan_.maps, plan_.map.area(), channels());
    case Activation::features: return values(plan_.features, 1, feature_count(architecture_));
    case Activation::grad_maps:
      if (resnet) return std::nullopt;  // bottlenecks pass it on in place
      return positions(plan_.grad_maps);
  }
  return std::nullopt;
}

double CudaTraining::adam(const AdamOptions& options, std::uint64_t step) {
  const device::Range range("Adam", n_);
  ++changes_;
  const std::size_t count = table_.trainable_floats;
  sum_over_processes(in_state(state_plan_.gradients), count);
  const auto correction = [&](float beta) {
    return static_cast<float>(1 - std::pow(double{beta}, static_cast<double>(step)));
  };
  auto* partials = reinterpret_cast<double*>(state_.data() + state_plan_.norm_partials.offset);
  kernels::adam(in_state(state_plan_.parameters), in_state(state_plan_.m), in_state(state_plan_.v), partials,
                in_state(state_plan_.gradients),
                {.learning_rate = options.learning_rate,
                 .beta1 = options.beta1,
                 .beta2 = options.beta2,
                 .eps = options.eps,
                 .weight_decay = options.weight_decay,
                 .correction1 = correction(options.beta1),
                 .correction2 = correction(options.beta2)},
                count, stream_.handle());
  std::vector<double> squares(state_plan_.norm_partials.count());
  download(squares.data(), partials, squares.size() * sizeof(double));
  double total = 0;
  for (const double square : squares) total += square;
  return std::sqrt(total);
}

void CudaTraining::read_parameters(std::span<float> values) {
  download(values.data(), in_state(state_plan_.parameters), table_.total_floats * sizeof(float));
  to_table_layout(values, table_);
}

void CudaTraining::read_gradients(std::span<float> gradients) {
  download(gradients.data(), in_state(state_plan_.gradients), table_.trainable_floats * sizeof(float));
  to_table_layout(gradients, table_);
}

void CudaTraining::read_moments(std::span<float> m, std::span<float> v) {
  download(m.data(), in_state(state_plan_.m), table_.trainable_floats * sizeof(float));
  download(v.data(), in_state(state_plan_.v), table_.trainable_floats * sizeof(float));
  to_table_layout(m, table_);
  to_table_layout(v, table_);
}

void CudaTraining::write_moments(std::span<const float> m, std::span<const float> v) {
  for (const auto& [values, region] : {std::pair{m, &state_plan_.m}, {v, &state_plan_.v}}) {
    const auto packed = to_device_layout(values, table_);
    overwrite(in_state(*region), packed.data(), packed.size() * sizeof(float));
  }
}

}  // namespace lfm::inline LFM_TARGET
