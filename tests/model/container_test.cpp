#include "src/model/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
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

TEST(Container, RoundTrip) {
  const test::TemporaryFolder folder;
  const Bytes file = small_container(folder);
  EXPECT_EQ(file.size() % 64, 0u);
  const Container container(folder / "small");
  EXPECT_EQ(container.header().at("key"), "värde");
  ASSERT_EQ(container.tensors().size(), 4u);
  EXPECT_EQ(to_floats(*container.find("a")), kFloats);
  EXPECT_EQ(container.find("a")->shape, (TensorShape{2, 3}));
  EXPECT_EQ(to_floats(*container.find("b")), (std::vector<float>{7, 8, 9}));
  EXPECT_EQ(container.find("c")->bytes[7], std::byte{0xFF});
  EXPECT_EQ(container.find("d")->count(), 0u);
  EXPECT_EQ(container.find("e"), nullptr);
  EXPECT_EQ(container.checksum(), container_checksum(file));
}

TEST(Container, WithoutTensorsAndWithManyHeaderLengths) {
  const test::TemporaryFolder folder;
  for (std::size_t length = 0; length < 150; ++length) {  // offsets change their number of digits on the way
    const nlohmann::json header = {{"text", std::string(length, 'x')}};
    write_container(folder / "empty", header, {});
    EXPECT_EQ(Container(folder / "empty").header().at("text").get<std::string>().size(), length);
    const std::vector<Tensor> tensors = {float_tensor("a", {6}, kFloats), float_tensor("b", {6}, kFloats)};
    write_container(folder / "full", header, tensors);
    EXPECT_EQ(to_floats(*Container(folder / "full").find("b")), kFloats);
  }
}

TEST(Container, EveryFieldOfThePrefixIsChecked) {
  const test::TemporaryFolder folder;
  const Bytes good = small_container(folder);
  const auto error = [&](auto&& spoil, bool seal = true) {
    Bytes file = good;
    spoil(file);
    return error_of_bytes(folder, seal ? sealed(file) : file);
  };
  EXPECT_THAT(error([](Bytes& f) { f[0] = std::byte{0x88}; }), AllOf(HasSubstr("bad.lfmw"), HasSubstr("not an .lfmw file")));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 8, 2); }), HasSubstr("version 2"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 8, 0); }), HasSubstr("version 0"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint32_t>(f, 12, 1); }), HasSubstr("reserved"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, f.size() + 1); }), HasSubstr("truncated"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, f.size() - 1); }), HasSubstr("1 bytes follow its end"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 16, 0); }), HasSubstr("follow its end"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, f.size()); }), HasSubstr("header of"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, ~std::uint64_t{0}); }), HasSubstr("header of"));
  EXPECT_THAT(error([](Bytes& f) { store<std::uint64_t>(f, 24, 10); }), HasSubstr("JSON"));
  EXPECT_THAT(error([](Bytes& f) { f[32] ^= std::byte{1}; }, false), HasSubstr("checksum"));
  EXPECT_THAT(error([](Bytes& f) { f[63] = std::byte{1}; }), HasSubstr("reserved"));
  EXPECT_THAT(error([](Bytes& f) { f.back() = std::byte{1}; }), HasSubstr("gap between tensors is not zero"));
  EXPECT_THAT(error([](Bytes& f) { f.resize(f.size() + 64), store<std::uint64_t>(f, 16, f.size()); }), HasSubstr("last tensor"));
  EXPECT_THAT(error([](Bytes& f) { f.resize(f.size() - 64), store<std::uint64_t>(f, 16, f.size()); }), HasSubstr("does not fit"));
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

