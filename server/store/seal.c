/* seal.c - verification with OpenSSL, and a bounded memory of what verified. */
#include "server/store/seal.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "server/store/encode.h"
#include "server/store/row.h"

enum { INSTANCE_BYTES = 16, CACHE_SETS = 8192, CACHE_WAYS = 4, HALF = KV_SEAL_BYTES / 2 };

typedef struct seal_key {
    uint8_t id[KV_SEAL_KEY_ID_BYTES];
    EVP_PKEY *key;
} seal_key;

typedef struct cache_set {
    uint8_t known[CACHE_WAYS][KV_SEAL_DIGEST_BYTES]; /* all zero: free */
    uint8_t next;                                    /* the way that is replaced next */
} cache_set;

struct kv_seal_checker {
    uint8_t instance[INSTANCE_BYTES];

    pthread_mutex_t keys_mutex; /* guards the two below; keys stay until the end */
    unsigned key_count;
    seal_key keys[KV_SEAL_KEYS];

    pthread_mutex_t cache_mutex; /* guards what follows */
    cache_set cache[CACHE_SETS];
};

static const kv_slice domain = { (const uint8_t *)"keyvault row seal 1", 19 };

kv_status kv_seal_digest(kv_slice instance, const kv_table *table, const void *row,
                         uint8_t out[KV_SEAL_DIGEST_BYTES], kv_error *err)
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());

    kv_encode_bytes(&encoder, domain);
    kv_encode_bytes(&encoder, instance);
    kv_encode_bytes(&encoder, kv_slice_text(table->name));
    kv_encode_integer(&encoder, kv_row_head_const(row)->generation);
    kv_encode_columns(&encoder, table, row);
    if (!kv_encode_finish(&encoder, out, KV_SEAL_DIGEST_BYTES))
        return kv_fail(err, KV_INTERNAL, "a row could not be hashed");
    return KV_OK;
}

kv_seal_checker *kv_seal_checker_new(kv_slice instance)
{
    kv_seal_checker *checker = calloc(1, sizeof(*checker));

    if (!checker || instance.len != INSTANCE_BYTES) {
        free(checker);
        return NULL;
    }
    memcpy(checker->instance, instance.data, instance.len);
    pthread_mutex_init(&checker->keys_mutex, NULL);
    pthread_mutex_init(&checker->cache_mutex, NULL);
    return checker;
}

void kv_seal_checker_free(kv_seal_checker *checker)
{
    if (!checker)
        return;
    for (unsigned i = 0; i < checker->key_count; i++)
        EVP_PKEY_free(checker->keys[i].key);
    pthread_mutex_destroy(&checker->keys_mutex);
    pthread_mutex_destroy(&checker->cache_mutex);
    free(checker);
}

/* Called with the mutex of the keys held. */
static EVP_PKEY *find_key(const kv_seal_checker *checker, kv_slice id)
{
    for (unsigned i = 0; i < checker->key_count; i++)
        if (kv_slice_equal(kv_slice_of(checker->keys[i].id, KV_SEAL_KEY_ID_BYTES), id))
            return checker->keys[i].key;
    return NULL;
}

static kv_status read_spki(kv_slice spki, EVP_PKEY **out, kv_error *err)
{
    const uint8_t *from = spki.data;
    EVP_PKEY *key = spki.len ? d2i_PUBKEY(NULL, &from, (long)spki.len) : NULL;
    char group[32] = "";

    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
        strcmp(group, "prime256v1") == 0) {
        *out = key;
        return KV_OK;
    }
    EVP_PKEY_free(key);
    return kv_fail(err, KV_BAD_REQUEST, "a seal key must be a P-256 public key");
}

/* Called with the mutex of the keys held. */
static kv_status keep_key(kv_seal_checker *checker, const uint8_t *key_id, EVP_PKEY *key,
                          kv_error *err)
{
    EVP_PKEY *known = find_key(checker, kv_slice_of(key_id, KV_SEAL_KEY_ID_BYTES));
    seal_key *place = &checker->keys[checker->key_count];

    if (known && EVP_PKEY_eq(known, key) != 1)
        return kv_fail(err, KV_BAD_REQUEST, "two seal keys have one id");
    if (known)
        return KV_OK;
    if (checker->key_count == KV_SEAL_KEYS)
        return kv_fail(err, KV_BUSY, "there are too many seal keys");
    if (EVP_PKEY_up_ref(key) != 1)
        return kv_fail(err, KV_INTERNAL, "a seal key could not be kept");
    memcpy(place->id, key_id, KV_SEAL_KEY_ID_BYTES);
    place->key = key;
    checker->key_count++;
    return KV_OK;
}

