# Runs on the staged tree of each package, before it is packed: /etc, manuals and change logs as
# Debian wants them.
execute_process(COMMAND date -u -R -d ${CPACK_KV_RELEASE_DATE} OUTPUT_VARIABLE released
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(GLOB trees LIST_DIRECTORIES true "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*")
foreach(tree IN LISTS trees)
    if(EXISTS ${tree}/usr/sbin/keyvaultd)
        file(MAKE_DIRECTORY ${tree}/etc/keyvault)
        foreach(name keyvaultd.conf softhsm2.conf)
            file(COPY ${tree}/usr/share/doc/keyvault-server/examples/${name}
                DESTINATION ${tree}/etc/keyvault)
        endforeach()
    endif()
    file(GLOB folders ${tree}/usr/share/doc/*)
    foreach(folder IN LISTS folders)
        file(WRITE ${folder}/changelog.Debian
            "keyvault (${CPACK_PACKAGE_VERSION}-1) unstable; urgency=medium\n\n"
            "  * See the project's own change log.\n\n"
            " -- ${CPACK_PACKAGE_CONTACT}  ${released}\n")
    endforeach()
    file(GLOB_RECURSE texts ${tree}/usr/share/man/*.[158] ${tree}/usr/share/doc/*/changelog.Debian)
    foreach(text IN LISTS texts)
        execute_process(COMMAND gzip -9nf ${text} COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
endforeach()
