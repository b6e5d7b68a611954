// Detections as text: one record each, in the format the user chose. Pure functions; writing is the caller's.
#pragma once

#include <string>

#include "lfm/detector.h"

namespace lfm {

enum class Format {
  table,  ///< for people: score, verdict, logit, size, file
  csv,    ///< RFC 4180 with a header line; text that a spreadsheet would run as a formula gets an apostrophe in front
  json,   ///< one array of objects
  jsonl,  ///< one object a line
};

/// What comes before the first record, and after the last.
std::string report_header(Format format);
std::string report_footer(Format format, bool any_records);

/// One scored or failed detection. Numbers are written so that they read back as the same float.
///   JSON: {"path","logit","score","label","width","height"}, label "real" or "fake", or {"path","error"}
///   CSV:  path,logit,score,label,width,height,error; the cells that don't apply are empty
std::string report_record(Format format, const Detection& detection, bool first);

}  // namespace lfm
