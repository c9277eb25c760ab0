/* sample_rows.h - a small table with a column of each kind twice, for tests of generic code. */
#pragma once

#include "server/store/table.h"
#include "tests/support/kv_cmocka.h"

typedef struct sample_row {
    kv_row_head head;
    kv_slice name; /* key */
    int64_t part;  /* key */
    kv_slice one;
    kv_slice two;
    kv_slice bytes;
    int64_t number;
    int64_t count;
} sample_row;

static const kv_table sample_table = {
    .name = "samples",
    .row_size = sizeof(sample_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 7,
    .columns = {
        { "name", KV_COLUMN_TEXT, offsetof(sample_row, name) },
        { "part", KV_COLUMN_INTEGER, offsetof(sample_row, part) },
        { "one", KV_COLUMN_TEXT, offsetof(sample_row, one) },
        { "two", KV_COLUMN_TEXT, offsetof(sample_row, two) },
        { "bytes", KV_COLUMN_BLOB, offsetof(sample_row, bytes) },
        { "number", KV_COLUMN_INTEGER, offsetof(sample_row, number) },
        { "count", KV_COLUMN_INTEGER, offsetof(sample_row, count) },
    },
    .index_count = 2,
    .indexes = {
        { "samples_by_one", false, 2, { 2, 1 } }, /* one, part */
        { "samples_by_two", true, 1, { 3 } },     /* two */
    },
};
