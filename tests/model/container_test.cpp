#include "src/model/container.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

using test::error_of;

using namespace std::string_literals;

using Bytes = std::vector<std::byte>;

const std::vector<float> kFloats = {1, 2, 3, 4, 5, 6};
const std::vector<std::uint8_t> kBytes = {7, 8, 9};

/// A small container with every element type and an empty tensor.
Bytes small_container(const test::TemporaryFolder& folder) {
  static const std::uint64_t step = ~std::uint64_t{0};
  const std::vector<Tensor> tensors = {float_tensor("a", {2, 3}, kFloats),
                                       {"b", ElementType::u8, {3}, std::as_bytes(std::span(kBytes))},
                                       {"c", ElementType::u64, {}, std::as_bytes(std::span(&step, 1))},
                                       {"d", ElementType::f32, {5, 0}, {}}};
  write_container(folder / "small", {{"key", "värde"}}, tensors);
  return test::read_bytes(folder / "small");
}

template <typename T>
void store(Bytes& file, std::size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof value);
}

/// The file with its checksum made right again.
Bytes sealed(Bytes file) {
  store(file, 32, container_checksum(file));
  return file;
}

std::string error_of_bytes(const test::TemporaryFolder& folder, const Bytes& file) {
  test::write_bytes(folder / "bad.lfmw", file);
  return error_of(ErrorCode::model, [&] { Container(folder / "bad.lfmw"); });
}

TEST_CASE("Container.RoundTrip") {
  const test::TemporaryFolder folder;
  const Bytes file = small_container(folder);
  CHECK(file.size() % 64 == 0u);
  const Container container(folder / "small");
  CHECK(container.header().at("key") == "värde");
  REQUIRE(container.tensors().size() == 4u);
  CHECK(to_floats(*container.find("a")) == kFloats);
  CHECK(container.find("a")->shape == (TensorShape{2, 3}));
  CHECK(to_floats(*container.find("b")) == (std::vector<float>{7, 8, 9}));
  CHECK(container.find("c")->bytes[7] == std::byte{0xFF});
  CHECK(container.find("d")->count() == 0u);
  CHECK(container.find("e") == nullptr);
  CHECK(container.checksum() == container_checksum(file));
}

TEST_CASE("Container.WithoutTensorsAndWithManyHeaderLengths") {
  const test::TemporaryFolder folder;
  for (std::size_t length = 0; length < 150; ++length) {  // offsets change their number of digits on the way
    const nlohmann::json header = {{"text", std::string(length, 'x')}};
    write_container(folder / "empty", header, {});
    CHECK(Container(folder / "empty").header().at("text").get<std::string>().size() == length);
    const std::vector<Tensor> tensors = {float_tensor("a", {6}, kFloats), float_tensor("b", {6}, kFloats)};
    write_container(folder / "full", header, tensors);
    CHECK(to_floats(*Container(folder / "full").find("b")) == kFloats);
  }
}

TEST_CASE("Container.EveryFieldOfThePrefixIsChecked") {
  const test::TemporaryFolder folder;
  const Bytes good = small_container(folder);
  const auto error = [&](auto&& spoil, bool seal = true) {
    Bytes file = good;
    spoil(file);
    return error_of_bytes(folder, seal ? sealed(file) : file);
  };
  CHECK_THAT(error([](Bytes& f) { f[0] = std::byte{0x88}; }),
             ContainsSubstring("bad.lfmw") && ContainsSubstring("not an .lfmw file"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 8, 2); }), ContainsSubstring("version 2"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 8, 0); }), ContainsSubstring("version 0"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 12, 1); }), ContainsSubstring("reserved"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, f.size() + 1); }), ContainsSubstring("truncated"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, f.size() - 1); }),
             ContainsSubstring("1 bytes follow its end"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, 0); }), ContainsSubstring("follow its end"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, f.size()); }), ContainsSubstring("header of"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, ~std::uint64_t{0}); }), ContainsSubstring("header of"));
  CHECK_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, 10); }), ContainsSubstring("JSON"));
  CHECK_THAT(error([](Bytes& f) { f[32] ^= std::byte{1}; }, false), ContainsSubstring("checksum"));
  CHECK_THAT(error([](Bytes& f) { f[63] = std::byte{1}; }), ContainsSubstring("reserved"));
  CHECK_THAT(error([](Bytes& f) { f.back() = std::byte{1}; }), ContainsSubstring("gap between tensors is not zero"));
  CHECK_THAT(error([](Bytes& f) { f.resize(f.size() + 64), store<std::uint64_t>(f, 16, f.size()); }),
             ContainsSubstring("last tensor"));
  CHECK_THAT(error([](Bytes& f) { f.resize(f.size() - 64), store<std::uint64_t>(f, 16, f.size()); }),
             ContainsSubstring("does not fit"));
}

/// A container of that JSON and 64 bytes of data after it.
Bytes with_json(const std::string& json) {
  Bytes file((64 + json.size() + 63) / 64 * 64 + 64);
  std::memcpy(file.data(), kContainerMagic.data(), 8);
  store<std::uint32_t>(file, 8, kContainerVersion);
  store<std::uint64_t>(file, 16, file.size());
  store<std::uint64_t>(file, 24, json.size());
  std::memcpy(file.data() + 64, json.data(), json.size());
  return sealed(file);
}

