// Records: what is written reads back, and nothing in a file name can do harm.
#include "src/report/detections.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "src/report/npy.h"
#include "src/report/terminal.h"
#include "tests/catch.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

using nlohmann::json;

Detection scored(const std::string& path, float logit, float score, bool fake) {
  Detection d;
  d.status = Detection::Status::scored;
  d.path = path;
  d.logit = logit;
  d.score = score;
  d.fake = fake;
  d.width = 640;
  d.height = 480;
  return d;
}

Detection failed(const std::string& path, const std::string& error) {
  Detection d;
  d.path = path;
  d.error = error;
  return d;
}

TEST_CASE("Json.RecordsReadBack") {
  const Detection d = scored("a \"b\"\n\\.png", -52.30217742919922f, 1.9295363e-23f, false);
  const json record = json::parse(report_record(OutputFormat::jsonl, d, true));
  CHECK(record.size() == 9u);
  CHECK(record["path"] == d.path.string());
  CHECK(record["logit"].get<float>() == d.logit);
  CHECK(record["score"].get<float>() == d.score);
  CHECK(record["label"] == "real");
  CHECK(record["width"] == 640);
  CHECK(record["height"] == 480);
  CHECK(record["texture"] == 0);
  CHECK(record["windows"] == 1);
  CHECK(record["empty_windows"] == 0);

  const json error = json::parse(report_record(OutputFormat::jsonl, failed("x", "is empty"), true));
  CHECK(error == (json{{"path", "x"}, {"error", "is empty"}}));
}

TEST_CASE("Json.ArraysAreWholeWhateverTheirLength") {
  for (int n = 0; n < 3; ++n) {
    std::string text = report_header(OutputFormat::json);
    for (int i = 0; i < n; ++i) text += report_record(OutputFormat::json, scored("p", 1, 0.7f, true), i == 0);
    text += report_footer(OutputFormat::json, n > 0);
    CHECK(json::parse(text).size() == static_cast<std::size_t>(n));
    CHECK(text.back() == '\n');
  }
}

TEST_CASE("Json.NamesThatAreNoUtf8BecomeValidJson") {
  const json record = json::parse(report_record(OutputFormat::jsonl, failed("bad\xff.png", "x"), true));
  CHECK(record["path"] == "bad\xef\xbf\xbd.png");
}

// Found by fuzzing: JSON lets DEL pass, and the C1 controls and bidirectional overrides.
TEST_CASE("Json.NamesSteerNoTerminal") {
  for (const std::string name : {"del\x7f",
                                 "csi\xc2\x9b"
                                 "2J",
                                 "override\xe2\x80\xae", "both\x7f\xc3\xa9"}) {
    for (const Detection& d : {scored(name, 1, 0.7f, true), failed(name, name)}) {
      std::string line = report_record(OutputFormat::jsonl, d, true);
      CHECK(json::parse(line)["path"] == name);
      line.pop_back();
      CHECK(printable(line) == line);
    }
  }
  CHECK_THAT_MESSAGE(report_record(OutputFormat::jsonl, scored("caf\xc3\xa9", 1, 0.7f, true), true),
                     ContainsSubstring("caf\xc3\xa9"), "what does no harm stays readable");
}

TEST_CASE("Json.IndentedTextSteersNoTerminal") {
  const json value = {{"k\xc2\x85y", {"\x7f", "caf\xc3\xa9\n", "\xe2\x80\xa8"}}, {"bad", "\xff"}};
  const std::string text = json_text(value, 1);
  CHECK(
      text ==
      "{\n \"bad\": \"\xef\xbf\xbd\",\n \"k\\u0085y\": [\n  \"\\u007f\",\n  \"caf\xc3\xa9\\n\",\n  \"\\u2028\"\n ]\n}");
  CHECK(json::parse(text)["k\xc2\x85y"] == value["k\xc2\x85y"]);
}

TEST_CASE("Records.SayWhyTheyAreUnsure") {
  for (const Doubt doubt : {Doubt::no_texture, Doubt::flips, Doubt::close}) {
    Detection d = scored("F", 8.189055f, 0.99972242f, true);
    d.unsure = true;
    d.doubt = doubt;
    const json record = json::parse(report_record(OutputFormat::jsonl, d, true));
    CHECK(record["label"] == "unsure");
    CHECK(record["reason"] == doubt_name(doubt));
    CHECK(report_record(OutputFormat::csv, d, true) ==
          std::string("F,8.189055,0.9997224,unsure,640,480,,") + doubt_name(doubt) + ",\n");
    CHECK(report_record(OutputFormat::table, d, true) ==
          "0.9997  unsure      8.189      640x480  F: " + doubt_text(d) + "\n");
  }
}

