// What a command reads and writes, settled before its work: nothing of the user's is lost, and what can't be written is
// told at once.
#include "src/report/file_plan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "src/image/encode.h"
#include "src/io/atomic_file.h"
#include "src/model/interchange.h"
#include "src/report/own_picture.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;

class Plan {
 protected:
  Plan() {
    fs::create_directory(folder / "sub");
    for (const char* name : {"a.csv", "sub/b.csv"}) write(name, "path,logit\n");
  }
  fs::path at(const std::string& name) const { return folder / name; }
  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::recursive_directory_iterator(folder.path()), {}));
  }

  TemporaryFolder folder;
};

Image grey() { return {48, 48, std::vector<std::uint8_t>(std::size_t{48} * 48 * 3, 128)}; }

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_CASE_METHOD(Plan, "Plan.TwoOutputsOfOneFileAreRefusedByWhateverName") {
  fs::create_symlink("a.csv", at("link.csv"));
  fs::create_symlink("new.csv", at("dangling.csv"));
  fs::create_hard_link(at("a.csv"), at("hard.csv"));
  fs::create_directory_symlink("sub", at("same"));
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"a.csv", "a.csv"},      {"a.csv", "./a.csv"},       {"a.csv", "sub/../a.csv"},     {"a.csv", "link.csv"},
      {"a.csv", "hard.csv"},   {"new.csv", "new.csv"},     {"new.csv", "sub/../new.csv"}, {"new.csv", "dangling.csv"},
      {"sub/new", "same/new"}, {"sub/b.csv", "same/b.csv"}};
  for (const auto& [first, second] : pairs) {
    for (const bool force : {false, true}) {
      FilePlan plan(force);
      plan.write(at(first), "--output", Content::text);
      CHECK_THAT_MESSAGE(
          error_of(ErrorCode::usage, [&, second = second] { plan.write(at(second), "--report", Content::text); }),
          ContainsSubstring("--output and --report"), first << ' ' << second);
    }
  }
  FilePlan plan(false);
  plan.write("-", "the table", Content::text);
  error_of(ErrorCode::usage, [&] { plan.write("/dev/stdout", "--report", Content::text); });
  FilePlan apart(false);
  for (const char* name : {"a.csv", "b.csv", "A.csv", "sub/a.csv", "sub/b.csv"})
    apart.write(at(name), "--output", Content::text);
  apart.write("/dev/null", "--output", Content::text);
  apart.write("/dev/null", "--report", Content::text);
  CHECK_NOTHROW(apart.settle());
}

TEST_CASE_METHOD(Plan, "Plan.AnOutputThatIsReadIsRefusedByWhateverName") {
  fs::create_symlink("a.csv", at("link.csv"));
  fs::create_hard_link(at("a.csv"), at("hard.csv"));
  for (const char* name : {"a.csv", "sub/../a.csv", "link.csv", "hard.csv"}) {
    FilePlan plan(false), forced(true);
    plan.write(at(name), "--output", Content::text);
    CHECK(plan.watches());
    CHECK_THAT(error_of(ErrorCode::usage, [&] { plan.read(at("a.csv"), "the model"); }),
               ContainsSubstring("is the model"));
    CHECK_NOTHROW(plan.read(at("sub/b.csv"), "an input"));
    CHECK_NOTHROW(plan.read(at("missing"), "an input"));
    forced.write(at(name), "--output", Content::text);
    CHECK_NOTHROW(forced.read(at("a.csv"), "the model"));
  }
  FilePlan plan(false);
  plan.write(at("new.csv"), "--output", Content::text);
  CHECK_FALSE(plan.watches());
}

