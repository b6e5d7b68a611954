#include "lfm/words.h"

#include "lfm/model.h"
#include "lfm/precision.h"
#include "src/model/rbld.h"
#include "src/report/detections.h"
#include "src/train/options.h"
#include "tests/catch.h"

namespace lfm {
namespace {

template <typename Enum>
void expect_each_word_to_be_read() {
  for (const Word<Enum>& row : words(Enum{})) {
    CAPTURE(std::string(row.word));
    CHECK((value_of<Enum>(row.word) == row.value));
    CHECK((value_of<Enum>(word_of(row.value)) == row.value));
    CHECK(row.word.find_first_of(" |,") == std::string_view::npos);  // it has to fit a list
  }
  CHECK_FALSE(value_of<Enum>("").has_value());
  CHECK_FALSE(value_of<Enum>("no such word").has_value());
}

TEST_CASE("Words.AreReadAsTheirValues") {
  expect_each_word_to_be_read<View>();
  expect_each_word_to_be_read<Pooling>();
  expect_each_word_to_be_read<Precision>();
  expect_each_word_to_be_read<Combination>();
  expect_each_word_to_be_read<RbldScale>();
  expect_each_word_to_be_read<BestBy>();
  expect_each_word_to_be_read<OutputFormat>();
}

TEST_CASE("Words.TheFirstOfAValueIsWritten") {
  CHECK(word_of(Pooling::average) == "average");
  CHECK((value_of<Pooling>("avg") == Pooling::average));
  CHECK(word_of(OutputFormat::jsonl) == "jsonl");
  CHECK((value_of<OutputFormat>("ndjson") == OutputFormat::jsonl));
  CHECK(list_of_words<View>("|") == "resize|native|center|tiles");
  CHECK(distill_words() == "maps|logits|maps,logits");
}

TEST_CASE("Words.AValueWithoutOneIsAFault") { CHECK_THROWS_AS(word_of(static_cast<View>(99)), std::logic_error); }

TEST_CASE("Words.OfTrainingsPrecisionsAreThoseThatItHas") {
  std::vector<std::string_view> trained;
  for (const auto& row : option_words(Precision{})) trained.push_back(row.word);
  CHECK((trained == std::vector<std::string_view>{"fp32", "tf32", "bf16"}));
}

}  // namespace
}  // namespace lfm
