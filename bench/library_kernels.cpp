#include "bench/library_kernels.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "lfm/error.h"

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#define LFM_HAVE_CUBLAS_HEADER
#endif
#if __has_include(<cudnn.h>)
#include <cudnn.h>
#define LFM_HAVE_CUDNN_HEADER
#endif

namespace lfm::bench {

namespace {

/// A library of the version whose header was compiled; stays open to the end of the program.
class Library {
 public:
  Library(const char* stem, int version)
      : name_(fmt::format("{}.so.{}", stem, version)), handle_(dlopen(name_.c_str(), RTLD_NOW)) {
    if (!handle_) missing_ = dlerror();
  }
  const std::string& missing() const { return missing_; }

  template <typename Function>
  void find(Function& function, const char* name) {
    if (!handle_) return;
    function = reinterpret_cast<Function>(dlsym(handle_, name));
    if (!function && missing_.empty()) missing_ = fmt::format("{} has no {}", name_, name);
  }

 private:
  std::string name_;
  void* handle_;
  std::string missing_;
};

void check(int status, const char* what) {
  if (status != 0) throw Error(ErrorCode::device, fmt::format("timing {}: it failed with status {}", what, status));
}

}  // namespace

#define LFM_FUNCTION(name) decltype(&::name) name = nullptr

#if defined(LFM_HAVE_CUDNN_HEADER)

struct CudnnConvolution::State {
  LFM_FUNCTION(cudnnCreate);
  LFM_FUNCTION(cudnnSetStream);
  LFM_FUNCTION(cudnnCreateTensorDescriptor);
  LFM_FUNCTION(cudnnSetTensor4dDescriptor);
  LFM_FUNCTION(cudnnCreateFilterDescriptor);
  LFM_FUNCTION(cudnnSetFilter4dDescriptor);
  LFM_FUNCTION(cudnnCreateConvolutionDescriptor);
  LFM_FUNCTION(cudnnSetConvolution2dDescriptor);
  LFM_FUNCTION(cudnnSetConvolutionMathType);
  LFM_FUNCTION(cudnnCreateActivationDescriptor);
  LFM_FUNCTION(cudnnSetActivationDescriptor);
  LFM_FUNCTION(cudnnGetConvolutionForwardAlgorithm_v7);
  LFM_FUNCTION(cudnnGetConvolutionBackwardDataAlgorithm_v7);
  LFM_FUNCTION(cudnnGetConvolutionBackwardFilterAlgorithm_v7);
  LFM_FUNCTION(cudnnConvolutionBiasActivationForward);
  LFM_FUNCTION(cudnnConvolutionBackwardData);
  LFM_FUNCTION(cudnnConvolutionBackwardFilter);

  // Kept to the end of the program, as the library is.
  cudnnHandle_t handle = nullptr;
  cudnnTensorDescriptor_t input = nullptr, output = nullptr, bias = nullptr;
  cudnnFilterDescriptor_t weight = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  cudnnActivationDescriptor_t relu = nullptr;

  CudnnPass pass = CudnnPass::forward;
  cudnnConvolutionFwdAlgo_t forward{};
  cudnnConvolutionBwdDataAlgo_t input_gradient{};
  cudnnConvolutionBwdFilterAlgo_t weight_gradient{};
  std::size_t workspace = 0;