kv_status kv_seal_checker_add(kv_seal_checker *checker, const uint8_t key_id[KV_SEAL_KEY_ID_BYTES],
                              kv_slice spki, kv_error *err)
{
    EVP_PKEY *key = NULL;
    kv_status status;

    KV_TRY(read_spki(spki, &key, err));
    pthread_mutex_lock(&checker->keys_mutex);
    status = keep_key(checker, key_id, key, err);
    pthread_mutex_unlock(&checker->keys_mutex);
    EVP_PKEY_free(key);
    return status;
}

kv_status kv_seal_broken(const kv_table *table, const void *row, const char *why, kv_error *err)
{
    char key[KV_ROW_KEY_BYTES];

    kv_row_key_text(table, row, key);
    kv_fail(err, KV_INTERNAL, "stored data failed its integrity check");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err, "table %s, key %s: %s", table->name, key, why);
}

static cache_set *set_of(kv_seal_checker *checker, const uint8_t *name)
{
    return &checker->cache[((unsigned)name[0] << 8 | name[1]) % CACHE_SETS];
}

static bool is_known(kv_seal_checker *checker, const uint8_t name[KV_SEAL_DIGEST_BYTES])
{
    cache_set *set = set_of(checker, name);
    bool found = false;

    pthread_mutex_lock(&checker->cache_mutex);
    for (unsigned i = 0; i < CACHE_WAYS && !found; i++)
        found = memcmp(set->known[i], name, KV_SEAL_DIGEST_BYTES) == 0;
    pthread_mutex_unlock(&checker->cache_mutex);
    return found;
}

static void remember(kv_seal_checker *checker, const uint8_t name[KV_SEAL_DIGEST_BYTES])
{
    cache_set *set = set_of(checker, name);

    pthread_mutex_lock(&checker->cache_mutex);
    memcpy(set->known[set->next], name, KV_SEAL_DIGEST_BYTES);
    set->next = (uint8_t)((set->next + 1) % CACHE_WAYS);
    pthread_mutex_unlock(&checker->cache_mutex);
}

/* What a verified row is remembered by. */
static bool name_of(const uint8_t *digest, const kv_row_head *head,
                    uint8_t out[KV_SEAL_DIGEST_BYTES])
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());

    kv_encode_bytes(&encoder, kv_slice_of(digest, KV_SEAL_DIGEST_BYTES));
    kv_encode_bytes(&encoder, head->seal);
    kv_encode_bytes(&encoder, head->seal_key);
    return kv_encode_finish(&encoder, out, KV_SEAL_DIGEST_BYTES);
}

/* r || s as the DER that OpenSSL wants; 0 when it is no signature. `out` holds 80 bytes. */
static int signature_to_der(kv_slice seal, uint8_t *out)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(seal.data, HALF, NULL);
    BIGNUM *s = BN_bin2bn(seal.data + HALF, HALF, NULL);
    int len = 0;

    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        len = i2d_ECDSA_SIG(signature, &out);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return len < 0 ? 0 : len;
}

static bool verifies(EVP_PKEY *key, const uint8_t *digest, kv_slice seal)
{
    uint8_t der[80];
    int len = signature_to_der(seal, der);
    EVP_PKEY_CTX *context = len ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool good = context && EVP_PKEY_verify_init(context) == 1 &&
                EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_verify(context, der, (size_t)len, digest, KV_SEAL_DIGEST_BYTES) == 1;

    EVP_PKEY_CTX_free(context);
    return good;
}

static EVP_PKEY *key_of(kv_seal_checker *checker, kv_slice id)
{
    EVP_PKEY *key;

    pthread_mutex_lock(&checker->keys_mutex);
    key = find_key(checker, id);
    pthread_mutex_unlock(&checker->keys_mutex);
    return key;
}

kv_status kv_seal_check(kv_seal_checker *checker, const kv_table *table, const void *row,
                        kv_error *err)
{
    const kv_row_head *head = kv_row_head_const(row);
    uint8_t digest[KV_SEAL_DIGEST_BYTES], name[KV_SEAL_DIGEST_BYTES];
    EVP_PKEY *key;

    if (head->seal.len != KV_SEAL_BYTES)
        return kv_seal_broken(table, row, "it has no seal", err);
    KV_TRY(kv_seal_digest(kv_slice_of(checker->instance, INSTANCE_BYTES), table, row, digest, err));
    if (!name_of(digest, head, name))
        return kv_fail(err, KV_INTERNAL, "a row could not be hashed");
    if (is_known(checker, name))
        return KV_OK;

    key = key_of(checker, head->seal_key);
    if (!key)
        return kv_seal_broken(table, row, "its seal is by an unknown key", err);
    if (!verifies(key, digest, head->seal))
        return kv_seal_broken(table, row, "its seal does not verify", err);
    remember(checker, name);
    return KV_OK;
}
