/* store_fixture.h - a store in a folder of its own, rows made from descriptors, and a second way
 * into the file for tests that play the attacker.
 */
#pragma once

#include "server/store/records.h"
#include "server/store/schema.h"
#include "server/store/stores.h"
#include "tests/contract/store/software_sealer.h"
#include "tests/support/kv_cmocka.h"

typedef struct store_fixture {
    const kv_store_ops *ops;
    char folder[128];
    char url[192];
    const char *path; /* of the file, within url */
    kv_store *store;
    kv_software_sealer *sealer;
    kv_records *records;
    kv_arena arena;
} store_fixture;

/* Which row of kv_stores the next fixtures are for; from the group's initial state. */
int fixture_open(void **state);
int fixture_close(void **state);

/* Closes and opens the store and its records again: empty caches. */
void fixture_reopen(store_fixture *fixture);
/* Only the first half: nothing is open afterwards. */
void fixture_shut(store_fixture *fixture);
kv_status fixture_start(store_fixture *fixture, bool create, kv_error *err) KV_MUST_USE;

extern const uint8_t fixture_instance[16];

/* A row in the arena whose every column has a value that is not empty. Rows with the same `group`
 * share every column that is not the last of the key and not in a unique index; `seed` (above 0)
 * makes the others differ. */
void *fixture_row(const kv_table *table, kv_arena *arena, unsigned seed, unsigned group);

/* Seals and applies one operation. */
kv_status fixture_insert(store_fixture *fixture, const kv_table *table, void *row,
                         kv_error *err) KV_MUST_USE;
kv_status fixture_update(store_fixture *fixture, const kv_table *table, void *row,
                         kv_error *err) KV_MUST_USE;
kv_status fixture_delete(store_fixture *fixture, const kv_table *table, void *row,
                         kv_error *err) KV_MUST_USE;

/* Runs SQL on a connection of its own, as the sqlite3 shell would. How many rows it changed. */
int fixture_attack(const store_fixture *fixture, const char *sql);
