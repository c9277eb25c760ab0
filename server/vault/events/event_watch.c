/* event_watch.c - events for callers: filtered by what they asked for and what they may know. */
#include "server/vault/events/event_watch.h"

#include "server/base/text.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/values.h"

/* A page looks at so many times its size before it is sent, short, with a token. */
enum { LOOKS_PER_PAGE = 8, US_PER_MS = 1000, VAULT_ARENA_BYTES = 64 * 1024 };

bool kv_event_asked(const kv_target *target, uint32_t types, const kv_event_row *event)
{
    kv_event_type type = KV_EVENT_CERTIFICATE_NEW_VERSION;

    if (target->vault.len && !kv_text_equal_nocase(target->vault, event->vault))
        return false;
    if (target->collection && target->collection != (kv_collection)event->collection)
        return false;
    if (target->name.len && !kv_text_equal_nocase(target->name, event->name))
        return false;
    /* A type that this server does not know is of a newer one. */
    return !types || (kv_event_type_named(event->type, &type) && types & 1U << type);
}

static kv_permission needed(const kv_event_row *event)
{
    kv_event_type type = KV_EVENT_CERTIFICATE_NEW_VERSION;

    if (!kv_event_type_named(event->type, &type))
        return KV_MAY_NOTHING;
    if (kv_event_for_auditors(type))
        return KV_MAY_AUDIT_READ;
    switch ((kv_collection)event->collection) {
    case KV_COLLECTION_CERTIFICATES:
        return KV_MAY_CERTIFICATES_READ;
    case KV_COLLECTION_KEYS:
        return KV_MAY_KEYS_READ;
    case KV_COLLECTION_SECRETS:
        return KV_MAY_SECRETS_READ_METADATA;
    case KV_COLLECTION_NONE:
    case KV_COLLECTION_COUNT:
        break;
    }
    return KV_MAY_CERTIFICATECAS_READ;
}

