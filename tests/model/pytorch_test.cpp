#include "src/model/pytorch.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/model/interchange.h"
#include "src/model/pickle.h"
#include "src/model/safetensors.h"
#include "tests/model/expect_error.h"
#include "tests/model/pytorch_archive.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using test::error_of;
using test::pickled;

using namespace std::string_literals;

const std::filesystem::path kFixtures = std::filesystem::path(test::kTestFixtures) / "pytorch";

std::vector<float> values(const TensorFile& file, std::string_view name) {
  const Tensor* tensor = file.find(name);
  if (!tensor) {
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }
  return to_floats(*tensor);
}

TEST(PyTorch, ReadsEveryElementTypeAndView) {
  const TensorFile file = read_pytorch(kFixtures / "types.pth");
  EXPECT_EQ(file.tensors.size(), 15u);
  std::vector<float> ramp(24);
  for (std::size_t i = 0; i < 24; ++i) ramp[i] = static_cast<float>(i);
  const std::vector<float> low(ramp.begin(), ramp.begin() + 12), high(ramp.begin() + 12, ramp.end());
  EXPECT_EQ(values(file, "f64"), low);
  EXPECT_EQ(values(file, "f32"), ramp);
  EXPECT_EQ(values(file, "f16"), high);
  EXPECT_EQ(values(file, "bf16"), high);
  EXPECT_THAT(values(file, "i64"), ElementsAre(-1.0f, 0x1p62f));
  EXPECT_THAT(values(file, "i32"), ElementsAre(-7.0f));
  EXPECT_THAT(values(file, "i16"), ElementsAre(-300.0f));
  EXPECT_THAT(values(file, "i8"), ElementsAre(-5.0f));
  EXPECT_THAT(values(file, "u8"), ElementsAre(200.0f));
  EXPECT_THAT(values(file, "bool"), ElementsAre(1.0f, 0.0f));
  EXPECT_THAT(values(file, "scalar"), ElementsAre(2.5f));
  EXPECT_THAT(values(file, "offset"), ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_THAT(values(file, "column"), ElementsAre(2, 6, 10, 14, 18, 22));
  EXPECT_THAT(values(file, "empty"), IsEmpty());

  EXPECT_THAT(file.find("transposed")->shape, ElementsAre(4u, 2u, 3u));
  const auto transposed = values(file, "transposed");
  ASSERT_EQ(transposed.size(), 24u);
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(transposed[i], static_cast<float>(i % 6 * 4 + i / 6)) << i;  // [w][n][h] of a ramp over [n][h][w]
  }
}

TEST(PyTorch, ReadsTrainingCheckpoints) {
  const TensorFile file = read_pytorch(kFixtures / "checkpoint.pth");
  EXPECT_THAT(values(file, "model.1.weight"), ElementsAre(1.0f, 1.0f));
  EXPECT_THAT(values(file, "model.1.num_batches_tracked"), ElementsAre(1.0f));
  EXPECT_THAT(values(file, "parameter.p"), ElementsAre(1.5f));
  EXPECT_THAT(values(file, "optimizer.state.0.step"), ElementsAre(1.0f));
  EXPECT_THAT(file.find("model.0.weight")->shape, ElementsAre(2u, 1u, 2u, 2u));
}

TEST(PyTorch, RefusesWhatIsNoStateDictByName) {
  const auto error = [](const char* name) {
    return error_of(ErrorCode::model, [&] { read_pytorch(kFixtures / name); });
  };
  EXPECT_THAT(error("hostile.pth"), AllOf(HasSubstr("hostile.pth"), HasSubstr("__builtin__.eval"), HasSubstr("nothing was run")));
  EXPECT_THAT(error("whole_module.pth"), AllOf(HasSubstr("holds a whole torch.nn.modules"), HasSubstr("state_dict()")));
  EXPECT_THAT(error("legacy.pth"), AllOf(HasSubstr("old format"), HasSubstr("save it again")));
}

TEST(PyTorch, ImportsTheReferenceModel) {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 1);
  export_model(model, folder / "a.safetensors");
  TensorFile file = read_safetensors(folder / "a.safetensors");
  for (Tensor& tensor : file.tensors) tensor.name = "module." + tensor.name;
  test::write_archive(folder / "a.pth", test::state_dict_entries(file.tensors));
  const Model back = import_model(folder / "a.pth");
  EXPECT_EQ(back.values, model.values);
  EXPECT_EQ(back.architecture, model.architecture);
  EXPECT_THAT(back.provenance, HasSubstr("a.pth"));
}

