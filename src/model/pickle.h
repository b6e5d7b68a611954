// A reader for the pickles that torch.save writes. It builds values; it calls nothing, imports nothing and knows
// nothing but the types below. Whatever else a checkpoint keeps beside its tensors (a Namespace, numpy scalars, dates,
// random generators) is read over.
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
  /// opaque: what a call or a class unknown here would have made, sets, bytes, and integers of more than 64 bits.
  enum class Kind { none, boolean, integer, real, text, tuple, list, dict, global, storage, tensor, opaque, mark };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< boolean, integer; storage: elements; tensor: offset in elements
  double real = 0;
  std::string text;              ///< text; global, opaque: "module.name", where known; storage: its key
  std::vector<PickleRef> items;  ///< tuple, list; tensor: {storage}
  std::vector<std::pair<PickleRef, PickleRef>> pairs;  ///< dict, in order of insertion
  ElementType type = ElementType::f32;                 ///< storage
  std::vector<std::int64_t> shape, strides;            ///< tensor; strides in elements
};

struct Pickle {
  std::deque<PickleValue> values;
  PickleRef root = 0;
  const PickleValue& operator[](PickleRef ref) const { return values[ref]; }
};

/// Reads one pickle of protocol 2 to 5. Knows dicts, collections.OrderedDict and defaultdict, the typed storages of
/// torch, and the calls of torch that rebuild dense tensors and parameters. Any other global, call or object becomes an
/// opaque value, and what is put into it is dropped. Globals that would run commands or code where PyTorch loads the
/// file are refused by name: nobody should go on to open it. Throws std::runtime_error with the cause.
Pickle read_pickle(std::span<const std::byte> bytes);

}  // namespace lfm
