// cuDNN and cuBLAS, to stand beside the own kernels in lfm-bench kernels. Their headers are used where the build finds
// them, the libraries where the program does (dlopen): neither needs them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/target.h"
#include "lfm/precision.h"

namespace lfm::bench {

enum class CudnnPass {
  forward,          ///< y = max(0, conv2x2(x, w) + b), without pooling
  input_gradient,   ///< x from y and w
  weight_gradient,  ///< w from x and y
};

/// x [n][h][w][ic], w [oc][2][2][ic], b [oc], y [n][h-1][w-1][oc], all of the precision.
class CudnnConvolution {
 public:
  struct Arrays {
    void* x = nullptr;
    void* w = nullptr;
    void* y = nullptr;
    const void* bias = nullptr;
    void* workspace = nullptr;
  };

  struct Problem {
    CudnnPass pass = CudnnPass::forward;
    int n = 0, h = 0, w = 0, ic = 0, oc = 0;
    Precision precision = Precision::fp32;
  };

  CudnnConvolution();
  ~CudnnConvolution();
  /// Why it can't be timed; empty where it can.
  const std::string& missing() const { return missing_; }

  /// What launch() computes from now on, with the algorithm that cuDNN's heuristics rank first. Returns the bytes of
  /// workspace that takes. Throws Error{device} for what cuDNN does not support.
  std::size_t prepare(const Problem& problem);
  void launch(const Arrays& arrays, kernels::Stream stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string missing_;
};

/// c [rows][columns] = a [rows][depth] b [depth][columns], all of the precision.
class CublasProduct {
 public:
  CublasProduct();
  ~CublasProduct();
  const std::string& missing() const { return missing_; }
  void launch(void* c, const void* a, const void* b, int rows, int columns, int depth, Precision precision,
              kernels::Stream stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string missing_;
};

}  // namespace lfm::bench
