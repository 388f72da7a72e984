# What only a Debian package has, put where it is gathered.
set(documents "$ENV{DESTDIR}/usr/share/doc/prenorm")
file(MAKE_DIRECTORY "${documents}")
file(READ "${CPACK_PRENORM_SOURCE}/LICENSE" license)
string(REGEX REPLACE "\n\n" "\n.\n" license "${license}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" license "${license}")
file(WRITE "${documents}/copyright" "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: prenorm

Files: *
Copyright: 2026 The Prenorm authors
License: Expat
 ${license}")
file(REMOVE "${documents}/LICENSE")
execute_process(COMMAND gzip -n -9 -c "${CPACK_PRENORM_SOURCE}/CHANGELOG.md" OUTPUT_FILE "${documents}/CHANGELOG.md.gz")
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${documents}/changelog" "prenorm (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * What has changed is in CHANGELOG.md.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
execute_process(COMMAND gzip -n -9 "${documents}/changelog")
file(CHMOD "${documents}/copyright" "${documents}/changelog.gz" "${documents}/CHANGELOG.md.gz"
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
