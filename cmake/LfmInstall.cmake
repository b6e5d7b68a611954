# cmake --install: program, library, headers, CMake package (find_package(lfm), target lfm::lfm), pkg-config file (lfm), weights,
# shell completions and man page.
include(CMakePackageConfigHelpers)

# A shared library is found beside the program, wherever both are installed to.
file(RELATIVE_PATH lib_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_target_properties(lfm-cuda PROPERTIES INSTALL_RPATH "$ORIGIN/${lib_from_bin}")
install(TARGETS lfm-cuda)
install(TARGETS lfm EXPORT lfm-targets)
install(DIRECTORY include/lfm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY weights/ DESTINATION ${CMAKE_INSTALL_DATADIR}/lfm-cuda OPTIONAL FILES_MATCHING PATTERN "*.lfmw")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lfm)
install(EXPORT lfm-targets NAMESPACE lfm:: DESTINATION ${package_dir})
configure_package_config_file(packaging/lfm-config.cmake.in ${PROJECT_BINARY_DIR}/lfm-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lfm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lfm-config.cmake ${PROJECT_BINARY_DIR}/lfm-config-version.cmake cmake/LfmLibraries.cmake
  DESTINATION ${package_dir})

# pkg-config: a static library asks its users for everything, a shared one for nothing.
set(LFM_PC_REQUIRES "libjpeg libpng libwebp libwebpdemux libzip libxxhash zlib fmt")
set(LFM_PC_LIBS "-lgif -lpthread -ldl")
if(LFM_EMULATION)
  string(APPEND LFM_PC_LIBS " -lboost_context")
endif()
if(LFM_HAVE_CUDA)
  string(APPEND LFM_PC_LIBS " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt")
endif()
get_target_property(type lfm TYPE)
if(type STREQUAL "SHARED_LIBRARY")
  set(LFM_PC_PRIVATE .private)
endif()
configure_file(packaging/lfm.pc.in ${PROJECT_BINARY_DIR}/lfm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lfm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES packaging/lfm-cuda.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME lfm-cuda)
install(FILES packaging/_lfm-cuda DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES packaging/lfm-cuda.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES docs/lfm-cuda.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
