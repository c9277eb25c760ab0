/* migrations.h - the numbered files of schema/, built into the program. */
#pragma once

#include <stddef.h>

typedef struct kv_migration {
    const char *name; /* of the file, without folder */
    const char *sql;  /* NUL-terminated */
} kv_migration;

/* In order: the first brings an empty database to version 1. Generated, see schema/embed.cmake. */
extern const kv_migration kv_sqlite_migrations[];
extern const size_t kv_sqlite_migrations_count;
