// C2PA manifests: what they claim, and readers of CBOR and JUMBF that stop at nonsense.
#include "src/metadata/c2pa.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "src/metadata/cbor.h"
#include "tests/metadata/containers.h"

namespace lfm {
namespace {

using namespace std::string_literals;
using namespace test;

TEST(C2pa, ClaimsAreRead) {
  const std::vector<C2paClaim> claims = c2pa_claims(bytes_of(c2pa_store()));
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].manifest, "urn:c2pa:1");
  EXPECT_EQ(claims[0].generator, "Paintery");
  ASSERT_EQ(claims[0].actions.size(), 1u);
  EXPECT_EQ(claims[0].actions[0].action, "c2pa.created");
  EXPECT_EQ(claims[0].actions[0].agent, "Painter 3");
  EXPECT_EQ(claims[0].actions[0].digital_source_type, "trainedAlgorithmicMedia");
}

TEST(C2pa, OtherBoxesAreNoStore) {
  EXPECT_TRUE(c2pa_claims(bytes_of(superbox("other", superbox("urn:x", "")))).empty());
  EXPECT_TRUE(c2pa_claims({}).empty());
}

TEST(C2pa, DamageDoesNoHarm) {
  const std::string store = c2pa_store();
  std::mt19937 random(5);
  for (std::size_t size = 0; size < store.size(); ++size) c2pa_claims(bytes_of(store.substr(0, size)));
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = store;
    for (int j = 0; j < 3; ++j) damaged[random() % damaged.size()] = static_cast<char>(random());
    c2pa_claims(bytes_of(damaged));
  }
}

TEST(Cbor, ValuesBecomeJson) {
  const auto read = [](const std::string& bytes) { return read_cbor(bytes_of(bytes)); };
  EXPECT_EQ(read("\x83\x01\x18\x64\x20"s), nlohmann::json({1, 100, -1.0}));
  EXPECT_EQ(read("\x9f\x01\xff"s), nlohmann::json::array({1}));
  EXPECT_EQ(read("\xbf\x61" "a\x63" "dog\xff"s), nlohmann::json({{"a", "dog"}}));
  EXPECT_EQ(read("\x7f\x61" "a\x61" "b\xff"s), nlohmann::json("ab"));
  EXPECT_EQ(read("\xc1\x61" "t"s), nlohmann::json("t"));                         // a tag is dropped
  EXPECT_EQ(read("\xa2\x01\x02\x61" "a\xf5"s), nlohmann::json({{"a", true}}));  // a key that is no text
  EXPECT_EQ(read("\x42" "ab"s), nlohmann::json());
  for (const std::string& bad : {""s, "\x81"s, "\x7f\x61"s, "\x62" "a"s, "\xff"s, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"s, std::string(100, '\x81')}) {
    EXPECT_FALSE(read(bad)) << bad.size();
  }
}

}  // namespace
}  // namespace lfm
