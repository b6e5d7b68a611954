// lfm-cuda explain: what in a picture its score comes from.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "lfm/image.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/interruption.h"
#include "src/cli/number_checks.h"
#include "src/eval/evidence.h"
#include "src/image/encode.h"
#include "src/image/orientation.h"
#include "src/io/atomic_file.h"
#include "src/io/file_name.h"
#include "src/pipeline/path_source.h"
#include "src/report/detections.h"
#include "src/report/file_plan.h"
#include "src/report/heat_map.h"
#include "src/report/output.h"
#include "src/report/own_picture.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct ExplainArguments {
  std::vector<std::string> inputs;
  ScoringArguments scoring;
  fs::path output = ".";
  std::size_t regions = 5;
  int side = 1024;
  bool json = false;
  ListSeparator separator = ListSeparator::line;
  bool force = false;
};

/// What is written of each picture.
constexpr std::array<const char*, 3> kEndings = {".contributions.png", ".grad-cam.png", ".sheet.png"};

constexpr const char* kExplainFooter =
    "Examples:\n"
    "  lfm-cuda explain photo.jpg\n"
    "  lfm-cuda explain --output why/ --view tiles --json photos/ > why.json\n"
    "\n"
    "Writes NAME.contributions.png (what each place adds to the logit: red towards fake, blue towards real), "
    "NAME.grad-cam.png\n"
    "and NAME.sheet.png, which shows the picture and both. The contributions are exact: with the bias they sum to the "
    "logit.\n"
    "Of a model with several members these are of the one that decided; the sheet has a row for each, in their order.\n"
    "A place is 23x23 pixels of what the network sees; coordinates are those of the picture\n"
    "upright, x, y from its top left corner. Also told is what the file says beside its pixels, which never enters the "
    "score (see\n"
    "detect --help).\n";

/// Names of the files of one picture; pictures of one name are numbered, and a name too long for kEndings is shortened.
class FileNames {
 public:
  explicit FileNames(fs::path folder)
      : folder_(std::move(folder)), longest_(longest_name(folder_) - std::string_view(kEndings[0]).size()) {}
  /// The path without ending.
  fs::path of(const fs::path& picture) {
    const std::string stem = picture.stem().string();
    std::string name = fitting_name(stem, "", longest_);
    for (int number = 2; !taken_.insert(name).second; ++number)
      name = fitting_name(stem, fmt::format("-{}", number), longest_);
    return folder_ / name;
  }

 private:
  fs::path folder_;
  std::size_t longest_;
  std::set<std::string> taken_;
};

fs::path with_ending(const fs::path& stem, const char* ending) { return stem.string() + ending; }

/// A link gives way to the file, and is no loss.
bool is_regular(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(fs::symlink_status(path, ignored));
}

/// Refuses before the first picture what would be lost by writing the pictures; those on a list are not known yet.
void settle_files(const ExplainArguments& arguments, const std::vector<fs::path>& models) {
  if (arguments.output == "-")
    throw Error(ErrorCode::usage, "--output: pictures can't go to standard output; name a folder");
  std::error_code error;
  fs::create_directories(arguments.output, error);
  if (error)
    throw Error(ErrorCode::output, fmt::format("{}: can't be made: {}", arguments.output.string(), error.message()));
  { const AtomicFile trial(arguments.output / ".lfm-cuda", Links::replace); }
  if (arguments.force) return;
  const std::vector<fs::path> inputs(arguments.inputs.begin(), arguments.inputs.end());
  FilePlan plan(false);
  FileNames names(arguments.output);
  count_paths(inputs, [&](const Input& input) {
    const fs::path stem = names.of(input.path);
    for (const char* ending : kEndings) {
      const fs::path file = with_ending(stem, ending);
      if (is_regular(file)) plan.write(file, "--output", Content::picture);
    }
  });
  for (const fs::path& model : models) plan.read(model, "the model");
  if (plan.watches()) count_paths(inputs, [&](const Input& input) { plan.read(input.path, "an input"); });
  plan.settle();
}

struct Heats {
  Image contributions, grad_cam;
};

struct Pictures {
  Image plain;
  std::vector<Heats> members;  ///< of the model
};

