# Every library the project uses. The packages that bring them are listed once, in tools/install-packages.
include(LfmLibraries)
find_package(CLI11 REQUIRED)
find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
