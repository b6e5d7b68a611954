#include "src/io/json.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lfm {

nlohmann::json parse_json_object(std::string_view text) {
  using nlohmann::json;
  constexpr int max_depth = 64;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto refuse_zero = [](const std::string& found) {
    if (found.find('\0') != std::string::npos) throw std::runtime_error("its JSON has a text with a zero byte");
  };
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start: keys.emplace_back(); [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= max_depth) throw std::runtime_error("its JSON nests too deep");
        break;
      case json::parse_event_t::object_end: keys.pop_back(); break;
      case json::parse_event_t::key:
        refuse_zero(parsed.get_ref<const std::string&>());
        if (!keys.back().insert(parsed.get<std::string>()).second) {
          throw std::runtime_error("its JSON names \"" + parsed.get<std::string>() + "\" twice");
        }
        break;
      case json::parse_event_t::value:
        if (parsed.is_string()) refuse_zero(parsed.get_ref<const std::string&>());
        break;
      default: break;
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

template <typename T>
T json_number(const nlohmann::json& value) {
  const auto demand = [&](bool holds) {
    if (!holds) throw std::runtime_error("its JSON has " + value.dump() + " where it needs another number");
  };
  demand(value.is_number());
  if constexpr (std::is_integral_v<T>) {
    demand(value.is_number_integer());
    demand(value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                      : std::in_range<T>(value.get<std::int64_t>()));
  }
  return value.get<T>();
}

template int json_number<int>(const nlohmann::json&);
template std::uint64_t json_number<std::uint64_t>(const nlohmann::json&);
template float json_number<float>(const nlohmann::json&);
template double json_number<double>(const nlohmann::json&);

}  // namespace lfm
