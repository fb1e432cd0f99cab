// JSON for the tools' -o json.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace weft::app {

using Json = nlohmann::ordered_json;

/// Indented text. Bytes from a target that are no UTF-8 are replaced, so that it cannot fail.
inline std::string to_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace weft::app
