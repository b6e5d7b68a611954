// The page and the description of the interface, which come with the program (src/serve/page).
#pragma once

namespace lfm {

extern const char* const kServePage;
extern const char* const kServeStyle;
extern const char* const kServeScript;
extern const char* const kServeOpenApi;

}  // namespace lfm
