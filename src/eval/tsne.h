// t-SNE (van der Maaten and Hinton 2008): points of many dimensions laid out in two, neighbours near each other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lfm {

struct TsneOptions {
  double perplexity = 30;  ///< neighbours that count, about; at most a third of the points
  int iterations = 500;    ///< of gradient descent, half of them, at most 250, with attraction exaggerated
  int components = 50;     ///< principal components that distances are taken in
  std::uint64_t seed = 1;  ///< of the start of the principal components' iteration
};

/// points: [n][dimensions]. Starts from the first two principal components, scaled to a standard deviation of 1e-4, so
/// that the layout keeps the coarse order and the same points give the same picture. Exact: time and memory grow with n
/// squared.
std::vector<std::array<double, 2>> tsne(std::span<const float> points, std::size_t dimensions,
                                        const TsneOptions& options = {});

/// The first principal components of the centred points, [n][components], by orthogonal iteration.
std::vector<double> principal_components(std::span<const float> points, std::size_t dimensions, std::size_t components,
                                         std::uint64_t seed);

}  // namespace lfm
