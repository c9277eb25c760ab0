/* key_cache.h - what signing needs to know of a key, by name, without the store. Inner to vault.
 *
 * A snapshot is a copy: it stays true for the caller's one use. Every change of a key, object or
 * vault row drops what it touches before the change is answered.
 *
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/key.h"
#include "server/vault/messages/messages_common.h"
#include "server/vault/vault_impl.h"

enum { KV_SNAPSHOT_SPKI = 640 };

typedef struct kv_key_snapshot {
    char vault[KV_VAULT_NAME_MAX + 1]; /* as spelled at creation */
    char name[KV_NAME_MAX + 1];
    char version[KV_VERSION_DIGITS + 1];
    uint8_t vault_uid[KV_UID_BYTES];
    uint8_t object_uid[KV_UID_BYTES];
    uint8_t key_id[KV_KEY_ID_BYTES];
    kv_key_kind kind;
    kv_key_class class;
    bool enabled;
    bool destroyed;  /* or about to be */
    bool allow_weak; /* the vault allows unauthenticated encryption */
    uint32_t key_ops;
    int64_t not_before;
    int64_t expires;
    size_t spki_len;
    uint8_t spki[KV_SNAPSHOT_SPKI];
} kv_key_snapshot;

/* At most `limit` snapshots are kept. NULL when out of memory. */
kv_key_cache *kv_key_cache_new(unsigned limit);
void kv_key_cache_free(kv_key_cache *cache);

/* The key a target names, from memory or the store. KV_NOT_FOUND. */
kv_status kv_key_cache_find(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_key_snapshot *out, kv_error *err) KV_MUST_USE;

/* For an operation: the key, its id for the answer, and both in the audit record. */
kv_status kv_key_use(kv_vault *vault, kv_work *work, const kv_target *target, kv_key_snapshot *out,
                     kv_object_id *id, kv_error *err) KV_MUST_USE;
/* As the token knows it; borrows from the snapshot. */
kv_key_ref kv_key_ref_of(const kv_key_snapshot *key);

/* The watcher of kv_records: `context` is the cache. */
void kv_key_cache_changed(void *context, const kv_change *change);
