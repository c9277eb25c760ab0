/* certificate_rules.h - what files about certificates share. Inner to vault. */
#pragma once

#include "server/issuer/issuer.h"
#include "server/lifecycle/operation.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/vault/vault_impl.h"

/* --- policy_json.c: the stored form, Azure's member names --- */

kv_status kv_policy_store(kv_work *work, const kv_x509_policy *policy, kv_slice *out,
                          kv_error *err) KV_MUST_USE;
kv_status kv_policy_load(kv_work *work, kv_slice stored, kv_x509_policy *out,
                         kv_error *err) KV_MUST_USE;

/* --- certificate_policy.c --- */

/* Members that `changes` gives replace those of `policy`. */
void kv_policy_merge(kv_x509_policy *policy, const kv_x509_policy *changes);
/* Defaults (the vault's for exportable), then the rules; the issuer is there. */
kv_status kv_policy_complete(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             kv_x509_policy *policy, kv_error *err) KV_MUST_USE;
/* The stored policy of a certificate. KV_NOT_FOUND. */
kv_status kv_policy_find(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_policy_row *row,
                         kv_x509_policy *out, kv_error *err) KV_MUST_USE;

/* --- certificate_issue.c, certificate_finish.c --- */

/* Takes a stored operation in state `working` as far as it goes: to completed, to failed when the
 * issuer refuses, or to pending. Any other trouble is the error, and the operation is stored as
 * failed. `resumed`: no call waits for this. */
kv_status kv_operation_run(kv_vault *vault, kv_work *work, kv_vault_row *vault_row,
                           kv_object_row *object, kv_operation_row *operation, bool resumed,
                           kv_error *err) KV_MUST_USE;

/* One new version on its way through these files. */
typedef struct kv_issuance {
    kv_vault_row *vault_row;
    kv_object_row *object;
    bool fresh_object;           /* it, its key and its secret are stored with this version */
    kv_operation_row *operation; /* NULL: imported */
    kv_operation_row *stale;     /* of an earlier version, to be forgotten; NULL: none */
    bool resumed;
    bool outside; /* the issuer is asked by the worker */
    kv_slice version;
    bool enabled;
    kv_slice tags; /* as stored */
    kv_x509_policy policy;
    kv_policy_row *policy_row; /* to be stored with this version; NULL: it is */
    bool fresh_policy;         /* and it is the first */

    /* the key */
    bool own;  /* no version has it yet; else it is that of the version before */
    bool born; /* made now: token_object becomes ready with this version */
    kv_birth birth;
    kv_token_object_row token_object;
    kv_key_ref key;
    kv_key_kind kind;
    uint32_t usage; /* what the certificate may be used for: kv_x509_key_usage bits */
    int64_t attested;
    int64_t imported;
    kv_slice token;

    kv_issued_row issued; /* by an authority of this server; no state: by another issuer */

    /* what is brought */
    const kv_secret_buf *private_key; /* PKCS#8; NULL: on the token, or with the operation */
    const kv_x509_list *given;        /* the order to be kept; NULL: leaf first */
} kv_issuance;

/* The chain, leaf first, becomes the versions of certificate, key and secret. KV_EXISTS when
 * another certificate of the same issuer has the same serial number. */
kv_status kv_issuance_finish(kv_vault *vault, kv_work *work, kv_issuance *at,
                             const kv_x509_list *chain, kv_error *err) KV_MUST_USE;
/* Takes the private key of an exportable certificate that has to wait off the token, encrypted into
 * the operation's row: from then on the token does not give it either. */
kv_status kv_issuance_keep_secret(kv_vault *vault, kv_work *work, kv_issuance *at,
                                  kv_error *err) KV_MUST_USE;
/* The operation's facts for its key: a kept one is that of the object's current version. */
kv_status kv_issuance_find_key(kv_vault *vault, kv_work *work, kv_issuance *at,
                               kv_error *err) KV_MUST_USE;
/* Stores a change of an issuance: as the outcome of its call, or as a step when resumed. */
kv_status kv_issuance_commit(kv_vault *vault, kv_work *work, const kv_issuance *at,
                             kv_change *change, kv_error *err) KV_MUST_USE;

