/* access_explain.c - the decision, told with its reasons. */
#include "server/auth/access_explain.h"

#include <stdlib.h>
#include <string.h>

#include "server/auth/access_change.h"
#include "server/auth/policy.h"

typedef struct asked {
    kv_permission permission;
    kv_slice scope_text;
    kv_scope scope;
    kv_resource resource;
} asked;

static kv_status read_question(const kv_access_work *work, const kv_access_question *question,
                               asked *out, kv_error *err)
{
    out->permission = kv_permission_find(question->permission);
    if (out->permission == KV_MAY_NOTHING)
        return kv_fail_field(err, "permission", "must be one of those that role list shows");
    KV_TRY(kv_scope_parse(work->arena, question->scope, "scope", &out->scope_text, err));
    if (!kv_scope_read(out->scope_text, &out->scope))
        return kv_fail(err, KV_INTERNAL, "a scope is not normalised");
    out->resource = kv_scope_resource(&out->scope, false);
    return KV_OK;
}

static kv_status look_whether_managed(const kv_access_work *work, asked *question, kv_error *err)
{
    bool managed = false;

    if (question->resource.name.len && question->resource.collection != KV_COLLECTION_CERTIFICATES)
        KV_TRY(kv_auth_is_managed(work->auth, &question->resource, work->arena, &managed, err));
    question->resource.managed = managed;
    return KV_OK;
}

/* Who may administer a vault or its issuers may not know for that what is in it. */
static bool is_of_objects(kv_permission permission)
{
    static const char *const kinds[] = { "certificates/", "keys/", "secrets/" };
    const char *name = kv_permission_name(permission);

    for (size_t i = 0; i < KV_COUNT(kinds); i++)
        if (!strncmp(name, kinds[i], strlen(kinds[i])))
            return true;
    return false;
}

/* Does an assignment reach what is asked about, if it belongs to a certificate? Else the principal
 * is not told whether it does, nor whether it is there at all. */
static bool reaches(const kv_access_work *work, kv_slice id, const asked *question)
{
    static const kv_permission reading[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_KEYS] = KV_MAY_KEYS_READ,
        [KV_COLLECTION_SECRETS] = KV_MAY_SECRETS_READ_METADATA,
    };
    kv_permission to_read = reading[question->resource.collection];
    kv_resource resource = kv_scope_resource(&question->scope, true);
    const kv_auth *auth = work->auth;
    bool of_objects = is_of_objects(question->permission);
    const kv_held *held;
    bool found = false;

    kv_grants_lock(auth->grants);
    held = kv_grants_principal(auth->grants, id);
    for (unsigned i = 0; held && !found && i < held->grant_count; i++) {
        const kv_grant *grant = &held->grants[i];

        found = (of_objects && kv_auth_judge(auth, grant, question->permission, &resource,
                                             work->now_ms) == KV_GRANT_ALLOWS) ||
                kv_auth_judge(auth, grant, to_read, &resource, work->now_ms) == KV_GRANT_ALLOWS;
    }
    kv_grants_unlock(auth->grants);
    return found;
}

static bool can_sign_in(const kv_held *held, int64_t now_ms)
{
    for (unsigned i = 0; i < held->rows->credential_count; i++) {
        const kv_credential_row *row = &held->rows->credentials[i];

        if (!row->not_after || now_ms < row->not_after)
            return true;
    }
    return false;
}

static kv_access_bar bar_of(const kv_held *held, int64_t now_ms)
{
    if (held->broken)
        return KV_BAR_BROKEN;
    if (held->rows->principal.disabled)
        return KV_BAR_DISABLED;
    return can_sign_in(held, now_ms) ? KV_BAR_NONE : KV_BAR_NO_CREDENTIAL;
}

/* What one assignment says; KV_GRANT_LACKS is no reason. */
static kv_status judge(const kv_access_work *work, const kv_held *held, const kv_grant *grant,
                       const asked *question, kv_access_reason *out, kv_error *err)
{
    const kv_auth *auth = work->auth;
    const kv_grant *other = kv_auth_excluding(held, grant, work->now_ms);

    *out = (kv_access_reason){ .says = kv_auth_judge(auth, grant, question->permission,
                                                     &question->resource, work->now_ms) };
    if (out->says == KV_GRANT_LACKS)
        return KV_OK;
    KV_TRY(kv_assignment_copy(work->arena, grant->row, &out->assignment, err));
    if (out->says != KV_GRANT_ALLOWS || !other || auth->separation == KV_SEPARATION_OFF)
        return KV_OK;
    if (auth->separation == KV_SEPARATION_STRICT)
        out->says = KV_GRANT_EXCLUDED;
    out->excluded_by = other->role;
    return kv_arena_copy(work->arena, other->row->scope, &out->excluded_on, err);
}

static kv_status copy_principal(const kv_access_work *work, const kv_held *held, kv_principal *out,
                                kv_error *err)
{
    *out = kv_principal_of(&held->rows->principal);
    KV_TRY(kv_arena_copy(work->arena, out->id, &out->id, err));
    KV_TRY(kv_arena_copy(work->arena, out->name, &out->name, err));
    return kv_arena_copy(work->arena, out->home_vault, &out->home_vault, err);
}

/* Under the lock of the grants. */
static kv_status answer(const kv_access_work *work, const kv_held *held, const asked *question,
                        kv_access_answer *out, kv_error *err)
{
    *out = (kv_access_answer){ .bar = bar_of(held, work->now_ms),
                               .managed = question->resource.managed,
                               .scope = question->scope_text };
    KV_TRY(copy_principal(work, held, &out->principal, err));
    out->reasons = kv_arena_array(work->arena, held->grant_count, sizeof(*out->reasons));
    if (!out->reasons)
        return kv_arena_full(err);
    for (unsigned i = 0; i < held->grant_count; i++) {
        kv_access_reason *reason = &out->reasons[out->reason_count];

        KV_TRY(judge(work, held, &held->grants[i], question, reason, err));
        out->reason_count += reason->says != KV_GRANT_LACKS;
        out->allowed = out->allowed || reason->says == KV_GRANT_ALLOWS;
    }
    out->allowed = out->allowed && out->bar == KV_BAR_NONE;
    return KV_OK;
}

