// cuBLASLt counts columns first: what is [columns][rows] here is a rows x columns matrix there, and both factors, which
// run along k, are k x rows and k x columns, the first to be transposed.
#include "src/engine/cuda/cublas.h"

#include <fmt/core.h>

#include "lfm/error.h"
#include "src/engine/cuda/open_library.h"
#include "src/engine/precision.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif

namespace lfm {

constexpr LibraryFile kCublasFile{"cuBLAS", "libcublasLt",
                                  "cuBLAS: the Python package nvidia-cublas, or CUDA's toolkit (libcublas-13-0 for "
                                  "Debian)"};

#if __has_include(<cublasLt.h>)

// clang-format off
#define LFM_CUBLAS_FUNCTIONS(of) \
  of(cublasLtGetVersion) of(cublasLtGetStatusString) of(cublasLtCreate) of(cublasLtDestroy) \
  of(cublasLtMatmulDescCreate) of(cublasLtMatmulDescDestroy) of(cublasLtMatmulDescSetAttribute) \
  of(cublasLtMatrixLayoutCreate) of(cublasLtMatrixLayoutDestroy) of(cublasLtMatrixLayoutSetAttribute) \
  of(cublasLtMatmulPreferenceCreate) of(cublasLtMatmulPreferenceDestroy) \
  of(cublasLtMatmulPreferenceSetAttribute) of(cublasLtMatmulAlgoGetHeuristic) of(cublasLtMatmul)
// clang-format on

struct Cublas::State {
#define LFM_DECLARE(name) decltype(&::name) name = nullptr;
  LFM_CUBLAS_FUNCTIONS(LFM_DECLARE)
#undef LFM_DECLARE

  cublasLtHandle_t handle = nullptr;

  State();
  ~State();
  void check(cublasStatus_t status, const char* what) const;
};

Cublas::State::State() {
  const OpenLibrary library(kCublasFile, CUBLAS_VER_MAJOR);
#define LFM_FIND(name) library.find(name, #name);
  LFM_CUBLAS_FUNCTIONS(LFM_FIND)
#undef LFM_FIND
#undef LFM_CUBLAS_FUNCTIONS
}

Cublas::State::~State() {
  if (handle) cublasLtDestroy(handle);
}

void Cublas::State::check(cublasStatus_t status, const char* what) const {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorCode::device, fmt::format("cuBLAS {}: {} failed: {} (status {})", cublasLtGetVersion(), what,
                                             cublasLtGetStatusString(status), static_cast<int>(status)));
}

struct CublasProduct::State {
  const Cublas::State& cublas;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t best{};
  bool biased = false;

