/* key_cache.c - a bounded hash table of key snapshots behind a read-write lock. */
#include "server/vault/keys/key_cache.h"
#include "server/vault/keys/key_rules.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/hash.h"

enum { CACHE_KEY_BYTES = KV_VAULT_NAME_MAX + KV_NAME_MAX + KV_VERSION_DIGITS + 3 };

typedef struct cached_key {
    UT_hash_handle hh;
    char place[CACHE_KEY_BYTES]; /* vault/name/version, lower case; version empty for "current" */
    kv_key_snapshot snapshot;
} cached_key;

struct kv_key_cache {
    pthread_rwlock_t lock; /* guards all that follows */
    cached_key *keys;      /* oldest first */
    uint64_t changes;      /* a snapshot read before a change is not put in after it */
    unsigned limit;
};

kv_key_cache *kv_key_cache_new(unsigned limit)
{
    kv_key_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return NULL;
    cache->limit = limit;
    (void)pthread_rwlock_init(&cache->lock, NULL);
    return cache;
}

static void drop(kv_key_cache *cache, cached_key *key)
{
    HASH_DEL(cache->keys, key);
    free(key);
}

void kv_key_cache_free(kv_key_cache *cache)
{
    if (!cache)
        return;
    while (cache->keys)
        drop(cache, cache->keys);
    (void)pthread_rwlock_destroy(&cache->lock);
    free(cache);
}

/* False for names that cannot be any key's: those never get as far as the store either. */
static bool spell_place(const kv_target *target, char out[CACHE_KEY_BYTES])
{
    size_t len = 0;
    const kv_slice parts[] = { target->vault, target->name, target->version };

    if (target->vault.len > KV_VAULT_NAME_MAX || target->name.len > KV_NAME_MAX ||
        target->version.len > KV_VERSION_DIGITS)
        return false;
    memset(out, 0, CACHE_KEY_BYTES);
    for (size_t i = 0; i < KV_COUNT(parts); i++) {
        for (size_t c = 0; c < parts[i].len; c++) {
            uint8_t byte = parts[i].data[c];

            out[len++] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
        }
        out[len++] = '/';
    }
    return true;
}

static bool recall(kv_key_cache *cache, const char *place, kv_key_snapshot *out, uint64_t *changes)
{
    cached_key *key = NULL;

    pthread_rwlock_rdlock(&cache->lock);
    HASH_FIND(hh, cache->keys, place, CACHE_KEY_BYTES, key);
    if (key)
        *out = key->snapshot;
    *changes = cache->changes;
    pthread_rwlock_unlock(&cache->lock);
    return key != NULL;
}

static void remember(kv_key_cache *cache, const char *place, const kv_key_snapshot *snapshot,
                     uint64_t changes)
{
    cached_key *key = NULL;
    cached_key *fresh = calloc(1, sizeof(*fresh));

    if (!fresh)
        return;
    memcpy(fresh->place, place, CACHE_KEY_BYTES);
    fresh->snapshot = *snapshot;

    pthread_rwlock_wrlock(&cache->lock);
    HASH_FIND(hh, cache->keys, place, CACHE_KEY_BYTES, key);
    if (!key && cache->changes == changes) {
        HASH_ADD(hh, cache->keys, place, CACHE_KEY_BYTES, fresh);
        if (KV_HASH_HAS(fresh))
            fresh = NULL;
    }
    while (HASH_COUNT(cache->keys) > cache->limit)
        drop(cache, cache->keys);
    pthread_rwlock_unlock(&cache->lock);
    free(fresh);
}

static void copy_text(kv_slice from, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", KV_SLICE_ARG(from));
}

static kv_status take_snapshot(const kv_vault_row *vault_row, const kv_object_row *object,
                               const kv_key_version_row *version, kv_key_snapshot *out,
                               kv_error *err)
{
    if (version->spki.len > KV_SNAPSHOT_SPKI || version->key_id.len != KV_KEY_ID_BYTES ||
        object->uid.len != KV_UID_BYTES || vault_row->uid.len != KV_UID_BYTES)
        return kv_fail(err, KV_INTERNAL, "a key's row is not well formed");
    *out = (kv_key_snapshot){
        .enabled = version->enabled != 0,
        .destroyed = version->destroying != 0,
        .allow_weak = vault_row->allow_unauthenticated != 0,
        .key_ops = (uint32_t)version->key_ops,
        .not_before = version->not_before,
        .expires = version->expires,
        .spki_len = version->spki.len,
    };
    copy_text(vault_row->display_name, out->vault, sizeof(out->vault));
    copy_text(object->display_name, out->name, sizeof(out->name));
    copy_text(version->version, out->version, sizeof(out->version));
    memcpy(out->vault_uid, vault_row->uid.data, KV_UID_BYTES);
    memcpy(out->object_uid, object->uid.data, KV_UID_BYTES);
    memcpy(out->key_id, version->key_id.data, KV_KEY_ID_BYTES);
    memcpy(out->spki, version->spki.data, version->spki.len);
    KV_TRY(kv_kind_of_name(version->kind, &out->kind, err));
    out->class = kv_key_class_of(version, out->kind);
    return KV_OK;
}

