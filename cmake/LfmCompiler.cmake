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

# -DLFM_SANITIZE=address, undefined, thread, or a comma-separated pair. -O1 -g1: at -O2 -g checked code takes several times as long to
# compile, and tests run hardly faster.
set(LFM_SANITIZE "" CACHE STRING "Sanitizers to build with")
# What fuzz targets do not reach need not tell them where it has been: a call at each comparison keeps loops from being vectorised.
set(LFM_UNTRACED)
if(LFM_SANITIZE MATCHES "fuzzer-no-link")
  set(LFM_UNTRACED -fno-sanitize=fuzzer-no-link)
endif()
# Vector kernels, and emulated ones, are loops over registers. Every vector is an object to AddressSanitizer: marking where each one's life begins
# and ends takes tests five times as long, and -O1 leaves the vectors in memory. What they read and write stays checked.
set(LFM_SANITIZED_LOOPS -O2 -fno-sanitize-address-use-after-scope -fno-sanitize=null ${LFM_UNTRACED})
if(LFM_SANITIZE)
  target_compile_options(lfm_build_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${LFM_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer;-O1;-g1>)
  target_link_options(lfm_build_flags INTERFACE -fsanitize=${LFM_SANITIZE})
endif()

# A source of each program that is checked for leaks.
set(LFM_KNOWN_LEAKS)
if(LFM_SANITIZE MATCHES "address")
  set(LFM_KNOWN_LEAKS ${PROJECT_SOURCE_DIR}/src/machine/known_leaks.cpp)
endif()

# How code is compiled whose work is done in the library: for fast builds, as most of their time goes to the templates of such code.
if(LFM_SANITIZE)
  set(LFM_THIN -O0)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(LFM_THIN -O1)
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

# What most files include, compiled once a target; no file relies on it (tools/portability builds without). A file with options of its own has
# SKIP_PRECOMPILE_HEADERS: gcc may crash where they differ from those that the headers were compiled with.
set(LFM_PRECOMPILED_HEADERS
  <algorithm> <array> <cmath> <cstddef> <cstdint> <cstring> <filesystem> <functional> <memory> <optional> <span> <string> <string_view>
  <utility> <vector> <fmt/format.h> <nlohmann/json.hpp>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # ccache needs it
endif()

# lfm_unite_folders(TARGET): the files of one folder become one translation unit, as most of each one's time goes to the same templates. Names
# in anonymous namespaces are unique in their folder then; what can't be has SKIP_UNITY_BUILD_INCLUSION.
option(LFM_UNITE "Compile the files of a folder together: faster as a whole, slower after a change in one" ON)
function(lfm_unite_folders target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${LFM_UNITE} UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    if(source MATCHES "^${PROJECT_SOURCE_DIR}/src/.*[.]cpp$")
      get_filename_component(folder ${source} DIRECTORY)
      string(REPLACE "${PROJECT_SOURCE_DIR}/" "" group ${folder})
      string(MAKE_C_IDENTIFIER ${group} group)
      set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${group})
    endif()
  endforeach()
endfunction()
