#include "src/io/mistaken_file.h"

#include <filesystem>
#include <string>

#include "lfm/error.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "tests/catch.h"
#include "tests/paths.h"

namespace lfm {
namespace {

std::string clause(const std::string& bytes) {
  const char* text = mistaken_file(std::as_bytes(std::span(bytes)));
  return text == nullptr ? "" : text;
}

TEST_CASE("MistakenFile.NamesWhatStandsInTheFilesPlace") {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty; "},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer"},
      {"<!DOCTYPE html><html>", "is a web page"},
      {"\xef\xbb\xbf\r\n  <HTML lang=en>", "is a web page"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "is an XML document"},
      {std::string(4096, '\0'), "holds zeros"},
  };
  for (const auto& [bytes, words] : cases) CHECK_MESSAGE(clause(bytes).rfind(words, 0) == 0u, clause(bytes));
}

TEST_CASE("MistakenFile.LeavesEverythingElseAlone") {
  for (const std::string& bytes :
       {std::string("\x89PNG\r\n\x1a\n"), std::string("PK\3\4"), std::string("hello"), std::string("<"),
        std::string("<?xml version=\"1.0\"?><svg/>"), std::string(" \n"), std::string(100, '\0') + "x"}) {
    CHECK_MESSAGE(clause(bytes) == "", bytes);
  }
}

TEST_CASE("MistakenFile.IsNamedWhereAModelIsMeant") {
  const std::filesystem::path folder = std::filesystem::path(test::kShared) / "cases/field";
  if (!std::filesystem::exists(folder)) SKIP(folder << " is missing: the files from the field beside the checkout");
  const auto message = [](const auto& read) {
    try {
      read();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  for (const auto& [name, words] :
       {std::pair{"lfs.pth", "git lfs pull"}, {"html.pth", "web page"}, {"empty.pth", "empty"}}) {
    for (const std::string& text : {message([&, name = name] { import_model(folder / name); }),
                                    message([&, name = name] { load_model(folder / name); })}) {
      CHECK_MESSAGE(text.find(words) != std::string::npos, text);
      CHECK_MESSAGE(text.rfind((folder / name).string(), 0) == 0u, text);
    }
  }
}

}  // namespace
}  // namespace lfm
