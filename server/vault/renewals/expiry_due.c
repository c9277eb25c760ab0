/* expiry_due.c - the end of a version is announced in time, whoever made it.
 *
 * A row for each object whose current version ends says when to announce that next. The change that
 * makes a version, or alters its end, makes or moves the row; it is found through an index by time.
 * An announcement and the move of the row are one change, so there is each one once. What a newer
 * version replaced is announced no more, because the row is the newer one's.
 */
#include "server/lifecycle/expiry.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/due.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"

enum { DELETED_WAIT_MS = 24 * 60 * 60 * 1000 };

static const kv_due expiries = { &kv_table_expiries, offsetof(kv_expiry_row, due_at),
                                 "ExpiryAnnounceLater", "ExpiryAnnounceNever" };

static int64_t begins(int64_t not_before, int64_t created)
{
    return not_before ? not_before : created;
}

static kv_status find_row(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_expiry_row *row,
                          kv_error *err)
{
    kv_status status;

    *row = (kv_expiry_row){ .object_uid = object_uid };
    status = kv_records_get(vault->config.records, &kv_table_expiries, row, work->arena, err);
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *row = (kv_expiry_row){ .object_uid = object_uid };
    return KV_OK;
}

static kv_expiry_life life_of(const kv_expiry_row *row)
{
    return (kv_expiry_life){ .begins = begins(row->not_before, row->created),
                             .expires = row->expires,
                             .asked = row->asked };
}

/* What has come near already is announced at once. */
static int64_t first_due(const kv_expiry_row *row, int64_t now_ms)
{
    kv_expiry_life life = life_of(row);
    kv_expiry_notice latest = kv_expiry_latest(&life, now_ms);

    return latest.cause ? latest.at : kv_expiry_next(&life, now_ms).at;
}

static bool same_life(const kv_expiry_row *row, const kv_event_version *about)
{
    return kv_slice_equal(row->version, about->version) && row->expires == about->expires &&
           row->not_before == about->not_before;
}

kv_status kv_expiry_keep(kv_vault *vault, kv_work *work, const kv_event_version *about,
                         kv_change *change, kv_error *err)
{
    kv_expiry_row *row = kv_arena_alloc(work->arena, sizeof(*row));

    if (!row)
        return kv_arena_full(err);
    KV_TRY(find_row(vault, work, about->object->uid, row, err));
    if (!about->expires)
        return row->head.generation ? kv_change_delete(change, &kv_table_expiries, row, err)
                                    : KV_OK;
    if (row->head.generation && same_life(row, about))
        return KV_OK;
    row->vault_uid = about->vault_row->uid;
    row->version = about->version;
    row->created = about->created;
    row->not_before = about->not_before;
    row->expires = about->expires;
    row->asked = about->asked;
    row->due_at = first_due(row, work->now_ms);
    return row->head.generation ? kv_change_update(change, &kv_table_expiries, row, err)
                                : kv_change_insert(change, &kv_table_expiries, row, err);
}

kv_status kv_event_version_altered(kv_vault *vault, kv_work *work, const kv_event_version *about,
                                   kv_change *change, kv_error *err)
{
    if (about->object->managed || !kv_slice_equal(about->version, about->object->current))
        return KV_OK;
    return kv_expiry_keep(vault, work, about, change, err);
}

int64_t kv_expiry_asked_of(const kv_x509_policy *policy, const kv_certificate_version_row *version)
{
    return kv_expiry_asked(policy, begins(version->not_before, version->created), version->expires);
}

/* What has been announced is not announced again; what is due in this moment still is. */
kv_status kv_expiry_policy_altered(kv_vault *vault, kv_work *work,
                                   const kv_certificate_version_row *current,
                                   const kv_x509_policy *policy, kv_change *change, kv_error *err)
{
    kv_expiry_row *row = kv_arena_alloc(work->arena, sizeof(*row));
    int64_t asked = kv_expiry_asked_of(policy, current);
    kv_expiry_notice next;
    kv_expiry_life life;

    if (!row)
        return kv_arena_full(err);
    KV_TRY(find_row(vault, work, current->object_uid, row, err));
    if (!row->head.generation || row->asked == asked)
        return KV_OK;
    row->asked = asked;
    life = life_of(row);
    next = kv_expiry_next(&life, work->now_ms);
    if (row->due_at > work->now_ms && next.cause)
        row->due_at = next.at;
    return kv_change_update(change, &kv_table_expiries, row, err);
}

/* --- when it is time --- */

typedef struct expiry {
    kv_expiry_row row;
    kv_vault_row vault_row;
    kv_object_row object;
} expiry;

static kv_status look(kv_vault *vault, kv_work *work, expiry *at, kv_error *err)
{
    KV_TRY(kv_object_by_uid(vault, work, at->row.object_uid, &at->object, err));
    KV_TRY(kv_vault_by_uid(vault, work, at->row.vault_uid, &at->vault_row, err));
    work->entry->vault = at->vault_row.display_name;
    work->entry->collection =
        kv_slice_text(kv_collection_name((kv_collection)at->object.collection));
    work->entry->name = at->object.display_name;
    work->entry->version = at->row.version;
    return KV_OK;
}

