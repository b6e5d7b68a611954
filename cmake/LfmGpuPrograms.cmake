# The programs whose outcome a GPU decides: what tools/gpu-bundle carries to one, and tools/gpu/acceptance runs there.
#
# lfm_gpu_program(TARGET ROLE [DEVICE cuda|emulated] [EVERY_DEVICE])
#   ROLE          program, kernel-test or engine-test; compute-sanitizer is run over the kernel tests
#   DEVICE        the one that the program was compiled for
#   EVERY_DEVICE  its tests are parameters of every engine: on a GPU those that end in /cuda count
# Ends up in BUILD/gpu-programs.json; the target gpu-programs builds them all.
define_property(GLOBAL PROPERTY LFM_GPU_PROGRAMS BRIEF_DOCS "Entries of gpu-programs.json")
define_property(GLOBAL PROPERTY LFM_GPU_TARGETS BRIEF_DOCS "What the target gpu-programs builds")

function(lfm_gpu_program target role)
  cmake_parse_arguments(PARSE_ARGV 2 arg EVERY_DEVICE DEVICE "")
  if(NOT arg_DEVICE)
    set(arg_DEVICE any)
  endif()
  set(choose false)
  if(arg_EVERY_DEVICE)
    set(choose true)
  endif()
  string(CONCAT entry "{\"name\": \"${target}\", \"role\": \"${role}\", \"device\": \"${arg_DEVICE}\", "
    "\"every_device\": ${choose}, \"file\": \"$<TARGET_FILE:${target}>\"}")
  set_property(GLOBAL APPEND PROPERTY LFM_GPU_PROGRAMS "${entry}")
  set_property(GLOBAL APPEND PROPERTY LFM_GPU_TARGETS ${target})
endfunction()

# Called once, when every program has been named.
function(lfm_write_gpu_programs)
  get_property(entries GLOBAL PROPERTY LFM_GPU_PROGRAMS)
  get_property(targets GLOBAL PROPERTY LFM_GPU_TARGETS)
  list(JOIN entries ",\n  " entries)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/gpu-programs.json CONTENT "[\n  ${entries}\n]\n")
  add_custom_target(gpu-programs DEPENDS ${targets})
endfunction()