TEST_CASE("Records.TellMembersBesideAllElse") {
  Detection d = scored("F", 1.5f, 0.75f, true);
  d.part = "page 2";
  d.orientation = 6;
  d.signs = {{"exif", "Software", "x"}};
  d.delivered_scores = {0.75f, 0.5f};
  d.member_logits = {-2.5f, 1.5f};
  d.decided_by = 1;
  const std::vector<std::string> deliveries = {"none", "jpeg:90"}, members = {"a", "b"};
  const json record = json::parse(report_record(OutputFormat::jsonl, d, true, deliveries, members));
  CHECK(record["members"] == json::parse(R"([{"name":"a","logit":-2.5},{"name":"b","logit":1.5}])"));
  CHECK(record["decided_by"] == 2);
  CHECK(record["part"] == "page 2");
  CHECK(record["orientation"] == 6);
  CHECK(record["signs"].size() == 1u);
  CHECK(record["deliveries"].size() == 2u);
  CHECK(report_header(OutputFormat::csv, true, 2) ==
        "path,logit,score,label,width,height,low,high,error,reason,part,member_1,member_2,decided_by\n");
  CHECK(report_record(OutputFormat::csv, d, true, deliveries, members) ==
        "F,1.5,0.75,fake,640,480,0.5,0.75,,,page 2,-2.5,1.5,2\n");
  CHECK(report_record(OutputFormat::csv, failed("F", "x"), true, {}, members) == "F,,,,,,x,,,,,\n");
  CHECK_FALSE(json::parse(report_record(OutputFormat::jsonl, d, true, deliveries)).contains("members"));
}

TEST_CASE("Csv.QuotesAndNeverStartsAFormula") {
  CHECK(report_record(OutputFormat::csv, scored("a.png", -1.5f, 0.25f, false), true) ==
        "a.png,-1.5,0.25,real,640,480,,,\n");
  CHECK(report_record(OutputFormat::csv, failed("a,\"b\".png", "two\nlines"), true) ==
        "\"a,\"\"b\"\".png\",,,,,,\"two\nlines\",,\n");
  for (const std::string start : {"=", "+", "-", "@", "\t", "\r"}) {
    const std::string record = report_record(OutputFormat::csv, failed(start + "cmd|'/c calc'!A1", "x"), true);
    CHECK_MESSAGE((record.starts_with("'") || record.starts_with("\"'")), record);
  }
}

TEST_CASE("Table.LinesUpAndEscapes") {
  const std::string header = report_header(OutputFormat::table);
  const std::string row = report_record(OutputFormat::table, scored("F", 8.189055f, 0.99972242f, true), true);
  CHECK(row == "0.9997  fake        8.189      640x480  F\n");
  CHECK(header.find("file") == row.find('F'));
  const std::string hostile = report_record(OutputFormat::table, failed("\x1b[2Jx\n1.0000  real", "\x1b]0;t\a"), true);
  CHECK(hostile.find('\x1b') == std::string::npos);
  CHECK(std::count(hostile.begin(), hostile.end(), '\n') == 1);
  CHECK(hostile.find("failed") == row.find("fake"));
}

TEST_CASE("Printable.EscapesWhatSteersATerminalAndKeepsTheRest") {
  CHECK(printable("Grüße 画像 🐈.png") == "Grüße 画像 🐈.png");
  CHECK(printable("\x1b[31m\r\n\t\x7f") == "\\x1b[31m\\x0d\\n\\t\\x7f");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\x9b31m");                                             // CSI as one C1 character
  CHECK(printable("gpj.\xe2\x80\xaexe") == "gpj.\\u202exe");                         // right-to-left override
  CHECK(printable("\xff\xc0\xaf\xed\xa0\x80") == "\\xff\\xc0\\xaf\\xed\\xa0\\x80");  // no UTF-8
  CHECK(printable("\xe2\x80") == "\\xe2\\x80");                                      // cut short
}

TEST_CASE("Npy.WritesAnArrayWithItsFinalShape") {
  const TemporaryFolder folder;
  {
    NpyWriter writer(folder / "f.npy", 3);
    writer.write_row(std::vector<float>{1, 2, 3});
    writer.write_missing_row();
    CHECK_MESSAGE(!std::filesystem::exists(folder / "f.npy"), "not before it is complete");
    writer.commit();
  }
  const auto bytes = read_bytes(folder / "f.npy");
  REQUIRE(bytes.size() == 128 + 2 * 3 * sizeof(float));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), 128);
  CHECK(text.starts_with(std::string("\x93NUMPY\x01\x00\x76\x00", 10)));
  CHECK_THAT(text, ContainsSubstring("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  CHECK(text.back() == '\n');
  float values[6];
  std::memcpy(values, bytes.data() + 128, sizeof values);
  CHECK(values[2] == 3.0f);
  CHECK(std::isnan(values[3]));
}

}  // namespace
}  // namespace lfm::test
