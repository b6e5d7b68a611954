# Every library the project uses. The packages that bring them are listed once, in tools/install-packages.
include(LfmLibraries)
find_package(CLI11 REQUIRED)