TEST(Container, TheTensorTableIsChecked) {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& table) { return error_of_bytes(folder, with_json(R"({"tensors": )" + table + "}")); };
  const std::string good = R"([{"name": "a", "type": "F32", "shape": [2, 8], "offset": 192}])";
  test::write_bytes(folder / "good", with_json(R"({"tensors": )" + good + "}"));
  EXPECT_EQ(Container(folder / "good").find("a")->count(), 16u);

  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string table = good;
    return table.replace(table.find(what), what.size(), with);
  };
  EXPECT_THAT(error("{}"), HasSubstr("no tensor table"));
  EXPECT_THAT(error("[1]"), HasSubstr("incomplete"));
  EXPECT_THAT(error("[{}]"), HasSubstr("incomplete"));
  for (const char* field : {"name", "type", "shape", "offset"}) EXPECT_THAT(error(replaced(field, "other")), HasSubstr("incomplete")) << field;
  EXPECT_THAT(error(replaced("\"a\"", "1")), HasSubstr("incomplete"));
  EXPECT_THAT(error(replaced("F32", "F64")), HasSubstr("unknown type F64"));
  EXPECT_THAT(error(replaced("[2, 8]", "[2, -8]")), HasSubstr("not a count"));
  EXPECT_THAT(error(replaced("[2, 8]", "[2, 8.0]")), HasSubstr("not a count"));
  EXPECT_THAT(error(replaced("[2, 8]", "[2, 9]")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("[2, 8]", "[4294967296, 4294967296, 4]")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("[2, 8]", "[18446744073709551615]")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("[2, 8]", "[4611686018427387905]")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("192", "256")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("192", "128")), HasSubstr("does not fit"));
  EXPECT_THAT(error(replaced("192", "-192")), HasSubstr("not a count"));
  EXPECT_THAT(error(R"([{"name": "a", "type": "U8", "shape": [0], "offset": 256}, {"name": "a", "type": "U8", "shape": [0], "offset": 256}])"),
              HasSubstr("twice"));
}

TEST(Container, TheJsonIsChecked) {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& json) { return error_of_bytes(folder, with_json(json)); };
  EXPECT_THAT(error(""), HasSubstr("JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("not an object"));
  EXPECT_THAT(error(R"({"a": 1, "a": 2})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(error(R"({"a\u0000b": 1})"), HasSubstr("zero byte"));
  EXPECT_THAT(error(R"({"a": ["b", "c\u0000d"]})"), HasSubstr("zero byte"));
  EXPECT_THAT(error(R"({"a": {"b": 1, "c": {"b": 1}, "b": 2}})"), HasSubstr("\"b\" twice"));
  EXPECT_THAT(error("{\"a\": \"\xff\"}"), HasSubstr("JSON"));
  EXPECT_THAT(error(R"({"a": )" + std::string(100000, '[')), HasSubstr("too deep"));
}

TEST(Container, OtherFormatsAreNamed) {
  const test::TemporaryFolder folder;
  const auto error = [&](std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return error_of_bytes(folder, {bytes.begin(), bytes.end()});
  };
  EXPECT_THAT(error("PK\3\4 and so on"), AllOf(HasSubstr("PyTorch"), HasSubstr("lfm-cuda convert")));
  EXPECT_THAT(error("\x10\0\0\0\0\0\0\0{\"a\"}"s), AllOf(HasSubstr("safetensors"), HasSubstr("lfm-cuda convert")));
  EXPECT_THAT(error(""), HasSubstr("is empty"));
  EXPECT_THAT(error("LFMX and more"), HasSubstr("not an .lfmw file"));
  EXPECT_THAT(error(kContainerMagic), HasSubstr("truncated"));
}

TEST(ContainerDamage, TruncatedAtEveryLength) {
  const test::TemporaryFolder folder;
  Bytes file = small_container(folder);
  while (!file.empty()) {
    file.pop_back();
    EXPECT_NE(error_of_bytes(folder, file), "");
    if (file.size() >= 64) {  // and with a prefix that agrees
      store<std::uint64_t>(file, 16, file.size());
      EXPECT_NE(error_of_bytes(folder, sealed(file)), "") << file.size();
    }
  }
}

TEST(ContainerDamage, EveryBitIsUnderTheChecksum) {
  const test::TemporaryFolder folder;
  const Bytes good = small_container(folder);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes file = good;
    file[i] ^= std::byte{1} << (i % 8);
    EXPECT_NE(error_of_bytes(folder, file), "") << i;
  }
}

TEST(ContainerDamage, RandomBytesUnderAValidChecksum) {
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
