// What the tests of the engines' training share: batches, runs of a few steps, the distance of gradients, several
// engines as one group, a batch split between two.
#pragma once

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "src/engine/network.h"

namespace lfm {

/// What neither rival has alone: LFM's pooling and branches on the ResNet trunk, in front of SAFE's head.
inline constexpr Architecture kMixedNetwork = {Pooling::topk,          3, FrontEnd::npr, Trunk::resnet, Head::softmax,
                                               Normalisation::imagenet};

/// Random images whose labels alternate.
struct DrawnBatch {
  int n, h, w;
  std::vector<std::uint8_t> pixels, labels;

  DrawnBatch(int images, int height, int width, unsigned seed) : n(images), h(height), w(width) {
    std::mt19937 generator(seed);
    pixels.resize(std::size_t{3} * n * h * w);
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
    for (int i = 0; i < n; ++i) labels.push_back(static_cast<std::uint8_t>(i % 2));
  }
  TrainingBatch images(int first, int count) const {
    const std::size_t image = std::size_t{3} * h * w;
    return {{pixels.data() + first * image, count, h, w}, std::span(labels).subspan(first, count)};
  }
};

/// Of a fresh network, but that batch norm scales some channels by a negative number, or zero.
inline std::vector<float> random_parameters(const Architecture& architecture, unsigned seed) {
  const ParameterTable table = parameter_table(architecture);
  std::mt19937 generator(seed);
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < table.size(); ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f,
                                          fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.3f);
    for (float& value : parameter(std::span(values), table, id)) value = noise(generator);
  }
  // Batch norm's scale may be negative, and zero: the maximum then is the smallest, and the first.
  for (int id = 0; id < table.trainable; ++id) {
    if (table[id].initial != 1) continue;
    const auto scale = parameter(std::span(values), table, id);
    scale[1] = -scale[1];
    scale[2] = 0;
  }
  return values;
}

/// RBLD and RKS where the pooling selects.
inline TrainingOptions options_for(const Architecture& architecture) {
  const bool selects = architecture.pooling == Pooling::topk;
  return {.rbld = selects, .rks = selects};
}

/// Two steps of two micro-batches each, then parameters, gradients and moments in one array.
inline std::vector<float> train(Engine& engine, const DrawnBatch& batch, std::span<const float> parameters,
                                const Architecture& architecture = {}) {
  const ParameterTable table = parameter_table(architecture);
  const TrainingOptions options = options_for(architecture);
  engine.load(architecture, parameters);
  const int half = batch.n / 2;
  for (std::uint64_t step = 1; step <= 2; ++step) {
    const float scale = 1.0f / static_cast<float>(batch.n);
    forward_backward(engine, batch.images(0, half), options, {7, step, 0}, scale, GradientMode::overwrite);
    forward_backward(engine, batch.images(half, batch.n - half), options, {7, step, half}, scale,
                     GradientMode::accumulate);
    engine.training().adam({.weight_decay = 0.01f}, step);
  }
  std::vector<float> state(table.total_floats + 3 * table.trainable_floats);
  const std::span all(state);
  engine.training().read_parameters(all.first(table.total_floats));
  engine.training().read_gradients(all.subspan(table.total_floats, table.trainable_floats));
  engine.training().read_moments(all.subspan(table.total_floats + table.trainable_floats, table.trainable_floats),
                                 all.last(table.trainable_floats));
  return state;
}

inline std::vector<float> gradients_of_one_pass(Engine& engine, const DrawnBatch& batch,
                                                std::span<const float> parameters,
                                                const Architecture& architecture = {}) {
  engine.load(architecture, parameters);
  forward_backward(engine, batch.images(0, batch.n), options_for(architecture), {1, 2, 3},
                   1.0f / static_cast<float>(batch.n), GradientMode::overwrite);
  std::vector<float> values(parameter_table(architecture).trainable_floats);
  engine.training().read_gradients(values);
  return values;
}