  // Takes what the heuristics rank first.
  template <typename Algorithm, typename Ranked>
  void choose(Algorithm& algorithm, int status, int found, const Ranked& best) {
    check(status, "cuDNN");
    check(found == 1 ? best.status : CUDNN_STATUS_NOT_SUPPORTED, "cuDNN");
    check(cudnnSetConvolutionMathType(convolution, best.mathType), "cuDNN");
    algorithm = best.algo;
    workspace = best.memory;
  }
};

CudnnConvolution::CudnnConvolution() : state_(std::make_unique<State>()) {
  State& s = *state_;
  Library library("libcudnn", CUDNN_MAJOR);
#define LFM_FIND(name) library.find(s.name, #name)
  LFM_FIND(cudnnCreate);
  LFM_FIND(cudnnSetStream);
  LFM_FIND(cudnnCreateTensorDescriptor);
  LFM_FIND(cudnnSetTensor4dDescriptor);
  LFM_FIND(cudnnCreateFilterDescriptor);
  LFM_FIND(cudnnSetFilter4dDescriptor);
  LFM_FIND(cudnnCreateConvolutionDescriptor);
  LFM_FIND(cudnnSetConvolution2dDescriptor);
  LFM_FIND(cudnnSetConvolutionMathType);
  LFM_FIND(cudnnCreateActivationDescriptor);
  LFM_FIND(cudnnSetActivationDescriptor);
  LFM_FIND(cudnnGetConvolutionForwardAlgorithm_v7);
  LFM_FIND(cudnnGetConvolutionBackwardDataAlgorithm_v7);
  LFM_FIND(cudnnGetConvolutionBackwardFilterAlgorithm_v7);
  LFM_FIND(cudnnConvolutionBiasActivationForward);
  LFM_FIND(cudnnConvolutionBackwardData);
  LFM_FIND(cudnnConvolutionBackwardFilter);
  missing_ = library.missing();
  if (!missing_.empty()) return;
  if (const int status = s.cudnnCreate(&s.handle); status != 0) {
    missing_ = fmt::format("it does not start, status {}", status);
    return;
  }
  for (cudnnTensorDescriptor_t* tensor : {&s.input, &s.output, &s.bias})
    check(s.cudnnCreateTensorDescriptor(tensor), "cuDNN");
  check(s.cudnnCreateFilterDescriptor(&s.weight), "cuDNN");
  check(s.cudnnCreateConvolutionDescriptor(&s.convolution), "cuDNN");
  check(s.cudnnCreateActivationDescriptor(&s.relu), "cuDNN");
  check(s.cudnnSetActivationDescriptor(s.relu, CUDNN_ACTIVATION_RELU, CUDNN_NOT_PROPAGATE_NAN, 0), "cuDNN");
}

std::size_t CudnnConvolution::prepare(const Problem& problem) {
  State& s = *state_;
  const auto& [pass, n, h, w, ic, oc, precision] = problem;
  const cudnnDataType_t type = precision == Precision::fp16   ? CUDNN_DATA_HALF
                               : precision == Precision::bf16 ? CUDNN_DATA_BFLOAT16
                                                              : CUDNN_DATA_FLOAT;
  const cudnnMathType_t math = precision == Precision::fp32   ? CUDNN_FMA_MATH
                               : precision == Precision::tf32 ? CUDNN_DEFAULT_MATH
                                                              : CUDNN_TENSOR_OP_MATH;
  check(s.cudnnSetTensor4dDescriptor(s.input, CUDNN_TENSOR_NHWC, type, n, ic, h, w), "cuDNN");
  check(s.cudnnSetTensor4dDescriptor(s.output, CUDNN_TENSOR_NHWC, type, n, oc, h - 1, w - 1), "cuDNN");
  check(s.cudnnSetTensor4dDescriptor(s.bias, CUDNN_TENSOR_NHWC, type, 1, oc, 1, 1), "cuDNN");
  check(s.cudnnSetFilter4dDescriptor(s.weight, type, CUDNN_TENSOR_NHWC, oc, ic, 2, 2), "cuDNN");
  check(s.cudnnSetConvolution2dDescriptor(s.convolution, 0, 0, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cuDNN");
  check(s.cudnnSetConvolutionMathType(s.convolution, math), "cuDNN");
  s.pass = pass;
  int found = 0;
  switch (pass) {
    case CudnnPass::forward: {
      cudnnConvolutionFwdAlgoPerf_t best{};
      const int status = s.cudnnGetConvolutionForwardAlgorithm_v7(s.handle, s.input, s.weight, s.convolution, s.output,
                                                                  1, &found, &best);
      s.choose(s.forward, status, found, best);
      break;
    }
    case CudnnPass::input_gradient: {
      cudnnConvolutionBwdDataAlgoPerf_t best{};
      const int status = s.cudnnGetConvolutionBackwardDataAlgorithm_v7(s.handle, s.weight, s.output, s.convolution,
                                                                       s.input, 1, &found, &best);
      s.choose(s.input_gradient, status, found, best);
      break;
    }
    case CudnnPass::weight_gradient: {
      cudnnConvolutionBwdFilterAlgoPerf_t best{};
      const int status = s.cudnnGetConvolutionBackwardFilterAlgorithm_v7(s.handle, s.input, s.output, s.convolution,
                                                                         s.weight, 1, &found, &best);
      s.choose(s.weight_gradient, status, found, best);
      break;
    }
  }
  return s.workspace;
}

void CudnnConvolution::launch(const Arrays& a, kernels::Stream stream) {
  State& s = *state_;
  const float one = 1, zero = 0;
  check(s.cudnnSetStream(s.handle, reinterpret_cast<cudaStream_t>(stream)), "cuDNN");
  switch (s.pass) {
    case CudnnPass::forward:
      return check(s.cudnnConvolutionBiasActivationForward(s.handle, &one, s.input, a.x, s.weight, a.w, s.convolution,
                                                           s.forward, a.workspace, s.workspace, &zero, s.output, a.y,
                                                           s.bias, a.bias, s.relu, s.output, a.y),
                   "cuDNN");
    case CudnnPass::input_gradient:
      return check(s.cudnnConvolutionBackwardData(s.handle, &one, s.weight, a.w, s.output, a.y, s.convolution,
                                                  s.input_gradient, a.workspace, s.workspace, &zero, s.input, a.x),
                   "cuDNN");
    case CudnnPass::weight_gradient:
      return check(s.cudnnConvolutionBackwardFilter(s.handle, &one, s.input, a.x, s.output, a.y, s.convolution,
                                                    s.weight_gradient, a.workspace, s.workspace, &zero, s.weight, a.w),
                   "cuDNN");
  }
}

#else

struct CudnnConvolution::State {};
CudnnConvolution::CudnnConvolution() : missing_("it was built without cudnn.h") {}
std::size_t CudnnConvolution::prepare(const Problem&) { return 0; }
void CudnnConvolution::launch(const Arrays&, kernels::Stream) {}

#endif

#if defined(LFM_HAVE_CUBLAS_HEADER)

struct CublasProduct::State {
  LFM_FUNCTION(cublasCreate_v2);
  LFM_FUNCTION(cublasSetStream_v2);
  cublasStatus_t (*cublasGemmEx)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                 const void* alpha, const void* a, cudaDataType, int lda, const void* b, cudaDataType,
                                 int ldb, const void* beta, void* c, cudaDataType, int ldc, cublasComputeType_t,
                                 cublasGemmAlgo_t) = nullptr;  // its header overloads it
  cublasHandle_t handle = nullptr;                             // kept to the end of the program, as the library is
};

CublasProduct::CublasProduct() : state_(std::make_unique<State>()) {
  State& s = *state_;
  Library library("libcublas", CUBLAS_VER_MAJOR);
  library.find(s.cublasCreate_v2, "cublasCreate_v2");
  library.find(s.cublasSetStream_v2, "cublasSetStream_v2");
  library.find(s.cublasGemmEx, "cublasGemmEx");
  missing_ = library.missing();
  if (!missing_.empty()) return;
  if (const int status = s.cublasCreate_v2(&s.handle); status != 0)
    missing_ = fmt::format("it does not start, status {}", status);
}

// Row by row here, column by column there: the same memory is the transposed product, columns first.
void CublasProduct::launch(void* c, const void* a, const void* b, int rows, int columns, int depth, Precision precision,
                           kernels::Stream stream) {
  State& s = *state_;
  const float one = 1, zero = 0;
  const cudaDataType type = precision == Precision::fp16   ? CUDA_R_16F
                            : precision == Precision::bf16 ? CUDA_R_16BF
                                                           : CUDA_R_32F;
  const cublasComputeType_t compute = precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  check(s.cublasSetStream_v2(s.handle, reinterpret_cast<cudaStream_t>(stream)), "cuBLAS");
  check(s.cublasGemmEx(s.handle, CUBLAS_OP_N, CUBLAS_OP_N, columns, rows, depth, &one, b, type, columns, a, type, depth,
                       &zero, c, type, columns, compute, CUBLAS_GEMM_DEFAULT),
        "cuBLAS");
}

#else

struct CublasProduct::State {};
CublasProduct::CublasProduct() : missing_("it was built without cublas_v2.h") {}
void CublasProduct::launch(void*, const void*, const void*, int, int, int, Precision, kernels::Stream) {}

#endif

CudnnConvolution::~CudnnConvolution() = default;
CublasProduct::~CublasProduct() = default;

}  // namespace lfm::bench
