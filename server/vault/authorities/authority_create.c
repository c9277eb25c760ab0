/* authority_create.c - a certificate authority is made: its key on the token, its certificate or
 * the request for one. */
#include <stdio.h>

#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/idempotency.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/x509/request.h"

enum { RACES = 8 };

typedef struct creation {
    const kv_authority_create_in *in;
    kv_vault_row vault_row;
    kv_authority_row row;
    kv_crl_row list;
    kv_x509_policy policy;
    kv_birth birth;
    kv_token_object_row token_object;
    bool signed_here;
    kv_authority_row parent;
    kv_issued_row issued;
} creation;

/* What is checked as a policy is named as the request spells it. */
static kv_status respell(kv_status status, kv_error *err)
{
    static const char *const prefixes[] = { "policy.x509_props.", "policy.key_props.",
                                            "authority." };

    for (size_t i = 0; i < KV_COUNT(prefixes); i++)
        if (!strncmp(err->field, prefixes[i], strlen(prefixes[i])))
            (void)memmove(err->field, err->field + strlen(prefixes[i]),
                          strlen(err->field) - strlen(prefixes[i]) + 1);
    return status;
}

kv_status kv_authority_settings(const kv_revocation_config *revocation, uint32_t max_months,
                                kv_authority_row *row, kv_error *err)
{
    kv_x509_authority urls = { .crl_url = revocation->crl_url,
                               .ocsp_url = revocation->ocsp_url,
                               .issuer_url = revocation->issuer_url };

    if (revocation->given) {
        kv_status status = kv_x509_authority_check(&urls, false, err);

        if (status != KV_OK) {
            char name[sizeof(err->field)];

            (void)respell(status, err);
            memcpy(name, err->field, sizeof(name));
            (void)snprintf(err->field, sizeof(err->field), "revocation.%.40s", name);
            return status;
        }
        if (revocation->crl_hours > KV_CRL_HOURS_MAX)
            return kv_fail_field(err, "revocation.crl_hours", "must be at most %d",
                                 KV_CRL_HOURS_MAX);
        row->crl_url = urls.crl_url;
        row->ocsp_url = urls.ocsp_url;
        row->issuer_url = urls.issuer_url;
        if (revocation->crl_hours)
            row->crl_hours = revocation->crl_hours;
    }
    if (max_months > KV_AUTHORITY_ISSUED_MONTHS_MAX)
        return kv_fail_field(err, "max_validity_months", "must be at most %d",
                             KV_AUTHORITY_ISSUED_MONTHS_MAX);
    if (max_months)
        row->max_months = max_months;
    return KV_OK;
}

static kv_status check_key(const creation *new, kv_error *err)
{
    kv_key_kind kind = kv_x509_policy_key_kind(&new->policy);

    if (kind == KV_KEY_P256 || kind == KV_KEY_P384 || kind == KV_KEY_RSA_3072 ||
        kind == KV_KEY_RSA_4096)
        return KV_OK;
    return kv_fail_field(err, "kty",
                         "must be EC with P-256 or P-384, or RSA with 3072 or 4096 bits");
}

static kv_status take_policy(kv_work *work, creation *new, kv_error *err)
{
    const kv_authority_create_in *in = new->in;
    kv_x509_policy *policy = &new->policy;

    if (!in->subject.len)
        return kv_fail_field(err, "subject", "is required");
    if (in->validity_months > KV_AUTHORITY_MONTHS_MAX)
        return kv_fail_field(err, "validity_months", "must be at most %d", KV_AUTHORITY_MONTHS_MAX);
    *policy = (kv_x509_policy){ .issuer.name = KV_SLICE(KV_X509_ISSUER_SELF) };
    policy->key_props = (kv_x509_key_props){ .kty = in->kty.len ? in->kty : KV_SLICE("EC"),
                                             .key_size = in->key_size,
                                             .crv = in->crv };
    if (kv_slice_equal(policy->key_props.kty, KV_SLICE("RSA")) && !in->key_size)
        policy->key_props.key_size = 3072;
    if (kv_slice_equal(policy->key_props.kty, KV_SLICE("EC")) && !in->crv.len && !in->key_size)
        policy->key_props.crv = KV_SLICE("P-384");
    policy->x509_props.subject = in->subject;
    policy->x509_props.ca = true;
    policy->x509_props.ca_given = true;
    policy->x509_props.validity_months_given = true;
    policy->x509_props.validity_months =
        in->validity_months ? in->validity_months : KV_AUTHORITY_MONTHS_DEFAULT;
    kv_x509_policy_defaults(policy);
    KV_TRY(respell(kv_x509_policy_check(work->arena, policy, err), err));
    return check_key(new, err);
}

