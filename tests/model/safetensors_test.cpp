#include "src/model/safetensors.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

using test::error_of;

std::string file_of(const std::string& json, std::size_t data, std::uint64_t header_size) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &header_size, 8);
  return file + json + std::string(data, '\1');
}
std::string file_of(const std::string& json, std::size_t data) { return file_of(json, data, json.size()); }

TensorFile read_text(const test::TemporaryFolder& folder, const std::string& file) {
  test::write_bytes(folder / "a.safetensors", std::as_bytes(std::span(file)));
  return read_safetensors(folder / "a.safetensors");
}

TEST_CASE("Safetensors.RoundTripOfEveryElementType") {
  const test::TemporaryFolder folder;
  std::vector<std::byte> bytes(48, std::byte{1});
  std::vector<Tensor> tensors;
  for (const char* name : {"F64", "F32", "F16", "BF16", "I64", "U64", "I32", "I16", "I8", "U8", "BOOL"}) {
    const ElementType type = *element_type_from_name(name);
    tensors.push_back({name, type, {2, 48 / element_size(type) / 2}, bytes});
  }
  tensors.push_back({"scalar", ElementType::f64, {}, std::span(bytes).first(8)});
  tensors.push_back({"empty", ElementType::f32, {3, 0}, {}});
  write_safetensors(folder / "a", tensors, {{"key", "\"välue\""}});
  const TensorFile file = read_safetensors(folder / "a");
  CHECK(file.tensors.size() == tensors.size());
  CHECK(file.metadata.at("key") == "\"välue\"");
  for (const Tensor& tensor : tensors) {
    const Tensor* read = file.find(tensor.name);
    REQUIRE_MESSAGE(read != nullptr, tensor.name);
    CHECK(read->type == tensor.type);
    CHECK(read->shape == tensor.shape);
    CHECK_MESSAGE(std::ranges::equal(read->bytes, tensor.bytes), tensor.name);
  }
}

TEST_CASE("Safetensors.ElementsBecomeFloats") {
  const auto floats = [](ElementType type, auto... stored) {
    const std::array values = {stored...};
    return to_floats({"", type, {values.size()}, std::as_bytes(std::span(values))});
  };
  using U16 = std::uint16_t;
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_THAT(floats(ElementType::f16, U16{0x3C00}, U16{0xC000}, U16{0x7BFF}, U16{0x0400}, U16{0x03FF}, U16{0x8001},
                    U16{0x7C00}, U16{0xFC00}),
             test::ElementsAre(1.0f, -2.0f, 65504.0f, 0x1p-14f, 1023 * 0x1p-24f, -0x1p-24f, infinity, -infinity));
  CHECK(std::isnan(floats(ElementType::f16, U16{0x7E00})[0]));
  CHECK(std::signbit(floats(ElementType::f16, U16{0x8000})[0]));
  CHECK_THAT(floats(ElementType::bf16, U16{0x3F80}, U16{0xC049}), test::ElementsAre(1.0f, -3.140625f));
  CHECK_THAT(floats(ElementType::f64, 0.1, -1e300), test::ElementsAre(0.1f, -infinity));
  CHECK_THAT(floats(ElementType::u64, ~std::uint64_t{0}), test::ElementsAre(0x1p64f));
}

TEST_CASE("Safetensors.RefusesWhatIsNotWhole") {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& file) {
    return error_of(ErrorCode::model, [&] { read_text(folder, file); });
  };
  const std::string good =
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})";
  CHECK(read_text(folder, file_of(good, 12)).tensors.size() == 2u);
  CHECK(read_text(folder, file_of("{}  ", 0)).tensors.size() == 0u);

  CHECK_THAT(error(file_of(good, 13)),
             ContainsSubstring("a.safetensors") && ContainsSubstring("follow its last tensor"));
  CHECK_THAT(error(file_of(good, 11)), ContainsSubstring("reaches beyond"));
  CHECK_THAT(error(file_of(good, 0, ~std::uint64_t{0})), ContainsSubstring("header is said"));
  CHECK_THAT(error(file_of(good, 0, good.size() + 1)), ContainsSubstring("header is said"));
  CHECK_THAT(error(file_of(good, 12, 0)), ContainsSubstring("JSON"));
  CHECK_THAT(error("short"), ContainsSubstring("too short"));

  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string json = good;
    return file_of(json.replace(json.find(what), what.size(), with), 12);
  };
  CHECK_THAT(error(replaced("\"b\"", "\"a\"")), ContainsSubstring("\"a\" twice"));
  CHECK_THAT(error(replaced("F32", "F8_E4M3")), ContainsSubstring("F8_E4M3"));
  CHECK_THAT(error(replaced("[2]", "[3]")), ContainsSubstring("does not fill"));
  CHECK_THAT(error(replaced("[2]", "[4611686018427387906]")), ContainsSubstring("does not fill"));
  CHECK_THAT(error(replaced("[2]", "[-2]")), ContainsSubstring("malformed shape"));
  CHECK_THAT(error(replaced("[2]", "{\"x\":2}")), ContainsSubstring("malformed shape"));
  CHECK_THAT(error(replaced("[0,8]", "[8,0]")), ContainsSubstring("reaches beyond"));
  CHECK_THAT(error(replaced("[0,8]", "[4,12]")), ContainsSubstring("gap or an overlap"));
  CHECK_THAT(error(replaced("[0,8]", "[0,8,9]")), ContainsSubstring("reaches beyond"));
  CHECK_THAT(error(replaced("[0,8]", "[0]")), ContainsSubstring("malformed"));
  CHECK_THAT(error(replaced("[0,8]", "[0,1e1]")), ContainsSubstring("malformed"));
  CHECK_THAT(error(replaced("\"dtype\"", "\"type\"")), ContainsSubstring("malformed"));
  CHECK_THAT(error(replaced("\"a\"", "\"__metadata__\"")), ContainsSubstring("malformed"));
}

TEST_CASE("Safetensors.RefusesToWriteAName") {
  const test::TemporaryFolder folder;
  const std::vector<float> one = {1};
  for (const char* name : {"a", "\xff"}) {
    const std::vector<Tensor> tensors = {float_tensor("a", {1}, one), float_tensor(name, {1}, one)};
    error_of(ErrorCode::output, [&] { write_safetensors(folder / "a", tensors); });
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}

TEST_CASE("SafetensorsDamage.AnyLengthAndRandomBytes") {
  const test::TemporaryFolder folder;
  const std::vector<float> floats = {1, 2, 3};
  const std::vector<Tensor> tensors = {float_tensor("a", {3}, floats), float_tensor("b", {1, 3}, floats)};
  write_safetensors(folder / "good", tensors, {{"k", "v"}});
  const auto good = test::read_bytes(folder / "good");
  for (std::size_t size = 0; size < good.size(); ++size) {
    test::write_bytes(folder / "bad", std::span(good).first(size));
    {
      INFO(size);
      CHECK_THROWS_AS(read_safetensors(folder / "bad"), Error);
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    auto bytes = good;
    for (int flips = 1 + round % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    test::write_bytes(folder / "bad", bytes);
    try {
      for (const Tensor& tensor : read_safetensors(folder / "bad").tensors) to_floats(tensor);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace lfm
