#include "src/model/pytorch.h"

#include <fmt/core.h>

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
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/pytorch_archive.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using test::error_of;
using test::pickled;

using namespace std::string_literals;

const std::filesystem::path kFixtures = std::filesystem::path(test::kTestFixtures) / "pytorch";

std::vector<float> values(const TensorFile& file, std::string_view name) {
  const Tensor* tensor = file.find(name);
  if (!tensor) {
    FAIL_CHECK("no tensor " << name);
    return {};
  }
  return to_floats(*tensor);
}

TEST_CASE("PyTorch.ReadsEveryElementTypeAndView") {
  const TensorFile file = read_pytorch(kFixtures / "types.pth");
  CHECK(file.tensors.size() == 15u);
  std::vector<float> ramp(24);
  for (std::size_t i = 0; i < 24; ++i) ramp[i] = static_cast<float>(i);
  const std::vector<float> low(ramp.begin(), ramp.begin() + 12), high(ramp.begin() + 12, ramp.end());
  CHECK(values(file, "f64") == low);
  CHECK(values(file, "f32") == ramp);
  CHECK(values(file, "f16") == high);
  CHECK(values(file, "bf16") == high);
  CHECK_THAT(values(file, "i64"), test::ElementsAre(-1.0f, 0x1p62f));
  CHECK_THAT(values(file, "i32"), test::ElementsAre(-7.0f));
  CHECK_THAT(values(file, "i16"), test::ElementsAre(-300.0f));
  CHECK_THAT(values(file, "i8"), test::ElementsAre(-5.0f));
  CHECK_THAT(values(file, "u8"), test::ElementsAre(200.0f));
  CHECK_THAT(values(file, "bool"), test::ElementsAre(1.0f, 0.0f));
  CHECK_THAT(values(file, "scalar"), test::ElementsAre(2.5f));
  CHECK_THAT(values(file, "offset"), test::ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
  CHECK_THAT(values(file, "column"), test::ElementsAre(2, 6, 10, 14, 18, 22));
  CHECK_THAT(values(file, "empty"), test::ElementsAre());

  CHECK_THAT(file.find("transposed")->shape, test::ElementsAre(4u, 2u, 3u));
  const auto transposed = values(file, "transposed");
  REQUIRE(transposed.size() == 24u);
  for (std::size_t i = 0; i < 24; ++i) {
    CHECK_MESSAGE(transposed[i] == static_cast<float>(i % 6 * 4 + i / 6), i);  // [w][n][h] of a ramp over [n][h][w]
  }
}

TEST_CASE("PyTorch.ReadsTrainingCheckpoints") {
  const TensorFile file = read_pytorch(kFixtures / "checkpoint.pth");
  CHECK_THAT(values(file, "model.1.weight"), test::ElementsAre(1.0f, 1.0f));
  CHECK_THAT(values(file, "model.1.num_batches_tracked"), test::ElementsAre(1.0f));
  CHECK_THAT(values(file, "parameter.p"), test::ElementsAre(1.5f));
  CHECK_THAT(values(file, "optimizer.state.0.step"), test::ElementsAre(1.0f));
  CHECK_THAT(file.find("model.0.weight")->shape, test::ElementsAre(2u, 1u, 2u, 2u));
}

TEST_CASE("PyTorch.RefusesWhatIsNoStateDictByName") {
  const auto error = [](const char* name) {
    return error_of(ErrorCode::model, [&] { read_pytorch(kFixtures / name); });
  };
  CHECK_THAT(error("hostile.pth"), ContainsSubstring("hostile.pth") && ContainsSubstring("__builtin__.eval") &&
                                       ContainsSubstring("nothing was run"));
  CHECK_THAT(error("whole_module.pth"),
             ContainsSubstring("holds a whole torch.nn.modules") && ContainsSubstring("state_dict()"));
  CHECK_THAT(error("legacy.pth"), ContainsSubstring("old format") && ContainsSubstring("save it again"));
}

TEST_CASE("PyTorch.ImportsTheReferenceModel") {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 1);
  export_model(model, folder / "a.safetensors");
  TensorFile file = read_safetensors(folder / "a.safetensors");
  for (Tensor& tensor : file.tensors) tensor.name = "module." + tensor.name;
  test::write_archive(folder / "a.pth", test::state_dict_entries(file.tensors));
  const Model back = import_model(folder / "a.pth");
  CHECK(back.values == model.values);
  CHECK(back.architecture == model.architecture);
  CHECK_THAT(back.provenance, ContainsSubstring("a.pth"));
}

