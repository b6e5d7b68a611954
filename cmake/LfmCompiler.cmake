# Language level, warnings and sanitizers, as one interface target that every target of the project links.
add_library(lfm_build_flags INTERFACE)
target_compile_features(lfm_build_flags INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET default)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(LFM_WERROR "Treat warnings as errors" ${PROJECT_IS_TOP_LEVEL})
target_compile_options(lfm_build_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wconversion;-Wno-sign-conversion>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${LFM_WERROR}>>:-Werror>)

# For packages (tools/release): no path of the machine that builds enters what is built. Not for development, where debuggers want paths.
option(LFM_REPRODUCIBLE "Keep the source's path out of what is built" OFF)
if(LFM_REPRODUCIBLE)
  add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${PROJECT_BINARY_DIR}=build)
endif()

# -DLFM_SANITIZE=address, undefined, thread, or a comma-separated pair. -O1 -g1: at -O2 -g the checked code of the vector kernels
# takes six times as long to compile and tests run hardly faster.
set(LFM_SANITIZE "" CACHE STRING "Sanitizers to build with")
if(LFM_SANITIZE)
  target_compile_options(lfm_build_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${LFM_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer;-O1;-g1>)
  target_link_options(lfm_build_flags INTERFACE -fsanitize=${LFM_SANITIZE})
endif()

# Counts which lines of the library, the program and the emulated kernels are run; tools/coverage prints the table. Their targets alone link
# this: tests need not be counted. -O1: more would merge lines.
# Counters are not atomic: threads may lose counts, never the first.
option(LFM_COVERAGE "Count the lines that are run (gcc)" OFF)
add_library(lfm_coverage_flags INTERFACE)
if(LFM_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "LFM_COVERAGE=ON needs gcc, whose counters gcovr reads. Set CMAKE_CXX_COMPILER=g++, or use -DLFM_COVERAGE=OFF.")
  endif()
  target_compile_options(lfm_coverage_flags INTERFACE --coverage -O1)
  target_link_options(lfm_coverage_flags INTERFACE --coverage)
endif()
