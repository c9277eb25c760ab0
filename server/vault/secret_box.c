/* secret_box.c - secrets at rest: AES-256-GCM by a key on the `system` token, one key per vault.
 *
 * A ciphertext is bound to its place (vault, object, name, version, key), so rows cannot be
 * swapped. Random 96-bit IVs allow 2^32 encryptions under one key; they are counted in blocks that
 * are reserved in the store first, and the key rolls long before that.
 */
#include <stdlib.h>

#include "pkcs11/token_cipher.h"
#include "pkcs11/token_key.h"
#include "server/base/hash.h"
#include "server/vault/vault_impl.h"

enum { USES_PER_BLOCK = 65536, ATTEMPTS = 5 };

typedef struct key_uses {
    UT_hash_handle hh;
    uint8_t key_id[KV_KEY_ID_BYTES];
    int64_t used;
    int64_t reserved;
} key_uses;

struct kv_key_uses {
    pthread_mutex_t mutex; /* guards all that follows */
    key_uses *keys;
};

kv_key_uses *kv_key_uses_new(void)
{
    kv_key_uses *uses = calloc(1, sizeof(*uses));

    if (uses)
        (void)pthread_mutex_init(&uses->mutex, NULL);
    return uses;
}

void kv_key_uses_free(kv_key_uses *uses)
{
    key_uses *key;
    key_uses *next;

    if (!uses)
        return;
    HASH_ITER (hh, uses->keys, key, next) {
        HASH_DEL(uses->keys, key);
        free(key);
    }
    (void)pthread_mutex_destroy(&uses->mutex);
    free(uses);
}

static bool take_reserved(kv_key_uses *uses, const uint8_t *key_id)
{
    key_uses *key = NULL;
    bool taken = false;

    pthread_mutex_lock(&uses->mutex);
    HASH_FIND(hh, uses->keys, key_id, KV_KEY_ID_BYTES, key);
    if (key && key->used < key->reserved) {
        key->used++;
        taken = true;
    }
    pthread_mutex_unlock(&uses->mutex);
    return taken;
}

/* A block reserved by this call: [from, to). */
static kv_status add_block(kv_key_uses *uses, const uint8_t *key_id, int64_t from, int64_t to,
                           kv_error *err)
{
    key_uses *key = NULL;
    key_uses *fresh = calloc(1, sizeof(*fresh));

    if (!fresh)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(fresh->key_id, key_id, KV_KEY_ID_BYTES);
    pthread_mutex_lock(&uses->mutex);
    HASH_FIND(hh, uses->keys, key_id, KV_KEY_ID_BYTES, key);
    if (!key) {
        HASH_ADD(hh, uses->keys, key_id, KV_KEY_ID_BYTES, fresh);
        if (KV_HASH_HAS(fresh)) {
            key = fresh;
            fresh = NULL;
        }
    }
    if (key) {
        key->used = from + 1;
        key->reserved = to;
    }
    pthread_mutex_unlock(&uses->mutex);
    free(fresh);
    return key ? KV_OK : kv_fail(err, KV_BUSY, "out of memory");
}

kv_status kv_key_use_take(kv_vault *vault, kv_work *work, kv_slice key_id, bool *full,
                          kv_error *err)
{
    uint64_t limit = vault->config.secret_key_uses;

    *full = false;
    for (int i = 0; i < ATTEMPTS; i++) {
        kv_key_use_row row = { .key_id = key_id };
        kv_change change = { 0 };
        int64_t before;
        kv_status status;

        if (take_reserved(vault->uses, key_id.data))
            return KV_OK;
        KV_TRY(kv_records_get(vault->config.records, &kv_table_key_uses, &row, work->arena, err));
        if ((uint64_t)row.reserved >= limit) {
            *full = true;
            return KV_OK;
        }
        before = row.reserved;
        row.reserved =
            before + ((uint64_t)USES_PER_BLOCK < limit ? USES_PER_BLOCK : (int64_t)limit);
        KV_TRY(kv_change_update(&change, &kv_table_key_uses, &row, err));
        status = kv_commit_step(vault, work, "SecretKeyReserve", &change, err);
        if (status == KV_OK)
            return add_block(vault->uses, key_id.data, before, row.reserved, err);
        if (status != KV_CONFLICT)
            return status;
    }
    return kv_fail(err, KV_BUSY, "the vault's key is being counted by others; try again");
}

kv_status kv_box_new_key(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_birth *birth,
                         kv_token_object_row *row, kv_key_use_row *use, kv_error *err)
{
    kv_key_born born;

    *birth = (kv_birth){ .duty = KV_DUTY_SYSTEM,
                         .class = KV_CLASS_SECRET,
                         .kind = KV_KEY_AES_256,
                         .label = vault_uid.len ? KV_SLICE("keyvault secrets")
                                                : KV_SLICE("keyvault backups"),
                         .owner_uid = vault_uid };
    KV_TRY(kv_birth_key(vault, work, birth, row, &born, err));
    *use = (kv_key_use_row){ .key_id = row->key_id };
    return KV_OK;
}