static kv_status load(kv_vault *vault, kv_work *work, const kv_target *target, kv_key_snapshot *out,
                      kv_error *err)
{
    kv_key_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;

    KV_TRY(kv_find_object(vault, work, target, &vault_row, &object, err));
    KV_TRY(kv_pick_version(&object, target->version, &wanted, err));
    KV_TRY(kv_find_key_version(vault, work, object.uid, wanted, &version, err));
    return take_snapshot(&vault_row, &object, &version, out, err);
}

kv_status kv_key_cache_find(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_key_snapshot *out, kv_error *err)
{
    char place[CACHE_KEY_BYTES];
    uint64_t changes = 0;
    bool spelled = spell_place(target, place);

    work->entry->vault = target->vault;
    work->entry->collection = KV_SLICE("keys");
    work->entry->name = target->name;
    if (spelled && recall(vault->keys, place, out, &changes))
        return KV_OK;
    KV_TRY(load(vault, work, target, out, err));
    if (spelled)
        remember(vault->keys, place, out, changes);
    return KV_OK;
}

static kv_status id_of(kv_work *work, const kv_key_snapshot *key, kv_object_id *out, kv_error *err)
{
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(key->vault), &out->vault, err));
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(key->name), &out->name, err));
    return kv_arena_copy(work->arena, kv_slice_text(key->version), &out->version, err);
}

kv_status kv_key_use(kv_vault *vault, kv_work *work, const kv_target *target, kv_key_snapshot *out,
                     kv_object_id *id, kv_error *err)
{
    assert(out);
    KV_TRY(kv_key_cache_find(vault, work, target, out, err));
    KV_TRY(id_of(work, out, id, err));
    work->entry->version = id->version;
    work->entry->has_key = true;
    memcpy(work->entry->key_id, out->key_id, sizeof(work->entry->key_id));
    return KV_OK;
}

kv_key_ref kv_key_ref_of(const kv_key_snapshot *key)
{
    kv_key_ref ref = { .class = key->class, .spki = kv_slice_of(key->spki, key->spki_len) };

    memcpy(ref.id, key->key_id, sizeof(ref.id));
    return ref;
}

static bool touches(const kv_change_op *op, const kv_key_snapshot *key)
{
    if (op->table == &kv_table_vaults) {
        const kv_vault_row *row = op->row;

        return kv_slice_equal(row->uid, kv_slice_of(key->vault_uid, KV_UID_BYTES));
    }
    if (op->table == &kv_table_objects) {
        const kv_object_row *row = op->row;

        return kv_slice_equal(row->uid, kv_slice_of(key->object_uid, KV_UID_BYTES));
    }
    if (op->table == &kv_table_key_versions) {
        const kv_key_version_row *row = op->row;

        return kv_slice_equal(row->object_uid, kv_slice_of(key->object_uid, KV_UID_BYTES));
    }
    return false;
}

static bool matters(const kv_change_op *op)
{
    if (op->kind == KV_CHANGE_INSERT)
        return false;
    /* Every new version of a secret writes an object's row too: no key depends on it. */
    if (op->table == &kv_table_objects)
        return ((const kv_object_row *)op->row)->collection == KV_COLLECTION_KEYS;
    return op->table == &kv_table_vaults || op->table == &kv_table_key_versions;
}

void kv_key_cache_changed(void *context, const kv_change *change)
{
    kv_key_cache *cache = context;

    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];
        cached_key *key;
        cached_key *next;

        if (!matters(op))
            continue;
        pthread_rwlock_wrlock(&cache->lock);
        cache->changes++;
        HASH_ITER (hh, cache->keys, key, next) {
            if (touches(op, &key->snapshot))
                drop(cache, key);
        }
        pthread_rwlock_unlock(&cache->lock);
    }
}
