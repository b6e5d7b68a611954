# Optimised builds leave an attacker no function table to overwrite (full RELRO: read-only relocations, bound at start), no fixed address
# (PIE) and no stack to run code on. tests/install/hardening_test.sh looks for it in what was built.
option(LFM_HARDEN "Harden optimised builds" ON)

set(LFM_NOT_HARDENED "")  # why this build isn't
if(NOT LFM_HARDEN)
  set(LFM_NOT_HARDENED "LFM_HARDEN is OFF")
elseif(LFM_SANITIZE)
  set(LFM_NOT_HARDENED "sanitizers take the place of hardening")
elseif(NOT CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
  set(LFM_NOT_HARDENED "the build type is '${CMAKE_BUILD_TYPE}'")
elseif(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  set(LFM_NOT_HARDENED "the flags are those of Linux")
endif()

# What compilers know to add: -fcf-protection is x86's, and clang has -fstack-clash-protection on some architectures alone.
include(CheckCXXCompilerFlag)
set(LFM_HARDENING_OPTIONS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)  # compilers of some distributions define it themselves
foreach(option IN ITEMS -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "LFM_HAVE${option}" have)
  set(CMAKE_REQUIRED_FLAGS -Werror)
  check_cxx_compiler_flag(${option} ${have})
  unset(CMAKE_REQUIRED_FLAGS)
  if(${have})
    list(APPEND LFM_HARDENING_OPTIONS ${option})
  endif()
endforeach()

# lfm_harden(TARGET): a program, a library or objects of one. Compiled on their own and left as they are: the CUDA kernels, and their emulation.
function(lfm_harden target)
  if(LFM_NOT_HARDENED)
    return()
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${LFM_HARDENING_OPTIONS}>")
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_link_options(${target} PRIVATE -pie)
  endif()
  target_link_options(${target} PRIVATE LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
endfunction()
