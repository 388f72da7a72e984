# What depends on where the tree is installed to; run by cmake --install, with the folders that cmake/install.cmake has set.
#
# A configuration that its owner may have edited is never overwritten. Units, as they stand in the tree, are those of /usr:
# elsewhere they name the program, the configuration and the documentation of their own prefix.
get_filename_component(prefix "${CMAKE_INSTALL_PREFIX}/" ABSOLUTE)
set(base "${prefix}")
if(prefix STREQUAL "/usr")
  set(base /)
endif()
get_filename_component(configuration "${configuration_folder}/prenormd.json" ABSOLUTE BASE_DIR "${base}")
get_filename_component(program "${binary_folder}/prenormd" ABSOLUTE BASE_DIR "${prefix}")
get_filename_component(documentation "${documentation_folder}/options.md" ABSOLUTE BASE_DIR "${prefix}")

# A path as a word of a command line in a unit (systemd.syntax(7), systemd.service(5)): in quotes where it has more than plain
# characters. A dollar sign begins a variable in arguments, but not in the program's own path.
function(unit_word path is_argument out)
  string(REPLACE "\\" "\\\\" word "${path}")
  string(REPLACE "\"" "\\\"" word "${word}")
  string(REPLACE "%" "%%" word "${word}")
  if(is_argument)
    string(REPLACE "$" "$$" word "${word}")
  endif()
  if(NOT path MATCHES "^[A-Za-z0-9/_.+@:,=~-]*$")
    set(word "\"${word}\"")
  endif()
  set(${out} "${word}" PARENT_SCOPE)
endfunction()

# A path in a URI of a unit, of which blanks would make several.
function(unit_uri path out)
  string(REPLACE "%" "%25" uri "${path}")
  string(REPLACE " " "%20" uri "${uri}")
  string(REPLACE "\"" "%22" uri "${uri}")
  string(REPLACE "\\" "%5C" uri "${uri}")
  string(REPLACE "%" "%%" uri "${uri}")
  set(${out} "${uri}" PARENT_SCOPE)
endfunction()

if(EXISTS "$ENV{DESTDIR}${configuration}")
  message(STATUS "Kept: $ENV{DESTDIR}${configuration}")
else()
  get_filename_component(folder "${configuration}" DIRECTORY)
  file(INSTALL "${source}/config/prenormd.json" DESTINATION "${folder}")
endif()

unit_word("${program}" FALSE program_word)
unit_word("${configuration}" TRUE configuration_word)
unit_uri("${documentation}" documentation_uri)
foreach(unit prenormd.service prenormd.socket)
  set(installed "$ENV{DESTDIR}${prefix}/lib/systemd/system/${unit}")
  file(READ "${installed}" text)
  string(REPLACE "/usr/bin/prenormd " "${program_word} " text "${text}")
  string(REPLACE "/usr/share/doc/prenorm/options.md" "${documentation_uri}" text "${text}")
  string(REPLACE "/etc/prenorm/prenormd.json" "${configuration_word}" text "${text}")
  file(WRITE "${installed}" "${text}")
endforeach()
