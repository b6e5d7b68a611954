# cpack -G DEB: program, library, headers, man page, completions and weights, installed under /usr. tools/release calls it, with what
# makes two builds of one source the same bits: SOURCE_DATE_EPOCH and LFM_REPRODUCIBLE.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md CHANGELOG.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_NAME lfm-cuda)
set(CPACK_PACKAGE_CONTACT "The lfm-cuda developers <developers@lfm-cuda.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DESCRIPTION
"Scores pictures from 0 (a photo) to 1 (generated), with a page for people and\n\
 JSON for programs; explains scores, trains and evaluates models. A hand-written\n\
 engine for CPUs and NVIDIA GPUs, without a machine-learning framework.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# What is loaded when a picture needs it. apt installs it too, unless told not to.
list(JOIN LFM_LATE_PACKAGES ", " CPACK_DEBIAN_PACKAGE_RECOMMENDS)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libjpeg-dev, libpng-dev, libgif-dev, libwebp-dev, libzip-dev, libxxhash-dev, libfmt-dev, pkg-config")
include(CPack)
