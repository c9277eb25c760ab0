# Writes OUT, a C file that holds the SQL files given (semicolon list SQL) as kv_<NAME>_migrations.
# Their names start with four digits that count from 0001.

set(text "/* Generated from schema/${NAME}. */\n#include \"server/store/migrations.h\"\n\n")
set(rows "")
set(number 0)
foreach(file IN LISTS SQL)
    math(EXPR number "${number} + 1")
    get_filename_component(base ${file} NAME)
    string(LENGTH "000${number}" width)
    math(EXPR start "${width} - 4")
    string(SUBSTRING "000${number}" ${start} 4 expected)
    if(NOT base MATCHES "^${expected}_[a-z0-9_]+\\.sql$")
        message(FATAL_ERROR "${base}: migration number ${expected} was expected here")
    endif()
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " bytes "${bytes}")
    string(APPEND text "static const char migration_${expected}[] = { ${bytes}0 };\n")
    string(APPEND rows "    { \"${base}\", migration_${expected} },\n")
endforeach()
string(APPEND text "\nconst kv_migration kv_${NAME}_migrations[] = {\n${rows}};\n"
    "\nconst size_t kv_${NAME}_migrations_count = ${number};\n")
file(WRITE ${OUT} "${text}")
