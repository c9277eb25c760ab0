/* fuzz_backup_row.c - rows of a backup, should its encryption ever be somebody else's. */
#include <stdlib.h>

#include "server/vault/backups/backup.h"

enum { ARENA = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    KV_AUTO(kv_secret_buf) value = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) again = KV_SECRET_NONE;
    const kv_table *table;
    void *row;
    kv_error err = { 0 };

    if (kv_backup_row_decode(kv_slice_of(data, size), &arena, &table, &row, &value, &err) !=
        KV_OK) {
        if (err.status != KV_BAD_REQUEST && err.status != KV_BUSY)
            abort();
        return 0;
    }
    if (kv_backup_row_encode(table, row, value.data ? &value : NULL, &again, &err) != KV_OK &&
        err.status != KV_BUSY)
        abort();
    return 0;
}
