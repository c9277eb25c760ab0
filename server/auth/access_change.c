/* access_change.c - attempts, the last administrator, and other things changes share. */
#include "server/auth/access_change.h"

#include <stdio.h>

#include "server/auth/policy.h"
#include "server/base/text.h"

kv_status kv_access_retry(const kv_access_work *work, kv_access_attempt *attempt, void *context,
                          kv_error *err)
{
    kv_status status = KV_OK;

    for (unsigned i = 0; i < KV_ACCESS_ATTEMPTS; i++) {
        *err = (kv_error){ 0 };
        status = attempt(work, context, err);
        if (status != KV_CONFLICT)
            break;
    }
    return status;
}

kv_status kv_access_commit(const kv_access_work *work, kv_change *change, kv_error *err)
{
    kv_status status = work->commit.commit(work->commit.context, change, err);

    /* Somebody else took the name, the slot or the certificate since it was found free. */
    if (status == KV_EXISTS)
        return kv_fail(err, KV_CONFLICT, "it was changed meanwhile: try again");
    return status;
}

kv_status kv_access_may(const kv_access_work *work, kv_permission permission, kv_slice scope,
                        kv_error *err)
{
    kv_resource resource;
    kv_scope read;

    if (!kv_scope_read(scope, &read))
        return kv_fail(err, KV_INTERNAL, "a scope is not normalised");
    resource = kv_scope_resource(&read, false);
    return kv_auth_permit(work->auth, work->caller, permission, &resource, work->now_ms, err);
}

kv_status kv_access_read(const kv_access_work *work, kv_slice id, const char *field,
                         kv_principal_rows *out, kv_error *err)
{
    kv_status status;

    if (id.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, field, "must be an id: 32 hexadecimal digits");
    status = kv_principal_rows_read(work->auth->records, id, work->arena, out, err);
    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_NOT_FOUND, "there is no such principal");
    return status;
}

kv_status kv_access_write_principal(const kv_access_work *work, kv_principal_rows *after,
                                    bool end_tokens, kv_change *change, kv_error *err)
{
    KV_TRY(kv_principal_rows_digest(after, work->arena, &after->principal.grants_digest, err));
    after->principal.updated = work->now_ms;
    if (end_tokens)
        after->principal.epoch++;
    return kv_change_update(change, &kv_table_principals, &after->principal, err);
}

/* --- the last access administrator --- */

typedef struct kv_search {
    kv_slice but;
    bool found;
    uint8_t id[KV_PRINCIPAL_ID_BYTES];
} kv_search;

static bool visit(void *context, const kv_held *held)
{
    kv_search *search = context;

    if (held->broken || kv_slice_equal(held->rows->principal.id, search->but) ||
        !kv_principal_rows_administer(held->rows))
        return true;
    search->found = true;
    memcpy(search->id, held->rows->principal.id.data, sizeof(search->id));
    return false;
}

kv_status kv_access_keep_administrator(const kv_access_work *work, kv_slice id, bool was, bool is,
                                       kv_principal_row *witness, kv_change *change, kv_error *err)
{
    kv_search search = { .but = id };
    kv_principal_rows other;

    if (!was || is)
        return KV_OK;
    kv_grants_lock(work->auth->grants);
    kv_grants_each(work->auth->grants, visit, &search);
    kv_grants_unlock(work->auth->grants);
    if (!search.found)
        return kv_fail(err, KV_PRECONDITION,
                       "this is the last access administrator of the server: make another first");

    KV_TRY(kv_principal_rows_read(work->auth->records, kv_slice_of(search.id, sizeof(search.id)),
                                  work->arena, &other, err));
    if (!kv_principal_rows_administer(&other))
        return kv_fail(err, KV_CONFLICT, "the access administrators are being changed: try again");
    *witness = other.principal;
    KV_TRY(kv_arena_copy(work->arena, witness->id, &witness->id, err));
    return kv_change_update(change, &kv_table_principals, witness, err);
}

/* --- small things --- */

kv_status kv_access_new_id(kv_arena *arena, kv_slice *out, kv_error *err)
{
    uint8_t *id = kv_arena_alloc(arena, KV_PRINCIPAL_ID_BYTES);

    if (!id)
        return kv_arena_full(err);
    if (!kv_random_id(id, KV_PRINCIPAL_ID_BYTES))
        return kv_fail(err, KV_UNAVAILABLE, "no random bytes");
    *out = kv_slice_of(id, KV_PRINCIPAL_ID_BYTES);
    return KV_OK;
}

kv_status kv_access_check_name(kv_slice name, kv_error *err)
{
    if (name.len == 0 || name.len > KV_ACCESS_NAME_MAX || !kv_text_printable(name) ||
        name.data[0] == ' ' || name.data[name.len - 1] == ' ')
        return kv_fail_field(err, "display_name",
                             "must be 1 to %d bytes of printable text without spaces around it",
                             KV_ACCESS_NAME_MAX);
    return KV_OK;
}

kv_status kv_access_page_size(const kv_access_page *page, unsigned *out, kv_error *err)
{
    if (page->size > KV_ACCESS_PAGE_MAX)
        return kv_fail_field(err, "page_size", "must be at most %d", KV_ACCESS_PAGE_MAX);
    *out = page->size ? page->size : KV_ACCESS_PAGE_DEFAULT;
    return KV_OK;
}

kv_status kv_access_check_certificate(const kv_certificate *certificate, int64_t now_ms,
                                      kv_error *err)
{
    if (now_ms < certificate->not_after_ms)
        return KV_OK;
    kv_fail(err, KV_PRECONDITION, "the certificate has expired");
    return kv_because(err, KV_REASON_CERTIFICATE_EXPIRED);
}

kv_status kv_access_warn(const kv_access_work *work, kv_role role, kv_role other, kv_error *err)
{
    kv_warnings *warnings = work->warnings;
    kv_slice text;

    if (!warnings)
        return KV_OK;
    KV_TRY(kv_arena_print(work->arena, &text, err,
                          "%s excludes %s, held in an overlapping scope; this server only warns",
                          kv_role_name(role), kv_role_name(other)));
    for (unsigned i = 0; i < warnings->count; i++)
        if (kv_slice_equal(warnings->items[i], text))
            return KV_OK;
    if (warnings->count < KV_WARNINGS_MAX)
        warnings->items[warnings->count++] = text;
    return KV_OK;
}

void kv_access_log_warnings(const kv_access_work *work, kv_slice id)
{
    char principal[2 * KV_PRINCIPAL_ID_BYTES + 1] = "";

    if (id.len == KV_PRINCIPAL_ID_BYTES)
        kv_hex(id, principal);
    for (unsigned i = 0; work->warnings && i < work->warnings->count; i++) {
        char what[KV_SCOPE_TEXT_MAX];

        (void)snprintf(what, sizeof(what), "%.*s", KV_SLICE_ARG(work->warnings->items[i]));
        kv_log_write(work->auth->log, KV_LOG_WARNING, "access.duties_not_separated",
                     (kv_log_field[]){ { "principal", principal, 0 }, { "what", what, 0 }, { 0 } });
    }
}