/// |got - expected| / |expected| of one tensor, both as Euclidean norms.
inline double relative_distance(std::span<const float> got, std::span<const float> expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += (double{got[i]} - double{expected[i]}) * (double{got[i]} - double{expected[i]});
    norm += double{expected[i]} * double{expected[i]};
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// Of all tensors the largest. A gradient that is rounding noise (batch norm takes away what the parameter does) is
/// held to the size of all.
inline double relative_distance_of_gradients(const std::vector<float>& got, const std::vector<float>& expected,
                                             const Architecture& architecture = {}) {
  const ParameterTable table = parameter_table(architecture);
  const std::vector<float> zeros(expected.size());
  const double all = relative_distance(expected, zeros);
  double worst = 0;
  for (int id = 0; id < table.trainable; ++id) {
    const auto g = parameter(std::span(got), table, id), e = parameter(std::span(expected), table, id);
    const bool is_noise = relative_distance(e, std::span(zeros).first(e.size())) < 1e-10 * all;
    worst = std::max(worst,
                     is_noise ? relative_distance(g, std::span(zeros).first(g.size())) / all : relative_distance(g, e));
  }
  return worst;
}

/// The running statistics' distance, of all tensors the largest. Both: all parameters.
inline double relative_distance_of_statistics(const std::vector<float>& got, const std::vector<float>& expected,
                                              const Architecture& architecture) {
  const ParameterTable table = parameter_table(architecture);
  double worst = 0;
  for (int id = table.trainable; id < table.size(); ++id) {
    worst = std::max(
        worst, relative_distance(parameter(std::span(got), table, id), parameter(std::span(expected), table, id)));
  }
  return worst;
}

/// All of them, after training.
inline std::vector<float> parameters_of(Engine& engine) {
  std::vector<float> values(parameter_table(engine.architecture()).total_floats);
  engine.training().read_parameters(values);
  return values;
}

/// Sums over the engines of one process, each called from a thread of its own.
class Group {
 public:
  explicit Group(int size) : barrier_(size), size_(size), parts_(static_cast<std::size_t>(size)) {}
  Communicator member(int rank) {
    return {rank, size_, [this, rank](std::span<double> values) { sum(rank, values); },
            [this, rank](std::span<float> values) { sum(rank, values); }};
  }

 private:
  template <typename T>
  void sum(int rank, std::span<T> values) {
    parts_[static_cast<std::size_t>(rank)].assign(values.begin(), values.end());
    barrier_.arrive_and_wait();
    for (std::size_t i = 0; i < values.size(); ++i) {
      double total = 0;
      for (const auto& part : parts_) total += part[i];
      values[i] = static_cast<T>(total);
    }
    barrier_.arrive_and_wait();
  }
  std::barrier<> barrier_;
  int size_;
  std::vector<std::vector<double>> parts_;
};

/// What a step leaves.
struct Stepped {
  std::vector<float> parameters, gradients;
};

/// One step, of a batch as a whole and split between two processes.
struct SplitStep {
  Stepped whole, left, right;
};

/// Each by an engine of its own, whose parameters are drawn alike; the left one has the larger part.
inline SplitStep step_whole_and_split(Engine& whole, Engine& left, Engine& right, const DrawnBatch& batch,
                                      const Architecture& architecture = {}) {
  const auto parameters = random_parameters(architecture, 10);
  const auto step = [&](Engine& engine, int first, int count) {
    engine.load(architecture, parameters);
    forward_backward(engine, batch.images(first, count), options_for(architecture), {3, 1, first},
                     1.0f / static_cast<float>(batch.n), GradientMode::overwrite);
    engine.training().adam({}, 1);
    Stepped stepped{parameters_of(engine), std::vector<float>(parameter_table(architecture).trainable_floats)};
    engine.training().read_gradients(stepped.gradients);
    return stepped;
  };
  SplitStep result;
  result.whole = step(whole, 0, batch.n);
  Group group(2);
  left.set_communicator(group.member(0));
  right.set_communicator(group.member(1));
  const int of_left = (batch.n + 1) / 2;
  std::thread other([&] { result.right = step(right, of_left, batch.n - of_left); });
  result.left = step(left, 0, of_left);
  other.join();
  return result;
}

}  // namespace lfm
