// The page's style and script: src/report/page/, put into the program when it is built.
#pragma once

namespace lfm {

extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace lfm
