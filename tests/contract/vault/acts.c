/* acts.c - what tests of the vault do over and over. */
#include "tests/contract/vault/acts.h"

#include <stdio.h>

#include "server/auth/auth.h"
#include "server/vault/access.h"

/* As HOUSE_DO, with an `err` that belongs to the caller. */
#define DO(h, operation, in, out, err)                             \
    do {                                                           \
        house_job job_;                                            \
        kv_status status_;                                         \
                                                                   \
        house_begin(h, &job_);                                     \
        *(err) = (kv_error){ 0 };                                  \
        status_ = operation((h)->vault, &job_.work, in, out, err); \
        house_end(h, &job_, status_);                              \
        return status_;                                            \
    } while (0)

kv_target act_target(kv_collection collection, const char *name)
{
    return (kv_target){ .vault = KV_SLICE(ACT_VAULT),
                        .collection = collection,
                        .name = kv_slice_text(name) };
}

kv_status act_make_vault(house *h, kv_error *err)
{
    kv_vault_put_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) } };
    kv_vault_bundle out;

    DO(h, kv_vault_put, &in, &out, err);
}

static int start(void **state, bool softhsm)
{
    house *h = house_new(softhsm);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    *state = h;
    return 0;
}

int act_start(void **state)
{
    return start(state, false);
}

int act_start_softhsm(void **state)
{
    return start(state, true);
}

int act_stop(void **state)
{
    house_free(*state);
    return 0;
}

kv_status act_make_key(house *h, const char *name, kv_key_bundle *out, kv_error *err)
{
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, name), .kty = KV_KEY_TYPE_EC };
    kv_key_bundle ignored;

    DO(h, kv_key_create, &in, out ? out : &ignored, err);
}

kv_status act_sign(house *h, const char *name, kv_slice version, kv_error *err)
{
    kv_key_sign_in in = { .target = act_target(KV_COLLECTION_KEYS, name),
                          .algorithm = "ES256",
                          .data = KV_SLICE("a message") };
    kv_signature out;

    in.target.version = version;
    DO(h, kv_key_sign, &in, &out, err);
}

kv_status act_set_secret(house *h, const char *name, kv_slice value, kv_secret_bundle *out,
                         kv_error *err)
{
    kv_secret_set_in in = { .target = act_target(KV_COLLECTION_SECRETS, name), .value = value };
    kv_secret_bundle ignored;

    DO(h, kv_secret_set, &in, out ? out : &ignored, err);
}

/* --- reading a secret: the operation asks for the permission again, so somebody must hold it ---
 */

static kv_status identify(house *h, house_job *job, const made_certificate *who, kv_slice token,
                          kv_error *err)
{
    return kv_auth_identify(h->auth, who->sha256, der_of(who), token, h->now_ms, job->work.arena,
                            &job->caller, err);
}

/* The job becomes that of somebody with a role token. */
static kv_status become(house *h, house_job *job, const made_certificate *who, const kv_role *roles,
                        unsigned role_count, kv_error *err)
{
    kv_role_token_issue_in ask = {
        .request = { .roles = roles, .role_count = role_count, .scope = KV_SLICE("/") }
    };
    kv_role_token_bundle token;

    KV_TRY(identify(h, job, who, KV_SLICE_NONE, err));
    KV_TRY(kv_role_token_issue(h->vault, &job->work, &ask, &token, err));
    return identify(h, job, who, token.issued.token, err);
}

#define DO_AS_ADMIN(h, operation, in, out, err)                        \
    do {                                                               \
        static const kv_role role_ = KV_ROLE_ACCESS_ADMINISTRATOR;     \
        house_job job_;                                                \
        kv_status status_;                                             \
                                                                       \
        house_begin(h, &job_);                                         \
        *(err) = (kv_error){ 0 };                                      \
        status_ = become(h, &job_, (h)->admin, &role_, 1, err);        \
        if (status_ == KV_OK)                                          \
            status_ = operation((h)->vault, &job_.work, in, out, err); \
        house_end(h, &job_, status_);                                  \
        return status_;                                                \
    } while (0)

static kv_status grant(house *h, kv_slice principal, kv_role role, kv_error *err)
{
    kv_role_assign_in in = {
        .assignment = { .principal_id = principal, .role = role, .scope = KV_SLICE("/") }
    };
    kv_assigned out;

    DO_AS_ADMIN(h, kv_role_assign, &in, &out, err);
}

static kv_status pin(house *h, kv_slice principal, kv_error *err)
{
    kv_management_certificate_add_in in = { .certificate = { .principal_id = principal,
                                                             .certificate = der_of(h->reader) } };
    kv_credential out;

    DO_AS_ADMIN(h, kv_management_certificate_add, &in, &out, err);
}

