/* access_exchange.c - an identity provider's token for who it stands for. */
#include "server/auth/access_change.h"

static kv_status invalid(kv_error *err, const char *why)
{
    (void)kv_fail(err, KV_UNAUTHENTICATED, "%s", why);
    return kv_because(err, KV_REASON_ID_TOKEN_INVALID);
}

/* Whose credential it is. The first claim that fits any decides, as the configuration orders them;
 * of that one, two values must not fit two credentials. Under the lock. */
static kv_status find_holder(kv_auth *auth, const kv_oidc_identity *identity, unsigned *value,
                             const kv_held **held, const kv_credential_row **credential,
                             kv_error *err)
{
    const kv_id_value *values = identity->token.values;
    const kv_held *found = NULL;

    for (unsigned i = 0; i < identity->token.count; i++) {
        const kv_credential_row *row;
        const kv_held *other = kv_grants_credential(auth->grants, identity->matches[i], &row);

        if (found && values[i].claim != values[*value].claim)
            break;
        if (!other || (found && row == *credential))
            continue;
        if (found)
            return invalid(err, "the ID token fits more than one credential");
        found = other;
        *credential = row;
        *value = i;
    }
    if (!found)
        return invalid(err, "the ID token is valid, but stands for no principal");
    *held = found;
    return KV_OK;
}

/* Under the lock: everything is copied out. */
static kv_status take_holder(const kv_access_work *work, const kv_oidc_identity *identity,
                             unsigned *value, kv_caller *out, kv_error *err)
{
    const kv_credential_row *credential = NULL;
    const kv_principal_row *principal;
    const kv_held *held = NULL;

    KV_TRY(find_holder(work->auth, identity, value, &held, &credential, err));
    principal = &held->rows->principal;
    memcpy(out->principal_id, principal->id.data, sizeof(out->principal_id));
    memcpy(out->credential_id, credential->id.data, sizeof(out->credential_id));
    KV_TRY(kv_arena_copy(work->arena, principal->name, &out->principal_name, err));
    out->epoch = principal->epoch;
    out->token_most_ms = identity->token_most_ms;
    out->federated = true;
    out->known = true;
    return kv_auth_still(work->auth, out, work->now_ms, &held, err);
}

kv_status kv_access_exchange(const kv_access_work *work, kv_slice id_token, kv_caller *newcomer,
                             kv_slice *by, kv_error *err)
{
    kv_oidc_identity identity;
    unsigned value = 0;
    kv_status status;

    if (newcomer->known && !newcomer->federated)
        return kv_fail_field(err, "id_token",
                             "must be empty: the client certificate belongs to a principal");
    if (!id_token.len) {
        (void)kv_fail(err, KV_UNAUTHENTICATED,
                      "the client certificate belongs to no principal, and no ID token came");
        return kv_because(err, KV_REASON_CERTIFICATE_UNKNOWN);
    }
    KV_TRY(kv_oidc_identify(work->auth->oidc, id_token, newcomer->thumbprint, work->now_ms,
                            work->arena, &identity, err));
    kv_grants_lock(work->auth->grants);
    status = take_holder(work, &identity, &value, newcomer, err);
    kv_grants_unlock(work->auth->grants);
    /* A principal whose rows do not verify may heal, as in identify. */
    if (newcomer->known && status == KV_INTERNAL)
        kv_grants_heal(work->auth->grants, newcomer->principal_id);
    KV_TRY(status);
    return kv_arena_print(work->arena, by, err, " oidc=%s %.*s=%.*s", identity.provider,
                          KV_SLICE_ARG(identity.names[identity.token.values[value].claim]),
                          KV_SLICE_ARG(identity.token.values[value].text));
}