/* What the new version starts with: JSON in the operation's row. */
kv_status kv_start_store(kv_work *work, bool enabled, const kv_tags *tags, kv_slice *out,
                         kv_error *err) KV_MUST_USE;
kv_status kv_start_load(kv_work *work, kv_slice stored, bool *enabled, kv_slice *tags,
                        kv_error *err) KV_MUST_USE;
/* What a call says on top. not_before and expires are refused: they are the certificate's own. */
kv_status kv_start_change(kv_work *work, const kv_attributes_in *attributes, const kv_tags *tags,
                          bool *enabled, kv_slice *stored_tags, kv_error *err) KV_MUST_USE;
/* Texts as a JSON array. */
kv_status kv_texts_store(kv_work *work, const kv_x509_list *texts, kv_slice *out,
                         kv_error *err) KV_MUST_USE;
kv_status kv_texts_load(kv_work *work, kv_slice stored, kv_x509_list *out,
                        kv_error *err) KV_MUST_USE;

/* --- certificate_pending.c --- */

kv_status kv_operation_out(kv_work *work, const kv_vault_row *vault_row,
                           const kv_object_row *object, const kv_operation_row *row,
                           kv_certificate_operation *out, kv_error *err) KV_MUST_USE;
/* Has the certificate, or its vault, been deleted since these rows were read? */
kv_status kv_certificate_gone(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, bool *out, kv_error *err) KV_MUST_USE;
/* `*exists` is false when there is none. */
kv_status kv_operation_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                            kv_operation_row *out, bool *exists, kv_error *err) KV_MUST_USE;
/* The operation on the target's certificate. KV_NOT_FOUND. */
kv_status kv_operation_of(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_vault_row *vault_row, kv_object_row *object, kv_operation_row *out,
                          kv_error *err) KV_MUST_USE;
bool kv_operation_in_progress(const kv_operation_row *row);
/* Whoever worked on it could store neither its outcome nor its failure, and is at it no more. */
bool kv_operation_stranded(const kv_operation_row *row, int64_t now_ms);
/* KV_PRECONDITION with KV_REASON_OPERATION_IN_PROGRESS when there is one; else `*row`, `*exists`.
 */
kv_status kv_operation_refuse(kv_vault *vault, kv_work *work, const kv_object_row *object,
                              kv_operation_row *row, bool *exists, kv_error *err) KV_MUST_USE;
/* Does the operation have a key that no version has? A kept key belongs to an earlier one too. */
kv_status kv_operation_has_own_key(kv_vault *vault, kv_work *work,
                                   const kv_operation_row *operation, bool *own,
                                   kv_error *err) KV_MUST_USE;
/* The key of an operation that made no certificate: destroyed. */
kv_status kv_operation_drop_key(kv_vault *vault, kv_work *work, const kv_operation_row *operation,
                                kv_error *err) KV_MUST_USE;
/* At start-up: every `working` operation is taken to its end. */
kv_status kv_resume_operations(kv_vault *vault, unsigned *count, kv_error *err) KV_MUST_USE;

/* --- certificate_merge.c --- */

/* The chain of the object's current version, its leaf apart; empty when there is none. */
kv_status kv_known_issuers(kv_vault *vault, kv_work *work, const kv_object_row *object,
                           kv_x509_list *out, kv_error *err) KV_MUST_USE;

/* --- certificate_create.c --- */

/* The name of a new certificate's key or secret; KV_EXISTS when somebody else has it. */
kv_status kv_companion_new(kv_vault *vault, kv_work *work, const kv_object_row *certificate,
                           kv_collection collection, kv_object_row *out, kv_error *err) KV_MUST_USE;

/* --- lists of DER certificates, one after the other --- */

kv_status kv_chain_join(kv_work *work, const kv_x509_list *chain, size_t from, kv_slice *out,
                        kv_error *err) KV_MUST_USE;
/* The leaf, then what `rest` holds. */
kv_status kv_chain_split(kv_work *work, kv_slice leaf, kv_slice rest, kv_x509_list *out,
                         kv_error *err) KV_MUST_USE;
