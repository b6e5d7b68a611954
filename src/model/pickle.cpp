#include "src/model/pickle.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace lfm {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMaxValues = 500'000;
constexpr std::size_t kMaxStack = 1'000'000;

constexpr std::size_t kMaxTypes = 8;  // that a tensor's class may be wrapped in

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kDefaultDict = "collections.defaultdict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildSubclass =
    "torch._tensor._rebuild_from_type_v2";  // (rebuild, class, arguments, state)
constexpr std::array<std::string_view, 2> kRebuildParameter = {"torch._utils._rebuild_parameter",
                                                               "torch._utils._rebuild_parameter_with_state"};

/// What attacks whoever loads the file with Python: whole modules, and builtins.
constexpr std::array<std::string_view, 13> kRunningModules = {
    "os",     "posix", "nt",        "subprocess", "sys",        "pty",  "socket",
    "shutil", "pdb",   "importlib", "ctypes",     "webbrowser", "runpy"};
constexpr std::array<std::string_view, 9> kRunningBuiltins = {"eval",  "exec",  "execfile",   "compile",   "open",
                                                              "apply", "input", "__import__", "breakpoint"};

struct StorageType {
  std::string_view global;
  ElementType type;
};
constexpr std::array<StorageType, 10> kStorages = {{{"torch.DoubleStorage", ElementType::f64},
                                                    {"torch.FloatStorage", ElementType::f32},
                                                    {"torch.HalfStorage", ElementType::f16},
                                                    {"torch.BFloat16Storage", ElementType::bf16},
                                                    {"torch.LongStorage", ElementType::i64},
                                                    {"torch.IntStorage", ElementType::i32},
                                                    {"torch.ShortStorage", ElementType::i16},
                                                    {"torch.CharStorage", ElementType::i8},
                                                    {"torch.ByteStorage", ElementType::u8},
                                                    {"torch.BoolStorage", ElementType::boolean}}};

std::optional<ElementType> storage_type(std::string_view global) {
  const auto it = std::find_if(kStorages.begin(), kStorages.end(), [&](const auto& s) { return s.global == global; });
  if (it == kStorages.end()) return std::nullopt;
  return it->type;
}

bool runs_code(std::string_view module, std::string_view name) {
  if (module == "builtins" || module == "__builtin__")
    return std::ranges::find(kRunningBuiltins, name) != kRunningBuiltins.end();
  return std::ranges::find(kRunningModules, module.substr(0, module.find('.'))) != kRunningModules.end();
}

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