/* Who signs it, and whether what is asked for fits that. */
static kv_status take_kind(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    const kv_authority_create_in *in = new->in;

    if (in->kind == KV_AUTHORITY_NONE)
        return kv_fail_field(err, "type", "is required");
    if (in->kind == KV_AUTHORITY_ROOT && in->parent.len)
        return kv_fail_field(err, "parent", "is for a subordinate authority");
    KV_TRY(kv_x509_constraints_check(work->arena, &in->constraints, err));
    if (in->kind == KV_AUTHORITY_ROOT)
        return KV_OK;
    if (!in->parent.len) {
        if (in->path_limited)
            return kv_fail_field(err, "path_length", "is decided by who signs the CSR");
        if (!kv_x509_constraints_empty(&in->constraints))
            return kv_fail_field(err, "name_constraints", "are decided by who signs the CSR");
        return KV_OK;
    }
    KV_TRY(kv_check_name(in->parent, "parent", err));
    KV_TRY(kv_authority_look_up(vault, work, new->vault_row.uid, in->parent, &new->parent,
                                &new->signed_here, err));
    if (!new->signed_here)
        return kv_fail(err, KV_NOT_FOUND, "there is no certificate authority '%.*s' in this vault",
                       KV_SLICE_ARG(in->parent));
    return kv_authority_may_issue(&new->parent, err);
}

static kv_status refuse_taken(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_slice name = new->in->target.name;
    kv_authority_row found;
    kv_issuer_row issuer;
    bool exists = false;

    KV_TRY(kv_find_vault(vault, work, new->in->target.vault, &new->vault_row, err));
    KV_TRY(kv_check_name(name, "name", err));
    work->entry->name = name;
    if (kv_issuer_find(name))
        return kv_fail_field(err, "name", "is that of an issuer that is built in");
    KV_TRY(kv_authority_look_up(vault, work, new->vault_row.uid, name, &found, &exists, err));
    if (exists)
        return kv_fail(err, KV_EXISTS, "there is a certificate authority '%.*s' already",
                       KV_SLICE_ARG(name));
    KV_TRY(kv_issuer_look_up(vault, work, new->vault_row.uid, name, &issuer, &exists, err));
    /* Rules that wait for the authority of their name are no other issuer. */
    if (exists && (issuer.settings.len ||
                   !kv_text_equal_nocase(issuer.provider, KV_SLICE(KV_X509_ISSUER_LOCAL_CA))))
        return kv_fail(err, KV_EXISTS, "there is an issuer '%.*s' already", KV_SLICE_ARG(name));
    return KV_OK;
}

static kv_status prepare(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_revocation_config revocation = new->in->revocation;

    KV_TRY(refuse_taken(vault, work, new, err));
    KV_TRY(take_policy(work, new, err));
    KV_TRY(take_kind(vault, work, new, err));
    new->row = (kv_authority_row){ .vault_uid = new->vault_row.uid,
                                   .display_name = new->in->target.name,
                                   .kind = new->in->kind,
                                   .enabled = 1,
                                   .crl_hours = KV_CRL_HOURS_DEFAULT,
                                   .max_months = KV_AUTHORITY_ISSUED_MONTHS_DEFAULT,
                                   .number = 1,
                                   .created = work->now_ms,
                                   .updated = work->now_ms };
    KV_TRY(kv_text_lower(work->arena, new->in->target.name, &new->row.name, err));
    if (!new->in->revocation.given)
        KV_TRY(kv_authority_urls(vault, work, &new->vault_row, &new->row, 1, &revocation, err));
    KV_TRY(kv_authority_settings(&revocation, new->in->max_months, &new->row, err));
    KV_TRY(kv_authority_allow(vault, work, &new->in->allow_vaults, &(kv_x509_list){ 0 }, &new->row,
                              err));
    return kv_new_uid(work, &new->row.uid, err);
}

kv_status kv_authority_bear(kv_vault *vault, kv_work *work, kv_key_kind kind,
                            kv_authority_row *new_row, kv_birth *birth,
                            kv_token_object_row *token_object, kv_error *err)
{
    kv_key_born born;
    kv_status status;

    *birth = (kv_birth){ .duty = KV_DUTY_CA,
                         .class = KV_CLASS_SIGN,
                         .kind = kind,
                         .label = new_row->display_name,
                         .owner_uid = new_row->uid };
    KV_TRY(kv_birth_key(vault, work, birth, token_object, &born, err));
    status = kv_key_check_born(&born, false, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, birth);
        return status;
    }
    new_row->key_id = token_object->key_id;
    new_row->key_kind = token_object->kind;
    new_row->spki = born.spki;
    new_row->attested = kv_key_attested(&born);
    new_row->token = token_object->token;
    work->entry->has_key = true;
    memcpy(work->entry->key_id, birth->key_id, sizeof(work->entry->key_id));
    return KV_OK;
}

