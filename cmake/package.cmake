# The Debian package: cpack -G DEB --config BUILD/CPackConfig.cmake. It has what `cmake --install --prefix /usr` leaves, and what
# Debian asks for beside that: copyright, changelog, conffiles, and scripts that keep a service across upgrades.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME prenorm)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
# Who distributes packages sets this to an address that is read.
set(PRENORM_MAINTAINER "The Prenorm authors <packages@prenorm.invalid>" CACHE STRING "Maintainer of the Debian package")
set(CPACK_PACKAGE_CONTACT ${PRENORM_MAINTAINER})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "exact inference server for Pre-Norm language models")
set(CPACK_PACKAGE_DESCRIPTION "A daemon that serves Pre-LN and Pre-RMSNorm language models over an HTTP API
in the shape of OpenAI's, with continuous batching, on the processor alone.

This package has the program, a small model to try it with, units for
systemd, and rules and a dashboard for Prometheus and Grafana.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libopenblas0-pthread | libopenblas0")
set(CPACK_STRIP_FILES ON)
# As installed, not as built: the configuration goes to /etc.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_INSTALL_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_files.cmake)
set(CPACK_PRENORM_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles
  ${PROJECT_SOURCE_DIR}/deploy/debian/postinst
  ${PROJECT_SOURCE_DIR}/deploy/debian/prerm
  ${PROJECT_SOURCE_DIR}/deploy/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