TEST_CASE("Container.TheTensorTableIsChecked") {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& table) {
    return error_of_bytes(folder, with_json(R"({"tensors": )" + table + "}"));
  };
  const std::string good = R"([{"name": "a", "type": "F32", "shape": [2, 8], "offset": 192}])";
  test::write_bytes(folder / "good", with_json(R"({"tensors": )" + good + "}"));
  CHECK(Container(folder / "good").find("a")->count() == 16u);

  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string table = good;
    return table.replace(table.find(what), what.size(), with);
  };
  CHECK_THAT(error("{}"), ContainsSubstring("no tensor table"));
  CHECK_THAT(error("[1]"), ContainsSubstring("incomplete"));
  CHECK_THAT(error("[{}]"), ContainsSubstring("incomplete"));
  for (const char* field : {"name", "type", "shape", "offset"})
    CHECK_THAT_MESSAGE(error(replaced(field, "other")), ContainsSubstring("incomplete"), field);
  CHECK_THAT(error(replaced("\"a\"", "1")), ContainsSubstring("incomplete"));
  CHECK_THAT(error(replaced("F32", "F64")), ContainsSubstring("unknown type F64"));
  CHECK_THAT(error(replaced("[2, 8]", "[2, -8]")), ContainsSubstring("not a count"));
  CHECK_THAT(error(replaced("[2, 8]", "[2, 8.0]")), ContainsSubstring("not a count"));
  CHECK_THAT(error(replaced("[2, 8]", "[2, 9]")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("[2, 8]", "[4294967296, 4294967296, 4]")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("[2, 8]", "[18446744073709551615]")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("[2, 8]", "[4611686018427387905]")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("192", "256")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("192", "128")), ContainsSubstring("does not fit"));
  CHECK_THAT(error(replaced("192", "-192")), ContainsSubstring("not a count"));
  CHECK_THAT(
      error(
          R"([{"name": "a", "type": "U8", "shape": [0], "offset": 256}, {"name": "a", "type": "U8", "shape": [0], "offset": 256}])"),
      ContainsSubstring("twice"));
}

TEST_CASE("Container.TheJsonIsChecked") {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& json) { return error_of_bytes(folder, with_json(json)); };
  CHECK_THAT(error(""), ContainsSubstring("JSON"));
  CHECK_THAT(error("[]"), ContainsSubstring("not an object"));
  CHECK_THAT(error(R"({"a": 1, "a": 2})"), ContainsSubstring("\"a\" twice"));
  CHECK_THAT(error(R"({"a\u0000b": 1})"), ContainsSubstring("zero byte"));
  CHECK_THAT(error(R"({"a": ["b", "c\u0000d"]})"), ContainsSubstring("zero byte"));
  CHECK_THAT(error(R"({"a": {"b": 1, "c": {"b": 1}, "b": 2}})"), ContainsSubstring("\"b\" twice"));
  CHECK_THAT(error("{\"a\": \"\xff\"}"), ContainsSubstring("JSON"));
  CHECK_THAT(error(R"({"a": )" + std::string(100000, '[')), ContainsSubstring("too deep"));
}

TEST_CASE("Container.OtherFormatsAreNamed") {
  const test::TemporaryFolder folder;
  const auto error = [&](std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return error_of_bytes(folder, {bytes.begin(), bytes.end()});
  };
  CHECK_THAT(error("PK\3\4 and so on"), ContainsSubstring("PyTorch") && ContainsSubstring("lfm-cuda convert"));
  CHECK_THAT(error("\x10\0\0\0\0\0\0\0{\"a\"}"s),
             ContainsSubstring("safetensors") && ContainsSubstring("lfm-cuda convert"));
  CHECK_THAT(error(""), ContainsSubstring("is empty"));
  CHECK_THAT(error("LFMX and more"), ContainsSubstring("not an .lfmw file"));
  CHECK_THAT(error(kContainerMagic), ContainsSubstring("truncated"));
}

TEST_CASE("ContainerDamage.TruncatedAtEveryLength") {
  const test::TemporaryFolder folder;
  Bytes file = small_container(folder);
  while (!file.empty()) {
    file.pop_back();
    CHECK(error_of_bytes(folder, file) != "");
    if (file.size() >= 64) {  // and with a prefix that agrees
      store<std::uint64_t>(file, 16, file.size());
      CHECK_MESSAGE(error_of_bytes(folder, sealed(file)) != "", file.size());
    }
  }
}

TEST_CASE("ContainerDamage.EveryBitIsUnderTheChecksum") {
  const test::TemporaryFolder folder;
  const Bytes good = small_container(folder);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes file = good;
    file[i] ^= std::byte{1} << (i % 8);
    CHECK_MESSAGE(error_of_bytes(folder, file) != "", i);
  }
}

TEST_CASE("ContainerDamage.RandomBytesUnderAValidChecksum") {
  const test::TemporaryFolder folder;
  const Bytes good = small_container(folder);
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    Bytes file = good;
    for (int flips = 1 + round % 4; flips > 0; --flips) file[random() % file.size()] = static_cast<std::byte>(random());
    test::write_bytes(folder / "bad.lfmw", sealed(file));
    try {
      const Container container(folder / "bad.lfmw");
      for (const Tensor& tensor : container.tensors()) to_floats(tensor);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace lfm
