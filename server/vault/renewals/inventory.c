/* inventory.c - every certificate with what an owner wants to know, page by page.
 *
 * A page goes on behind the name where the one before ended, through the key of the objects: its
 * cost is that of its items, however many certificates there are.
 */
#include <string.h>

#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

enum { SCANS_PER_PAGE = 16, VAULTS_PER_SCAN = 50 };

typedef struct builder {
    kv_inventory_item *items;
    unsigned count;
    unsigned size;
    unsigned scans;
    kv_slice vault; /* lower case: the one that is read, or that comes next */
    kv_slice name;  /* lower case: the last one that was read; empty: none yet */
    bool more;
} builder;

/* --- an item --- */

static kv_status optional(kv_status status, kv_error *err)
{
    if (status == KV_NOT_FOUND)
        *err = (kv_error){ 0 };
    return status == KV_NOT_FOUND ? KV_OK : status;
}

static kv_status add_version(kv_vault *vault, kv_work *work, const kv_object_row *object,
                             kv_inventory_item *item, kv_error *err)
{
    kv_certificate_version_row version;

    if (!object->current.len)
        return KV_OK;
    KV_TRY(kv_find_certificate_version(vault, work, object->uid, object->current, &version, err));
    item->enabled = version.enabled != 0;
    item->expires = version.expires;
    item->subject = version.subject;
    item->authority = version.issuer;
    item->updated = version.updated;
    item->key_known_outside = version.imported != 0;
    return kv_tags_load(work, version.tags, &item->tags, err);
}

static kv_status add_renewal(kv_vault *vault, kv_work *work, const kv_object_row *object,
                             kv_inventory_item *item, kv_error *err)
{
    kv_renewal_row row = { .object_uid = object->uid };

    KV_TRY(optional(
        kv_records_get(vault->config.records, &kv_table_renewals, &row, work->arena, err), err));
    if (!row.head.generation)
        return KV_OK;
    item->next_renewal = row.attempts || row.due_at > row.renew_at ? row.due_at : row.renew_at;
    item->waiting = row.waiting;
    item->attempts = row.attempts;
    item->suggested_from = row.hint_from;
    item->suggested_until = row.hint_until;
    item->explanation = row.hint_why;
    return KV_OK;
}

static kv_status add_operation(kv_vault *vault, kv_work *work, const kv_object_row *object,
                               kv_inventory_item *item, kv_error *err)
{
    kv_operation_row row;
    bool exists = false;

    KV_TRY(kv_operation_find(vault, work, object->uid, &row, &exists, err));
    if (!exists)
        return KV_OK;
    item->status = kv_operation_in_progress(&row) ? KV_SLICE("inProgress") : row.state;
    item->error = row.error_message;
    if (row.updated > item->updated)
        item->updated = row.updated;
    return KV_OK;
}

static kv_status fill(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_inventory_item *item, kv_error *err)
{
    kv_policy_row policy_row;
    kv_x509_policy policy = { 0 };

    *item = (kv_inventory_item){ .id = { .vault = vault_row->display_name,
                                         .name = object->display_name,
                                         .version = object->current },
                                 .updated = object->created };
    KV_TRY(add_version(vault, work, object, item, err));
    KV_TRY(add_renewal(vault, work, object, item, err));
    KV_TRY(add_operation(vault, work, object, item, err));
    KV_TRY(optional(kv_policy_find(vault, work, object->uid, &policy_row, &policy, err), err));
    item->issuer = policy.issuer.name;
    return KV_OK;
}

/* --- a page --- */

