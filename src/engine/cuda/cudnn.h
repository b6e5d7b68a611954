// The 2x2 convolution and its gradients by cuDNN's graph interface. The library is opened at run time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/target.h"
#include "lfm/precision.h"

namespace lfm {

class Cudnn {
 public:
  /// For the current device of the calling thread. Throws Error{device}: where the library is missing, with the remedy.
  Cudnn();
  /// Plans for another GPU, whose properties cuDNN's JSON tells: nothing can be launched, and no GPU is needed.
  explicit Cudnn(const std::string& device_properties);
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  int version() const;  ///< of the library: 91900 is 9.19.0

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

enum class ConvolutionPass {
  forward,          ///< y = max(0, conv2x2(x, w) + bias)
  input_gradient,   ///< x from y and w
  weight_gradient,  ///< w from x and y
};

/// x [n][h][w][ic], w [oc][2][2][ic], y [n][h-1][w-1][oc], bias [oc], all of the precision. Sums in FP32.
struct ConvolutionProblem {
  ConvolutionPass pass = ConvolutionPass::forward;
  int n = 0, h = 0, w = 0, ic = 0, oc = 0;
  Precision precision = Precision::fp32;
};

/// A finished plan of one convolution. Goes before its Cudnn.
class CudnnConvolution {
 public:
  struct Arrays {
    void* x = nullptr;
    void* w = nullptr;
    void* y = nullptr;
    const void* bias = nullptr;  ///< of the forward pass
    void* workspace = nullptr;
  };

  /// The first plan of cuDNN's heuristics that takes no more workspace, and in FP32 multiplies FP32. Throws
  /// Error{device}.
  CudnnConvolution(Cudnn& cudnn, const ConvolutionProblem& problem, std::size_t workspace_limit);
  ~CudnnConvolution();
  std::size_t workspace() const;
  /// Arrays aligned to 16 bytes. Never waits.
  void launch(const Arrays& arrays, kernels::Stream stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lfm