/// One FP32 tensor "a" of those sizes over a storage of four elements; an error message, or "" where it was read.
std::string error_of_tensor(std::int64_t elements, std::int64_t offset, const std::vector<std::int64_t>& shape,
                            const std::vector<std::int64_t>& strides) {
  const test::TemporaryFolder folder;
  const std::string tensor = test::pickled_tensor("FloatStorage", "0", elements, offset, shape, strides);
  test::write_archive(folder / "a.pth",
                      {{"data.pkl", "\x80\x02}" + pickled("a") + tensor + "s."}, {"data/0", std::string(16, '\0')}});
  try {
    read_pytorch(folder / "a.pth");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("PyTorch.TensorsMustFitTheirStorage") {
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  CHECK(error_of_tensor(4, 0, {4}, {1}) == "");
  CHECK(error_of_tensor(4, 0, {2, 2}, {1, 2}) == "");
  CHECK(error_of_tensor(4, 3, {1, 1}, {kHuge, -5}) == "");  // strides of sides of one mean nothing
  CHECK(error_of_tensor(4, 4, {0}, {1}) == "");
  CHECK(error_of_tensor(4, 1, {2}, {2}) == "");
  for (const std::int64_t elements : {3, 5, 0, -1})
    CHECK_THAT(error_of_tensor(elements, 0, {1}, {1}), ContainsSubstring("storage"));
  CHECK_THAT(error_of_tensor(kHuge, 0, {1}, {1}), ContainsSubstring("storage"));
  CHECK_THAT(error_of_tensor(4, 1, {4}, {1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 4, {1}, {1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 5, {0}, {1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, -1, {1}, {1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 0, {5}, {0}), ContainsSubstring("\"a\" does not fit"));  // expanded beyond its storage
  CHECK_THAT(error_of_tensor(4, 0, {-1}, {1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 0, {2, 2}, {2}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 3, {2}, {-1}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 1, {2}, {3}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 0, {2}, {kHuge}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, 0, {kHuge, kHuge}, {0, 0}), ContainsSubstring("\"a\" does not fit"));
  CHECK_THAT(error_of_tensor(4, kHuge, {2}, {1}), ContainsSubstring("\"a\" does not fit"));
}

TEST_CASE("PyTorch.ArchivesMustBeWhatTorchWrites") {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::map<std::string, std::string>& entries, bool deflate = false) {
    test::write_archive(folder / "a.pth", entries, deflate);
    return error_of(ErrorCode::model, [&] { read_pytorch(folder / "a.pth"); });
  };
  const std::vector<std::int64_t> one = {1};
  const std::string pickle =
      "\x80\x02}" + pickled("a") + test::pickled_tensor("FloatStorage", "0", 1, 0, one, one) + "s.";
  CHECK_THAT(error({{"model.json", "{}"}}), ContainsSubstring("data.pkl"));
  CHECK_THAT(error({{"data.pkl", pickle}}), ContainsSubstring("lacks the entry \"data/0\""));
  CHECK_THAT(error({{"data.pkl", pickle}, {"data/0", "abcd"}, {"byteorder", "big"}}), ContainsSubstring("big-endian"));
  CHECK_THAT(error({{"data.pkl", pickle}, {"data/0", std::string(40000, 'a')}}, true), ContainsSubstring("compressed"));
  CHECK_THAT(error({{"data.pkl", "\x80\x02]."s}}), ContainsSubstring("no dict"));
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

TEST_CASE("Pickle.RefusesByNameWhatRunsCodeInPython") {
  const std::string call = pickled("echo pwned") + "\x85R.";
  for (const std::string& name :
       {"os\nsystem"s, "posix\nsystem"s, "nt\nsystem"s, "builtins\neval"s, "__builtin__\nexec"s, "subprocess\nPopen"s,
        "importlib\nimport_module"s, "os.path\njoin"s}) {
    std::string dotted = name;
    dotted[dotted.find('\n')] = '.';
    const auto expect_refused = [&](const std::string& pickle) {
      CHECK_THAT(pickle_error(pickle),
                 ContainsSubstring(dotted) && ContainsSubstring("refused") && ContainsSubstring("nothing was run"));
    };
    expect_refused(
        "\x80\x02"
        "c" +
        name + "\n" + call);
    expect_refused("\x80\x02(i" + name + "\n.");
    const auto split = name.find('\n');
    expect_refused("\x80\x04" + pickled(name.substr(0, split)) + pickled(name.substr(split + 1)) + "\x93" + call);
  }
}

TEST_CASE("Pickle.WhatOtherCallsMakeIsOpaque") {
  for (const char* name :
       {"builtins\ngetattr", "torch\nload", "torch.hub\nload", "operator\nattrgetter", "torch._utils\n_rebuild_tensor",
        "collections\nOrderedDict.update", "torch\nFloatStorage.x", "argparse\nNamespace", "a\nb"}) {
    const std::string global = "c"s + name + "\n";
    for (const std::string& made : {global + pickled("x") + "\x85R", global + ")R", global + ")\x81", global + ")}\x92",
                                    "(i"s + name + "\n", "("s + global + "No", global + ")R)R"}) {
      const std::string stuffed =
          made + "(" + pickled("key") + "Nu(NNe(N\x90}b.";  // set items, append, add, attributes
      CHECK_MESSAGE(kind_of("\x80\x02" + stuffed) == Kind::opaque, test::printed(made));
    }
  }
  CHECK(kind_of("\x80\x02" + pickled("module") + "Q.") == Kind::opaque);
}

TEST_CASE("Pickle.ReadsEveryProtocolsValues") {
  CHECK(kind_of("\x80\x02I01\n.") == Kind::boolean);
  CHECK(kind_of("\x80\x02I-5\n.") == Kind::integer);
  CHECK(kind_of("\x80\x02L7L\n.") == Kind::integer);
  CHECK(kind_of("\x80\x02L99999999999999999999L\n.") == Kind::opaque);
  CHECK(kind_of("\x80\x02"
                "F1.5\n.") == Kind::opaque);
  CHECK(kind_of("\x80\x02\x8a\x09"
                "123456789.") == Kind::opaque);
  CHECK(kind_of("\x80\x02\x8b\x01\0\0\0\x05."s) == Kind::integer);
  CHECK(kind_of("\x80\x02U\x01"
                "a.") == Kind::text);
  CHECK(kind_of("\x80\x02T\x01\0\0\0"
                "a."s) == Kind::text);
  CHECK(kind_of("\x80\x02Va\n.") == Kind::text);
  CHECK(kind_of("\x80\x04\x8d\x01\0\0\0\0\0\0\0a."s) == Kind::text);
  CHECK(kind_of("\x80\x03"
                "C\x01"
                "a.") == Kind::opaque);
  CHECK(kind_of("\x80\x05\x96\x01\0\0\0\0\0\0\0a."s) == Kind::opaque);
  CHECK(kind_of("\x80\x02(NNl.") == Kind::list);
  CHECK(kind_of("\x80\x02(NNd.") == Kind::dict);
  CHECK(kind_of("\x80\x04(NN\x91.") == Kind::opaque);
  CHECK(kind_of("\x80\x02Np5\n0g5\n.") == Kind::none);
  CHECK(kind_of("\x80\x02N(NN1.") == Kind::none);
  CHECK(kind_of("\x80\x02N2\x86.") == Kind::tuple);
}

TEST_CASE("Pickle.RefusesEveryOtherOpcode") {
  for (const char opcode : "\x82\x83\x84\x97\x98#~\xff"s) {  // the registry of extensions, buffers outside, none
    CHECK_THAT_MESSAGE(pickle_error("\x80\x02"s + opcode + std::string(16, '\0') + "."), ContainsSubstring("opcode"),
                       opcode);
  }
}

TEST_CASE("Pickle.RefusesToCallAValue") {
  CHECK_THAT(pickle_error("\x80\x02" + pickled("eval") + ")R."), ContainsSubstring("calls a value"));
  CHECK_THAT(pickle_error("\x80\x02" + pickled("eval") + ")\x81."), ContainsSubstring("calls a value"));
}

TEST_CASE("Pickle.OrderedDictsOfPython2") {
  const std::string pairs =
      "\x80\x02"
      "ccollections\nOrderedDict\n](](" +
      pickled("a") + "K\1ee\x85R.";
  CHECK(kind_of(pairs) == Kind::dict);
  CHECK_THAT(pickle_error("\x80\x02"
                          "ccollections\nOrderedDict\n](Ne\x85R."),
             ContainsSubstring("malformed dict"));
}

// A state dict beside all that people keep with it, in every protocol (make_values.py): all of it is read over, none of
// it run.
TEST_CASE("PyTorch.ReadsPastValuesThatAreNoTensors") {
  const test::TemporaryFolder folder;
  const std::vector<float> ramp = {1, 2, 3, 4};
  const std::string storage(reinterpret_cast<const char*>(ramp.data()), 16);
  for (const int protocol : {2, 3, 4, 5}) {
    const auto bytes = test::read_bytes(kFixtures / fmt::format("values-protocol-{}.pkl", protocol));
    const std::string pickle(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    test::write_archive(folder / "a.pth",
                        {{"data.pkl", pickle}, {"data/0", storage}, {"data/1", storage}, {"data/3", "\1\0"s}});
    const TensorFile file = read_pytorch(folder / "a.pth");
    std::vector<std::string> names;
    for (const Tensor& tensor : file.tensors) names.push_back(tensor.name);
    CHECK_THAT_MESSAGE(
        names, test::ElementsAre("rng.torch", "wrapped", "state.weight", "state.mask", "ema.0.weight", "ema.1.0"),
        protocol);
    CHECK(values(file, "state.weight") == ramp);
    CHECK(values(file, "wrapped") == ramp);
    CHECK(values(file, "ema.1.0") == ramp);
  }
}

TEST_CASE("Pickle.RefusesMalformedStreams") {
  for (const std::string& pickle : {""s,
                                    "\x80"s,
                                    "."s,
                                    "\x80\x01N."s,
                                    "\x80\x06N."s,
                                    "\x80\x02NN."s,
                                    "\x80\x02(."s,
                                    "\x80\x02t."s,
                                    "\x80\x02}Ns."s,
                                    "\x80\x02}(Nu."s,
                                    "\x80\x02h\x01."s,
                                    "\x80\x02Na."s,
                                    "\x80\x02(q\x01."s,
                                    "\x80\x02X\xff\xff\xff\xffx."s,
                                    "\x80\x02\x8a\xff."s,
                                    "\x80\x02"
                                    "ccollections"s,
                                    "\x80\x02\x8a\x09"
                                    "12345678"s,
                                    "\x80\x02I1x\n."s,
                                    "\x80\x02Np-1\n."s,
                                    "\x80\x02(o."s,
                                    "\x80\x02(i"s,
                                    "\x80\x02"
                                    "0."s,
                                    "\x80\x02(b."s}) {
    CHECK_MESSAGE(!pickle_error(pickle).empty(), test::printed(pickle));
  }
}

TEST_CASE("Pickle.ValuesMayReferToThemselves") {
  const test::TemporaryFolder folder;
  // d = {}; d["a"] = d, which a walk must not follow for ever; and dicts of eight times the same dict, 8^15 paths.
  test::write_archive(folder / "cycle.pth", {{"data.pkl", "\x80\x02}q\x01" + pickled("a") + "h\x01s."}});
  CHECK_THAT(error_of(ErrorCode::model, [&] { read_pytorch(folder / "cycle.pth"); }), ContainsSubstring("nest deeper"));
  std::string shared = "}q"s + '\0';
  for (char i = 1; i < 16; ++i) {
    std::string outer = "}q"s + i + pickled("a") + shared + "s";
    for (char key = 'b'; key < 'i'; ++key) outer += pickled(std::string(1, key)) + "h" + static_cast<char>(i - 1) + "s";
    shared = outer;
  }
  test::write_archive(folder / "shared.pth", {{"data.pkl", "\x80\x02" + shared + "."}});
  CHECK_THAT(error_of(ErrorCode::model, [&] { read_pytorch(folder / "shared.pth"); }),
             ContainsSubstring("too many values"));
}

TEST_CASE("Pickle.DeepNestingIsNoRecursion") {
  CHECK_FALSE(pickle_error("\x80\x02" + std::string(2'000'000, '(')).empty());
  CHECK_FALSE(pickle_error("\x80\x02N" + std::string(2'000'000, '\x85') + ".").empty());
  CHECK(pickle_error("\x80\x02N" + std::string(100'000, '\x85') + ".") == "");
}

// ---- damage: whatever happens, an Error, or tensors that can be read ----

void read_damaged(const std::filesystem::path& path) {
  try {
    for (const Tensor& tensor : read_pytorch(path).tensors) to_floats(tensor);
  } catch (const Error&) {
  }
}

TEST_CASE("PyTorchDamage.TruncatedAtEveryLength") {
  const test::TemporaryFolder folder;
  const auto whole = test::read_bytes(kFixtures / "types.pth");
  REQUIRE_FALSE(whole.empty());
  test::write_bytes(folder / "a.pth", whole);
  for (std::size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(folder / "a.pth", size);
    {
      INFO(size);
      CHECK_THROWS_AS(read_pytorch(folder / "a.pth"), Error);
    }
  }
}

TEST_CASE("PyTorchDamage.RandomBytesAnywhere") {
  const test::TemporaryFolder folder;
  std::mt19937 random(1);
  for (const char* name : {"types.pth", "checkpoint.pth"}) {
    const auto whole = test::read_bytes(kFixtures / name);
    for (int round = 0; round < 1500; ++round) {
      auto bytes = whole;
      for (int flips = 1 + round % 4; flips > 0; --flips)
        bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      test::write_bytes(folder / "a.pth", bytes);
      read_damaged(folder / "a.pth");
    }
  }
}

// The archive's checksums hide most damage of the pickle: here it is damaged and packed again.
TEST_CASE("PyTorchDamage.RandomBytesInThePickle") {
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