Pictures draw(const Detection& detection, const ExplainArguments& arguments) {
  Image picture = upright(read_image(detection.path, arguments.scoring.detector.limits), detection.orientation);
  const int longer = std::max(picture.width, picture.height);
  if (longer > arguments.side) {
    const auto scaled = [&](int side) {
      return std::max(1, static_cast<int>(std::lround(static_cast<double>(side) * arguments.side / longer)));
    };
    picture = resize_bilinear(picture, scaled(picture.width), scaled(picture.height));
  }
  std::vector<Heats> members;
  for (std::size_t m = 0; m < std::max<std::size_t>(detection.member_logits.size(), 1); ++m) {
    const auto heat = [&](Heat kind) {
      return draw_heat(picture, detection.width, detection.height, evidence_of(detection, m), kind);
    };
    members.push_back({heat(Heat::contributions), heat(Heat::grad_cam)});
  }
  return {std::move(picture), std::move(members)};
}

/// In the order of kEndings. Throws Error{output}.
void write_pictures(const fs::path& stem, Pictures pictures, std::size_t decided_by, bool force) {
  for (const char* ending : kEndings) {
    const fs::path file = with_ending(stem, ending);
    const std::string kept = force || !is_regular(file) ? "" : worth_keeping(file, Content::picture);
    if (!kept.empty())
      throw Error(ErrorCode::output,
                  fmt::format("{}: exists already and is {}; use --force to replace it", file.string(), kept));
  }
  const auto write = [&](const char* ending, const Image& image) {
    write_file_atomically(with_ending(stem, ending), encode_png(image, kOwnSoftware), Links::replace);
  };
  write(kEndings[0], pictures.members[decided_by].contributions);
  write(kEndings[1], pictures.members[decided_by].grad_cam);
  std::vector<Image> rows;
  for (Heats& heats : pictures.members) {
    rows.push_back(
        side_by_side(std::vector{pictures.plain, std::move(heats.contributions), std::move(heats.grad_cam)}));
  }
  write(kEndings[2], stacked(rows));
}

/// What speaks for fake and what for real, of the contributions of all positions, and where: of one member of the
/// model.
struct Account {
  double logit = 0, bias = 0, fake = 0, real = 0;
  std::vector<PictureRegion> regions;
};

Account account_of(const Detection& detection, std::size_t member, std::size_t regions) {
  Account account;
  const std::span<const Evidence> windows = evidence_of(detection, member);
  for (const Evidence& window : windows) {
    for (const float c : window.contributions) (c > 0 ? account.fake : account.real) += c;
  }
  account.logit = detection.member_logits.empty() ? detection.logit : detection.member_logits[member];
  account.bias = account.logit - (account.fake + account.real);
  account.regions = top_regions(windows, regions);
  return account;
}

void add_account(nlohmann::json& out, const Account& account) {
  out.update({{"bias", account.bias},
              {"towards_fake", account.fake},
              {"towards_real", account.real},
              {"regions", nlohmann::json::array()}});
  for (const PictureRegion& r : account.regions) {
    out["regions"].push_back(
        {{"contribution", r.contribution}, {"x", r.x}, {"y", r.y}, {"width", r.width}, {"height", r.height}});
  }
}

/// accounts: of every member.
nlohmann::json record(const Detection& detection, const std::vector<Account>& accounts,
                      const std::vector<std::string>& names, const fs::path& stem) {
  nlohmann::json out = {{"path", detection.path.string()},  {"logit", detection.logit}, {"score", detection.score},
                        {"label", verdict_name(detection)}, {"width", detection.width}, {"height", detection.height},
                        {"files", nlohmann::json::array()}};
  if (detection.orientation != 1) out["orientation"] = detection.orientation;
  if (!detection.part.empty()) out["part"] = detection.part;
  if (!detection.signs.empty()) {
    out["signs"] = nlohmann::json::array();
    for (const Sign& sign : detection.signs)
      out["signs"].push_back({{"source", sign.source}, {"name", sign.name}, {"value", sign.value}});
  }
  for (const char* ending : kEndings) out["files"].push_back(with_ending(stem, ending).string());
  add_account(out, accounts[detection.decided_by]);
  if (accounts.size() < 2) return out;
  out["members"] = nlohmann::json::array();
  out["decided_by"] = detection.decided_by + 1;
  for (std::size_t m = 0; m < accounts.size(); ++m) {
    nlohmann::json member = {{"name", names[m]}, {"logit", accounts[m].logit}};
    add_account(member, accounts[m]);
    out["members"].push_back(std::move(member));
  }
  return out;
}

/// notes: lines to come after the first.
std::string account_text(const Account& account, const std::string& notes = "") {
  std::string out = fmt::format("logit {:.3f} = bias {:.3f} + {:.3f} towards fake - {:.3f} towards real\n{}",
                                account.logit, account.bias, account.fake, -account.real, notes);
  for (const PictureRegion& r : account.regions) {
    out += fmt::format("  {:+9.3f}  {:.0f}x{:.0f} at {:.0f},{:.0f}\n", r.contribution, r.width, r.height, r.x, r.y);
  }
  return out;
}

