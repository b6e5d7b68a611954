# Every library the project uses. The packages that bring them are listed once, in tools/install-packages.
include(LfmLibraries)      # what liblfm is linked with
include(LfmLateLibraries)  # what it loads when it needs it
find_package(CLI11 REQUIRED)
