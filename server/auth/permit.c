/* permit.c - the rule: may this caller do that, there, now? */
#include "server/auth/auth_impl.h"

#include "server/auth/policy.h"
#include "server/base/text.h"

static kv_status unknown(kv_error *err, kv_reason reason, const char *message)
{
    kv_fail(err, KV_UNAUTHENTICATED, "%s", message);
    return kv_because(err, reason);
}

/* Names what the caller lacks and where it asked, which it knows; never what it or others hold. */
static kv_status denied(kv_permission permission, const kv_resource *resource, kv_error *err)
{
    char place[KV_SCOPE_TEXT_MAX];
    const char *name = kv_permission_name(permission);

    kv_resource_text(resource, place, sizeof(place));
    kv_fail(err, KV_DENIED, "%s is needed on %s", name[0] ? name : "a permission nobody holds",
            place);
    return kv_because(err, KV_REASON_PERMISSION_MISSING);
}

static kv_status check_token(kv_auth *auth, const kv_caller *caller, int64_t now_ms, kv_error *err)
{
    if (now_ms >= caller->expires_ms)
        return unknown(err, KV_REASON_TOKEN_EXPIRED, "the role token has expired");
    if (kv_grants_revoked(auth->grants, caller->jti))
        return unknown(err, KV_REASON_TOKEN_REVOKED, "the role token was revoked");
    return KV_OK;
}

static bool holds_credential(const kv_held *held, const kv_caller *caller)
{
    kv_slice id = kv_slice_of(caller->credential_id, sizeof(caller->credential_id));

    for (unsigned i = 0; i < held->rows->credential_count; i++) {
        if (kv_slice_equal(held->rows->credentials[i].id, id))
            return true;
    }
    return false;
}

kv_status kv_auth_still(kv_auth *auth, const kv_caller *caller, int64_t now_ms,
                        const kv_held **held, kv_error *err)
{
    const kv_held *found = kv_grants_principal(
        auth->grants, kv_slice_of(caller->principal_id, sizeof(caller->principal_id)));

    if (!found)
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN, "the principal is no more");
    if (found->broken) {
        kv_fail(err, KV_INTERNAL, "the grants of a principal do not verify");
        return kv_because(err, KV_REASON_INTEGRITY);
    }
    if (found->rows->principal.disabled) {
        kv_fail(err, KV_DENIED, "the principal is disabled");
        return kv_because(err, KV_REASON_DISABLED);
    }
    if (now_ms >= caller->certificate_not_after_ms)
        return unknown(err, KV_REASON_CERTIFICATE_EXPIRED, "the client certificate has expired");
    if (!holds_credential(found, caller))
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN,
                       caller->federated
                           ? "what the identity provider says stands for the principal no more"
                           : "the client certificate belongs to the principal no more");
    if (found->rows->principal.epoch != caller->epoch)
        return unknown(err, KV_REASON_TOKEN_REVOKED, "the principal's role tokens were revoked");
    *held = found;
    return caller->tokened ? check_token(auth, caller, now_ms, err) : KV_OK;
}

kv_grant_says kv_auth_judge(const kv_auth *auth, const kv_grant *grant, kv_permission permission,
                            const kv_resource *resource, int64_t now_ms)
{
    if (!kv_role_may(grant->role, permission))
        return KV_GRANT_LACKS;
    if (!kv_scope_covers(&grant->scope, resource))
        return KV_GRANT_ELSEWHERE;
    if (!kv_grant_live(grant, now_ms))
        return KV_GRANT_ENDED;
    return kv_role_available(grant->role, auth->separation) ? KV_GRANT_ALLOWS
                                                            : KV_GRANT_UNAVAILABLE;
}

const kv_grant *kv_auth_excluding(const kv_held *held, const kv_grant *grant, int64_t now_ms)
{
    for (unsigned i = 0; i < held->grant_count; i++) {
        const kv_grant *other = &held->grants[i];

        if (kv_grant_live(other, now_ms) && kv_roles_exclude(grant->role, other->role) &&
            kv_scopes_overlap(&grant->scope, &other->scope))
            return other;
    }
    return NULL;
}

static bool carries(const kv_caller *caller, kv_role role)
{
    for (unsigned i = 0; i < caller->role_count; i++)
        if (caller->roles[i] == role)
            return true;
    return false;
}

/* Some role of the token has the permission, and a live assignment of that role covers the object;
 * and the token's scope covers it. */
static bool allowed(kv_auth *auth, const kv_caller *caller, const kv_held *held,
                    kv_permission permission, const kv_resource *resource, int64_t now_ms)
{
    kv_scope scope;

    if (!kv_scope_read(caller->scope, &scope) || !kv_scope_covers(&scope, resource))
        return false;
    if (caller->home_vault.len > 0 && !kv_text_equal_nocase(caller->home_vault, resource->vault))
        return false;
    for (unsigned i = 0; i < held->grant_count; i++) {
        const kv_grant *grant = &held->grants[i];

        if (carries(caller, grant->role) &&
            kv_auth_judge(auth, grant, permission, resource, now_ms) == KV_GRANT_ALLOWS)
            return true;
    }
    return false;
}

static kv_status decide(kv_auth *auth, const kv_caller *caller, kv_permission permission,
                        const kv_resource *resource, int64_t now_ms, kv_error *err)
{
    const kv_held *held;

    KV_TRY(kv_auth_still(auth, caller, now_ms, &held, err));
    if (permission == KV_MAY_BE_KNOWN || permission == KV_MAY_BE_PROVED)
        return KV_OK;
    if (!caller->tokened)
        return unknown(err, KV_REASON_TOKEN_INVALID, "a role token is needed");
    if (!allowed(auth, caller, held, permission, resource, now_ms))
        return denied(permission, resource, err);
    return KV_OK;
}

kv_status kv_auth_permit(kv_auth *auth, const kv_caller *caller, kv_permission permission,
                         const kv_resource *resource, int64_t now_ms, kv_error *err)
{
    kv_status status;

    if (permission == KV_MAY_BE_ANYONE)
        return KV_OK;
    if (permission == KV_MAY_NOTHING)
        return denied(permission, resource, err);
    /* Who it is, the operation finds out. */
    if (!caller->known && caller->proved && permission == KV_MAY_BE_PROVED)
        return KV_OK;
    if (!caller->known)
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN, "a client certificate is needed");
    if (!kv_auth_ca_stands(auth, caller))
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN,
                       "the client certificate's CA is trusted no more");
    kv_grants_lock(auth->grants);
    status = decide(auth, caller, permission, resource, now_ms, err);
    kv_grants_unlock(auth->grants);
    return status;
}
