#include "src/engine/cuda/open_library.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include "lfm/error.h"

namespace lfm {

OpenLibrary::OpenLibrary(const LibraryFile& file, int version)
    : library_(file), file_(fmt::format("{}.so.{}", file.stem, version)), handle_(dlopen(file_.c_str(), RTLD_NOW)) {
  if (handle_) return;
  const char* const cause = dlerror();
  throw Error(ErrorCode::device,
              fmt::format("{} can't be opened ({}); install {}, and name the folder that holds {} in LD_LIBRARY_PATH; "
                          "--kernels own needs no library",
                          library_.name, cause ? cause : file_, library_.packages, file_));
}

void* OpenLibrary::address(const char* symbol) const {
  if (void* const found = dlsym(handle_, symbol)) return found;
  throw Error(ErrorCode::device,
              fmt::format("{} has no function {}; install {} of a later version", file_, symbol, library_.packages));
}

}  // namespace lfm