TEST_CASE_METHOD(Plan, "Plan.WhatIsNoResultIsReplacedByForceAlone") {
  const Model model = random_model({}, 1);
  save_model(model, at("model"));
  export_model(model, at("m.safetensors"));
  fs::rename(at("m.safetensors"), at("safetensors"));
  write("pth", "PK\3\4archive");
  write("png", text(encode_png(grey())));
  write("own.png", text(encode_png(grey(), kOwnSoftware)));
  write("jpeg", text(encode_jpeg(grey(), 90)));
  write("webp", text(encode_webp(grey(), 90)));
  write("svg", "<?xml version=\"1.0\"?>\n<svg xmlns='x'/>");
  write("npy", "\x93NUMPY");
  write("lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  write("binary", std::string("\1\2\0\3", 4));
  write("script", "#!/bin/sh\n");
  write("empty", "");
  write("text", "old");
  using Names = std::vector<std::string>;
  const Names all = {"model", "safetensors", "pth", "png",    "own.png", "jpeg",  "webp",
                     "svg",   "npy",         "lfs", "binary", "script",  "empty", "text"};
  const std::vector<std::pair<Content, Names>> replaced = {{Content::text, {"empty", "text"}},
                                                           {Content::array, {"npy", "empty", "text"}},
                                                           {Content::drawing, {"svg", "empty", "text"}},
                                                           {Content::model, {"empty", "text"}},
                                                           {Content::picture, {"own.png", "empty"}}};
  for (const auto& [content, names] : replaced) {
    for (const std::string& name : all) {
      INFO(name);
      const bool may = std::find(names.begin(), names.end(), name) != names.end();
      CHECK_MESSAGE(worth_keeping(at(name), content).empty() == may, worth_keeping(at(name), content));
      FilePlan plan(false), forced(true);
      plan.write(at(name), "--output", content);
      if (may) {
        CHECK_NOTHROW(plan.settle());
      } else {
        CHECK_THAT(error_of(ErrorCode::output, [&] { plan.settle(); }), ContainsSubstring("--force"));
      }
      forced.write(at(name), "--output", content);
      CHECK_NOTHROW(forced.settle());
    }
  }
  CHECK(worth_keeping(at("png"), Content::text) == "a PNG picture");
  CHECK(worth_keeping(at("model"), Content::text) == "a model (.lfmw)");
}

TEST_CASE_METHOD(Plan, "Plan.WhatCannotBeWrittenIsToldAndNothingIsLeft") {
  REQUIRE(mkfifo(at("pipe").c_str(), 0600) == 0);
  const std::size_t before = files();
  const auto settle = [&](const fs::path& path, Content content) {
    FilePlan plan(false);
    plan.write(path, "--output", content);
    plan.settle();
  };
  for (const char* name : {"missing/a.csv", "sub", "sub/", "sub/.", "a.csv/b.csv"}) {
    CHECK_THAT_MESSAGE(error_of(ErrorCode::output, [&] { settle(at(name), Content::text); }),
                       ContainsSubstring(folder.path().string()), name);
  }
  error_of(ErrorCode::output, [&] { settle(at(std::string(256, 'x')), Content::text); });
  error_of(ErrorCode::output, [&] { settle("/dev/null", Content::array); });
  error_of(ErrorCode::output, [&] { settle(at("pipe"), Content::model); });
  error_of(ErrorCode::output, [&] { settle("/dev/fd/999", Content::text); });
  error_of(ErrorCode::usage, [&] { settle("-", Content::array); });
  for (const fs::path& path : {at("a.csv"), at("new.csv"), at(std::string(255, 'x')), at("pipe"), fs::path("/dev/null"),
                               fs::path("/dev/full"), fs::path("-")}) {
    INFO(path);
    CHECK_NOTHROW(settle(path, Content::text));
  }
  CHECK(files() == before);
  if (geteuid() == 0) return;  // root may write everything
  fs::permissions(at("a.csv"), fs::perms::owner_read);
  CHECK_THAT(error_of(ErrorCode::output, [&] { settle(at("a.csv"), Content::text); }), ContainsSubstring("--force"));
  fs::permissions(at("sub"), fs::perms::owner_read | fs::perms::owner_exec);
  error_of(ErrorCode::output, [&] { settle(at("sub/new.csv"), Content::text); });
  fs::permissions(at("sub"), fs::perms::owner_all);
}

}  // namespace
}  // namespace lfm::test
