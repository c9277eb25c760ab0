/* access_token.c - role tokens: issued, revoked. */
#include "server/auth/access_change.h"

#include "server/auth/policy.h"
#include "server/base/text.h"

enum { PURGED_WITH_ONE = 4 };

/* --- issuing --- */

static kv_status check_request(const kv_token_request *in, kv_error *err)
{
    if (in->role_count == 0 || in->role_count > KV_ROLES_PER_TOKEN)
        return kv_fail_field(err, "roles", "must be 1 to %d roles", KV_ROLES_PER_TOKEN);
    for (unsigned i = 0; i < in->role_count; i++) {
        if (kv_role_name(in->roles[i])[0] == '\0')
            return kv_fail_field(err, "roles", "must be roles that exist");
        for (unsigned j = 0; j < i; j++) {
            if (in->roles[j] == in->roles[i])
                return kv_fail_field(err, "roles", "must be different");
        }
    }
    if (in->ttl_ms != 0 &&
        (in->ttl_ms < KV_ROLE_TOKEN_TTL_MIN_MS || in->ttl_ms > KV_ROLE_TOKEN_TTL_MAX_MS))
        return kv_fail_field(err, "ttl_seconds", "must be 60 to 28800, or 0 for 900");
    return KV_OK;
}

/* An assignment made before the rules changed must not slip through. */
static kv_status check_separation(const kv_access_work *work, const kv_held *held,
                                  const kv_grant *grant, kv_error *err)
{
    const kv_grant *other = kv_auth_excluding(held, grant, work->now_ms);

    if (!other || work->auth->separation == KV_SEPARATION_OFF)
        return KV_OK;
    if (work->auth->separation == KV_SEPARATION_WARN)
        return kv_access_warn(work, grant->role, other->role, err);
    kv_fail(err, KV_DENIED, "%s excludes %s, which you hold in an overlapping scope",
            kv_role_name(grant->role), kv_role_name(other->role));
    return kv_because(err, KV_REASON_SEPARATION_OF_DUTY);
}

static kv_status check_role(const kv_access_work *work, const kv_held *held, kv_role role,
                            const kv_resource *resource, kv_error *err)
{
    char place[KV_SCOPE_TEXT_MAX];
    bool covered = false;

    for (unsigned i = 0; i < held->grant_count; i++) {
        const kv_grant *grant = &held->grants[i];

        if (grant->role != role || !kv_grant_live(grant, work->now_ms) ||
            !kv_scope_covers(&grant->scope, resource))
            continue;
        KV_TRY(check_separation(work, held, grant, err));
        covered = true;
    }
    if (covered && kv_role_available(role, work->auth->separation))
        return KV_OK;
    kv_resource_text(resource, place, sizeof(place));
    kv_fail(err, KV_DENIED, "no assignment gives you %s on %s", kv_role_name(role), place);
    return kv_because(err, KV_REASON_PERMISSION_MISSING);
}

/* Under the lock of the grants. */
static kv_status check_grants(const kv_access_work *work, const kv_token_request *in,
                              const kv_resource *resource, kv_error *err)
{
    const kv_held *held;

    KV_TRY(kv_auth_still(work->auth, work->caller, work->now_ms, &held, err));
    for (unsigned i = 0; i < in->role_count; i++)
        KV_TRY(check_role(work, held, in->roles[i], resource, err));
    return KV_OK;
}

static kv_status fill_claims(const kv_access_work *work, const kv_token_request *in, kv_slice scope,
                             kv_role_token *out, kv_error *err)
{
    const kv_caller *caller = work->caller;
    int64_t ttl = in->ttl_ms ? in->ttl_ms : KV_ROLE_TOKEN_TTL_DEFAULT_MS;
    int64_t expires = work->now_ms + ttl;

    if (caller->federated && ttl > caller->token_most_ms)
        expires = work->now_ms + caller->token_most_ms;
    if (expires > caller->certificate_not_after_ms)
        expires = caller->certificate_not_after_ms;
    *out = (kv_role_token){ .issued_ms = work->now_ms / 1000 * 1000,
                            .not_before_ms = work->now_ms / 1000 * 1000,
                            .expires_ms = expires / 1000 * 1000,
                            .epoch = caller->epoch,
                            .federated = caller->federated,
                            .role_count = in->role_count,
                            .scope_len = (unsigned)scope.len };
    memcpy(out->subject, caller->principal_id, sizeof(out->subject));
    if (caller->federated)
        memcpy(out->credential, caller->credential_id, sizeof(out->credential));
    memcpy(out->thumbprint, caller->thumbprint, sizeof(out->thumbprint));
    memcpy(out->roles, in->roles, in->role_count * sizeof(*in->roles));
    memcpy(out->scope, scope.data, scope.len);
    if (!kv_random_id(out->jti, sizeof(out->jti)))
        return kv_fail(err, KV_UNAVAILABLE, "no random bytes");
    return KV_OK;
}