// The pickle machine: a stack of values, marks on it, and a memo.
class Machine {
 public:
  explicit Machine(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Pickle run() {
    for (;;) {
      const auto opcode = byte();
      if (opcode == '.') break;
      step(opcode);
      if (stack_.size() > kMaxStack) refuse("its pickle nests too deep");
    }
    pickle_.root = pop();
    if (!stack_.empty()) refuse("its pickle leaves values behind");
    return std::move(pickle_);
  }

 private:
  // ---- the byte stream ----
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - position_) refuse("its pickle is truncated");
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  std::string text(std::uint64_t count) {
    const auto taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  std::string line() {
    const auto rest = bytes_.subspan(position_);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    if (end == rest.end()) refuse("its pickle is truncated");
    const auto length = static_cast<std::size_t>(end - rest.begin());
    std::string out = text(length);
    ++position_;
    return out;
  }
  double real() {  // big-endian, unlike everything else
    std::uint64_t bits = 0;
    for (const std::byte b : take(8)) bits = bits << 8 | static_cast<std::uint64_t>(b);
    return std::bit_cast<double>(bits);
  }
  /// Integers of more than 64 bits (states of random generators) are no tensor's: opaque.
  void push_long(std::uint64_t size) {
    const auto digits = take(size);
    if (digits.size() > 8) return push(Kind::opaque);
    std::uint64_t value = !digits.empty() && (digits.back() & std::byte{0x80}) != std::byte{0} ? ~std::uint64_t{0} : 0;
    for (auto it = digits.rbegin(); it != digits.rend(); ++it) value = value << 8 | static_cast<std::uint64_t>(*it);
    push_integer(Kind::integer, static_cast<std::int64_t>(value));
  }
  /// Protocol 0's integers: decimal, at times with an L behind; 00 and 01 are False and True.
  void push_decimal(std::string digits) {
    if (digits == "00" || digits == "01") return push_integer(Kind::boolean, digits == "01");
    if (digits.ends_with('L')) digits.pop_back();
    std::int64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error == std::errc::result_out_of_range) return push(Kind::opaque);
    if (error != std::errc() || stop != end) refuse("its pickle has a malformed integer");
    push_integer(Kind::integer, value);
  }
  std::uint32_t memo_index() {
    const std::string digits = line();
    std::uint32_t index = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error != std::errc() || stop != digits.data() + digits.size())
      refuse("its pickle has a malformed place in its memo");
    return index;
  }

  // ---- values and the stack ----
  PickleRef add(PickleValue value) {
    if (pickle_.values.size() >= kMaxValues) refuse("its pickle has too many values");
    pickle_.values.push_back(std::move(value));
    return static_cast<PickleRef>(pickle_.values.size() - 1);
  }
  void push(PickleValue value) { stack_.push_back(add(std::move(value))); }
  void push(Kind kind) {
    PickleValue value;
    value.kind = kind;
    push(std::move(value));
  }
  void push_integer(Kind kind, std::int64_t integer) {
    PickleValue value;
    value.kind = kind;
    value.integer = integer;
    push(std::move(value));
  }
  void push_text(Kind kind, std::string content) {
    PickleValue value;
    value.kind = kind;
    value.text = std::move(content);
    push(std::move(value));
  }
  void push_tuple(std::vector<PickleRef> items) {
    PickleValue value;
    value.kind = Kind::tuple;
    value.items = std::move(items);
    push(std::move(value));
  }
  void push_list(std::vector<PickleRef> items) {
    PickleValue value;
    value.kind = Kind::list;
    value.items = std::move(items);
    push(std::move(value));
  }
  void push_bytes(std::uint64_t count) {
    take(count);
    push(Kind::opaque);
  }
  PickleRef top() const {
    if (stack_.empty()) refuse("its pickle takes from an empty stack");
    return stack_.back();
  }
  PickleRef top_value() {
    const PickleRef ref = top();
    if (at(ref).kind == Kind::mark) refuse("its pickle takes a mark for a value");
    return ref;
  }
  PickleRef pop() {
    const PickleRef ref = top_value();
    stack_.pop_back();
    return ref;
  }
  std::vector<PickleRef> pop(std::size_t count) {
    std::vector<PickleRef> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }
  std::vector<PickleRef> pop_to_mark() {
    std::vector<PickleRef> items;
    while (at(top()).kind != Kind::mark) items.push_back(pop());
    stack_.pop_back();
    std::reverse(items.begin(), items.end());
    return items;
  }
  PickleValue& at(PickleRef ref) { return pickle_.values[ref]; }
  PickleValue& top_of_kind(Kind kind) {
    PickleValue& value = at(top());
    if (value.kind != kind) refuse("its pickle fills a value of another kind");
    return value;
  }
  const PickleValue& item(const PickleValue& tuple, std::size_t index, Kind kind) {
    if (index >= tuple.items.size() || at(tuple.items[index]).kind != kind) refuse("its pickle has a malformed tensor");
    return at(tuple.items[index]);
  }
  std::vector<std::int64_t> integers(const PickleValue& tuple) {
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < tuple.items.size(); ++i) out.push_back(item(tuple, i, Kind::integer).integer);
    return out;
  }

  // ---- opcodes ----
  void step(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (const auto protocol = byte(); protocol < 2 || protocol > 5) refuse("its pickle has protocol {}", protocol);
        return;
      case 0x95:  // FRAME
        take(8);
        return;
      case '(': return push(Kind::mark);
      case 'N': return push(Kind::none);
      case 0x88: return push_integer(Kind::boolean, 1);
      case 0x89: return push_integer(Kind::boolean, 0);
      case 'K': return push_integer(Kind::integer, byte());
      case 'M': return push_integer(Kind::integer, number<std::uint16_t>());
      case 'J': return push_integer(Kind::integer, number<std::int32_t>());
      case 0x8a: return push_long(byte());
      case 0x8b: return push_long(number<std::uint32_t>());
      case 'I':
      case 'L': return push_decimal(line());
      case 'F':  // its text says nothing that a tensor needs
        line();
        return push(Kind::opaque);
      case 'G': {
        PickleValue value;
        value.kind = Kind::real;
        value.real = real();
        return push(std::move(value));
      }
      case 'X': return push_text(Kind::text, text(number<std::uint32_t>()));
      case 0x8c: return push_text(Kind::text, text(byte()));
      case 0x8d: return push_text(Kind::text, text(number<std::uint64_t>()));
      case 'T': return push_text(Kind::text, text(number<std::uint32_t>()));  // of Python 2
      case 'U': return push_text(Kind::text, text(byte()));
      case 'S':
      case 'V': return push_text(Kind::text, line());
      case 'B': return push_bytes(number<std::uint32_t>());
      case 'C': return push_bytes(byte());
      case 0x8e:
      case 0x96: return push_bytes(number<std::uint64_t>());
      case ')': return push_tuple({});
      case 0x85: return push_tuple(pop(1));
      case 0x86: return push_tuple(pop(2));
      case 0x87: return push_tuple(pop(3));
      case 't': return push_tuple(pop_to_mark());
      case ']': return push(Kind::list);
      case '}': return push(Kind::dict);
      case 'l': return push_list(pop_to_mark());
      case 'd': {
        const auto items = pop_to_mark();
        push(Kind::dict);
        return set_items(items);
      }
      case 0x8f: return push(Kind::opaque);  // EMPTY_SET
      case 0x90: return append(pop_to_mark());
      case 0x91:  // FROZENSET
        pop_to_mark();
        return push(Kind::opaque);
      case 'a': return append(pop(1));
      case 'e': return append(pop_to_mark());
      case 's': return set_items(pop(2));
      case 'u': return set_items(pop_to_mark());
      case 'q': return memoize(byte());
      case 'r': return memoize(number<std::uint32_t>());
      case 0x94: return memoize(static_cast<std::uint32_t>(memo_.size()));
      case 'p': return memoize(memo_index());
      case 'g': return recall(memo_index());
      case '0':
        if (stack_.empty()) refuse("its pickle takes from an empty stack");
        return stack_.pop_back();  // a mark, too
      case '1': pop_to_mark(); return;
      case '2': return recall_top();
      case 'h': return recall(byte());
      case 'j': return recall(number<std::uint32_t>());
      case 'c': {
        const std::string module = line();
        return global(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const auto names = pop(2);
        if (at(names[0]).kind != Kind::text || at(names[1]).kind != Kind::text)
          refuse("its pickle names a global by no text");
        return global(at(names[0]).text, at(names[1]).text);
      }
      case 'R': {
        const auto operands = pop(2);
        return reduce(operands[0], operands[1]);
      }
      case 0x81: return make_object(pop(2)[0]);
      case 0x92: return make_object(pop(3)[0]);
      case 'i': {
        const std::string module = line();
        global(module, line());
        const PickleRef type = pop();
        pop_to_mark();
        return make_object(type);
      }
      case 'o': {
        const auto operands = pop_to_mark();
        if (operands.empty()) refuse("its pickle makes an object of no class");
        return make_object(operands[0]);
      }
      case 'Q': return storage();
      case 'P': line(); return push(Kind::opaque);
      case 'b':  // attributes of an object: dropped, as torch's "_metadata" on an OrderedDict is
        pop();
        top_value();
        return;
      default:
        refuse("its pickle uses opcode 0x{:02x}, which no checkpoint needs; it was refused, nothing was run", opcode);
    }
  }

  void append(const std::vector<PickleRef>& items) {
    if (at(top()).kind == Kind::opaque) return;
    auto& list = top_of_kind(Kind::list).items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<PickleRef>& items) {
    if (items.size() % 2 != 0) refuse("its pickle has a key without a value");
    if (at(top()).kind == Kind::opaque) return;
    auto& pairs = top_of_kind(Kind::dict).pairs;
    for (std::size_t i = 0; i < items.size(); i += 2) pairs.emplace_back(items[i], items[i + 1]);
  }
  void memoize(std::uint32_t index) { memo_[index] = top_value(); }
  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("its pickle recalls what it never stored");
    stack_.push_back(found->second);
  }
  void recall_top() { stack_.push_back(top_value()); }
  void global(const std::string& module, const std::string& name) {
    if (runs_code(module, name)) {
      refuse("its pickle asks for {}.{}, which runs code where PyTorch loads it; it was refused, nothing was run",
             module, name);
    }
    push_text(Kind::global, module + "." + name);
  }

  /// A persistent id ("storage", type, key, device, elements) becomes a storage; of another type, and anything else
  /// outside, opaque.
  void storage() {
    const PickleValue& id = at(pop());
    if (id.kind != Kind::tuple || id.items.size() != 5 || at(id.items[0]).text != "storage" ||
        at(id.items[1]).kind != Kind::global) {
      return push(Kind::opaque);
    }
    const auto type = storage_type(at(id.items[1]).text);
    if (!type) return push_text(Kind::opaque, std::string(at(id.items[1]).text));
    PickleValue value;
    value.kind = Kind::storage;
    value.type = *type;
    value.text = item(id, 2, Kind::text).text;
    value.integer = item(id, 4, Kind::integer).integer;
    push(std::move(value));
  }

  /// What calling, or instantiating, a class unknown here would have made.
  void make_object(PickleRef type) {
    const PickleValue& known = at(type);
    if (known.kind != Kind::global && known.kind != Kind::opaque)
      refuse("its pickle calls a value; it was refused, nothing was run");
    push_text(Kind::opaque, std::string(known.text));
  }

  void reduce(PickleRef callee_ref, PickleRef arguments_ref, std::size_t depth = 0) {
    const PickleValue& callee = at(callee_ref);
    const PickleValue& arguments = at(arguments_ref);
    if (callee.kind != Kind::global || arguments.kind != Kind::tuple) return make_object(callee_ref);
    if (callee.text == kOrderedDict) return ordered_dict(arguments);
    if (callee.text == kDefaultDict) return push(Kind::dict);
    if (std::ranges::find(kRebuildParameter, callee.text) != kRebuildParameter.end() && !arguments.items.empty()) {
      const Kind kind = at(arguments.items[0]).kind;
      if (kind != Kind::tensor && kind != Kind::opaque) refuse("its pickle has a malformed tensor");
      stack_.push_back(arguments.items[0]);
      return;
    }
    if (callee.text == kRebuildSubclass && arguments.items.size() >= 3 && depth < kMaxTypes) {
      return reduce(arguments.items[0], arguments.items[2], depth + 1);
    }
    if (callee.text != kRebuildTensor) return make_object(callee_ref);
    if (!arguments.items.empty() && at(arguments.items[0]).kind == Kind::opaque) return push(Kind::opaque);
    PickleValue tensor;  // (storage, offset, shape, strides, requires_grad, hooks[, metadata])
    tensor.kind = Kind::tensor;
    item(arguments, 0, Kind::storage);
    tensor.items = {arguments.items[0]};
    tensor.integer = item(arguments, 1, Kind::integer).integer;
    tensor.shape = integers(item(arguments, 2, Kind::tuple));
    tensor.strides = integers(item(arguments, 3, Kind::tuple));
    push(std::move(tensor));
  }

  /// Empty and filled afterwards, or, of Python 2, from a list of pairs.
  void ordered_dict(const PickleValue& arguments) {
    PickleValue dict;
    dict.kind = Kind::dict;
    const PickleValue* pairs = arguments.items.empty() ? nullptr : &at(arguments.items[0]);
    if (pairs && pairs->kind == Kind::list) {
      for (const PickleRef ref : pairs->items) {
        const PickleValue& pair = at(ref);
        if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.items.size() != 2)
          refuse("its pickle has a malformed dict");
        dict.pairs.emplace_back(pair.items[0], pair.items[1]);
      }
    }
    push(std::move(dict));
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  Pickle pickle_;
  std::vector<PickleRef> stack_;
  std::unordered_map<std::uint32_t, PickleRef> memo_;
};

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes) { return Machine(bytes).run(); }

}  // namespace lfm