  explicit State(const Cublas::State& of) : cublas(of) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (preference) cublas.cublasLtMatmulPreferenceDestroy(preference);
    for (const cublasLtMatrixLayout_t layout : {a, b, c}) {
      if (layout) cublas.cublasLtMatrixLayoutDestroy(layout);
    }
    if (operation) cublas.cublasLtMatmulDescDestroy(operation);
  }

  template <typename T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) const {
    cublas.check(cublas.cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof(value)),
                 "cublasLtMatmulDescSetAttribute");
  }
  /// columns of `rows` items each, one after the other; `batch` of them, `stride` items apart.
  void lay(cublasLtMatrixLayout_t& layout, cudaDataType_t type, std::int64_t rows, std::int64_t columns, int batch,
           std::int64_t stride) const {
    cublas.check(cublas.cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows),
                                                   static_cast<std::uint64_t>(columns), rows),
                 "cublasLtMatrixLayoutCreate");
    if (batch == 1) return;
    const auto set_layout = [&](cublasLtMatrixLayoutAttribute_t name, const auto& value) {
      cublas.check(cublas.cublasLtMatrixLayoutSetAttribute(layout, name, &value, sizeof(value)),
                   "cublasLtMatrixLayoutSetAttribute");
    };
    const std::int32_t count = batch;
    set_layout(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    set_layout(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
};

namespace {

cudaDataType_t cublas_type(Precision precision) {
  switch (precision) {
    case Precision::fp16: return CUDA_R_16F;
    case Precision::bf16: return CUDA_R_16BF;
    default: return CUDA_R_32F;
  }
}

}  // namespace

Cublas::Cublas() : state_(std::make_unique<State>()) {
  state_->check(state_->cublasLtCreate(&state_->handle), "cublasLtCreate");
}

int Cublas::version() const { return static_cast<int>(state_->cublasLtGetVersion()); }

CublasProduct::CublasProduct(Cublas& cublas, const ProductProblem& p, std::size_t workspace_limit)
    : state_(std::make_unique<State>(cublas.state())) {
  State& s = *state_;
  const Cublas::State& lt = s.cublas;
  const cudaDataType_t type = cublas_type(p.precision), result = p.fp32_result ? CUDA_R_32F : type;
  const cublasComputeType_t compute =
      p.precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  lt.check(lt.cublasLtMatmulDescCreate(&s.operation, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  s.set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  s.set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  s.biased = p.epilogue != ProductEpilogue::none;
  if (s.biased) {
    s.set(CUBLASLT_MATMUL_DESC_EPILOGUE,
          p.epilogue == ProductEpilogue::bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_RELU_BIAS);
    s.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, result);
  }
  s.lay(s.a, type, p.depth, p.rows, p.batch, p.depth * p.rows);
  s.lay(s.b, type, p.depth, p.columns, p.batch, 0);
  s.lay(s.c, result, p.rows, p.columns, p.batch, p.rows * p.columns);
  lt.check(lt.cublasLtMatmulPreferenceCreate(&s.preference), "cublasLtMatmulPreferenceCreate");
  const std::uint64_t limit = workspace_limit;
  lt.check(lt.cublasLtMatmulPreferenceSetAttribute(s.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit,
                                                   sizeof(limit)),
           "cublasLtMatmulPreferenceSetAttribute");
  int found = 0;
  lt.check(
      lt.cublasLtMatmulAlgoGetHeuristic(lt.handle, s.operation, s.a, s.b, s.c, s.c, s.preference, 1, &s.best, &found),
      "cublasLtMatmulAlgoGetHeuristic");
  if (found == 0) {
    throw Error(ErrorCode::device, fmt::format("cuBLAS {} has no algorithm for a product of {} x {} x {}, {} of them, "
                                               "in {} within {} bytes of workspace",
                                               cublas.version(), p.rows, p.columns, p.depth, p.batch,
                                               precision_name(p.precision), workspace_limit));
  }
  lt.check(s.best.state, "what cublasLtMatmulAlgoGetHeuristic found");
}

std::size_t CublasProduct::workspace() const { return state_->best.workspaceSize; }

void CublasProduct::launch(const Arrays& arrays, kernels::Stream stream) const {
  const State& s = *state_;
  const float one = 1, zero = 0;
  if (s.biased) s.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, arrays.bias);
  s.cublas.check(s.cublas.cublasLtMatmul(s.cublas.handle, s.operation, &one, arrays.a, s.a, arrays.b, s.b, &zero,
                                         arrays.c, s.c, arrays.c, s.c, &s.best.algo, arrays.workspace,
                                         s.best.workspaceSize, reinterpret_cast<cudaStream_t>(stream)),
                 "cublasLtMatmul");
}

#else

struct Cublas::State {};
struct CublasProduct::State {};

namespace {

[[noreturn]] void missing_cublas() {
  throw Error(ErrorCode::device, fmt::format("this build was made without cublasLt.h; build it where cuBLAS's headers "
                                             "are: install {}; --kernels own needs no library",
                                             kCublasFile.packages));
}

}  // namespace

Cublas::Cublas() { missing_cublas(); }
int Cublas::version() const { return 0; }
CublasProduct::CublasProduct(Cublas&, const ProductProblem&, std::size_t) { missing_cublas(); }
std::size_t CublasProduct::workspace() const { return 0; }
void CublasProduct::launch(const Arrays&, kernels::Stream) const {}

#endif

Cublas::~Cublas() = default;
CublasProduct::~CublasProduct() = default;

}  // namespace lfm
