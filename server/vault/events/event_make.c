/* event_make.c - events become part of the changes that they tell of. */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/event_rules.h"

enum { TEXT_MAX = 512 };

void kv_event_place(const kv_vault_row *vault_row, const kv_object_row *object, kv_event_row *out)
{
    out->vault_uid = vault_row->uid;
    out->vault = vault_row->display_name;
    if (!object)
        return;
    out->collection = object->collection;
    out->object_uid = object->uid;
    out->name = object->display_name;
}

/* Not in the middle of a character. */
static kv_slice cut(kv_slice text)
{
    if (text.len <= TEXT_MAX)
        return text;
    text.len = TEXT_MAX;
    while (text.len && (text.data[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

kv_status kv_event_add(kv_work *work, kv_event_type type, const kv_event_row *about,
                       kv_change *change, kv_error *err)
{
    kv_event_row *row = kv_arena_alloc(work->arena, sizeof(*row));

    if (!row)
        return kv_arena_full(err);
    *row = *about;
    row->head = (kv_row_head){ 0 };
    row->sequence = 0; /* the commit gives it */
    row->time = work->now_ms;
    row->type = kv_slice_text(kv_event_kind_of(type)->name);
    row->error_code = cut(row->error_code);
    row->error_message = cut(row->error_message);
    return kv_change_insert(change, &kv_table_events, row, err);
}

kv_event_row kv_event_of_version(const kv_event_version *about, const char *cause)
{
    kv_event_row row = { .version = about->version,
                         .not_before = about->not_before,
                         .expires = about->expires,
                         .sha256 = about->sha256,
                         .issuer = about->issuer,
                         .cause = kv_slice_text(cause) };

    kv_event_place(about->vault_row, about->object, &row);
    return row;
}

kv_status kv_event_new_version(kv_vault *vault, kv_work *work, const kv_event_version *about,
                               const char *cause, kv_change *change, kv_error *err)
{
    static const kv_event_type types[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_CERTIFICATES] = KV_EVENT_CERTIFICATE_NEW_VERSION,
        [KV_COLLECTION_KEYS] = KV_EVENT_KEY_NEW_VERSION,
        [KV_COLLECTION_SECRETS] = KV_EVENT_SECRET_NEW_VERSION,
    };
    kv_event_row row = kv_event_of_version(about, cause);

    if (about->object->managed)
        return KV_OK;
    KV_TRY(kv_expiry_keep(vault, work, about, change, err));
    return kv_event_add(work, types[about->object->collection], &row, change, err);
}

/* What ends, if nothing follows. */
static kv_status add_current(kv_vault *vault, kv_work *work, const kv_object_row *object,
                             kv_event_row *row, kv_error *err)
{
    kv_certificate_version_row current;

    KV_TRY(kv_find_certificate_version(vault, work, object->uid, object->current, &current, err));
    row->version = current.version;
    row->not_before = current.not_before;
    row->expires = current.expires;
    return KV_OK;
}

/* The first attempt to follow a version, or another one after that had failed. */
static kv_status cause_of(kv_vault *vault, kv_work *work, const kv_object_row *object,
                          kv_slice *out, kv_error *err)
{
    kv_renewal_row row = { .object_uid = object->uid };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_renewals, &row, work->arena, err);

    if (status == KV_NOT_FOUND)
        *err = (kv_error){ 0 };
    else
        KV_TRY(status);
    *out = kv_event_renewal_cause(status == KV_OK ? row.attempts : 0);
    return KV_OK;
}

kv_slice kv_event_renewal_cause(int64_t attempts)
{
    return attempts > 1 ? KV_SLICE("renewal-again") : KV_SLICE("renewal");
}

kv_status kv_event_operation(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, const kv_operation_row *operation,
                             kv_change *change, kv_error *err)
{
    bool waits = kv_slice_equal(operation->state, KV_STATE_PENDING);
    bool follows = object->current.len > 0;
    kv_event_row row = { .issuer = operation->issuer, .cause = KV_SLICE("creation") };
    kv_event_type type = KV_EVENT_CERTIFICATE_OPERATION_FAILED;
    bool gone = false;

    if (!waits && !kv_slice_equal(operation->state, KV_STATE_FAILED))
        return KV_OK;
    /* Nobody waits for what was taken away. */
    KV_TRY(kv_certificate_gone(vault, work, vault_row, object, &gone, err));
    if (gone)
        return KV_OK;
    kv_event_place(vault_row, object, &row);
    if (waits)
        type = KV_EVENT_CERTIFICATE_ACTION_NEEDED;
    else if (follows)
        type = KV_EVENT_CERTIFICATE_RENEWAL_FAILED;
    row.error_code = operation->error_code;
    row.error_message = operation->error_message;
    if (follows) {
        KV_TRY(cause_of(vault, work, object, &row.cause, err));
        KV_TRY(add_current(vault, work, object, &row, err));
    }
    return kv_event_add(work, type, &row, change, err);
}

kv_status kv_event_key_disabled(kv_work *work, const kv_event_version *about, bool disabled,
                                kv_change *change, kv_error *err)
{
    kv_event_row row = { .version = about->version, .cause = KV_SLICE("updated") };

    if (!disabled)
        return KV_OK;
    kv_event_place(about->vault_row, about->object, &row);
    return kv_event_add(work, KV_EVENT_KEY_DISABLED, &row, change, err);
}
