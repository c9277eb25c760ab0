# For tests that use the server through the stock gRPC client of another language:
#   include(${PROJECT_SOURCE_DIR}/tests/live/support/live.cmake)
#   kv_live_js(<name> <file.mjs> [TIMEOUT <seconds>] [LABELS <more labels>])
# The program gets KEYVAULTD and KV_LIVE_NODE (see keyvault.mjs).
include_guard(GLOBAL)

find_program(NODE NAMES node nodejs REQUIRED)
set(KV_LIVE_NODE ${CMAKE_BINARY_DIR}/tests/live/node CACHE INTERNAL "where npm.sh installs")

function(kv_live_js name file)
    cmake_parse_arguments(arg "" "TIMEOUT" "LABELS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_test(NAME ${name} COMMAND ${NODE} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set_tests_properties(${name} PROPERTIES LABELS "live;${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
        FIXTURES_REQUIRED live_npm
        ENVIRONMENT "KEYVAULTD=$<TARGET_FILE:keyvaultd>;KV_LIVE_NODE=${KV_LIVE_NODE}")
endfunction()