static kv_status add_some(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          builder *page, bool *more, kv_error *err)
{
    kv_object_row from = { .vault_uid = vault_row->uid,
                           .collection = KV_COLLECTION_CERTIFICATES,
                           .name = page->name };
    kv_scan scan = { .table = &kv_table_objects,
                     .prefix = 2,
                     .from = &from,
                     .after = page->name.len > 0,
                     .limit = page->size - page->count };
    const kv_object_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    page->scans++;
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++) {
        /* Without a prefix match behind the last name another collection may follow. */
        if (found[i].collection != KV_COLLECTION_CERTIFICATES ||
            !kv_slice_equal(found[i].vault_uid, vault_row->uid)) {
            rows.more = false;
            break;
        }
        page->name = found[i].name;
        if (!found[i].deleted && !found[i].purging)
            KV_TRY(fill(vault, work, vault_row, &found[i], &page->items[page->count++], err));
    }
    *more = rows.more;
    return KV_OK;
}

static bool full(const builder *page)
{
    return page->count == page->size || page->scans >= SCANS_PER_PAGE;
}

static kv_status add_vault(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           builder *page, bool *more, kv_error *err)
{
    *more = true;
    while (*more && !full(page))
        KV_TRY(add_some(vault, work, vault_row, page, more, err));
    return KV_OK;
}

/* The vault that the page is at, and those behind it. */
static kv_status add_vaults(kv_vault *vault, kv_work *work, builder *page, kv_error *err)
{
    kv_vault_row from = { 0 };
    kv_scan scan = { .table = &kv_table_vaults, .from = &from, .limit = VAULTS_PER_SCAN };
    kv_rows rows = { .more = true };

    while (rows.more && !full(page)) {
        const kv_vault_row *vaults;

        KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
        vaults = rows.rows;
        for (unsigned i = 0; i < rows.count; i++) {
            bool rest = false;

            if (kv_slice_compare(vaults[i].name, page->vault) < 0)
                continue;
            if (!kv_slice_equal(vaults[i].name, page->vault))
                page->name = KV_SLICE_NONE;
            page->vault = vaults[i].name;
            if (!vaults[i].deleted && !vaults[i].purging)
                KV_TRY(add_vault(vault, work, &vaults[i], page, &rest, err));
            page->more = rest || i + 1 < rows.count || rows.more;
            if (full(page))
                return KV_OK;
        }
        if (rows.count)
            from.name = vaults[rows.count - 1].name;
        scan.after = true;
    }
    return KV_OK;
}

/* "vault/name", in lower case; both keys of the store. */
static kv_status read_token(kv_slice token, builder *page, kv_error *err)
{
    const uint8_t *slash = token.len ? memchr(token.data, '/', token.len) : NULL;
    size_t len = slash ? (size_t)(slash - token.data) : 0;

    if (!token.len)
        return KV_OK;
    page->vault = kv_slice_of(token.data, len);
    if (slash)
        page->name = kv_slice_of(slash + 1, token.len - len - 1);
    if (!slash || kv_check_vault_name(page->vault, err) != KV_OK ||
        (page->name.len && kv_check_name(page->name, "page_token", err) != KV_OK)) {
        *err = (kv_error){ 0 };
        return kv_page_refused(err);
    }
    return KV_OK;
}

kv_status kv_inventory_list(kv_vault *vault, kv_work *work, const kv_inventory_list_in *in,
                            kv_inventory_page *out, kv_error *err)
{
    kv_vault_row vault_row;
    builder page = { 0 };

    work->entry->collection = KV_SLICE("certificates");
    KV_TRY(kv_page_check(&in->page, &page.size, err));
    KV_TRY(read_token(in->page.token, &page, err));
    page.items = kv_arena_array(work->arena, page.size, sizeof(*page.items));
    if (!page.items)
        return kv_arena_full(err);
    if (in->target.vault.len) {
        KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
        page.vault = vault_row.name;
        KV_TRY(add_vault(vault, work, &vault_row, &page, &page.more, err));
    } else {
        KV_TRY(add_vaults(vault, work, &page, err));
    }
    *out = (kv_inventory_page){ .items = page.items, .count = page.count };
    if (!page.more)
        return KV_OK;
    return kv_arena_print(work->arena, &out->next_page_token, err, "%.*s/%.*s",
                          KV_SLICE_ARG(page.vault), KV_SLICE_ARG(page.name));
}
