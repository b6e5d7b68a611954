// Optional libraries, loaded for the first file that needs one: the program starts sooner without them and all that
// they bring, and runs where they are not installed. Who uses one lists the functions that it calls:
//
//   constinit const LateLibrary kLibtiff("libtiff");
//   LFM_LATE(kLibtiff, TIFFClose);  // from here on, in this namespace, TIFFClose(tiff) calls the loaded library's
#pragma once

#include <atomic>
#include <string>

namespace lfm {

class LateLibrary {
 public:
  /// Of a name in cmake/LfmLateLibraries.cmake. Nothing is loaded yet.
  constexpr explicit LateLibrary(const char* name) : name_(name) {}

  /// The file that is loaded, as "libtiff.so.6"; empty where the build was made without the library.
  std::string file() const;

  /// Why it can't be used, with the remedy; empty where it can. Loads it. Throws std::bad_alloc.
  std::string missing() const;

  /// The address of one of its functions. Throws Error{input}, with missing()'s words, or std::bad_alloc.
  void* function(const char* name) const;

 private:
  void* handle(std::string& error) const;

  const char* name_;
  mutable std::atomic<void*> handle_ = nullptr;
};

/// Called like the function itself, and given where a pointer to it is wanted.
template <typename Function>
class LateFunction {
 public:
  constexpr LateFunction(const LateLibrary& library, const char* name) : library_(&library), name_(name) {}
  operator Function*() const {
    void* address = address_.load(std::memory_order_acquire);
    if (address == nullptr) address_.store(address = library_->function(name_), std::memory_order_release);
    return reinterpret_cast<Function*>(address);
  }

 private:
  const LateLibrary* library_;
  const char* name_;
  mutable std::atomic<void*> address_ = nullptr;
};

}  // namespace lfm

#define LFM_LATE(library, name) constinit const LateFunction<decltype(::name)> name(library, #name)
