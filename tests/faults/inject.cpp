// A library for LD_PRELOAD that makes the n-th system or memory call of one kind fail, wherever in the process it is
// made (fault.h).
//
// Calls are counted from the start of main: what the loader and the constructors of libraries do before is not the
// program's. What the C library does inside itself can't be intercepted: its stdio reads and writes without passing
// here, thread stacks are mapped unseen; fopen, opendir and pthread_create stand in for those.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/faults/fault.h"

// glibc's own names of its allocator: unlike dlsym() they allocate nothing.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

using lfm::test::FaultRecord;

enum class Kind { none, malloc, open, read, write, fsync, rename, mmap, thread };

struct Plan {
  Kind kind = Kind::none;
  std::uint64_t at = 0;
  int error = 0;
  bool shortened = false;
  bool lasts = false;
  FaultRecord* record = nullptr;
};

Plan plan;
std::atomic<bool> armed{false};
int (*program_main)(int, char**, char**) = nullptr;

Kind kind_of(const char* name) {
  constexpr struct {
    const char* name;
    Kind kind;
  } kinds[] = {{"malloc", Kind::malloc}, {"open", Kind::open},     {"read", Kind::read}, {"write", Kind::write},
               {"fsync", Kind::fsync},   {"rename", Kind::rename}, {"mmap", Kind::mmap}, {"thread", Kind::thread}};
  for (const auto& known : kinds) {
    if (std::strcmp(known.name, name) == 0) return known.kind;
  }
  return Kind::none;
}

int error_of(const char* name) {
  constexpr struct {
    const char* name;
    int error;
  } errors[] = {{"ENOMEM", ENOMEM}, {"EIO", EIO},       {"ENOSPC", ENOSPC},
                {"EINTR", EINTR},   {"EMFILE", EMFILE}, {"EAGAIN", EAGAIN}};
  for (const auto& known : errors) {
    if (std::strcmp(known.name, name) == 0) return known.error;
  }
  return EIO;
}

void read_plan() {
  const char* call = std::getenv(lfm::test::kFaultCall);
  const char* at = std::getenv(lfm::test::kFaultAt);
  const char* how = std::getenv(lfm::test::kFaultHow);
  const char* path = std::getenv(lfm::test::kFaultRecord);
  if (!call || !at || !how || !path) return;
  const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
  if (fd < 0) return;
  void* place = reinterpret_cast<void*>(
      syscall(SYS_mmap, nullptr, sizeof(FaultRecord), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  syscall(SYS_close, fd);
  if (place == MAP_FAILED) return;
  plan.record = static_cast<FaultRecord*>(place);
  plan.kind = kind_of(call);
  plan.at = std::strtoull(at, nullptr, 10);
  plan.shortened = std::strcmp(how, "short") == 0;
  plan.error = error_of(how);
  plan.lasts = std::getenv(lfm::test::kFaultLasts) != nullptr;
}

/// Counts a call; true if it is to fail, with errno set.
bool fails(Kind kind) {
  if (!armed.load(std::memory_order_relaxed) || plan.kind != kind) return false;
  const std::uint64_t call = plan.record->calls.fetch_add(1, std::memory_order_relaxed) + 1;
  if (plan.at == 0 || call < plan.at || (call > plan.at && !plan.lasts)) return false;
  plan.record->fired.fetch_add(1, std::memory_order_relaxed);
  errno = plan.error;
  return true;
}

/// The next definition of a function, which this one hides.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int counted_main(int argc, char** argv, char** environment) {
  read_plan();
  armed = plan.kind != Kind::none;
  const int result = program_main(argc, argv, environment);
  armed = false;
  return result;
}

/// read and write: transfer(count) does the real thing.
template <typename Transfer>
ssize_t transferred(Kind kind, std::size_t count, const Transfer& transfer) {
  if (!fails(kind)) return transfer(count);
  return plan.shortened ? transfer(count > 1 ? count / 2 : count) : -1;
}

mode_t mode_argument(int flags, va_list& arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : mode_t{0};
}

}  // namespace

