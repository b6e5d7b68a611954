#include "src/io/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace lfm {

nlohmann::json parse_json_object(std::string_view text) {
  using nlohmann::json;
  constexpr int max_depth = 64;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= max_depth) throw std::runtime_error("its JSON nests too deep");
        break;
      case json::parse_event_t::object_end:
        keys.pop_back();
        break;
      case json::parse_event_t::key:
        if (!keys.back().insert(parsed.get<std::string>()).second) {
          throw std::runtime_error("its JSON names \"" + parsed.get<std::string>() + "\" twice");
        }
        break;
      default:
        break;
    }
    return true;
  };
  json value;
  try {
    value = json::parse(text.begin(), text.end(), check);
  } catch (const json::exception& error) {
    throw std::runtime_error(std::string("its JSON is malformed (") + error.what() + ")");
  }
  if (!value.is_object()) throw std::runtime_error("its JSON is not an object");
  return value;
}

}  // namespace lfm
