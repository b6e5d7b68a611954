// NVIDIA's libraries beside the driver, opened when somebody asks for them: the program neither needs nor carries them.
#pragma once

#include <string>

namespace lfm {

/// How a library is called, and where users get it from.
struct LibraryFile {
  const char* name;      ///< for people: "cuDNN"
  const char* stem;      ///< of the file: "libcudnn"
  const char* packages;  ///< that have it, as a sentence goes on after "install"
};

/// A library of the version whose header was compiled. It stays open to the end of the program: what was begun in it
/// may go on.
class OpenLibrary {
 public:
  /// Throws Error{device} that names the file, the cause, the packages and LD_LIBRARY_PATH.
  OpenLibrary(const LibraryFile& file, int version);

  /// The address of one of its functions. Throws Error{device} where it has none of that name.
  template <typename Function>
  void find(Function& function, const char* symbol) const {
    function = reinterpret_cast<Function>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;

  LibraryFile library_;
  std::string file_;
  void* handle_ = nullptr;
};

}  // namespace lfm
