// Linked into programs that AddressSanitizer checks: memory that libraries lose, which is no fault of the project.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libdav1d\n";  // 40 bytes for each damaged AV1 stream, as of 1.0
}
