#include "src/model/pytorch.h"

#include <fmt/core.h>
#include <zip.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>

#include "lfm/error.h"
#include "src/model/pickle.h"

namespace lfm {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 16;                  // of nested dicts
constexpr std::size_t kMaxVisits = 1'000'000;  // dict entries looked at: shared dicts could be nested exponentially
constexpr std::uint64_t kMaxMemoryFactor = 2;  // of the file's size, for what is read and rearranged

// Everything below throws std::runtime_error with the cause; read_pytorch names the file.

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

/// The zip archive. Reads whole stored entries, and in all no more than a multiple of the file: a small file can't ask
/// for a lot.
class Archive {
 public:
  explicit Archive(std::span<const std::byte> file)
      : budget_(kMaxMemoryFactor * file.size()), zip_(nullptr, zip_discard) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error);
    if (source) {
      zip_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
      if (!zip_) zip_source_free(source);
    }
    const std::string cause = zip_ ? "" : zip_error_strerror(&error);
    zip_error_fini(&error);
    if (!zip_) refuse("is not a whole zip archive ({}); copy or download it again", cause);
    find_prefix();
  }

  bool has(const std::string& name) const { return zip_name_locate(zip_.get(), (prefix_ + name).c_str(), 0) >= 0; }

  std::vector<std::byte> read(const std::string& name) {
    zip_stat_t status;
    zip_stat_init(&status);
    constexpr zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_INDEX;
    if (zip_stat(zip_.get(), (prefix_ + name).c_str(), 0, &status) != 0 || (status.valid & needed) != needed) {
      refuse("lacks the entry \"{}\"; copy or download it again", name);
    }
    if (status.comp_method != ZIP_CM_STORE)
      refuse("was compressed afterwards (entry \"{}\"), which torch.save does not do; save it again with PyTorch",
             name);
    spend(status.size);
    std::vector<std::byte> bytes(status.size);
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> entry(zip_fopen_index(zip_.get(), status.index, 0),
                                                                  zip_fclose);
    if (!entry) refuse("entry \"{}\" can't be read ({})", name, zip_strerror(zip_.get()));
    // One byte more is asked for: only at the end does libzip compare the checksum.
    std::byte beyond{};
    if (zip_fread(entry.get(), bytes.data(), bytes.size()) != static_cast<zip_int64_t>(bytes.size()) ||
        zip_fread(entry.get(), &beyond, 1) != 0) {
      refuse("entry \"{}\" is damaged ({}); copy or download it again", name, zip_file_strerror(entry.get()));
    }
    return bytes;
  }

  /// Throws where the memory for this file is spent.
  void spend(std::uint64_t bytes) {
    if (bytes > budget_) refuse("claims to hold more than its size");
    budget_ -= bytes;
  }

 private:
  /// torch.save puts everything into one folder of any name: the one with data.pkl.
  void find_prefix() {
    constexpr std::string_view pickle = "data.pkl";
    const zip_int64_t entries = zip_get_num_entries(zip_.get(), 0);
    for (zip_int64_t i = 0; i < entries; ++i) {
      const char* raw = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      const std::string_view name = raw ? raw : "";
      if (name.ends_with(pickle) && (name.size() == pickle.size() || name[name.size() - pickle.size() - 1] == '/')) {
        prefix_ = name.substr(0, name.size() - pickle.size());
        return;
      }
    }
    refuse("is a zip archive, but not one that torch.save wrote: it has no data.pkl");
  }

  std::uint64_t budget_;
  std::unique_ptr<zip_t, decltype(&zip_discard)> zip_;
  std::string prefix_;
};