static kv_status make_principal(house *h, kv_principal *out, kv_error *err)
{
    kv_principal_create_in in = { .principal = { .name = KV_SLICE("reader"),
                                                 .kind = KV_PRINCIPAL_SERVICE } };

    DO_AS_ADMIN(h, kv_principal_create, &in, out, err);
}

static kv_status make_reader(house *h, kv_error *err)
{
    kv_principal reader;

    h->reader = house_certificate("reader");
    KV_TRY(make_principal(h, &reader, err));
    KV_TRY(pin(h, reader.id, err));
    KV_TRY(grant(h, reader.id, KV_ROLE_SECRETS_USER, err));
    return grant(h, reader.id, KV_ROLE_CERTIFICATE_USER, err);
}

static kv_status get_secret(house *h, house_job *job, const kv_secret_get_in *in,
                            kv_secret_bundle *out, kv_error *err)
{
    static const kv_role roles[] = { KV_ROLE_SECRETS_USER, KV_ROLE_CERTIFICATE_USER };

    KV_TRY(become(h, job, h->reader, roles, KV_COUNT(roles), err));
    return kv_secret_get(h->vault, &job->work, in, out, err);
}

kv_status act_get_secret(house *h, const char *name, kv_slice version, kv_secret_bundle *out,
                         kv_error *err)
{
    kv_secret_get_in in = { .target = act_target(KV_COLLECTION_SECRETS, name) };
    kv_secret_bundle ignored;
    house_job job;
    kv_status status;

    if (!h->reader)
        KV_TRY(make_reader(h, err));
    in.target.version = version;
    house_begin(h, &job);
    *err = (kv_error){ 0 };
    status = get_secret(h, &job, &in, out ? out : &ignored, err);
    house_end(h, &job, status);
    return status;
}

kv_status act_make_certificate(house *h, const char *name, const char *issuer, bool exportable,
                               kv_certificate_operation *out, kv_error *err)
{
    char subject[160];
    kv_certificate_create_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, name),
        .has_policy = true,
        .policy = { .key_props = { .kty = KV_SLICE("EC"),
                                   .exportable = exportable,
                                   .exportable_given = true },
                    .content_type = KV_SLICE(KV_X509_CONTENT_PEM),
                    .issuer = { .name = kv_slice_text(issuer) } },
    };
    kv_certificate_operation ignored;

    (void)snprintf(subject, sizeof(subject), "CN=%s", name);
    in.policy.x509_props.subject = kv_slice_text(subject);
    DO(h, kv_certificate_create, &in, out ? out : &ignored, err);
}

kv_status act_renew(house *h, const char *name, kv_certificate_operation *out, kv_error *err)
{
    kv_certificate_create_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, name) };
    kv_certificate_operation ignored;

    DO(h, kv_certificate_create, &in, out ? out : &ignored, err);
}

kv_status act_delete(house *h, kv_collection collection, const char *name, kv_error *err)
{
    kv_target_in in = { .target = act_target(collection, name) };
    kv_key_bundle key;
    kv_secret_bundle secret;
    kv_certificate_bundle certificate;

    if (collection == KV_COLLECTION_KEYS)
        DO(h, kv_key_delete, &in, &key, err);
    if (collection == KV_COLLECTION_SECRETS)
        DO(h, kv_secret_delete, &in, &secret, err);
    DO(h, kv_certificate_delete, &in, &certificate, err);
}

kv_status act_recover(house *h, kv_collection collection, const char *name, kv_error *err)
{
    kv_target_in in = { .target = act_target(collection, name) };
    kv_key_bundle key;
    kv_secret_bundle secret;
    kv_certificate_bundle certificate;

    if (collection == KV_COLLECTION_KEYS)
        DO(h, kv_key_recover, &in, &key, err);
    if (collection == KV_COLLECTION_SECRETS)
        DO(h, kv_secret_recover, &in, &secret, err);
    DO(h, kv_certificate_recover, &in, &certificate, err);
}

kv_status act_purge(house *h, kv_collection collection, const char *name, kv_error *err)
{
    kv_target_in in = { .target = act_target(collection, name) };
    kv_nothing_out nothing;

    if (collection == KV_COLLECTION_KEYS)
        DO(h, kv_key_purge, &in, &nothing, err);
    if (collection == KV_COLLECTION_SECRETS)
        DO(h, kv_secret_purge, &in, &nothing, err);
    DO(h, kv_certificate_purge, &in, &nothing, err);
}

kv_status act_delete_vault(house *h, kv_error *err)
{
    kv_target_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) } };
    kv_vault_bundle out;

    DO(h, kv_vault_delete, &in, &out, err);
}

kv_status act_purge_vault(house *h, kv_error *err)
{
    kv_target_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) } };
    kv_nothing_out out;

    DO(h, kv_vault_purge, &in, &out, err);
}
