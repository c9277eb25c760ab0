/* named_page.h - a page of what has a name in a vault. Inner to vault. */
#pragma once

#include "server/vault/messages/messages_common.h"
#include "server/vault/vault_impl.h"

typedef struct kv_named_page {
    kv_vault_row vault_row;
    kv_rows rows;
    kv_slice next_page_token; /* empty: there is no more */
} kv_named_page;

/* `table`: its key is (vault, name). `collection`: for the record. */
kv_status kv_named_page_read(kv_vault *vault, kv_work *work, const kv_table *table,
                             const char *collection, kv_slice vault_name, const kv_page *page,
                             kv_named_page *out, kv_error *err) KV_MUST_USE;