bool is_contiguous(const PickleValue& tensor) {
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

/// Copies a strided tensor into row-major order. Every index was checked to lie in the storage.
std::vector<std::byte> gather(const PickleValue& tensor, const std::byte* first, std::uint64_t count,
                              std::size_t size) {
  std::vector<std::byte> out(count * size);
  std::vector<std::int64_t> index(tensor.shape.size(), 0);
  std::int64_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::memcpy(out.data() + i * size, first + static_cast<std::size_t>(at) * size, size);
    for (std::size_t d = index.size(); d-- > 0;) {
      at += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      at -= tensor.strides[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
  return out;
}

class Reader {
 public:
  Reader(Archive& archive, const Pickle& pickle, TensorFile& result)
      : archive_(archive), pickle_(pickle), result_(result) {}

  /// Walks dicts, lists and tuples; every tensor under text or number keys becomes one of the result's.
  void collect(PickleRef ref, const std::string& name, int depth) {
    const PickleValue& value = pickle_[ref];
    if (value.kind == Kind::tensor) {
      if (name.find('\0') != std::string::npos) refuse("has a tensor whose name holds a zero byte");
      if (!names_.insert(name).second) refuse("holds two tensors named \"{}\"", name);
      add_tensor(name, value);
    }
    const bool is_sequence = value.kind == Kind::list || value.kind == Kind::tuple;
    if (value.kind != Kind::dict && !is_sequence) return;
    if (depth > kMaxDepth) refuse("its dicts nest deeper than {}", kMaxDepth);
    const auto visit = [&](PickleRef item, const std::string& part) {
      if (++visits_ > kMaxVisits) refuse("holds too many values");
      const Kind kind = pickle_[item].kind;  // most values of a checkpoint's lists are numbers: their names aren't made
      if (kind != Kind::tensor && kind != Kind::dict && kind != Kind::list && kind != Kind::tuple) return;
      collect(item, name.empty() ? part : name + "." + part, depth + 1);
    };
    for (std::size_t i = 0; is_sequence && i < value.items.size(); ++i) visit(value.items[i], std::to_string(i));
    for (const auto& [key_ref, item] : value.pairs) {
      const PickleValue& key = pickle_[key_ref];
      if (key.kind == Kind::text) visit(item, key.text);
      if (key.kind == Kind::integer) visit(item, std::to_string(key.integer));
    }
  }

 private:
  std::span<const std::byte> storage_bytes(const PickleValue& storage) {
    const auto known = storages_.find(storage.text);
    std::span<const std::byte> bytes;
    if (known != storages_.end()) {
      bytes = known->second;
    } else {
      result_.buffers.push_back(archive_.read("data/" + storage.text));
      bytes = storages_[storage.text] = result_.buffers.back();
    }
    if (storage.integer < 0 ||
        static_cast<std::uint64_t>(storage.integer) != bytes.size() / element_size(storage.type) ||
        bytes.size() % element_size(storage.type) != 0) {
      refuse("storage \"{}\" has {} bytes, not {} {}", storage.text, bytes.size(), storage.integer,
             element_type_name(storage.type));
    }
    return bytes;
  }

  void add_tensor(const std::string& name, const PickleValue& value) {
    const PickleValue& storage = pickle_[value.items[0]];
    const auto bytes = storage_bytes(storage);
    const auto malformed = [&] { refuse("tensor \"{}\" does not fit its storage", name); };

    Tensor tensor{name, storage.type, {}, {}};
    if (value.strides.size() != value.shape.size()) malformed();
    for (const std::int64_t side : value.shape) {
      if (side < 0) malformed();
      tensor.shape.push_back(static_cast<std::uint64_t>(side));
    }
    const auto count = element_count(storage.type, tensor.shape);
    const auto elements = static_cast<std::uint64_t>(storage.integer);
    if (!count || *count > elements || value.integer < 0 || static_cast<std::uint64_t>(value.integer) > elements)
      malformed();
    if (*count > 0) {
      // The last element's index, the largest because no stride is negative; sides and strides are bounded by
      // `elements` as they are used, and the storage is in memory, so nothing here overflows.
      std::uint64_t last = static_cast<std::uint64_t>(value.integer);
      for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
        if (tensor.shape[d] == 1) continue;
        if (value.strides[d] < 0 || static_cast<std::uint64_t>(value.strides[d]) > elements) malformed();
        const std::uint64_t stride = static_cast<std::uint64_t>(value.strides[d]), steps = tensor.shape[d] - 1;
        if (stride != 0 && steps > (elements - last) / stride) malformed();
        last += stride * steps;
      }
      if (last >= elements) malformed();
    }
    const std::size_t size = element_size(storage.type);
    tensor.bytes = bytes.subspan(static_cast<std::size_t>(value.integer) * size, 0);
    if (*count > 0 && is_contiguous(value)) {
      tensor.bytes = bytes.subspan(static_cast<std::size_t>(value.integer) * size, *count * size);
    } else if (*count > 0) {
      archive_.spend(*count * size);
      result_.buffers.push_back(gather(value, tensor.bytes.data(), *count, size));
      tensor.bytes = result_.buffers.back();
    }
    result_.tensors.push_back(std::move(tensor));
  }

  Archive& archive_;
  const Pickle& pickle_;
  TensorFile& result_;
  std::map<std::string, std::span<const std::byte>> storages_;
  std::set<std::string> names_;
  std::size_t visits_ = 0;
};

Pickle read_state_dict_pickle(std::span<const std::byte> bytes) {
  try {
    return read_pickle(bytes);
  } catch (const std::runtime_error& error) {
    refuse("{}; save the state dict alone with PyTorch: torch.save(model.state_dict(), FILE)", error.what());
  }
}

void read_into(TensorFile& result, std::span<const std::byte> file) {
  if (file.size() < 4 || std::memcmp(file.data(), "PK\3\4", 4) != 0) {
    refuse("is in PyTorch's old format, or damaged; load it with PyTorch and save it again, or save it as safetensors");
  }
  Archive archive(file);
  if (archive.has("byteorder")) {
    const auto order = archive.read("byteorder");
    if (order.size() != 6 || std::memcmp(order.data(), "little", 6) != 0)
      refuse("was saved on a big-endian machine; save it on another");
  }
  const auto bytes = archive.read("data.pkl");
  const Pickle pickle = read_state_dict_pickle(bytes);
  const PickleValue& root = pickle[pickle.root];
  if (root.kind == Kind::opaque && !root.text.empty()) {
    refuse("holds a whole {}, which only its own code can take apart; load it with PyTorch and save model.state_dict()",
           root.text);
  }
  if (root.kind == Kind::dict || root.kind == Kind::list || root.kind == Kind::tuple) {
    Reader(archive, pickle, result).collect(pickle.root, "", 0);
  }
  if (root.kind != Kind::dict && result.tensors.empty()) refuse("holds no dict of tensors; save model.state_dict()");
}

}  // namespace

TensorFile read_pytorch(const std::filesystem::path& path) {
  return read_pytorch(MappedFile(path, ErrorCode::model).bytes(), path.string());
}

TensorFile read_pytorch(std::span<const std::byte> bytes, const std::string& name) {
  TensorFile result;
  try {
    read_into(result, bytes);
    return result;
  } catch (const std::runtime_error& error) {
    throw Error(ErrorCode::model, fmt::format("{}: {}", name, error.what()));
  }
}

}  // namespace lfm