/* Is the vault of that name the one that it happened in? Its name may belong to another by now. */
static kv_status same_vault(kv_vault *vault, const kv_event_row *event, bool *same, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(VAULT_ARENA_BYTES);
    kv_vault_row row = { 0 };
    kv_status status;

    *same = false;
    KV_TRY(kv_text_lower(&arena, event->vault, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_vaults, &row, &arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    *same = kv_slice_equal(row.uid, event->vault_uid);
    return KV_OK;
}

kv_status kv_event_permit(kv_vault *vault, const kv_caller *caller, const kv_event_row *event,
                          int64_t now_ms, bool *may, kv_error *err)
{
    kv_resource resource = { .vault = event->vault,
                             .collection = (kv_collection)event->collection,
                             .name = event->name };
    bool same = true;
    kv_status status;

    *may = false;
    if (event->vault.len)
        KV_TRY(same_vault(vault, event, &same, err));
    /* What happened in a vault that is gone is for those who may know it of every vault. */
    if (!same)
        resource = (kv_resource){ 0 };
    status = kv_auth_permit(vault->config.auth, caller, needed(event), &resource, now_ms, err);
    *may = status == KV_OK;
    if (status != KV_DENIED || err->reason != KV_REASON_PERMISSION_MISSING)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_event_permit_any(kv_vault *vault, const kv_caller *caller, int64_t now_ms,
                              kv_error *err)
{
    kv_resource nowhere = { 0 };

    KV_TRY(kv_auth_permit(vault->config.auth, caller, KV_MAY_BE_KNOWN, &nowhere, now_ms, err));
    if (caller->tokened)
        return KV_OK;
    kv_fail(err, KV_UNAUTHENTICATED, "a role token is needed");
    return kv_because(err, KV_REASON_TOKEN_INVALID);
}

kv_status kv_event_lost(kv_error *err)
{
    return kv_fail(err, KV_PRECONDITION,
                   "events past this cursor have been removed; look at what there is, and watch "
                   "from now");
}

static kv_status check_target(const kv_target *target, kv_error *err)
{
    if (target->vault.len)
        KV_TRY(kv_check_vault_name(target->vault, err));
    if (target->name.len)
        KV_TRY(kv_check_name(target->name, "name", err));
    return KV_OK;
}

/* --- a list --- */

typedef struct list {
    const kv_event_list_in *in;
    kv_event_list *out;
    unsigned size;
    int64_t cursor;
    bool more;
} list;

static kv_status start(kv_vault *vault, kv_work *work, list *at, kv_error *err)
{
    const kv_event_list_in *in = at->in;
    uint64_t cursor = 0;

    KV_TRY(kv_event_permit_any(vault, work->caller, work->now_ms, err));
    KV_TRY(check_target(&in->target, err));
    KV_TRY(kv_page_check(&in->page, &at->size, err));
    at->cursor = in->from_ms ? in->from_ms * US_PER_MS - 1 : 0;
    if (in->page.token.len && !kv_text_number(in->page.token, INT64_MAX, &cursor))
        return kv_page_refused(err);
    if (in->page.token.len)
        at->cursor = (int64_t)cursor;
    at->out->events = kv_arena_array(work->arena, at->size, sizeof(*at->out->events));
    return at->out->events ? KV_OK : kv_arena_full(err);
}

static kv_status look(kv_vault *vault, kv_work *work, list *at, kv_error *err)
{
    kv_event_query query = { .after = at->cursor, .limit = at->size };
    kv_event_page page;

    KV_TRY(kv_events_read(vault, work->arena, &query, &page, err));
    for (unsigned i = 0; i < page.count; i++) {
        const kv_event_row *event = &page.events[i];
        bool may = false;

        if (at->out->count == at->size) {
            at->more = true;
            return KV_OK;
        }
        at->cursor = event->sequence;
        if (!kv_event_asked(&at->in->target, at->in->types, event))
            continue;
        KV_TRY(kv_event_permit(vault, work->caller, event, work->now_ms, &may, err));
        if (may)
            at->out->events[at->out->count++] = event;
    }
    at->cursor = page.next;
    at->more = page.more;
    return KV_OK;
}

kv_status kv_event_list_all(kv_vault *vault, kv_work *work, const kv_event_list_in *in,
                            kv_event_list *out, kv_error *err)
{
    list at = { .in = in, .out = out, .more = true };

    KV_TRY(start(vault, work, &at, err));
    for (int i = 0; i < LOOKS_PER_PAGE && at.more && out->count < at.size; i++)
        KV_TRY(look(vault, work, &at, err));
    out->cursor = at.cursor;
    if (!at.more)
        return KV_OK;
    return kv_arena_print(work->arena, &out->next_page_token, err, "%lld", (long long)at.cursor);
}

/* --- the beginning of a stream --- */

/* The last change before a crash may have had a number and never have happened: nothing is past it,
 * and the stream begins now. What the clock has not come to yet is of another server. */
static kv_status first_cursor(const kv_event_watch_in *in, int64_t now, int64_t now_ms,
                              int64_t *out, kv_error *err)
{
    *out = now;
    if (!in->has_after)
        return KV_OK;
    if (in->after < 0 || (in->after > now && in->after / US_PER_MS > now_ms))
        return kv_fail_field(err, "after", "is not a cursor of this server");
    if (in->after < now)
        *out = in->after;
    return KV_OK;
}

kv_status kv_event_watch_begin(kv_vault *vault, kv_work *work, const kv_event_watch_in *in,
                               kv_event_message *out, kv_error *err)
{
    int64_t now = kv_events_now(vault);
    kv_event_query query = { .limit = 1 };
    kv_event_page page = { 0 };

    KV_TRY(kv_event_permit_any(vault, work->caller, work->now_ms, err));
    KV_TRY(check_target(&in->target, err));
    if (in->heartbeat_seconds > KV_HEARTBEAT_MAX_S)
        return kv_fail_field(err, "heartbeat_seconds", "at most %d", KV_HEARTBEAT_MAX_S);
    KV_TRY(first_cursor(in, now, work->now_ms, &query.after, err));
    if (in->has_after)
        KV_TRY(kv_events_read(vault, work->arena, &query, &page, err));
    if (page.lost)
        return kv_event_lost(err);
    *out = (kv_event_message){ .cursor = query.after };
    return KV_OK;
}
