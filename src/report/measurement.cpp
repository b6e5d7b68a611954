#include "src/report/measurement.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace lfm {
namespace {

using Json = nlohmann::ordered_json;

/// Leaves out what does not apply: 0, or an empty text.
template <typename T>
void add(Json& json, const char* key, const T& value) {
  if (value != T{}) json[key] = value;
}

Json row_json(const Measurement& row) {
  Json json;
  add(json, "part", row.part);
  add(json, "operation", row.operation);
  add(json, "variant", row.variant);
  add(json, "precision", row.precision);
  add(json, "batch", row.batch);
  add(json, "size", row.size);
  if (row.milliseconds) {
    const Spread& s = *row.milliseconds;
    json["samples"] = s.samples;
    json["milliseconds"] = {{"median", s.median}, {"p10", s.p10}, {"p90", s.p90}, {"least", s.least}};
  }
  add(json, "images_per_second", row.images_per_second);
  add(json, "tflops", row.tflops);
  add(json, "gigabytes_per_second", row.gigabytes_per_second);
  add(json, "share", row.share);
  add(json, "share_of_bound", row.share_of_bound);
  add(json, "error", row.error);
  return json;
}

}  // namespace

Spread spread_of(std::vector<double> samples) {
  std::ranges::sort(samples);
  const auto at = [&](double share) {
    const double rank = std::ceil(share * static_cast<double>(samples.size()));
    return samples[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
  };
  return {at(0.5), at(0.1), at(0.9), samples.front(), static_cast<int>(samples.size())};
}

std::string bench_json(const BenchReport& report) {
  Json json = {{"schema", kBenchSchema}, {"mode", report.mode}};
  add(json, "device", report.device);
  add(json, "clock", report.clock);
  add(json, "data_sheet", report.data_sheet);
  add(json, "warm_up", report.warm_up);
  add(json, "input_sets", report.input_sets);
  json["rows"] = Json::array();
  for (const Measurement& row : report.rows) json["rows"].push_back(row_json(row));
  json["notes"] = report.notes;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lfm
