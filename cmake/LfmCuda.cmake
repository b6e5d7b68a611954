# CUDA is used when it is there. LFM_HAVE_CUDA tells the rest of the build, LFM_CUDA_CODE_OPTIONS what to compile for unless
# CMAKE_CUDA_ARCHITECTURES does.
# PTX:the GPUs that are assembled from it. Kernels differ by architecture only where a group begins, and nvcc's time is that of making PTX, so one
# of each group's serves all of it. tools/check-kernels reads this line.
set(LFM_CUDA_CODE 75:75 80:80,86,89 90:90 100:100,120)
set(LFM_HAVE_CUDA FALSE)
if(NOT LFM_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  set(LFM_CUDA_CODE_OPTIONS)
  if(CMAKE_CUDA_COMPILER AND NOT CMAKE_CUDA_ARCHITECTURES)
    # One binary for every architecture from Turing to Blackwell that this toolkit knows; the last PTX is kept for newer ones.
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known)
    foreach(group ${LFM_CUDA_CODE})
      string(REGEX MATCHALL "[0-9]+" gpus "${group}")
      list(POP_FRONT gpus ptx)
      set(codes)
      foreach(gpu ${gpus})
        if(known MATCHES "sm_${gpu}[\r\n]")
          list(APPEND codes sm_${gpu})
        endif()
      endforeach()
      if(codes)
        list(JOIN codes "," codes)
        list(APPEND LFM_CUDA_CODE_OPTIONS "--generate-code=arch=compute_${ptx},code=[${codes}]")
        set(newest compute_${ptx})
      endif()
    endforeach()
    list(TRANSFORM LFM_CUDA_CODE_OPTIONS REPLACE "]$" ",${newest}]" AT -1)
    set(CMAKE_CUDA_ARCHITECTURES OFF)
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

if(CMAKE_CUDA_ARCHITECTURES)
  message(STATUS "CUDA engine: ${LFM_HAVE_CUDA} ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "CUDA engine: ${LFM_HAVE_CUDA} ${LFM_CUDA_CODE_OPTIONS}")
endif()
