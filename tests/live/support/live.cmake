# For tests that use the server through the stock gRPC client of another language:
#   include(${PROJECT_SOURCE_DIR}/tests/live/support/live.cmake)
#   kv_live_js(<name> <file.mjs> [TIMEOUT <seconds>] [LABELS <more labels>])
# TIMEOUT is what it takes on a slow machine, so that the long ones begin first; one that hangs is
# ended after twice that, five minutes at the least.
# The program gets KEYVAULTD and KV_LIVE_NODE (see keyvault.mjs).
include_guard(GLOBAL)

find_program(NODE NAMES node nodejs REQUIRED)
set(KV_LIVE_NODE ${CMAKE_BINARY_DIR}/tests/live/node CACHE INTERNAL "where npm.sh installs")

function(kv_live_js name file)
    cmake_parse_arguments(arg "" "TIMEOUT" "LABELS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    math(EXPR limit "2 * ${arg_TIMEOUT}")
    if(limit LESS 300)
        set(limit 300)
    endif()
    kv_add_test(${name} ${NODE} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set_tests_properties(${name} PROPERTIES LABELS "live;${arg_LABELS}" TIMEOUT ${limit}
        COST ${arg_TIMEOUT} FIXTURES_REQUIRED live_npm
        ENVIRONMENT "KEYVAULTD=$<TARGET_FILE:keyvaultd>;KV_LIVE_NODE=${KV_LIVE_NODE}")
endfunction()

# Of tests that use Ed25519 keys: SoftHSM leaks at each use, which the module before it forgives.
# Whole stacks, which would tell that it is SoftHSM, take as long as the tests.
function(kv_live_forgiving name)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
        "SOFTHSM2_MODULE=$<TARGET_FILE:kv_p11_shim>"
        "KV_SHIM_MODULE=/usr/lib/softhsm/libsofthsm2.so")
endfunction()
# And of those that would take too long with a look for leaks: other tests have it.
function(kv_live_no_leak_check name)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
        "ASAN_OPTIONS=strict_string_checks=1:detect_leaks=0")
endfunction()
