/* named_page.c - a page of what has a name in a vault. */
#include "server/vault/named_page.h"

#include "server/store/row.h"
#include "server/vault/values.h"

enum { VAULT_COLUMN, NAME_COLUMN };

kv_status kv_named_page_read(kv_vault *vault, kv_work *work, const kv_table *table,
                             const char *collection, kv_slice vault_name, const kv_page *page,
                             kv_named_page *out, kv_error *err)
{
    void *from = kv_arena_alloc(work->arena, table->row_size);
    kv_scan scan = { .table = table, .prefix = 1, .from = from, .after = page->token.len > 0 };
    const char *last;

    if (!from)
        return kv_arena_full(err);
    work->entry->collection = kv_slice_text(collection);
    KV_TRY(kv_find_vault(vault, work, vault_name, &out->vault_row, err));
    KV_TRY(kv_page_check(page, &scan.limit, err));
    if (scan.after && kv_check_name(page->token, "page_token", err) != KV_OK)
        return kv_page_refused(err);
    kv_row_set_slice(&table->columns[VAULT_COLUMN], from, out->vault_row.uid);
    kv_row_set_slice(&table->columns[NAME_COLUMN], from, page->token);
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &out->rows, err));
    out->next_page_token = KV_SLICE_NONE;
    if (!out->rows.more)
        return KV_OK;
    last = (const char *)out->rows.rows + (out->rows.count - 1) * table->row_size;
    out->next_page_token = kv_row_slice(&table->columns[NAME_COLUMN], last);
    return KV_OK;
}