std::string text(const Detection& detection, const std::vector<Account>& accounts,
                 const std::vector<std::string>& names, const fs::path& stem) {
  std::string notes;
  if (detection.unsure) notes += fmt::format("  {}\n", doubt_text(detection));
  if (detection.empty_windows > 0 && !detection.unsure) {
    notes += fmt::format("  {} of {} windows are too flat to count\n", detection.empty_windows, detection.windows);
  }
  std::string out = fmt::format("{}: {}, score {:.4f}; ", printable(detection.path.string()), verdict_name(detection),
                                detection.score);
  if (accounts.size() == 1) {
    out += account_text(accounts[0], notes);
  } else {
    out += fmt::format("joint logit {:.3f}, decided by {}\n{}", detection.logit, printable(names[detection.decided_by]),
                       notes);
    for (std::size_t m = 0; m < accounts.size(); ++m)
      out += fmt::format(" {}: {}", printable(names[m]), account_text(accounts[m]));
  }
  for (const Sign& sign : detection.signs) {
    out += fmt::format("  {}: {}: {}\n", printable(sign.source), printable(sign.name), printable(sign.value));
  }
  return out + fmt::format("  {}.sheet.png\n", printable(stem.string()));
}

void explain(ExplainArguments arguments) {
  arguments.scoring.detector.evidence = true;
  arguments.scoring.detector.signs = true;
  const ChosenModel chosen = choose_model(arguments.scoring);
  Detector detector(chosen.model, arguments.scoring.detector);
  settle_files(arguments, chosen.files);
  const std::vector<std::string> members = detector.members();

  FileNames names(arguments.output);
  Output output{fs::path()};
  nlohmann::json records = nlohmann::json::array();
  std::size_t failed = 0, explained = 0;
  const auto fail = [&](const fs::path& path, const std::string& why) {
    ++failed;
    tell(stderr, "lfm-cuda: {}: {}\n", printable(path.string()), printable(why));
    records.push_back({{"path", path.string()}, {"error", why}});
  };
  PathSource source({arguments.inputs.begin(), arguments.inputs.end()}, STDIN_FILENO, arguments.separator);
  const Interruption interruption(source);
  detector.detect_stream(source, [&](Detection&& detection) {
    if (detection.status == Detection::Status::skipped) return;
    const fs::path stem =
        names.of(detection.path);  // whether it can be explained or not: another time its name is the same
    if (!detection.scored()) return fail(detection.path, detection.error);
    try {
      write_pictures(stem, draw(detection, arguments), detection.decided_by, arguments.force);
    } catch (
        const Error& error) {  // the picture is gone since it was scored, or its files can't be written: the others may
      return fail(detection.path, error.what());
    }
    std::vector<Account> accounts;
    for (std::size_t m = 0; m < members.size(); ++m) accounts.push_back(account_of(detection, m, arguments.regions));
    if (arguments.json) {
      records.push_back(record(detection, accounts, members, stem));
    } else {
      output.write(text(detection, accounts, members, stem));
    }
    ++explained;
  });
  if (arguments.json) output.write(json_text(records, 2) + "\n");
  output.commit();
  if (interruption.happened()) end_with(kInterrupted);
  if (failed == 0 && explained == 0) throw Error(ErrorCode::input, "the inputs hold no images");
  if (failed > 0) end_with(kFailure);
}

}  // namespace

void add_explain_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("explain", "Show what in a picture its score comes from");
  const auto a = std::make_shared<ExplainArguments>();
  command->footer(kExplainFooter);
  command->add_option("inputs", a->inputs, "Images, folders of images, or - for a list on standard input")
      ->required()
      ->type_name("PATH");
  add_scoring_options(*command, a->scoring);
  command->add_option("-o,--output", a->output, "Folder for the pictures (default: the current one)")->type_name("DIR");
  command->add_option("--regions", a->regions, "Places to list for each picture (default: 5)")
      ->check(number_in(0, 1000))
      ->type_name("N");
  command->add_option("--side", a->side, "Longer side of the written pictures at most (default: 1024)")
      ->check(number_in(48, 16384))
      ->type_name("PIXELS");
  command->add_flag("--json", a->json, "Print JSON instead of text");
  add_force_flag(*command, a->force);
  add_null_flag(*command, a->separator);
  command->callback([a] { explain(*a); });
}

}  // namespace lfm
