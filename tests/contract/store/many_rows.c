/* many_rows.c - changes of many rows at once. */
#include "tests/contract/store/many_rows.h"

#include <stdio.h>

static const kv_table *const table = &kv_table_principals;

void *many_row(store_fixture *fixture, unsigned number)
{
    return fixture_row(table, &fixture->arena, number, 0);
}

/* At once: each commit waits for the disk. */
kv_status many_change(store_fixture *fixture, many_gather *kind, unsigned from, unsigned to,
                      kv_error *why)
{
    static unsigned requests;
    kv_change change = { 0 };
    kv_error err = { 0 };
    char request[16];

    (void)snprintf(request, sizeof(request), "request %u", ++requests);
    change.pending = (kv_pending){ KV_SLICE("node"), kv_slice_text(request), KV_SLICE("record") };
    assert_kv_ok(kv_change_room(&change, &fixture->arena, to - from + 1, &err));
    for (unsigned i = from; i <= to; i++) {
        void *row = many_row(fixture, i);

        if (kind != kv_change_insert)
            assert_kv_ok(kv_records_get(fixture->records, table, row, &fixture->arena, &err));
        assert_kv_ok(kind(&change, table, row, &err));
    }
    KV_TRY(kv_records_seal(fixture->records, &change, &fixture->arena, why));
    return kv_records_apply(fixture->records, &change, NULL, why);
}

void many_insert(store_fixture *fixture, unsigned rows)
{
    kv_error err = { 0 };

    for (unsigned i = 1; i <= rows; i += BATCH)
        assert_kv_ok(many_change(fixture, kv_change_insert, i,
                                 i + BATCH - 1 < rows ? i + BATCH - 1 : rows, &err));
}

void many_assert_broken(kv_status status, kv_error *err)
{
    assert_int_equal(status, KV_INTERNAL);
    assert_int_equal(err->reason, KV_REASON_INTEGRITY);
    assert_string_equal(err->message, "stored data failed its integrity check");
    *err = (kv_error){ 0 };
}