/* Of a certificate, what its row and its policy say. */
static kv_status add_certificate(kv_vault *vault, kv_work *work, const expiry *at,
                                 kv_event_version *about, kv_error *err)
{
    kv_certificate_version_row version;
    kv_policy_row policy_row;
    kv_x509_policy policy;

    if (at->object.collection != KV_COLLECTION_CERTIFICATES)
        return KV_OK;
    KV_TRY(
        kv_find_certificate_version(vault, work, at->object.uid, at->row.version, &version, err));
    KV_TRY(kv_policy_find(vault, work, at->object.uid, &policy_row, &policy, err));
    about->sha256 = version.sha256;
    about->issuer = policy.issuer.name;
    return KV_OK;
}

/* Whoever hears that the end is near has to know that nothing follows by itself. */
static kv_status add_failure(kv_vault *vault, kv_work *work, const expiry *at, kv_event_row *event,
                             kv_error *err)
{
    kv_operation_row operation;
    bool exists = false;

    if (at->object.collection != KV_COLLECTION_CERTIFICATES)
        return KV_OK;
    KV_TRY(kv_operation_find(vault, work, at->object.uid, &operation, &exists, err));
    if (!exists || kv_slice_equal(operation.state, KV_STATE_COMPLETED))
        return KV_OK;
    event->error_code = operation.error_code;
    event->error_message = operation.error_message;
    return KV_OK;
}

static kv_event_type type_of(kv_collection collection, bool over)
{
    switch (collection) {
    case KV_COLLECTION_KEYS:
        return over ? KV_EVENT_KEY_EXPIRED : KV_EVENT_KEY_NEAR_EXPIRY;
    case KV_COLLECTION_SECRETS:
        return over ? KV_EVENT_SECRET_EXPIRED : KV_EVENT_SECRET_NEAR_EXPIRY;
    case KV_COLLECTION_NONE:
    case KV_COLLECTION_CERTIFICATES:
    case KV_COLLECTION_COUNT:
        break;
    }
    return over ? KV_EVENT_CERTIFICATE_EXPIRED : KV_EVENT_CERTIFICATE_NEAR_EXPIRY;
}

static kv_status announce(kv_vault *vault, kv_work *work, expiry *at,
                          const kv_expiry_notice *notice, int64_t next, kv_error *err)
{
    kv_event_version about = KV_EVENT_VERSION_OF(&at->vault_row, &at->object, &at->row);
    kv_change change = { 0 };
    kv_event_row event;

    KV_TRY(add_certificate(vault, work, at, &about, err));
    event = kv_event_of_version(&about, notice->cause);
    KV_TRY(add_failure(vault, work, at, &event, err));
    KV_TRY(kv_event_add(work, type_of((kv_collection)at->object.collection, notice->over), &event,
                        &change, err));
    at->row.due_at = next;
    KV_TRY(notice->over ? kv_change_delete(&change, &kv_table_expiries, &at->row, err)
                        : kv_change_update(&change, &kv_table_expiries, &at->row, err));
    return kv_commit_step(vault, work, "ExpiryAnnounce", &change, err);
}

static kv_status announce_or_wait(kv_vault *vault, kv_work *work, expiry *at, kv_error *err)
{
    kv_expiry_life life = life_of(&at->row);
    kv_expiry_notice latest = kv_expiry_latest(&life, work->now_ms);
    kv_expiry_notice next = kv_expiry_next(&life, work->now_ms);
    kv_status status = look(vault, work, at, err);

    if (status == KV_NOT_FOUND)
        return kv_due_forget(vault, work, &expiries, &at->row, err);
    KV_TRY(status);
    if (at->object.deleted || at->vault_row.deleted)
        return kv_due_move(vault, work, &expiries, &at->row, work->now_ms + DELETED_WAIT_MS, err);
    /* The clock went back since. */
    if (!latest.cause)
        return kv_due_move(vault, work, &expiries, &at->row, next.at, err);
    return announce(vault, work, at, &latest, next.at, err);
}

/* Something that it belongs to cannot be trusted: those behind it do not wait for that. */
static kv_status shelve(kv_vault *vault, kv_work *work, expiry *at, kv_error *err)
{
    kv_log_write(
        vault->config.log, KV_LOG_ERROR, "expiry.shelved",
        (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    return kv_due_shelve(vault, work, &expiries, &at->row, work->now_ms + DELETED_WAIT_MS, err);
}

static kv_status take_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err)
{
    expiry at = { 0 };
    bool found = false;
    kv_status status;

    KV_TRY(kv_due_first(vault, work, &expiries, &at.row, &found, err));
    *next_at = at.row.due_at;
    if (!found || at.row.due_at > work->now_ms)
        return KV_OK;
    status = announce_or_wait(vault, work, &at, err);
    if (status == KV_INTERNAL || status == KV_NOT_FOUND)
        status = shelve(vault, work, &at, err);
    return status;
}

kv_status kv_vault_step_expiry(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_due_step(vault, "ExpiryAnnounce", take_turn, next_at, err);
}
