/* objects.c - names and versions: lists, and where a new version goes. */
#include "server/vault/objects.h"

#include "server/base/text.h"
#include "server/vault/idempotency.h"
#include "server/vault/values.h"

/* How often a page may look further when most names are of the other kind (live or deleted). */
enum { SCANS_PER_PAGE = 8 };

typedef struct page_builder {
    kv_object_item *items;
    unsigned size;
    unsigned count;
    kv_slice last; /* where to go on */
    bool more;
} page_builder;

static kv_status add_object(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            const kv_object_row *object, bool deleted, kv_item_fill *fill,
                            page_builder *page, kv_error *err)
{
    kv_object_item *item = &page->items[page->count];
    bool is_deleted = object->deleted != 0;
    kv_status status;

    if (is_deleted != deleted || object->purging)
        return KV_OK;
    *item = (kv_object_item){ .id = kv_id_of(vault_row, object, object->current),
                              .deletion = kv_deletion_of(object),
                              .managed = object->managed != 0 };
    status = fill(vault, work, vault_row, object, object->current, item, err);
    if (status == KV_NOT_FOUND) {
        /* Purged since the scan. */
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    page->count++;
    return KV_OK;
}

static kv_status scan_objects(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              kv_collection collection, bool deleted, kv_item_fill *fill,
                              page_builder *page, kv_error *err)
{
    kv_object_row from = { .vault_uid = vault_row->uid,
                           .collection = collection,
                           .name = page->last };
    kv_scan scan = { .table = &kv_table_objects,
                     .prefix = 2,
                     .from = &from,
                     .after = page->last.len > 0,
                     .limit = page->size - page->count };
    const kv_object_row *objects;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    objects = rows.rows;
    for (unsigned i = 0; i < rows.count; i++)
        KV_TRY(add_object(vault, work, vault_row, &objects[i], deleted, fill, page, err));
    if (rows.count)
        page->last = objects[rows.count - 1].name;
    page->more = rows.more;
    return KV_OK;
}

static kv_status start_page(kv_work *work, const kv_page *asked, page_builder *page, kv_error *err)
{
    *page = (page_builder){ .last = asked->token, .more = true };
    KV_TRY(kv_page_check(asked, &page->size, err));
    page->items = kv_arena_array(work->arena, page->size, sizeof(*page->items));
    return page->items ? KV_OK : kv_arena_full(err);
}

static kv_object_list finish_page(const page_builder *page)
{
    return (kv_object_list){ .items = page->items,
                             .count = page->count,
                             .next_page_token = page->more ? page->last : KV_SLICE_NONE };
}

kv_status kv_list_objects(kv_vault *vault, kv_work *work, const kv_list_in *in, bool deleted,
                          kv_item_fill *fill, kv_object_list *out, kv_error *err)
{
    kv_vault_row vault_row;
    page_builder page;

    work->entry->collection = kv_slice_text(kv_collection_name(in->target.collection));
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    KV_TRY(start_page(work, &in->page, &page, err));
    if (page.last.len && kv_check_name(page.last, "page_token", err) != KV_OK)
        return kv_page_refused(err);
    for (int i = 0; i < SCANS_PER_PAGE && page.more && page.count < page.size; i++)
        KV_TRY(scan_objects(vault, work, &vault_row, in->target.collection, deleted, fill, &page,
                            err));
    *out = finish_page(&page);
    return KV_OK;
}

/* The three version tables share their first two columns, and with them this. */
static kv_slice version_of(const kv_table *table, const void *row)
{
    kv_slice version;

    memcpy(&version, (const char *)row + table->columns[1].offset, sizeof(version));
    return version;
}

kv_status kv_list_versions(kv_vault *vault, kv_work *work, const kv_list_in *in,
                           const kv_table *table, kv_item_fill *fill, kv_object_list *out,
                           kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    page_builder page;
    kv_scan scan = { .table = table, .prefix = 1 };
    kv_rows rows;
    char *from;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(start_page(work, &in->page, &page, err));
    if (page.last.len && kv_check_version(page.last, err) != KV_OK)
        return kv_page_refused(err);
    from = kv_arena_alloc(work->arena, table->row_size);
    if (!from)
        return kv_arena_full(err);
    memcpy(from + table->columns[0].offset, &object.uid, sizeof(object.uid));
    memcpy(from + table->columns[1].offset, &page.last, sizeof(page.last));
    scan.from = from;
    scan.after = page.last.len > 0;
    scan.limit = page.size;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    for (unsigned i = 0; i < rows.count; i++) {
        kv_object_item *item = &page.items[page.count++];

        page.last = version_of(table, (const char *)rows.rows + i * table->row_size);
        *item = (kv_object_item){ .id = kv_id_of(&vault_row, &object, page.last),
                                  .managed = object.managed != 0 };
        KV_TRY(fill(vault, work, &vault_row, &object, page.last, item, err));
    }
    page.more = rows.more;
    *out = finish_page(&page);
    return KV_OK;
}

kv_status kv_refuse_managed(const kv_object_row *object, const char *verb, kv_error *err)
{
    if (!object->managed)
        return KV_OK;
    kv_fail(err, KV_PRECONDITION,
            "'%.*s' belongs to a certificate and cannot be %s on its own: work on the certificate",
            KV_SLICE_ARG(object->display_name), verb);
    return kv_because(err, KV_REASON_MANAGED);
}

static kv_status refuse_taken(const kv_object_row *object, const kv_target *target, kv_error *err)
{
    if (!object->deleted && !object->purging)
        return kv_refuse_managed(object, "given a version", err);
    kv_fail(err, KV_EXISTS,
            "a deleted %s has the name '%.*s': recover it, or purge it to use the name again",
            kv_collection_noun(target->collection), KV_SLICE_ARG(target->name));
    return kv_because(err, KV_REASON_SOFT_DELETED);
}

kv_status kv_object_for_version(kv_vault *vault, kv_work *work, const kv_target *target,
                                kv_vault_row *vault_row, kv_object_row *object, bool *exists,
                                kv_error *err)
{
    work->entry->collection = kv_slice_text(kv_collection_name(target->collection));
    KV_TRY(kv_find_vault(vault, work, target->vault, vault_row, err));
    KV_TRY(kv_check_name(target->name, "name", err));
    work->entry->name = target->name;
    KV_TRY(kv_look_up_object(vault, work, vault_row->uid, target->collection, target->name, object,
                             exists, err));
    if (*exists)
        return refuse_taken(object, target, err);

    *object = (kv_object_row){
        .vault_uid = vault_row->uid,
        .collection = target->collection,
        .display_name = target->name,
        .created = work->now_ms,
    };
    KV_TRY(kv_text_lower(work->arena, target->name, &object->name, err));
    return kv_new_uid(work, &object->uid, err);
}

kv_status kv_object_keep(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         kv_object_row *object, kv_error *err)
{
    kv_vault_row now = { .name = vault_row->name };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_vaults, &now, work->arena, err);

    if (status == KV_OK && kv_slice_equal(now.uid, vault_row->uid) && !now.purging)
        return KV_OK;
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    status = kv_finish_purge(vault, work, object, err);
    if (status != KV_OK && status != KV_CONFLICT)
        return status;
    return kv_fail(err, KV_NOT_FOUND, "the vault was purged meanwhile");
}

kv_status kv_change_object(kv_change *change, kv_object_row *object, bool exists, kv_slice version,
                           kv_error *err)
{
    object->current = version;
    if (exists)
        return kv_change_update(change, &kv_table_objects, object, err);
    return kv_change_insert(change, &kv_table_objects, object, err);
}

kv_status kv_lost_race(kv_status status, kv_error *err)
{
    if (status != KV_EXISTS && status != KV_CONFLICT)
        return status;
    return kv_fail(err, KV_CONFLICT, "somebody else changed this meanwhile; look and try again");
}

bool kv_race_again(const kv_work *work, kv_status status, unsigned *races, kv_error *err)
{
    if (status != KV_CONFLICT || *races == KV_RACES || kv_deadline_passed(work->deadline))
        return false;
    if (work->idempotency && work->idempotency->outrun)
        return false;
    ++*races;
    *err = (kv_error){ 0 };
    return true;
}
