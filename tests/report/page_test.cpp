// The report page: whatever a file or a model is called, it stays text. tests/report/browser_test.sh opens such a page.
#include "src/report/page.h"

#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/report/sample_page.h"

namespace lfm::test {
namespace {

std::string data_of(const std::string& html) {
  const std::string open = "id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script>", begin) - begin);
}

TEST_CASE("Page.EscapesWhateverComesFromFiles") {
  const std::string html = sample_page(40);
  const std::string text = html.substr(0, html.find("<script type"));
  CHECK_THAT(text, !ContainsSubstring("<img"));
  CHECK_THAT_MESSAGE(text, ContainsSubstring("&lt;img src=x onerror=alert(1)&gt;"), "the model's name");
  const std::string data = data_of(html);
  CHECK_THAT(data, !ContainsSubstring("<"));
  const auto parsed = nlohmann::json::parse(data);
  CHECK(parsed["images"].size() == 40u);
  CHECK(parsed["images"][3]["path"] == kNastyName);
}

TEST_CASE("Page.HasNoLinkToTheNetwork") {
  const std::string html = sample_page(10);
  for (const char* forbidden : {"http://", "https://", "src=\"/", "@import", "url("})
    CHECK_THAT(html, !ContainsSubstring(forbidden));
  CHECK_THAT(html, ContainsSubstring("default-src 'none'"));
}

TEST_CASE("Page.KeepsWhatThePicturesAre") {
  const auto images = nlohmann::json::parse(data_of(sample_page(40)))["images"];
  CHECK(images[0]["verdict"] == "real");
  CHECK_FALSE(images[0].contains("reason"));
  CHECK(images[9]["verdict"] == "unsure");
  CHECK_THAT(images[9]["reason"].get<std::string>(), ContainsSubstring("re-delivery"));
  CHECK(images[7].contains("error"));
  CHECK(images[1]["label"] == 1);
  REQUIRE(images[0]["heat"].size() == 1u);
  CHECK(images[0]["heat"][0]["rows"] == 30);
  // A cell stands for the 8 pixels around the centre of the 23 its position sees.
  CHECK_THAT(images[0]["heat"][0]["x"].get<double>(), WithinAbs(7.5 / 256, 1e-9));
  CHECK_THAT(images[0]["heat"][0]["width"].get<double>(), WithinAbs(240.0 / 256, 1e-9));
}

TEST_CASE("Page.SaysWhatAVerdictMeansWhereTheModelKnows") {
  Model model;
  model.thresholds = {
      View::tiles, 100, 2, 50, 1, {"none"}, {{0.05, 0.6f, 0.02, {"web <b>", 5, 100}, {}, 0.5, 0.4, 0.6}}};
  const ReportPage page(false);
  const std::string html = page.html("title", {"m.lfmw"}, model, View::tiles, 0.6f);
  CHECK_THAT(html, ContainsSubstring("of 100 generated ones about 50 are found"));
  CHECK_THAT(html, !ContainsSubstring("web <b>"));
  CHECK_THAT(html, ContainsSubstring("at 5 % false alarms"));
  CHECK_THAT(page.html("title", {"m.lfmw"}, model, View::tiles, 0.7f), !ContainsSubstring("of 100 generated"));
}

}  // namespace
}  // namespace lfm::test
