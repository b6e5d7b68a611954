// The report page: whatever a file or a model is called, it stays text. tests/report/browser_test.sh opens such a page.
#include "src/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/report/sample_page.h"

namespace lfm::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string data_of(const std::string& html) {
  const std::string open = "id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script>", begin) - begin);
}

TEST(Page, EscapesWhateverComesFromFiles) {
  const std::string html = sample_page(40);
  const std::string text = html.substr(0, html.find("<script type"));
  EXPECT_THAT(text, Not(HasSubstr("<img")));
  EXPECT_THAT(text, HasSubstr("&lt;img src=x onerror=alert(1)&gt;")) << "the model's name";
  const std::string data = data_of(html);
  EXPECT_THAT(data, Not(HasSubstr("<")));
  const auto parsed = nlohmann::json::parse(data);
  EXPECT_EQ(parsed["images"].size(), 40u);
  EXPECT_EQ(parsed["images"][3]["path"], kNastyName);
}

TEST(Page, HasNoLinkToTheNetwork) {
  const std::string html = sample_page(10);
  for (const char* forbidden : {"http://", "https://", "src=\"/", "@import", "url("}) EXPECT_THAT(html, Not(HasSubstr(forbidden)));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(Page, KeepsWhatThePicturesAre) {
  const auto images = nlohmann::json::parse(data_of(sample_page(40)))["images"];
  EXPECT_EQ(images[0]["verdict"], "real");
  EXPECT_FALSE(images[0].contains("reason"));
  EXPECT_EQ(images[9]["verdict"], "unsure");
  EXPECT_THAT(images[9]["reason"].get<std::string>(), HasSubstr("re-delivery"));
  EXPECT_TRUE(images[7].contains("error"));
  EXPECT_EQ(images[1]["label"], 1);
  ASSERT_EQ(images[0]["heat"].size(), 1u);
  EXPECT_EQ(images[0]["heat"][0]["rows"], 30);
  // A cell stands for the 8 pixels around the centre of the 23 its position sees.
  EXPECT_NEAR(images[0]["heat"][0]["x"].get<double>(), 7.5 / 256, 1e-9);
  EXPECT_NEAR(images[0]["heat"][0]["width"].get<double>(), 240.0 / 256, 1e-9);
}

TEST(Page, SaysWhatAVerdictMeansWhereTheModelKnows) {
  Model model;
  model.thresholds = {View::tiles, 100, 2, 50, 1, {"none"}, {{0.05, 0.6f, 0.02, {"web <b>", 5, 100}, {}, 0.5, 0.4, 0.6}}};
  const ReportPage page(false);
  const std::string html = page.html("title", "m.lfmw", model, View::tiles, 0.6f);
  EXPECT_THAT(html, HasSubstr("of 100 generated ones about 50 are found"));
  EXPECT_THAT(html, Not(HasSubstr("web <b>")));
  EXPECT_THAT(html, HasSubstr("at 5 % false alarms"));
  EXPECT_THAT(page.html("title", "m.lfmw", model, View::tiles, 0.7f), Not(HasSubstr("of 100 generated")));
}

}  // namespace
}  // namespace lfm::test
