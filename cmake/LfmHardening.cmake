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

# lfm_harden(TARGET): a program or a library.
function(lfm_harden target)
  if(LFM_NOT_HARDENED)
    return()
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_link_options(${target} PRIVATE -pie)
  endif()
  target_link_options(${target} PRIVATE LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
endfunction()
