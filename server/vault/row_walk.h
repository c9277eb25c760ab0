/* row_walk.h - where a row is in an index, and rows from one on changed a page at a time. Inner to
 * vault. */
#pragma once

#include "server/vault/vault_impl.h"

/* Copies the key columns of a row to another, slices into the arena. */
kv_status kv_copy_row_key(const kv_table *table, const void *row, kv_arena *arena, void *out,
                          kv_error *err) KV_MUST_USE;
/* And the columns of an index: where a scan by it can go on. */
kv_status kv_copy_row_place(const kv_table *table, unsigned index, const void *row, kv_arena *arena,
                            void *out, kv_error *err) KV_MUST_USE;

typedef enum kv_row_verdict {
    KV_ROW_LEAVE,  /* as it is */
    KV_ROW_CHANGE, /* the judge has changed it */
    KV_ROW_STOP    /* neither this one nor those behind it */
} kv_row_verdict;

typedef kv_row_verdict kv_row_judge(const void *context, int64_t now_ms, void *row);

typedef struct kv_row_walk {
    const kv_table *table;
    unsigned index;
    const void *from; /* the walk begins behind its place in the index */
    kv_row_judge *judge;
    const void *context;
    const char *operation; /* in the record of each page that is changed */
} kv_row_walk;

/* Each page has memory and a change of its own. One that somebody else changed meanwhile is read
 * again, a few times; then it is left as it is. Ends early, with KV_OK, when the vault stops. */
kv_status kv_walk_rows(kv_vault *vault, const kv_work *work, const kv_row_walk *walk,
                       kv_error *err) KV_MUST_USE;
