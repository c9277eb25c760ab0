/* many_rows.h - more principals in a store than one range of keys holds. */
#pragma once

#include "tests/contract/store/store_fixture.h"

enum { ROWS = 2600, BATCH = 650 };

/* The principal of this number, which is above 0. Ids are in no order. */
void *many_row(store_fixture *fixture, unsigned number);

typedef kv_status many_gather(kv_change *change, const kv_table *table, void *row, kv_error *err);

/* Rows `from` to `to` in one change, of kv_change_insert, _update or _delete. */
kv_status many_change(store_fixture *fixture, many_gather *kind, unsigned from, unsigned to,
                      kv_error *err);
/* Rows 1 to `rows`. */
void many_insert(store_fixture *fixture, unsigned rows);

/* It was refused because of its integrity. Clears `err`. */
void many_assert_broken(kv_status status, kv_error *err);