#pragma GCC diagnostic push
#if !defined(__clang__)  // which has no such warning
#pragma GCC diagnostic ignored "-Wnonnull-compare"
#endif
extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  program_main = main;
  using Start = int(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(), void (*)(), void*);
  return next<Start>("__libc_start_main")(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

// ---- memory; operator new comes here too ----

void* malloc(std::size_t size) { return fails(Kind::malloc) ? nullptr : __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) { return fails(Kind::malloc) ? nullptr : __libc_calloc(count, size); }
void* realloc(void* old, std::size_t size) { return fails(Kind::malloc) ? nullptr : __libc_realloc(old, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return fails(Kind::malloc) ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  if (fails(Kind::malloc)) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}

// ---- files ----

#define LFM_OPEN(name)                                                \
  int name(const char* path, int flags, ...) {                        \
    va_list arguments;                                                \
    va_start(arguments, flags);                                       \
    const mode_t mode = mode_argument(flags, arguments);              \
    va_end(arguments);                                                \
    static const auto real = next<int(const char*, int, ...)>(#name); \
    return fails(Kind::open) ? -1 : real(path, flags, mode);          \
  }
#define LFM_OPENAT(name)                                                   \
  int name(int folder, const char* path, int flags, ...) {                 \
    va_list arguments;                                                     \
    va_start(arguments, flags);                                            \
    const mode_t mode = mode_argument(flags, arguments);                   \
    va_end(arguments);                                                     \
    static const auto real = next<int(int, const char*, int, ...)>(#name); \
    return fails(Kind::open) ? -1 : real(folder, path, flags, mode);       \
  }
LFM_OPEN(open)
LFM_OPEN(open64)
LFM_OPENAT(openat)
LFM_OPENAT(openat64)

FILE* fopen(const char* path, const char* mode) {
  static const auto real = next<FILE*(const char*, const char*)>("fopen");
  return fails(Kind::open) ? nullptr : real(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  static const auto real = next<FILE*(const char*, const char*)>("fopen64");
  return fails(Kind::open) ? nullptr : real(path, mode);
}
DIR* opendir(const char* path) {
  static const auto real = next<DIR*(const char*)>("opendir");
  return fails(Kind::open) ? nullptr : real(path);
}

ssize_t read(int fd, void* data, std::size_t count) {
  static const auto real = next<ssize_t(int, void*, std::size_t)>("read");
  return transferred(Kind::read, count, [&](std::size_t n) { return real(fd, data, n); });
}
ssize_t pread(int fd, void* data, std::size_t count, off_t offset) {
  static const auto real = next<ssize_t(int, void*, std::size_t, off_t)>("pread");
  return transferred(Kind::read, count, [&](std::size_t n) { return real(fd, data, n, offset); });
}
ssize_t write(int fd, const void* data, std::size_t count) {
  static const auto real = next<ssize_t(int, const void*, std::size_t)>("write");
  return transferred(Kind::write, count, [&](std::size_t n) { return real(fd, data, n); });
}
ssize_t pwrite(int fd, const void* data, std::size_t count, off_t offset) {
  static const auto real = next<ssize_t(int, const void*, std::size_t, off_t)>("pwrite");
  return transferred(Kind::write, count, [&](std::size_t n) { return real(fd, data, n, offset); });
}
ssize_t writev(int fd, const iovec* pieces, int count) {
  static const auto real = next<ssize_t(int, const iovec*, int)>("writev");
  return transferred(Kind::write, static_cast<std::size_t>(count),
                     [&](std::size_t n) { return real(fd, pieces, static_cast<int>(n)); });
}

// What callers compiled with _FORTIFY_SOURCE call instead, where the compiler knows how much room there is.
ssize_t __read_chk(int fd, void* data, std::size_t count, std::size_t room) {
  return count <= room ? read(fd, data, count) : (std::abort(), -1);
}
ssize_t __pread_chk(int fd, void* data, std::size_t count, off_t offset, std::size_t room) {
  return count <= room ? pread(fd, data, count, offset) : (std::abort(), -1);
}
int __open_2(const char* path, int flags) { return open(path, flags); }
int __open64_2(const char* path, int flags) { return open64(path, flags); }
int __openat_2(int folder, const char* path, int flags) { return openat(folder, path, flags); }
int __openat64_2(int folder, const char* path, int flags) { return openat64(folder, path, flags); }

int fsync(int fd) {
  static const auto real = next<int(int)>("fsync");
  return fails(Kind::fsync) ? -1 : real(fd);
}
int rename(const char* from, const char* to) {
  static const auto real = next<int(const char*, const char*)>("rename");
  return fails(Kind::rename) ? -1 : real(from, to);
}
void* mmap(void* address, std::size_t size, int protection, int flags, int fd, off_t offset) {
  static const auto real = next<void*(void*, std::size_t, int, int, int, off_t)>("mmap");
  return fails(Kind::mmap) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  static const auto real = next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return fails(Kind::thread) ? plan.error : real(thread, attributes, body, argument);
}

}  // extern "C"
#pragma GCC diagnostic pop
