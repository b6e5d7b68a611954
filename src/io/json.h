// JSON from files that strangers made.
//
// Where this project builds JSON it starts from array() or object() or a list, never from null by [] or push_back:
// nlohmann::json 3.11.2 calls a value an array or object before it has the memory for one, and if it gets none,
// destroying that value ends the process.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace lfm {

/// Parses one JSON object. Refuses what is not an object, nests deeper than 64, names a key twice, or holds a text with
/// a zero byte, which would end the messages that show it: throws std::runtime_error with the cause, for the caller to
/// name the file.
nlohmann::json parse_json_object(std::string_view text);

/// The number as an int, std::uint64_t, float or double: throws std::runtime_error where it is none, or one that T does
/// not hold. (json::get() would wrap it around.)
template <typename T>
T json_number(const nlohmann::json& value);

}  // namespace lfm
