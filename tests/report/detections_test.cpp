// Records: what is written reads back, and nothing in a file name can do harm.
#include "src/report/detections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "src/report/npy.h"
#include "src/report/terminal.h"
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

TEST(Json, RecordsReadBack) {
  const Detection d = scored("a \"b\"\n\\.png", -52.30217742919922f, 1.9295363e-23f, false);
  const json record = json::parse(report_record(OutputFormat::jsonl, d, true));
  EXPECT_EQ(record.size(), 9u);
  EXPECT_EQ(record["path"], d.path.string());
  EXPECT_EQ(record["logit"].get<float>(), d.logit);
  EXPECT_EQ(record["score"].get<float>(), d.score);
  EXPECT_EQ(record["label"], "real");
  EXPECT_EQ(record["width"], 640);
  EXPECT_EQ(record["height"], 480);
  EXPECT_EQ(record["texture"], 0);
  EXPECT_EQ(record["windows"], 1);
  EXPECT_EQ(record["empty_windows"], 0);

  const json error = json::parse(report_record(OutputFormat::jsonl, failed("x", "is empty"), true));
  EXPECT_EQ(error, (json{{"path", "x"}, {"error", "is empty"}}));
}

TEST(Json, ArraysAreWholeWhateverTheirLength) {
  for (int n = 0; n < 3; ++n) {
    std::string text = report_header(OutputFormat::json);
    for (int i = 0; i < n; ++i) text += report_record(OutputFormat::json, scored("p", 1, 0.7f, true), i == 0);
    text += report_footer(OutputFormat::json, n > 0);
    EXPECT_EQ(json::parse(text).size(), static_cast<std::size_t>(n));
    EXPECT_EQ(text.back(), '\n');
  }
}

TEST(Json, NamesThatAreNoUtf8BecomeValidJson) {
  const json record = json::parse(report_record(OutputFormat::jsonl, failed("bad\xff.png", "x"), true));
  EXPECT_EQ(record["path"], "bad\xef\xbf\xbd.png");
}

// Found by fuzzing: JSON lets DEL pass, and the C1 controls and bidirectional overrides.
TEST(Json, NamesSteerNoTerminal) {
  for (const std::string name : {"del\x7f", "csi\xc2\x9b" "2J", "override\xe2\x80\xae", "both\x7f\xc3\xa9"}) {
    for (const Detection& d : {scored(name, 1, 0.7f, true), failed(name, name)}) {
      std::string line = report_record(OutputFormat::jsonl, d, true);
      EXPECT_EQ(json::parse(line)["path"], name);
      line.pop_back();
      EXPECT_EQ(printable(line), line);
    }
  }
  EXPECT_THAT(report_record(OutputFormat::jsonl, scored("caf\xc3\xa9", 1, 0.7f, true), true), testing::HasSubstr("caf\xc3\xa9")) << "what does no harm stays readable";
}

TEST(Json, IndentedTextSteersNoTerminal) {
  const json value = {{"k\xc2\x85y", {"\x7f", "caf\xc3\xa9\n", "\xe2\x80\xa8"}}, {"bad", "\xff"}};
  const std::string text = json_text(value, 1);
  EXPECT_EQ(text, "{\n \"bad\": \"\xef\xbf\xbd\",\n \"k\\u0085y\": [\n  \"\\u007f\",\n  \"caf\xc3\xa9\\n\",\n  \"\\u2028\"\n ]\n}");
  EXPECT_EQ(json::parse(text)["k\xc2\x85y"], value["k\xc2\x85y"]);
}

TEST(Records, SayWhyTheyAreUnsure) {
  for (const Doubt doubt : {Doubt::no_texture, Doubt::flips, Doubt::close}) {
    Detection d = scored("F", 8.189055f, 0.99972242f, true);
    d.unsure = true;
    d.doubt = doubt;
    const json record = json::parse(report_record(OutputFormat::jsonl, d, true));
    EXPECT_EQ(record["label"], "unsure");
    EXPECT_EQ(record["reason"], doubt_name(doubt));
    EXPECT_EQ(report_record(OutputFormat::csv, d, true), std::string("F,8.189055,0.9997224,unsure,640,480,,") + doubt_name(doubt) + "\n");
    EXPECT_EQ(report_record(OutputFormat::table, d, true), "0.9997  unsure      8.189      640x480  F: " + doubt_text(d) + "\n");
  }
}

TEST(Csv, QuotesAndNeverStartsAFormula) {
  EXPECT_EQ(report_record(OutputFormat::csv, scored("a.png", -1.5f, 0.25f, false), true), "a.png,-1.5,0.25,real,640,480,,\n");
  EXPECT_EQ(report_record(OutputFormat::csv, failed("a,\"b\".png", "two\nlines"), true),
            "\"a,\"\"b\"\".png\",,,,,,\"two\nlines\",\n");
  for (const std::string start : {"=", "+", "-", "@", "\t", "\r"}) {
    const std::string record = report_record(OutputFormat::csv, failed(start + "cmd|'/c calc'!A1", "x"), true);
    EXPECT_TRUE(record.starts_with("'") || record.starts_with("\"'")) << record;
  }
}

TEST(Table, LinesUpAndEscapes) {
  const std::string header = report_header(OutputFormat::table);
  const std::string row = report_record(OutputFormat::table, scored("F", 8.189055f, 0.99972242f, true), true);
  EXPECT_EQ(row, "0.9997  fake        8.189      640x480  F\n");
  EXPECT_EQ(header.find("file"), row.find('F'));
  const std::string hostile = report_record(OutputFormat::table, failed("\x1b[2Jx\n1.0000  real", "\x1b]0;t\a"), true);
  EXPECT_EQ(hostile.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(hostile.begin(), hostile.end(), '\n'), 1);
  EXPECT_EQ(hostile.find("failed"), row.find("fake"));
}

TEST(Printable, EscapesWhatSteersATerminalAndKeepsTheRest) {
  EXPECT_EQ(printable("Grüße 画像 🐈.png"), "Grüße 画像 🐈.png");
  EXPECT_EQ(printable("\x1b[31m\r\n\t\x7f"), "\\x1b[31m\\x0d\\n\\t\\x7f");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "\\x9b31m");            // CSI as one C1 character
  EXPECT_EQ(printable("gpj.\xe2\x80\xaexe"), "gpj.\\u202exe");   // right-to-left override
  EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80"), "\\xff\\xc0\\xaf\\xed\\xa0\\x80");  // no UTF-8
  EXPECT_EQ(printable("\xe2\x80"), "\\xe2\\x80");                // cut short
}

TEST(Npy, WritesAnArrayWithItsFinalShape) {
  const TemporaryFolder folder;
  {
    NpyWriter writer(folder / "f.npy", 3);
    writer.write_row(std::vector<float>{1, 2, 3});
    writer.write_missing_row();
    EXPECT_FALSE(std::filesystem::exists(folder / "f.npy")) << "not before it is complete";
    writer.commit();
  }
  const auto bytes = read_bytes(folder / "f.npy");
  ASSERT_EQ(bytes.size(), 128 + 2 * 3 * sizeof(float));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), 128);
  EXPECT_TRUE(text.starts_with(std::string("\x93NUMPY\x01\x00\x76\x00", 10)));
  EXPECT_THAT(text, ::testing::HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  EXPECT_EQ(text.back(), '\n');
  float values[6];
  std::memcpy(values, bytes.data() + 128, sizeof values);
  EXPECT_EQ(values[2], 3.0f);
  EXPECT_TRUE(std::isnan(values[3]));
}

}  // namespace
}  // namespace lfm::test