/* By the authority above it, or by itself. */
static kv_status certify(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    const kv_authority_create_in *in = new->in;
    const kv_authority_row *by = new->signed_here ? &new->parent : &new->row;
    kv_x509_authority authority = { .path_limited = in->path_limited,
                                    .path_length = in->path_length,
                                    .constraints = &in->constraints };
    kv_x509_build build = { .policy = &new->policy,
                            .spki = new->row.spki,
                            .authority = &authority,
                            .now_ms = work->now_ms,
                            .scope = KV_X509_LINT_PRIVATE };
    kv_authority_key key;
    kv_x509_built built;
    kv_x509_list chain = { 0 };
    kv_x509_list served = { 0 };

    KV_TRY(kv_authority_signer(vault, by, &key, &build.signer, err));
    if (new->signed_here) {
        authority.crl_url = by->crl_url;
        authority.ocsp_url = by->ocsp_url;
        authority.issuer_url = by->issuer_url;
        KV_TRY(kv_authority_chain(work, by, &chain, err));
        KV_TRY(kv_authority_served(work, by, &served, err));
        KV_TRY(kv_serial_reserve(vault, work, by, KV_SLICE_NONE, &new->issued, err));
        build.issuer = by->certificate;
        build.serial = new->issued.serial;
        build.above = (kv_x509_list){ .items = chain.items + 1, .count = chain.count - 1 };
    }
    KV_TRY(respell(kv_x509_certificate_build(work->arena, &build, &built, err), err));
    new->row.certificate = built.der;
    if (new->signed_here)
        KV_TRY(kv_serial_used(work, built.der, new->row.uid, KV_SLICE_NONE, &new->issued, err));
    return kv_chain_join(work, &served, 0, &new->row.chain, err);
}

static kv_status request(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_authority_key key;
    kv_x509_signer signer;

    KV_TRY(kv_authority_signer(vault, &new->row, &key, &signer, err));
    return respell(kv_x509_request_build(work->arena, &new->policy, new->row.spki, &signer,
                                         &new->row.csr, err),
                   err);
}

static kv_status store_once(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &new->token_object, err));
    KV_TRY(kv_change_insert(&change, &kv_table_authorities, &new->row, err));
    KV_TRY(kv_change_insert(&change, &kv_table_crls, &new->list, err));
    /* Nobody deletes the vault meanwhile: that looks for authorities first. */
    KV_TRY(kv_change_update(&change, &kv_table_vaults, &new->vault_row, err));
    if (new->signed_here)
        KV_TRY(kv_change_update(&change, &kv_table_issued, &new->issued, err));
    return kv_commit_change(vault, work, &change, err);
}

/* Whether it may still be made as it is. */
static kv_status look_again(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_authority_row parent;
    bool exists = false;

    KV_TRY(refuse_taken(vault, work, new, err));
    if (!kv_slice_equal(new->vault_row.uid, new->row.vault_uid))
        return kv_lost_race(KV_CONFLICT, err);
    if (!new->signed_here)
        return KV_OK;
    KV_TRY(kv_authority_look_up(vault, work, new->vault_row.uid, new->in->parent, &parent, &exists,
                                err));
    if (!exists || !kv_slice_equal(parent.uid, new->parent.uid))
        return kv_fail(err, KV_NOT_FOUND, "there is no certificate authority '%.*s' in this vault",
                       KV_SLICE_ARG(new->in->parent));
    return kv_authority_may_issue(&parent, err);
}

/* Another authority that is made in the same vault changes the vault's row too, and is no reason to
 * throw this one's key away: then it is stored with the row as it is now. */
static kv_status store(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    kv_status status = KV_CONFLICT;

    new->list = (kv_crl_row){ .authority_uid = new->row.uid,
                              .vault_uid = new->row.vault_uid,
                              .authority = new->row.name,
                              .owed = new->row.certificate.len > 0 };
    for (int race = 0; status == KV_CONFLICT && race < RACES; race++) {
        if (work->idempotency && work->idempotency->outrun)
            break;
        *err = (kv_error){ 0 };
        KV_TRY(look_again(vault, work, new, err));
        status = kv_lost_race(store_once(vault, work, new, err), err);
    }
    return status;
}

static kv_status complete(kv_vault *vault, kv_work *work, creation *new, kv_error *err)
{
    if (new->in->kind == KV_AUTHORITY_SUBORDINATE && !new->signed_here)
        KV_TRY(request(vault, work, new, err));
    else
        KV_TRY(certify(vault, work, new, err));
    return store(vault, work, new, err);
}

kv_status kv_authority_create(kv_vault *vault, kv_work *work, const kv_authority_create_in *in,
                              kv_authority_bundle *out, kv_error *err)
{
    creation new = { .in = in };
    kv_status status;

    KV_TRY(prepare(vault, work, &new, err));
    KV_TRY(kv_authority_bear(vault, work, kv_x509_policy_key_kind(&new.policy), &new.row,
                             &new.birth, &new.token_object, err));
    status = complete(vault, work, &new, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, &new.birth);
        return status;
    }
    kv_crl_try(vault, work, &new.row);
    return kv_authority_bundle_of(work, &new.vault_row, &new.row, out, err);
}