kv_status kv_access_issue_token(const kv_access_work *work, const kv_token_request *in,
                                kv_token_issued *out, kv_error *err)
{
    kv_token_issued issued = { 0 };
    kv_role_token claims;
    kv_resource resource;
    kv_status status;
    kv_scope scope;

    KV_TRY(check_request(in, err));
    KV_TRY(kv_scope_parse(work->arena, in->scope, "scope", &issued.scope, err));
    if (!kv_scope_read(issued.scope, &scope))
        return kv_fail(err, KV_INTERNAL, "a scope is not normalised");
    /* Whether the key or secret really is managed is asked at every use. */
    resource = kv_scope_resource(&scope, true);
    kv_grants_lock(work->auth->grants);
    status = check_grants(work, in, &resource, err);
    kv_grants_unlock(work->auth->grants);
    if (status != KV_OK)
        return status;
    kv_access_log_warnings(work, kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES));

    KV_TRY(fill_claims(work, in, issued.scope, &claims, err));
    KV_TRY(kv_role_token_make(&work->auth->signer, kv_auth_issuer(work->auth), &claims, work->arena,
                              &issued.token, err));
    issued.expires_ms = claims.expires_ms;
    KV_TRY(
        kv_arena_copy(work->arena, kv_slice_of(claims.jti, sizeof(claims.jti)), &issued.jti, err));
    *out = issued;
    return KV_OK;
}

/* --- revoking --- */

/* Revocations of tokens that have ended go with new ones, a few at a time. */
static kv_status purge_ended(const kv_access_work *work, kv_change *change, kv_error *err)
{
    kv_scan scan = { .table = &kv_table_revocations, .index = 1, .limit = PURGED_WITH_ONE };
    kv_revocation_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    rows = found.rows;
    for (unsigned i = 0; i < found.count; i++) {
        if (rows[i].until < work->now_ms)
            KV_TRY(kv_change_delete(change, &kv_table_revocations, &rows[i], err));
    }
    return KV_OK;
}

static kv_status revoke(const kv_access_work *work, void *context, kv_error *err)
{
    const kv_slice *jti = context;
    kv_revocation_row row = { .jti = *jti };
    kv_change change = { 0 };
    kv_status status;

    KV_TRY(kv_access_may(work, KV_MAY_TOKENS_REVOKE, KV_SLICE("/"), err));
    status = kv_records_get(work->auth->records, &kv_table_revocations, &row, work->arena, err);
    if (status != KV_NOT_FOUND)
        return status;
    row = (kv_revocation_row){ .jti = *jti,
                               .until = work->now_ms + KV_ROLE_TOKEN_TTL_MAX_MS,
                               .created = work->now_ms,
                               .revoked_by =
                                   kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES) };
    KV_TRY(kv_change_insert(&change, &kv_table_revocations, &row, err));
    KV_TRY(purge_ended(work, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_revoke_token(const kv_access_work *work, kv_slice jti, kv_error *err)
{
    if (jti.len != sizeof(((kv_caller *)NULL)->jti))
        return kv_fail_field(err, "jti", "must be 32 hexadecimal digits");
    return kv_access_retry(work, revoke, &jti, err);
}

typedef struct kv_ending {
    kv_slice id;
    kv_principal_rows rows;
} kv_ending;

static kv_status end_tokens(const kv_access_work *work, void *context, kv_error *err)
{
    kv_ending *ending = context;
    kv_change change = { 0 };

    KV_TRY(kv_access_may(work, KV_MAY_TOKENS_REVOKE, KV_SLICE("/"), err));
    KV_TRY(kv_access_read(work, ending->id, "principal_id", &ending->rows, err));
    KV_TRY(kv_access_write_principal(work, &ending->rows, true, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_revoke_all(const kv_access_work *work, kv_slice principal_id, kv_principal *out,
                               kv_error *err)
{
    kv_ending ending = { .id = principal_id };

    KV_TRY(kv_access_retry(work, end_tokens, &ending, err));
    *out = kv_principal_of(&ending.rows.principal);
    return KV_OK;
}
