# Every library the project uses. The packages that bring them are listed once, in tools/install-packages.
foreach(name IN ITEMS HEIF TIFF JXL RAW)
  option(LFM_WITH_${name} "Read the formats of this library, where it is installed" ON)
endforeach()
include(LfmLibraries)
find_package(CLI11 REQUIRED)