static void fill_roles(const kv_access_work *work, kv_permission permission, kv_access_answer *out)
{
    for (unsigned role = KV_ROLE_NONE + 1; role < KV_ROLE_COUNT; role++)
        if (kv_role_may((kv_role)role, permission) &&
            kv_role_available((kv_role)role, work->auth->separation))
            out->roles[out->role_count++] = (kv_role)role;
}

kv_status kv_access_explain(const kv_access_work *work, kv_slice principal_id,
                            const kv_access_question *question, kv_access_answer *out,
                            kv_error *err)
{
    kv_slice self = kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES);
    kv_slice id = principal_id.len ? principal_id : self;
    bool reader = kv_access_may(work, KV_MAY_ACCESS_READ, KV_SLICE("/"), err) == KV_OK;
    const kv_held *held;
    kv_status status;
    asked it;

    if (!reader && !kv_slice_equal(id, self))
        return err->status;
    *err = (kv_error){ 0 };
    KV_TRY(read_question(work, question, &it, err));
    if (reader || reaches(work, id, &it))
        KV_TRY(look_whether_managed(work, &it, err));
    kv_grants_lock(work->auth->grants);
    held = kv_grants_principal(work->auth->grants, id);
    status = held ? answer(work, held, &it, out, err)
                  : kv_fail(err, KV_NOT_FOUND, "there is no such principal");
    kv_grants_unlock(work->auth->grants);
    KV_TRY(status);
    fill_roles(work, it.permission, out);
    return KV_OK;
}

/* --- who can --- */

typedef struct search {
    const kv_access_work *work;
    const asked *question;
    kv_slice after;
    const kv_held **found; /* NULL: only count */
    size_t count;
} search;

/* As answer(), without copies. */
static bool may(const search *at, const kv_held *held)
{
    const kv_auth *auth = at->work->auth;
    int64_t now_ms = at->work->now_ms;

    if (bar_of(held, now_ms) != KV_BAR_NONE)
        return false;
    for (unsigned i = 0; i < held->grant_count; i++) {
        const kv_grant *grant = &held->grants[i];

        if (kv_auth_judge(auth, grant, at->question->permission, &at->question->resource, now_ms) ==
                KV_GRANT_ALLOWS &&
            (auth->separation != KV_SEPARATION_STRICT || !kv_auth_excluding(held, grant, now_ms)))
            return true;
    }
    return false;
}

static bool gather(void *context, const kv_held *held)
{
    search *at = context;

    if ((at->after.len && kv_slice_compare(held->rows->principal.id, at->after) <= 0) ||
        !may(at, held))
        return true;
    if (at->found)
        at->found[at->count] = held;
    at->count++;
    return true;
}

static int held_order(const void *a, const void *b)
{
    const kv_held *one = *(const kv_held *const *)a;
    const kv_held *two = *(const kv_held *const *)b;

    return kv_slice_compare(one->rows->principal.id, two->rows->principal.id);
}

/* Under the lock of the grants. */
static kv_status fill_page(search *at, unsigned size, kv_access_answers *out, kv_error *err)
{
    unsigned count;

    kv_grants_each(at->work->auth->grants, gather, at);
    at->found = kv_arena_array(at->work->arena, at->count, sizeof(kv_held *));
    if (!at->found)
        return kv_arena_full(err);
    at->count = 0;
    kv_grants_each(at->work->auth->grants, gather, at);
    qsort(at->found, at->count, sizeof(kv_held *), held_order);
    count = at->count < size ? (unsigned)at->count : size;
    out->items = kv_arena_array(at->work->arena, count, sizeof(*out->items));
    if (!out->items)
        return kv_arena_full(err);
    for (; out->count < count; out->count++)
        KV_TRY(answer(at->work, at->found[out->count], at->question, &out->items[out->count], err));
    if (at->count > size)
        out->next = out->items[count - 1].principal.id;
    return KV_OK;
}

/* Only what allows is told of somebody who may. */
static void keep_allowing(kv_access_answers *answers)
{
    for (unsigned i = 0; i < answers->count; i++) {
        kv_access_answer *item = &answers->items[i];
        unsigned kept = 0;

        for (unsigned k = 0; k < item->reason_count; k++)
            if (item->reasons[k].says == KV_GRANT_ALLOWS)
                item->reasons[kept++] = item->reasons[k];
        item->reason_count = kept;
    }
}

kv_status kv_access_who_can(const kv_access_work *work, const kv_access_question *question,
                            const kv_access_page *page, kv_access_answers *out, kv_error *err)
{
    search at = { .work = work, .after = page->token };
    kv_access_answers found = { 0 };
    kv_status status;
    unsigned size;
    asked it;

    if (page->token.len && page->token.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "page_token", "is not one of this server");
    KV_TRY(kv_access_page_size(page, &size, err));
    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_READ, KV_SLICE("/"), err));
    KV_TRY(read_question(work, question, &it, err));
    KV_TRY(look_whether_managed(work, &it, err));
    at.question = &it;
    kv_grants_lock(work->auth->grants);
    status = fill_page(&at, size, &found, err);
    kv_grants_unlock(work->auth->grants);
    KV_TRY(status);
    keep_allowing(&found);
    *out = found;
    return KV_OK;
}