/// One FP32 tensor "a" of those sizes over a storage of four elements; an error message, or "" where it was read.
std::string error_of_tensor(std::int64_t elements, std::int64_t offset, const std::vector<std::int64_t>& shape,
                            const std::vector<std::int64_t>& strides) {
  const test::TemporaryFolder folder;
  const std::string tensor = test::pickled_tensor("FloatStorage", "0", elements, offset, shape, strides);
  test::write_archive(folder / "a.pth", {{"data.pkl", "\x80\x02}" + pickled("a") + tensor + "s."}, {"data/0", std::string(16, '\0')}});
  try {
    read_pytorch(folder / "a.pth");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(PyTorch, TensorsMustFitTheirStorage) {
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(error_of_tensor(4, 0, {4}, {1}), "");
  EXPECT_EQ(error_of_tensor(4, 0, {2, 2}, {1, 2}), "");
  EXPECT_EQ(error_of_tensor(4, 3, {1, 1}, {kHuge, -5}), "");  // strides of sides of one mean nothing
  EXPECT_EQ(error_of_tensor(4, 4, {0}, {1}), "");
  EXPECT_EQ(error_of_tensor(4, 1, {2}, {2}), "");
  for (const std::int64_t elements : {3, 5, 0, -1}) EXPECT_THAT(error_of_tensor(elements, 0, {1}, {1}), HasSubstr("storage"));
  EXPECT_THAT(error_of_tensor(kHuge, 0, {1}, {1}), HasSubstr("storage"));
  EXPECT_THAT(error_of_tensor(4, 1, {4}, {1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 4, {1}, {1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 5, {0}, {1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, -1, {1}, {1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 0, {5}, {0}), HasSubstr("\"a\" does not fit"));  // expanded beyond its storage
  EXPECT_THAT(error_of_tensor(4, 0, {-1}, {1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 0, {2, 2}, {2}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 3, {2}, {-1}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 1, {2}, {3}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 0, {2}, {kHuge}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, 0, {kHuge, kHuge}, {0, 0}), HasSubstr("\"a\" does not fit"));
  EXPECT_THAT(error_of_tensor(4, kHuge, {2}, {1}), HasSubstr("\"a\" does not fit"));
}

TEST(PyTorch, ArchivesMustBeWhatTorchWrites) {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::map<std::string, std::string>& entries, bool deflate = false) {
    test::write_archive(folder / "a.pth", entries, deflate);
    return error_of(ErrorCode::model, [&] { read_pytorch(folder / "a.pth"); });
  };
  const std::vector<std::int64_t> one = {1};
  const std::string pickle = "\x80\x02}" + pickled("a") + test::pickled_tensor("FloatStorage", "0", 1, 0, one, one) + "s.";
  EXPECT_THAT(error({{"model.json", "{}"}}), HasSubstr("data.pkl"));
  EXPECT_THAT(error({{"data.pkl", pickle}}), HasSubstr("lacks the entry \"data/0\""));
  EXPECT_THAT(error({{"data.pkl", pickle}, {"data/0", "abcd"}, {"byteorder", "big"}}), HasSubstr("big-endian"));
  EXPECT_THAT(error({{"data.pkl", pickle}, {"data/0", std::string(40000, 'a')}}, true), HasSubstr("compressed"));
  EXPECT_THAT(error({{"data.pkl", "\x80\x02]."s}}), HasSubstr("no dict"));
}

std::string pickle_error(const std::string& pickle) {
  try {
    read_pickle(std::as_bytes(std::span(pickle)));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

/// The kind of what a pickle holds.
PickleValue::Kind kind_of(const std::string& pickle) {
  const Pickle read = read_pickle(std::as_bytes(std::span(pickle)));
  return read[read.root].kind;
}
using Kind = PickleValue::Kind;

TEST(Pickle, RefusesByNameWhatRunsCodeInPython) {
  const std::string call = pickled("echo pwned") + "\x85R.";
  for (const std::string& name : {"os\nsystem"s, "posix\nsystem"s, "nt\nsystem"s, "builtins\neval"s, "__builtin__\nexec"s,
                                  "subprocess\nPopen"s, "importlib\nimport_module"s, "os.path\njoin"s}) {
    std::string dotted = name;
    dotted[dotted.find('\n')] = '.';
    const auto refused = AllOf(HasSubstr(dotted), HasSubstr("refused"), HasSubstr("nothing was run"));
    EXPECT_THAT(pickle_error("\x80\x02" "c" + name + "\n" + call), refused);
    EXPECT_THAT(pickle_error("\x80\x02(i" + name + "\n."), refused);
    const auto split = name.find('\n');
    EXPECT_THAT(pickle_error("\x80\x04" + pickled(name.substr(0, split)) + pickled(name.substr(split + 1)) + "\x93" + call), refused);
  }
}

TEST(Pickle, WhatOtherCallsMakeIsOpaque) {
  for (const char* name : {"builtins\ngetattr", "torch\nload", "torch.hub\nload", "operator\nattrgetter", "torch._utils\n_rebuild_tensor",
                           "collections\nOrderedDict.update", "torch\nFloatStorage.x", "argparse\nNamespace", "a\nb"}) {
    const std::string global = "c"s + name + "\n";
    for (const std::string& made : {global + pickled("x") + "\x85R", global + ")R", global + ")\x81", global + ")}\x92", "(i"s + name + "\n",
                                    "("s + global + "No", global + ")R)R"}) {
      const std::string stuffed = made + "(" + pickled("key") + "Nu(NNe(N\x90}b.";  // set items, append, add, attributes
      EXPECT_EQ(kind_of("\x80\x02" + stuffed), Kind::opaque) << ::testing::PrintToString(made);
    }
  }
  EXPECT_EQ(kind_of("\x80\x02" + pickled("module") + "Q."), Kind::opaque);
}

TEST(Pickle, ReadsEveryProtocolsValues) {
  EXPECT_EQ(kind_of("\x80\x02I01\n."), Kind::boolean);
  EXPECT_EQ(kind_of("\x80\x02I-5\n."), Kind::integer);
  EXPECT_EQ(kind_of("\x80\x02L7L\n."), Kind::integer);
  EXPECT_EQ(kind_of("\x80\x02L99999999999999999999L\n."), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x02" "F1.5\n."), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x02\x8a\x09" "123456789."), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x02\x8b\x01\0\0\0\x05."s), Kind::integer);
  EXPECT_EQ(kind_of("\x80\x02U\x01" "a."), Kind::text);
  EXPECT_EQ(kind_of("\x80\x02T\x01\0\0\0" "a."s), Kind::text);
  EXPECT_EQ(kind_of("\x80\x02Va\n."), Kind::text);
  EXPECT_EQ(kind_of("\x80\x04\x8d\x01\0\0\0\0\0\0\0a."s), Kind::text);
  EXPECT_EQ(kind_of("\x80\x03" "C\x01" "a."), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x05\x96\x01\0\0\0\0\0\0\0a."s), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x02(NNl."), Kind::list);
  EXPECT_EQ(kind_of("\x80\x02(NNd."), Kind::dict);
  EXPECT_EQ(kind_of("\x80\x04(NN\x91."), Kind::opaque);
  EXPECT_EQ(kind_of("\x80\x02Np5\n0g5\n."), Kind::none);
  EXPECT_EQ(kind_of("\x80\x02N(NN1."), Kind::none);
  EXPECT_EQ(kind_of("\x80\x02N2\x86."), Kind::tuple);
}

TEST(Pickle, RefusesEveryOtherOpcode) {
  for (const char opcode : "\x82\x83\x84\x97\x98#~\xff"s) {  // the registry of extensions, buffers outside, none
    EXPECT_THAT(pickle_error("\x80\x02"s + opcode + std::string(16, '\0') + "."), HasSubstr("opcode")) << opcode;
  }
}

TEST(Pickle, RefusesToCallAValue) {
  EXPECT_THAT(pickle_error("\x80\x02" + pickled("eval") + ")R."), HasSubstr("calls a value"));
  EXPECT_THAT(pickle_error("\x80\x02" + pickled("eval") + ")\x81."), HasSubstr("calls a value"));
}

TEST(Pickle, OrderedDictsOfPython2) {
  const std::string pairs = "\x80\x02" "ccollections\nOrderedDict\n](](" + pickled("a") + "K\1ee\x85R.";
  EXPECT_EQ(kind_of(pairs), Kind::dict);
  EXPECT_THAT(pickle_error("\x80\x02" "ccollections\nOrderedDict\n](Ne\x85R."), HasSubstr("malformed dict"));
}

// A state dict beside all that people keep with it, in every protocol (make_values.py): all of it is read over, none of it run.
TEST(PyTorch, ReadsPastValuesThatAreNoTensors) {
  const test::TemporaryFolder folder;
  const std::vector<float> ramp = {1, 2, 3, 4};
  const std::string storage(reinterpret_cast<const char*>(ramp.data()), 16);
  for (const int protocol : {2, 3, 4, 5}) {
    const auto bytes = test::read_bytes(kFixtures / fmt::format("values-protocol-{}.pkl", protocol));
    const std::string pickle(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    test::write_archive(folder / "a.pth", {{"data.pkl", pickle}, {"data/0", storage}, {"data/1", storage}, {"data/3", "\1\0"s}});
    const TensorFile file = read_pytorch(folder / "a.pth");
    std::vector<std::string> names;
    for (const Tensor& tensor : file.tensors) names.push_back(tensor.name);
    EXPECT_THAT(names, ElementsAre("rng.torch", "wrapped", "state.weight", "state.mask", "ema.0.weight", "ema.1.0")) << protocol;
    EXPECT_EQ(values(file, "state.weight"), ramp);
    EXPECT_EQ(values(file, "wrapped"), ramp);
    EXPECT_EQ(values(file, "ema.1.0"), ramp);
  }
}

TEST(Pickle, RefusesMalformedStreams) {
  for (const std::string& pickle :
       {""s, "\x80"s, "."s, "\x80\x01N."s, "\x80\x06N."s, "\x80\x02NN."s, "\x80\x02(."s, "\x80\x02t."s, "\x80\x02}Ns."s, "\x80\x02}(Nu."s,
        "\x80\x02h\x01."s, "\x80\x02Na."s, "\x80\x02(q\x01."s, "\x80\x02X\xff\xff\xff\xffx."s, "\x80\x02\x8a\xff."s, "\x80\x02" "ccollections"s,
        "\x80\x02\x8a\x09" "12345678"s, "\x80\x02I1x\n."s, "\x80\x02Np-1\n."s, "\x80\x02(o."s, "\x80\x02(i"s, "\x80\x02" "0."s, "\x80\x02(b."s}) {
    EXPECT_THAT(pickle_error(pickle), Not(IsEmpty())) << ::testing::PrintToString(pickle);
  }
}

TEST(Pickle, ValuesMayReferToThemselves) {
  const test::TemporaryFolder folder;
  // d = {}; d["a"] = d, which a walk must not follow for ever; and dicts of eight times the same dict, 8^15 paths.
  test::write_archive(folder / "cycle.pth", {{"data.pkl", "\x80\x02}q\x01" + pickled("a") + "h\x01s."}});
  EXPECT_THAT(error_of(ErrorCode::model, [&] { read_pytorch(folder / "cycle.pth"); }), HasSubstr("nest deeper"));
  std::string shared = "}q"s + '\0';
  for (char i = 1; i < 16; ++i) {
    std::string outer = "}q"s + i + pickled("a") + shared + "s";
    for (char key = 'b'; key < 'i'; ++key) outer += pickled(std::string(1, key)) + "h" + static_cast<char>(i - 1) + "s";
    shared = outer;
  }
  test::write_archive(folder / "shared.pth", {{"data.pkl", "\x80\x02" + shared + "."}});
  EXPECT_THAT(error_of(ErrorCode::model, [&] { read_pytorch(folder / "shared.pth"); }), HasSubstr("too many values"));
}

TEST(Pickle, DeepNestingIsNoRecursion) {
  EXPECT_THAT(pickle_error("\x80\x02" + std::string(2'000'000, '(')), Not(IsEmpty()));
  EXPECT_THAT(pickle_error("\x80\x02N" + std::string(2'000'000, '\x85') + "."), Not(IsEmpty()));
  EXPECT_EQ(pickle_error("\x80\x02N" + std::string(100'000, '\x85') + "."), "");
}

// ---- damage: whatever happens, an Error, or tensors that can be read ----

void read_damaged(const std::filesystem::path& path) {
  try {
    for (const Tensor& tensor : read_pytorch(path).tensors) to_floats(tensor);
  } catch (const Error&) {
  }
}

TEST(PyTorchDamage, TruncatedAtEveryLength) {
  const test::TemporaryFolder folder;
  const auto whole = test::read_bytes(kFixtures / "types.pth");
  ASSERT_FALSE(whole.empty());
  test::write_bytes(folder / "a.pth", whole);
  for (std::size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(folder / "a.pth", size);
    EXPECT_THROW(read_pytorch(folder / "a.pth"), Error) << size;
  }
}

TEST(PyTorchDamage, RandomBytesAnywhere) {
  const test::TemporaryFolder folder;
  std::mt19937 random(1);
  for (const char* name : {"types.pth", "checkpoint.pth"}) {
    const auto whole = test::read_bytes(kFixtures / name);
    for (int round = 0; round < 1500; ++round) {
      auto bytes = whole;
      for (int flips = 1 + round % 4; flips > 0; --flips) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      test::write_bytes(folder / "a.pth", bytes);
      read_damaged(folder / "a.pth");
    }
  }
}

// The archive's checksums hide most damage of the pickle: here it is damaged and packed again.
TEST(PyTorchDamage, RandomBytesInThePickle) {
  const test::TemporaryFolder folder;
  const std::vector<float> numbers(60, 1.0f);
  const std::vector<Tensor> tensors = {float_tensor("a", {3, 4, 5}, numbers), float_tensor("b", {60}, numbers)};
  const auto whole = test::state_dict_entries(tensors);
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    auto entries = whole;
    std::string& pickle = entries["data.pkl"];
    for (int flips = 1 + round % 3; flips > 0; --flips) pickle[random() % pickle.size()] = static_cast<char>(random());
    test::write_archive(folder / "a.pth", entries);
    read_damaged(folder / "a.pth");
  }
}

}  // namespace
}  // namespace lfm
