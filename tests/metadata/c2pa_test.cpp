// C2PA manifests: what they claim, and readers of CBOR and JUMBF that stop at nonsense.
#include "src/metadata/c2pa.h"

#include <nlohmann/json.hpp>
#include <random>

#include "src/metadata/cbor.h"
#include "tests/catch.h"
#include "tests/metadata/containers.h"

namespace lfm {
namespace {

using namespace std::string_literals;
using namespace test;

TEST_CASE("C2pa.ClaimsAreRead") {
  const std::vector<C2paClaim> claims = c2pa_claims(bytes_of(c2pa_store()));
  REQUIRE(claims.size() == 1u);
  CHECK(claims[0].manifest == "urn:c2pa:1");
  CHECK(claims[0].generator == "Paintery");
  REQUIRE(claims[0].actions.size() == 1u);
  CHECK(claims[0].actions[0].action == "c2pa.created");
  CHECK(claims[0].actions[0].agent == "Painter 3");
  CHECK(claims[0].actions[0].digital_source_type == "trainedAlgorithmicMedia");
}

TEST_CASE("C2pa.OtherBoxesAreNoStore") {
  CHECK((c2pa_claims(bytes_of(superbox("other", superbox("urn:x", "")))).empty()));
  CHECK(c2pa_claims({}).empty());
}

TEST_CASE("C2pa.DamageDoesNoHarm") {
  const std::string store = c2pa_store();
  std::mt19937 random(5);
  for (std::size_t size = 0; size < store.size(); ++size) c2pa_claims(bytes_of(store.substr(0, size)));
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = store;
    for (int j = 0; j < 3; ++j) damaged[random() % damaged.size()] = static_cast<char>(random());
    c2pa_claims(bytes_of(damaged));
  }
}

TEST_CASE("Cbor.ValuesBecomeJson") {
  const auto read = [](const std::string& bytes) { return read_cbor(bytes_of(bytes)); };
  CHECK((read("\x83\x01\x18\x64\x20"s) == nlohmann::json({1, 100, -1.0})));
  CHECK(read("\x9f\x01\xff"s) == nlohmann::json::array({1}));
  CHECK((read("\xbf\x61"
              "a\x63"
              "dog\xff"s) == nlohmann::json({{"a", "dog"}})));
  CHECK(read("\x7f\x61"
             "a\x61"
             "b\xff"s) == nlohmann::json("ab"));
  CHECK(read("\xc1\x61"
             "t"s) == nlohmann::json("t"));  // a tag is dropped
  CHECK((read("\xa2\x01\x02\x61"
              "a\xf5"s) == nlohmann::json({{"a", true}})));  // a key that is no text
  CHECK(read("\x42"
             "ab"s) == nlohmann::json());
  for (const std::string& bad : {""s, "\x81"s, "\x7f\x61"s,
                                 "\x62"
                                 "a"s,
                                 "\xff"s, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"s, std::string(100, '\x81')}) {
    CHECK(!(read(bad)));
  }
}

}  // namespace
}  // namespace lfm