static kv_status roll_key(kv_vault *vault, kv_work *work, kv_vault_row *vault_row, kv_error *err)
{
    kv_token_object_row key;
    kv_key_use_row use;
    kv_birth birth;
    kv_change change = { 0 };
    kv_status status;

    KV_TRY(kv_box_new_key(vault, work, vault_row->uid, &birth, &key, &use, err));
    vault_row->secret_key_id = key.key_id;
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &key, err));
    KV_TRY(kv_change_insert(&change, &kv_table_key_uses, &use, err));
    KV_TRY(kv_change_update(&change, &kv_table_vaults, vault_row, err));
    status = kv_commit_step(vault, work, "SecretKeyRoll", &change, err);
    if (status != KV_OK)
        kv_birth_undo(vault, work, &birth);
    return status;
}

/* Length-prefixed, so no two places have the same bytes. */
static kv_status bind(kv_vault *vault, kv_work *work, const kv_box *box, kv_slice key_id,
                      kv_slice *out, kv_error *err)
{
    const kv_slice parts[] = {
        box->kind.len ? box->kind : KV_SLICE("keyvault secret 1"),
        kv_slice_of(vault->instance, sizeof(vault->instance)),
        box->vault_uid,
        box->object_uid,
        box->name,
        box->version,
        key_id,
    };
    size_t len = 0;
    uint8_t *at;

    for (size_t i = 0; i < KV_COUNT(parts); i++)
        len += 2 + parts[i].len;
    at = kv_arena_alloc(work->arena, len);
    if (!at)
        return kv_arena_full(err);
    *out = kv_slice_of(at, len);
    for (size_t i = 0; i < KV_COUNT(parts); i++) {
        *at++ = (uint8_t)(parts[i].len >> 8);
        *at++ = (uint8_t)parts[i].len;
        if (parts[i].len)
            memcpy(at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    return KV_OK;
}

static kv_status key_ref(kv_slice key_id, kv_key_ref *out, kv_error *err)
{
    if (key_id.len != KV_KEY_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "a key id has %zu bytes", key_id.len);
    *out = (kv_key_ref){ .class = KV_CLASS_SECRET };
    memcpy(out->id, key_id.data, KV_KEY_ID_BYTES);
    return KV_OK;
}

/* The vault as it is now: somebody else may have rolled its key. */
static kv_status read_again(kv_vault *vault, kv_work *work, kv_vault_row *vault_row, kv_error *err)
{
    kv_vault_row now = { .name = vault_row->name };

    *err = (kv_error){ 0 };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_vaults, &now, work->arena, err));
    if (!kv_slice_equal(now.uid, vault_row->uid))
        return kv_fail(err, KV_NOT_FOUND, "the vault was purged meanwhile");
    *vault_row = now;
    return KV_OK;
}

/* A key with a use left, counted. */
static kv_status take_use(kv_vault *vault, kv_work *work, kv_vault_row *vault_row, kv_error *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        kv_status status;
        bool full = false;

        KV_TRY(kv_key_use_take(vault, work, vault_row->secret_key_id, &full, err));
        if (!full)
            return KV_OK;
        status = roll_key(vault, work, vault_row, err);
        if (status == KV_CONFLICT)
            status = read_again(vault, work, vault_row, err);
        KV_TRY(status);
    }
    return kv_fail(err, KV_BUSY, "the vault's key is being rolled by others; try again");
}

kv_status kv_box_close(kv_vault *vault, kv_work *work, kv_vault_row *vault_row, const kv_box *box,
                       kv_slice plaintext, kv_secret_version_row *row, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    kv_slice aad;
    kv_key_ref key;

    KV_TRY(take_use(vault, work, vault_row, err));
    KV_TRY(key_ref(vault_row->secret_key_id, &key, err));
    KV_TRY(bind(vault, work, box, vault_row->secret_key_id, &aad, err));
    KV_TRY(kv_token_encrypt(token, &key, plaintext, aad, work->arena, &row->ciphertext, err));
    row->key_id = vault_row->secret_key_id;
    return KV_OK;
}

kv_status kv_box_open(kv_vault *vault, kv_work *work, const kv_box *box,
                      const kv_secret_version_row *row, kv_secret_buf *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    kv_slice aad;
    kv_key_ref key;
    kv_status status;

    KV_TRY(key_ref(row->key_id, &key, err));
    KV_TRY(bind(vault, work, box, row->key_id, &aad, err));
    status = kv_token_decrypt(token, &key, row->ciphertext, aad, out, err);
    if (status != KV_BAD_REQUEST)
        return status;
    kv_fail(err, KV_INTERNAL, "a stored secret does not open");
    kv_note(err, "ciphertext or its place was changed");
    return kv_because(err, KV_REASON_INTEGRITY);
}
