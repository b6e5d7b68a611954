// Detections as text: one record each, in the format the user chose. Pure functions; writing is the caller's.
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>

#include "lfm/detector.h"
#include "lfm/words.h"

namespace lfm {

enum class OutputFormat {
  table,  ///< for people: score, verdict, logit, size, file
  csv,    ///< RFC 4180 with a header line; text that a spreadsheet would run as a formula gets an apostrophe in front
  json,   ///< one array of objects
  jsonl,  ///< one object a line
};

/// They are also the endings of files that hold them.
constexpr std::array<Word<OutputFormat>, 5> words(OutputFormat) {
  return {{{"table", OutputFormat::table, "for people"},
           {"csv", OutputFormat::csv},
           {"json", OutputFormat::json},
           {"jsonl", OutputFormat::jsonl, "one object a line"},
           {"ndjson", OutputFormat::jsonl}}};
}

/// "real", "fake" or "unsure", of a scored detection.
const char* verdict_name(const Detection& detection);

/// Why a detection is unsure: a word for programs, and a sentence for people. Empty where it is not.
const char* doubt_name(Doubt doubt);
std::string doubt_text(const Detection& detection);

/// The lowest and the highest of the delivered scores.
std::pair<float, float> score_spread(const Detection& detection);

/// What comes before the first record, and after the last. with_spread: the detections are of several deliveries.
/// members: how many the model has.
std::string report_header(OutputFormat format, bool with_spread = false, std::size_t members = 1);
std::string report_footer(OutputFormat format, bool any_records);

/// One scored or failed detection. Numbers are written so that they read back as the same float.
///   JSON: {"path","logit","score","label","width","height","texture","windows","empty_windows"}, label "real", "fake"
///   or "unsure",
///         which also has "reason", a doubt_name; or {"path","error"}. Where there is something to tell also "part"
///         (Detection::part), "orientation" (if not 1) and "signs", an array of {"source","name","value"}
///   CSV:  path,logit,score,label,width,height,error,reason,part; the cells that don't apply are empty
/// deliveries: their names, where there are several. JSON then also has "low", "high" and "deliveries", an object of
/// the scores by name (null where the picture can't be delivered so), CSV the columns low,high before error.
/// members: the names of the model's, where there are several. JSON then also has "members", [{"name", "logit"}, …],
/// and "decided_by", the number from 1 of the one that did; CSV the columns member_1, member_2, … (their logits) and
/// decided_by, at the end.
std::string report_record(OutputFormat format, const Detection& detection, bool first,
                          std::span<const std::string> deliveries = {}, std::span<const std::string> members = {});

}  // namespace lfm
