#include "kernels/transpose.h"

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using TransposeTest = KernelTest;

// Less than a tile, some with tails in either direction, whole ones; one layer and several.
TEST_CASE_METHOD(TransposeTest, "TransposeTest.EqualsTheDefinition") {
  struct Size {
    int layers, rows, columns;
  };
  for (const Size& s : {Size{1, 1, 1}, {4, 37, 5}, {3, 33, 65}, {9, 64, 32}}) {
    const std::size_t matrix = static_cast<std::size_t>(s.rows) * s.columns;
    const auto values = uniform(s.layers * matrix, 1);
    const DeviceArray<float> matrices(values);
    for (const bool reversed : {false, true}) {
      const auto got = result_of<float>(values.size(), [&](float* output, kernels::Stream stream) {
        kernels::transpose(output, matrices.data(), s.layers, s.rows, s.columns, reversed, stream);
      });
      for (int layer = 0; layer < s.layers; ++layer) {
        const std::size_t to = (reversed ? s.layers - 1 - layer : layer) * matrix, from = layer * matrix;
        for (int row = 0; row < s.rows; ++row) {
          for (int column = 0; column < s.columns; ++column) {
            QUICK_REQUIRE(got[to + column * s.rows + row] == values[from + row * s.columns + column],
                          "layer " << layer << ", row " << row << ", column " << column);
          }
        }
      }
    }
  }
}

TEST_CASE_METHOD(TransposeTest, "TransposeTest.RefusesEmptyMatrices") {
  CHECK_THROWS_AS(kernels::transpose(nullptr, nullptr, 0, 4, 4, false, nullptr), Error);
  CHECK_THROWS_AS(kernels::transpose(nullptr, nullptr, 70000, 4, 4, false, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
