// Matrix products by cuBLASLt. The library is opened at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/target.h"
#include "lfm/precision.h"

namespace lfm {

class Cublas {
 public:
  /// For the current device of the calling thread. Throws Error{device}: where the library is missing, with the remedy.
  Cublas();
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  int version() const;  ///< of the library: 130101 is 13.1.1

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

enum class ProductEpilogue { none, bias, bias_relu };

/// c [batch][columns][rows]: c[j][i] = sum over k of a[i][k] b[j][k], and what the epilogue adds, a bias [rows]. Both
/// factors run along k: a [batch][rows][depth], b [columns][depth], the same for the whole batch.
struct ProductProblem {
  std::int64_t rows = 0, columns = 0, depth = 0;
  int batch = 1;
  Precision precision = Precision::fp32;  ///< of a, b; of bias and c too, unless they are in FP32
  bool fp32_result = false;
  ProductEpilogue epilogue = ProductEpilogue::none;
};

/// A product whose algorithm is chosen. Goes before its Cublas.
class CublasProduct {
 public:
  struct Arrays {
    void* c = nullptr;
    const void* a = nullptr;
    const void* b = nullptr;
    const void* bias = nullptr;
    void* workspace = nullptr;
  };

  /// The algorithm that cuBLASLt's heuristics rank first among those that take no more workspace. Throws Error{device}.
  CublasProduct(Cublas& cublas, const ProductProblem& problem, std::size_t workspace_limit);
  ~CublasProduct();
  std::size_t workspace() const;
  /// Arrays aligned to 256 bytes. Never waits.
  void launch(const Arrays& arrays, kernels::Stream stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lfm
