/* vault_impl.h - what the files of this folder share. Nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/key.h"
#include "pkcs11/token_key.h"
#include "server/store/schema.h"
#include "server/vault/vault.h"

typedef struct kv_key_cache kv_key_cache;
typedef struct kv_key_uses kv_key_uses;

struct kv_vault {
    kv_vault_config config;
    uint8_t node[16], instance[16];
    int64_t started_ms;
    kv_issuer_world world;
    kv_key_cache *keys;
    kv_key_uses *uses;
    struct kv_ocsp_cache *ocsp;
    struct kv_outbox *outbox;
    struct kv_denials *denials;
    atomic_bool stopping, purge_owed; /* see vault.h */
    struct kv_errands *errands;
    struct kv_postbox *postbox;
    struct kv_vault_hints *hints;
    pthread_mutex_t wake_mutex; /* guards `wakes` */
    uint64_t wakes;             /* how often something may have become due */
    pthread_cond_t wake;        /* CLOCK_MONOTONIC */
};

enum {
    KV_NAME_MAX = 127, /* of objects, characters */
    KV_VAULT_NAME_MIN = 3,
    KV_VAULT_NAME_MAX = 24,
    KV_VERSION_DIGITS = 32,
    KV_UID_BYTES = 16,
    KV_PAGE_DEFAULT = 100,
    KV_PAGE_MAX = 1000,
    KV_RETENTION_MIN_DAYS = 7,
    KV_RETENTION_MAX_DAYS = 90,
    KV_DAY_MS = 24 * 60 * 60 * 1000
};
/* --- names (names.c): 1 to 127 of [0-9A-Za-z-]; a version is 32 lower-case hex digits --- */
kv_status kv_check_name(kv_slice name, const char *field, kv_error *err) KV_MUST_USE;
/* 3 to 24 of [0-9A-Za-z-], starts with a letter, no double or final hyphen. */
kv_status kv_check_vault_name(kv_slice name, kv_error *err) KV_MUST_USE;
kv_status kv_check_version(kv_slice version, kv_error *err) KV_MUST_USE;
kv_status kv_new_uid(kv_work *work, kv_slice *out, kv_error *err) KV_MUST_USE;
kv_status kv_new_version(kv_work *work, kv_slice *out, kv_error *err) KV_MUST_USE;
const char *kv_collection_name(kv_collection collection); /* "certificates" */
const char *kv_collection_noun(kv_collection collection); /* "certificate", ... */

/* --- changes (commit.c) --- */
/* Seals the change, stores it together with the call's audit record, and notes the changed rows in
 * work->entry. The one way this layer changes the store. Errors as kv_records_apply;
 * KV_UNAVAILABLE when the audit log is short of space. */
kv_status kv_commit_change(kv_vault *vault, kv_work *work, kv_change *change,
                           kv_error *err) KV_MUST_USE;
/* A step on the way to a call's outcome, with a record of its own, called `operation` (static). */
kv_status kv_commit_step(kv_vault *vault, kv_work *work, const char *operation, kv_change *change,
                         kv_error *err) KV_MUST_USE;
/* One after which the call is as good as done: it takes the idempotency key. */
kv_status kv_commit_first_step(kv_vault *vault, kv_work *work, const char *operation,
                               kv_change *change, kv_error *err) KV_MUST_USE;
/* --- finding (find.c) --- */
/* The vault by name; KV_NOT_FOUND when there is none, or it is deleted; `any`: deleted ones too. */
kv_status kv_find_vault(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                        kv_error *err) KV_MUST_USE;
kv_status kv_find_any_vault(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                            kv_error *err) KV_MUST_USE;
/* The object by work's target, noted in work->entry; `vault_row` may be NULL. KV_NOT_FOUND for a
 * deleted one, with KV_REASON_SOFT_DELETED. */
kv_status kv_find_object(kv_vault *vault, kv_work *work, const kv_target *target,
                         kv_vault_row *vault_row, kv_object_row *out, kv_error *err) KV_MUST_USE;
kv_status kv_find_deleted_object(kv_vault *vault, kv_work *work, const kv_target *target,
                                 kv_vault_row *vault_row, kv_object_row *out,
                                 kv_error *err) KV_MUST_USE;
