#include "src/model/pickle.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace lfm {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMaxValues = 500'000;
constexpr std::size_t kMaxStack = 1'000'000;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

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

bool known_global(std::string_view name) {
  return name == kOrderedDict || name == kRebuildTensor || name == kRebuildParameter || storage_type(name);
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
  std::int64_t long_integer() {
    const auto digits = take(byte());
    if (digits.size() > 8) refuse("its pickle has an integer of {} bytes", digits.size());
    std::uint64_t value = !digits.empty() && (digits.back() & std::byte{0x80}) != std::byte{0} ? ~std::uint64_t{0} : 0;
    for (auto it = digits.rbegin(); it != digits.rend(); ++it) value = value << 8 | static_cast<std::uint64_t>(*it);
    return static_cast<std::int64_t>(value);
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
  PickleRef top() const {
    if (stack_.empty()) refuse("its pickle takes from an empty stack");
    return stack_.back();
  }
  PickleRef pop() {
    const PickleRef ref = top();
    if (at(ref).kind == Kind::mark) refuse("its pickle takes a mark for a value");
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
      case 0x8a: return push_integer(Kind::integer, long_integer());
      case 'G': {
        PickleValue value;
        value.kind = Kind::real;
        value.real = real();
        return push(std::move(value));
      }
      case 'X': return push_text(Kind::text, text(number<std::uint32_t>()));
      case 0x8c: return push_text(Kind::text, text(byte()));
      case ')': return push_tuple({});
      case 0x85: return push_tuple(pop(1));
      case 0x86: return push_tuple(pop(2));
      case 0x87: return push_tuple(pop(3));
      case 't': return push_tuple(pop_to_mark());
      case ']': return push(Kind::list);
      case '}': return push(Kind::dict);
      case 'a': return append(pop(1));
      case 'e': return append(pop_to_mark());
      case 's': return set_items(pop(2));
      case 'u': return set_items(pop_to_mark());
      case 'q': return memoize(byte());
      case 'r': return memoize(number<std::uint32_t>());
      case 0x94: return memoize(static_cast<std::uint32_t>(memo_.size()));
      case 'h': return recall(byte());
      case 'j': return recall(number<std::uint32_t>());
      case 'c': {
        const std::string module = line();
        return global(module + "." + line());
      }
      case 0x93: {  // STACK_GLOBAL
        const auto names = pop(2);
        if (at(names[0]).kind != Kind::text || at(names[1]).kind != Kind::text) refuse("its pickle names a global by no text");
        return global(at(names[0]).text + "." + at(names[1]).text);
      }
      case 'R': return reduce();
      case 'Q': return storage();
      case 'b': return build();
      default:
        refuse("its pickle uses opcode 0x{:02x}, which no state dict needs; it was refused, nothing was run", opcode);
    }
  }

  void append(const std::vector<PickleRef>& items) {
    auto& list = top_of_kind(Kind::list).items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<PickleRef>& items) {
    if (items.size() % 2 != 0) refuse("its pickle has a key without a value");
    auto& pairs = top_of_kind(Kind::dict).pairs;
    for (std::size_t i = 0; i < items.size(); i += 2) pairs.emplace_back(items[i], items[i + 1]);
  }
  void memoize(std::uint32_t index) {
    const PickleRef ref = top();
    if (at(ref).kind == Kind::mark) refuse("its pickle takes a mark for a value");
    memo_[index] = ref;
  }
  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("its pickle recalls what it never stored");
    stack_.push_back(found->second);
  }
  void global(std::string name) {
    if (!known_global(name)) refuse("its pickle asks for {}, which no state dict needs; it was refused, nothing was run", name);
    push_text(Kind::global, std::move(name));
  }
  /// collections.OrderedDict carries torch's "_metadata" as an attribute: dropped.
  void build() {
    pop();
    top_of_kind(Kind::dict);
  }

  /// A persistent id ("storage", type, key, device, elements) becomes a storage.
  void storage() {
    const PickleValue& id = at(pop());
    if (id.kind != Kind::tuple || id.items.size() != 5 || item(id, 0, Kind::text).text != "storage") {
      refuse("its pickle refers to something outside that is no tensor storage");
    }
    PickleValue value;
    value.kind = Kind::storage;
    const auto type = storage_type(item(id, 1, Kind::global).text);
    if (!type) refuse("its pickle has a storage of type {}", item(id, 1, Kind::global).text);
    value.type = *type;
    value.text = item(id, 2, Kind::text).text;
    value.integer = item(id, 4, Kind::integer).integer;
    push(std::move(value));
  }

  void reduce() {
    const auto operands = pop(2);
    const PickleValue& callee = at(operands[0]);
    const PickleValue& arguments = at(operands[1]);
    if (callee.kind != Kind::global || arguments.kind != Kind::tuple) refuse("its pickle calls a value; it was refused, nothing was run");
    if (callee.text == kOrderedDict) {
      if (!arguments.items.empty()) refuse("its pickle makes an OrderedDict from arguments");
      return push(Kind::dict);
    }
    if (callee.text == kRebuildParameter) {
      item(arguments, 0, Kind::tensor);
      stack_.push_back(arguments.items[0]);
      return;
    }
    if (callee.text != kRebuildTensor) refuse("its pickle calls {}; it was refused, nothing was run", callee.text);
    PickleValue tensor;  // (storage, offset, shape, strides, requires_grad, hooks[, metadata])
    tensor.kind = Kind::tensor;
    item(arguments, 0, Kind::storage);
    tensor.items = {arguments.items[0]};
    tensor.integer = item(arguments, 1, Kind::integer).integer;
    tensor.shape = integers(item(arguments, 2, Kind::tuple));
    tensor.strides = integers(item(arguments, 3, Kind::tuple));
    push(std::move(tensor));
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
