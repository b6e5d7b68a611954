#include "src/machine/late_library.h"

#include <dlfcn.h>

#include <cerrno>
#include <new>
#include <string_view>

#include "lfm/error.h"

namespace lfm {
namespace {

/// What the build found: the file by its name with a version, and the distribution's package of it, or "".
struct LateFile {
  const char *name, *file, *package;
};
constexpr LateFile kLateFiles[] = {LFM_LATE_LIBRARIES{"", "", ""}};

const LateFile& late_file(std::string_view name) {
  for (const LateFile& found : kLateFiles) {
    if (name == found.name || *found.name == '\0') return found;
  }
  return kLateFiles[0];  // never: the last is named ""
}

}  // namespace

std::string LateLibrary::file() const { return late_file(name_).file; }

void* LateLibrary::handle(std::string& error) const {
  if (void* const loaded = handle_.load(std::memory_order_acquire)) return loaded;
  const LateFile& found = late_file(name_);
  if (*found.file == '\0') {
    error = std::string("this build was made without ") + name_;
    return nullptr;
  }
  // Never closed: what was begun in it may go on. Two threads may both load it; it is one library still.
  errno = 0;
  void* const loaded = dlopen(found.file, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    if (errno == ENOMEM) throw std::bad_alloc();
    const char* const words = dlerror();
    error = std::string(name_) + " can't be loaded (" + (words != nullptr ? words : found.file) + "); install " +
            (*found.package != '\0' ? std::string("the package ") + found.package : "that version of it");
    return nullptr;
  }
  handle_.store(loaded, std::memory_order_release);
  return loaded;
}

std::string LateLibrary::missing() const {
  std::string error;
  handle(error);
  return error;
}

void* LateLibrary::function(const char* name) const {
  std::string error;
  void* const library = handle(error);
  if (library == nullptr) throw Error(ErrorCode::input, error);
  void* const address = dlsym(library, name);
  if (address == nullptr) {
    throw Error(ErrorCode::input,
                std::string(name_) + " has no function " + name + "; install the version that lfm-cuda was built with");
  }
  return address;
}

}  // namespace lfm