kv_status kv_look_up_object(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                            kv_collection collection, kv_slice name, kv_object_row *out,
                            bool *exists, kv_error *err) KV_MUST_USE;
/* The version asked for, or the current one; checked. KV_NOT_FOUND when there is none yet. */
kv_status kv_pick_version(const kv_object_row *object, kv_slice asked, kv_slice *out,
                          kv_error *err) KV_MUST_USE;
kv_status kv_find_key_version(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_slice version,
                              kv_key_version_row *out, kv_error *err) KV_MUST_USE;
kv_status kv_find_secret_version(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                 kv_slice version, kv_secret_version_row *out,
                                 kv_error *err) KV_MUST_USE;
kv_status kv_find_certificate_version(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                      kv_slice version, kv_certificate_version_row *out,
                                      kv_error *err) KV_MUST_USE;
/* pkcs11's kind by the name in a row. KV_INTERNAL when there is none. */
kv_status kv_kind_of_name(kv_slice name, kv_key_kind *out, kv_error *err) KV_MUST_USE;
/* --- births and deaths of token keys (births.c) --- */
typedef struct kv_birth {
    uint8_t key_id[KV_KEY_ID_BYTES];
    kv_duty duty;
    kv_key_class class;
    kv_key_kind kind;
    kv_slice label;
    kv_slice owner_uid;
    bool exportable;
    const kv_secret_buf *material; /* to import, as kv_token_key_import takes it; or NULL */
    const kv_key_ref *exchange;    /* to import `wrapped`, as kv_token_key_import_byok; or NULL */
    kv_slice wrapped;
    kv_slice spki;
} kv_birth;

kv_slice kv_class_name(kv_key_class class); /* as rows spell it */
/* Stores a `creating` row, generates or imports the key, fills in `birth->key_id` and leaves in
 * `*row` the row as the change that makes the key usable updates it: `ready`. On failure both are
 * gone, or will be by reconciliation. */
kv_status kv_birth_key(kv_vault *vault, kv_work *work, kv_birth *birth, kv_token_object_row *row,
                       kv_key_born *born, kv_error *err) KV_MUST_USE;
/* After a failed change: marks the row `destroying`, destroys key and row now, or leaves that to
 * reconciliation. Where the change stands although it was said to have failed, the row is `ready`,
 * and the key stays. */
void kv_birth_undo(kv_vault *vault, kv_work *work, const kv_birth *birth);
/* Marks `destroying`, destroys on the token, deletes the row. KV_OK when there is no such row. */
kv_status kv_destroy_key(kv_vault *vault, kv_work *work, kv_slice key_id,
                         kv_error *err) KV_MUST_USE;
/* --- secret encryption (secret_box.c) --- */
kv_key_uses *kv_key_uses_new(void);
void kv_key_uses_free(kv_key_uses *uses);
/* What a ciphertext is bound to, beside the key. */
typedef struct kv_box {
    kv_slice vault_uid;
    kv_slice object_uid;
    kv_slice name; /* lower case */
    kv_slice version;
    kv_slice kind; /* empty: a secret */
} kv_box;

/* Encrypts with the vault's current key, or the next. Fills key_id and ciphertext of the row. */
kv_status kv_box_close(kv_vault *vault, kv_work *work, kv_vault_row *vault_row, const kv_box *box,
                       kv_slice plaintext, kv_secret_version_row *row, kv_error *err) KV_MUST_USE;
/* KV_INTERNAL with KV_REASON_INTEGRITY. */
kv_status kv_box_open(kv_vault *vault, kv_work *work, const kv_box *box,
                      const kv_secret_version_row *row, kv_secret_buf *out,
                      kv_error *err) KV_MUST_USE;
/* A new AES key for a vault, or for backups (no vault); the change gets the ready row. */
kv_status kv_box_new_key(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_birth *birth,
                         kv_token_object_row *row, kv_key_use_row *use, kv_error *err) KV_MUST_USE;
/* Counts an encryption. `*full`: use it no more. */
kv_status kv_key_use_take(kv_vault *vault, kv_work *work, kv_slice key_id, bool *full,
                          kv_error *err) KV_MUST_USE;
