# FHS places: program, bundled model, documentation; the configuration in /etc when the prefix is /usr, else in etc
# under the prefix. DESTDIR and `cmake --install --prefix` work as usual.
install(TARGETS prenormd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY deploy/models/tales DESTINATION ${CMAKE_INSTALL_DATADIR}/prenorm/models)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES config/README.md RENAME options.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Manual pages are installed compressed, as Debian's rules have it; man reads them so.
foreach(page prenormd.1 prenormd.json.5)
  set(source ${PROJECT_SOURCE_DIR}/docs/man/${page})
  set(compressed ${PROJECT_BINARY_DIR}/generated/${page}.gz)
  add_custom_command(OUTPUT ${compressed} COMMAND sh -c "gzip -9nc '${source}' >'${compressed}'" DEPENDS ${source} VERBATIM)
  list(APPEND compressed_pages ${compressed})
  string(REGEX REPLACE ".*\\." "" section ${page})
  install(FILES ${compressed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
add_custom_target(manual_pages ALL DEPENDS ${compressed_pages})
install(FILES deploy/completion/prenormd DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

install(FILES deploy/prometheus/rules.yml deploy/compose/grafana/dashboards/prenorm.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/prenorm/monitoring)

# For hosts with systemd: units and the user that they run the daemon as.
install(FILES deploy/systemd/prenormd.service deploy/systemd/prenormd.socket DESTINATION lib/systemd/system)
install(FILES deploy/systemd/prenorm.sysusers RENAME prenorm.conf DESTINATION lib/sysusers.d)

install(CODE "
  set(source \"${PROJECT_SOURCE_DIR}\")
  set(binary_folder \"${CMAKE_INSTALL_BINDIR}\")
  set(configuration_folder \"${CMAKE_INSTALL_SYSCONFDIR}/prenorm\")
  set(documentation_folder \"${CMAKE_INSTALL_DOCDIR}\")
")
install(SCRIPT cmake/install_units.cmake)
