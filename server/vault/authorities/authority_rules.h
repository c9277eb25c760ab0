/* authority_rules.h - what the files about certificate authorities share. Inner to vault. */
#pragma once

#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/messages/messages_authorities.h"
#include "server/vault/vault_impl.h"

#define KV_ISSUED_RESERVED KV_SLICE("reserved")
#define KV_ISSUED_ISSUED   KV_SLICE("issued")
#define KV_ISSUED_REVOKED  KV_SLICE("revoked")

enum {
    KV_AUTHORITY_MONTHS_MAX = 360,
    KV_AUTHORITY_MONTHS_DEFAULT = 120,
    KV_AUTHORITY_ISSUED_MONTHS_MAX = 120,
    KV_AUTHORITY_ISSUED_MONTHS_DEFAULT = 12,
    KV_CRL_HOURS_MAX = 8784,
    KV_CRL_HOURS_DEFAULT = 168
};

/* A key on the `ca` token as a signer. Lives as long as the call. */
typedef struct kv_authority_key {
    kv_token *token;
    kv_key_ref ref;
} kv_authority_key;

/* --- authority_find.c --- */

/* The authority of the target, noted in work->entry; `vault_row` may be NULL. KV_NOT_FOUND. */
kv_status kv_authority_find(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_vault_row *vault_row, kv_authority_row *out,
                            kv_error *err) KV_MUST_USE;
/* By vault and name in any case; `*exists`. */
kv_status kv_authority_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                               kv_authority_row *out, bool *exists, kv_error *err) KV_MUST_USE;
kv_status kv_authority_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                                 const kv_authority_row *row, kv_authority_bundle *out,
                                 kv_error *err) KV_MUST_USE;
/* `key` is filled and becomes the context of `*out`. KV_UNSUPPORTED without a `ca` token. */
kv_status kv_authority_signer(kv_vault *vault, const kv_authority_row *row, kv_authority_key *key,
                              kv_x509_signer *out, kv_error *err) KV_MUST_USE;
/* Before rows are written for something to be signed. KV_PRECONDITION when the key is gone. */
kv_status kv_authority_can_sign(kv_vault *vault, const kv_authority_row *row,
                                kv_error *err) KV_MUST_USE;
/* Its own certificate, then those above it. */
kv_status kv_authority_chain(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                             kv_error *err) KV_MUST_USE;
/* KV_PRECONDITION unless it has a certificate and is enabled. */
kv_status kv_authority_may_issue(const kv_authority_row *row, kv_error *err) KV_MUST_USE;
/* KV_PRECONDITION when a certificate is one of those that vouch for callers. */
kv_status kv_authority_not_for_callers(kv_vault *vault, const kv_x509_list *chain,
                                       const char *field, kv_error *err) KV_MUST_USE;

/* --- authority_create.c --- */

/* A new key on the token for the authority `new->uid`; fills the columns about the key. The birth
 * is to be undone when what follows fails; `token_object` goes into the change. */
kv_status kv_authority_bear(kv_vault *vault, kv_work *work, kv_key_kind kind,
                            kv_authority_row *new_row, kv_birth *birth,
                            kv_token_object_row *token_object, kv_error *err) KV_MUST_USE;

/* Takes what was given over what is there. KV_BAD_REQUEST. */
kv_status kv_authority_settings(const kv_revocation_config *revocation, uint32_t max_months,
                                kv_authority_row *row, kv_error *err) KV_MUST_USE;

/* --- authority_issue.c --- */

/* Stores a fresh random serial number for an operation that has none, or takes the place of one
 * that was never used. KV_EXISTS when the operation has its certificate. */
kv_status kv_serial_reserve(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                            kv_slice operation, kv_issued_row *out, kv_error *err) KV_MUST_USE;
/* Completes the row with the certificate; the change that stores it updates the row too. */
kv_status kv_serial_used(kv_work *work, kv_slice der, kv_slice object_uid, kv_slice version,
                         kv_issued_row *row, kv_error *err) KV_MUST_USE;

/* An authority at the service of one operation; must not move. */
typedef struct kv_authority_use {
    kv_vault *vault;
    kv_work *work;
    kv_slice operation;
    kv_authority_row row;
    kv_authority_key key;
    kv_issuer_local local; /* its functions take this struct */
    kv_issued_row *issued; /* where the reserved serial number goes */
} kv_authority_use;

/* `account` is the chosen issuer's: without an issuer object, all zero. KV_DENIED as
 * kv_authority_named(); KV_PRECONDITION when the authority may not issue. */
kv_status kv_authority_use_for(kv_vault *vault, kv_work *work, kv_issuance *at,
                               const kv_issuer_account *account, kv_authority_use *use,
                               kv_error *err) KV_MUST_USE;

/* --- authority_serve.c --- */

/* The authority that an issuer of a vault stands for, perhaps in another vault. */
typedef struct kv_named_authority {
    kv_authority_row row;
    kv_vault_row vault_row; /* the authority's */
    kv_slice profile;       /* the one certificate type; empty: all */
} kv_named_authority;

/* `name` and `settings` of the issuer in the vault `by`; settings may be empty. KV_DENIED with
 * KV_REASON_ISSUER_RULES when there is no such vault or authority, or it does not serve that vault:
 * who may not use one does not learn which. */
kv_status kv_authority_named(kv_vault *vault, kv_work *work, const kv_vault_row *by, kv_slice name,
                             kv_slice settings, kv_named_authority *out, kv_error *err) KV_MUST_USE;
/* Adds vaults that the authority serves, and takes others away, by name. KV_BAD_REQUEST about
 * "allow_vaults". */
kv_status kv_authority_allow(kv_vault *vault, kv_work *work, const kv_x509_list *allow,
                             const kv_x509_list *disallow, kv_authority_row *row,
                             kv_error *err) KV_MUST_USE;
/* Their names, when they were allowed. */
kv_status kv_authority_vaults(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                              kv_error *err) KV_MUST_USE;

/* --- authority_crl.c --- */

/* The certificate with this serial number (hexadecimal), by any key of the authority: `by` is the
 * row of that key. KV_NOT_FOUND, KV_BAD_REQUEST about "serial". */
kv_status kv_issued_find(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         kv_slice serial, kv_authority_row *by, kv_issued_row *out,
                         kv_error *err) KV_MUST_USE;
/* Is anything valid that this key issued, its responder's certificate apart? */
kv_status kv_issued_any_valid(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                              bool *out, kv_error *err) KV_MUST_USE;

/* Makes a new list with all that is revoked. */
kv_status kv_crl_publish(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         kv_error *err) KV_MUST_USE;
/* The same, and the responder, where nobody can be told: what fails is logged, and the keeper does
 * it later. */
void kv_crl_try(kv_vault *vault, kv_work *work, const kv_authority_row *authority);
void kv_responder_try(kv_vault *vault, kv_work *work, const kv_authority_row *authority);

/* --- authority_ocsp.c --- */

/* An authority with an OCSP URL has a responder whose certificate is good for a while. */
kv_status kv_responder_ensure(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                              kv_error *err) KV_MUST_USE;
/* Adds the end of the responder to a change; row->key_id is empty when there is none. */
kv_status kv_responder_doom(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                            kv_responder_row *row, kv_token_object_row *key, kv_change *change,
                            kv_error *err) KV_MUST_USE;

/* --- authority_change.c --- */

/* KV_PRECONDITION while a vault has authorities. */
kv_status kv_refuse_authorities(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                                kv_error *err) KV_MUST_USE;
