# CUDA is used when it is there. LFM_HAVE_CUDA tells the rest of the build.
set(LFM_CUDA_ARCHITECTURES 75 80 86 89 90 100 120)  # tools/check-kernels reads this line
set(LFM_HAVE_CUDA FALSE)
if(NOT LFM_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER AND NOT CMAKE_CUDA_ARCHITECTURES)
    # One binary for every architecture from Turing to Blackwell that this toolkit knows; the last one's PTX is for newer ones.
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known)
    foreach(architecture ${LFM_CUDA_ARCHITECTURES})
      if(known MATCHES "sm_${architecture}[\r\n]")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
      endif()
    endforeach()
    list(TRANSFORM CMAKE_CUDA_ARCHITECTURES REPLACE -real "" AT -1)
  endif()
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    # CMake 3.25 does not know that nvcc 13 has C++20.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(LFM_HAVE_CUDA TRUE)
  elseif(LFM_CUDA STREQUAL "ON")
    message(FATAL_ERROR "LFM_CUDA=ON, but no nvcc was found. Put it on PATH, set CUDACXX, or use -DLFM_CUDA=OFF.")
  endif()
endif()

# The kernels and the CUDA engine's runtime are compiled once per target (kernels/target.h):
# a target's objects link one of these two.
add_library(lfm_target_cuda INTERFACE)
target_compile_definitions(lfm_target_cuda INTERFACE LFM_TARGET=cuda)
target_compile_options(lfm_target_cuda INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo;--threads=2;-Xcompiler=-Wall,-Wextra,-Wno-sign-conversion>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${LFM_WERROR}>>:-Werror=all-warnings>)
add_library(lfm_target_emulated INTERFACE)
target_compile_definitions(lfm_target_emulated INTERFACE LFM_TARGET=emulated LFM_TARGET_EMULATED=1)
# Registers that loops fill: gcc sees them only where it unrolls these. The memory checker sees every use.
target_compile_options(lfm_target_emulated INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)

message(STATUS "CUDA engine: ${LFM_HAVE_CUDA} ${CMAKE_CUDA_ARCHITECTURES}")
