// A reader for the few pickles that torch.save writes for tensors. It builds values; it calls nothing, imports nothing and
// knows nothing but the types below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/model/tensor.h"

namespace lfm {

/// Index of a value in its Pickle. Values refer to each other by index, so cycles and sharing need no care.
using PickleRef = std::uint32_t;

struct PickleValue {
  enum class Kind { none, boolean, integer, real, text, tuple, list, dict, global, storage, tensor, mark };
  Kind kind = Kind::none;
  std::int64_t integer = 0;                            ///< boolean, integer; storage: elements; tensor: offset in elements
  double real = 0;
  std::string text;                                    ///< text; global: "module.name"; storage: its key
  std::vector<PickleRef> items;                        ///< tuple, list; tensor: {storage}
  std::vector<std::pair<PickleRef, PickleRef>> pairs;  ///< dict, in order of insertion
  ElementType type = ElementType::f32;                 ///< storage
  std::vector<std::int64_t> shape, strides;            ///< tensor; strides in elements
};

struct Pickle {
  std::deque<PickleValue> values;
  PickleRef root = 0;
  const PickleValue& operator[](PickleRef ref) const { return values[ref]; }
};

/// Reads one pickle of protocol 2 to 5. Knows collections.OrderedDict, the typed storages of torch, and
/// torch._utils._rebuild_tensor_v2 and _rebuild_parameter; any other global, opcode or call is refused by name.
/// Throws std::runtime_error with the cause.
Pickle read_pickle(std::span<const std::byte> bytes);

}  // namespace lfm
