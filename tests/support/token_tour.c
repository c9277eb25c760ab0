/* token_tour.c - the steps of a tour, and the token that it begins with. */
#include "tests/support/token_tour.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/tls_key.h"
#include "pkcs11/token_aes.h"
#include "pkcs11/token_anchor.h"
#include "pkcs11/token_rsa.h"
#include "pkcs11/token_sign.h"
#include "pkcs11/token_wrap.h"
#include "server/base/text.h"
#include "tests/support/fake_inside.h"
#include "tests/support/token_tour_inside.h"

enum { MEMORY = 1 << 20, PREPARED_MEMORY = 1 << 16, MOST_CALLS = 4000000, QUIET_MS = 3600000 };

static const struct {
    kv_key_class class;
    kv_key_kind kind;
} kinds[KEYS] = {
    [RSA_SIGNS] = { KV_CLASS_SIGN, KV_KEY_RSA_2048 },
    [RSA_OPENS] = { KV_CLASS_DECRYPT, KV_KEY_RSA_2048 },
    [RSA_TAKES] = { KV_CLASS_EXCHANGE, KV_KEY_RSA_2048 },
    [P256] = { KV_CLASS_SIGN, KV_KEY_P256 },
    [ED25519] = { KV_CLASS_SIGN, KV_KEY_ED25519 },
    [AES] = { KV_CLASS_CIPHER, KV_KEY_AES_256 },
    [WRAPS] = { KV_CLASS_WRAP, KV_KEY_AES_128 },
    [MACS] = { KV_CLASS_MAC, KV_KEY_HMAC_256 },
    [SEALS] = { KV_CLASS_SECRET, KV_KEY_AES_256 },
};

kv_tour kv_the_tour;

static kv_tour *const tour = &kv_the_tour;

void kv_tour_must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

/* --- the token --- */

static kv_status open_token(CK_FUNCTION_LIST *functions, kv_error *err)
{
    const kv_token_config config = { .duty = KV_DUTY_KEYS,
                                     .functions = functions,
                                     .uri = "pkcs11:token=tour",
                                     .pin = &tour->pin,
                                     .exclusive = true,
                                     .probe_ms = QUIET_MS,
                                     .hang_ms = QUIET_MS,
                                     .unwatched = true };
    kv_status status = kv_tokens_open(&config, 1, NULL, &tour->tokens, err);

    tour->token = status == KV_OK ? kv_tokens_get(tour->tokens, KV_DUTY_KEYS) : NULL;
    return status;
}

static void shut_token(void)
{
    if (tour->token)
        kv_tokens_close(tour->tokens);
    tour->token = NULL;
    tour->tokens = NULL;
}

static void prepare_key(kv_tour_key key)
{
    kv_key_spec spec = { .class = kinds[key].class, .kind = kinds[key].kind };
    kv_error err = { 0 };
    kv_key_born born;

    memset(spec.id, 'A' + (int)key, sizeof(spec.id));
    kv_tour_must(kv_token_key_generate(tour->token, &spec, &tour->prepared, &born, &err) == KV_OK,
                 "a key cannot be made on an honest token");
    tour->keys[key] = (kv_key_ref){ .class = spec.class, .spki = born.spki };
    memcpy(tour->keys[key].id, spec.id, sizeof(spec.id));
}

void kv_tour_prepare(void)
{
    CK_FUNCTION_LIST *truth = kv_fake_new((const char *[]){ "tour", "other", NULL });
    kv_error err = { 0 };

    tour->liar = kv_liar_new(truth);
    tour->prepared = KV_ARENA(PREPARED_MEMORY);
    kv_tour_must(kv_secret_buf_copy(KV_SLICE(KV_FAKE_PIN), &tour->pin, &err) == KV_OK &&
                     open_token(truth, &err) == KV_OK,
                 "an honest token cannot be opened");
    for (kv_tour_key key = 0; key < KEYS; key++)
        prepare_key(key);
    shut_token();
    tour->last = kv_fake_state.next_handle;
    kv_liar_keep(tour->last);
}

kv_status kv_tour_begin(const kv_lie *lies, size_t count, kv_error *err)
{
    tour->arena = KV_ARENA(MEMORY);
    kv_liar_tell(lies, count);
    return open_token(tour->liar, err);
}

void kv_tour_lie(const kv_lie *lies, size_t count)
{
    kv_tour_must(kv_liar_calls() < MOST_CALLS, "the token is asked without end");
    kv_liar_tell(lies, count);
}

/* Whatever the liar has kept from the fake. */
static void set_fake_back(void)
{
    fake_object *object, *next;

    for (unsigned i = 0; i < FAKE_SESSIONS; i++) {
        if (kv_fake_state.sessions[i].handle)
            kv_fake_drop_session_objects(kv_fake_state.sessions[i].handle);
        kv_fake_state.sessions[i] = (fake_session){ 0 };
    }
    for (object = kv_fake_state.objects; object; object = next) {
        next = object->next;
        if (object->handle > tour->last)
            kv_fake_forget_object(object);
    }
    memset(kv_fake_state.logged_in, 0, sizeof(kv_fake_state.logged_in));
    kv_fake_state.initialised = false;
    kv_fake_state.next_handle = tour->last;
}

void kv_tour_end(void)
{
    shut_token();
    kv_tour_must(kv_liar_calls() < MOST_CALLS, "the token is asked without end");
    set_fake_back();
    kv_arena_cleanup(&tour->arena);
    kv_tour_must(ERR_peek_error() == 0, "OpenSSL's errors are left behind");
}

/* --- steps that use the prepared keys --- */

static kv_status see_key(void *context, const kv_key_seen *key, kv_error *err)
{
    size_t *count = context;

    (void)err;
    kv_tour_must(strlen(key->label) <= KV_KEY_LABEL_MAX && key->differs,
                 "a listed key is not whole");
    (*count)++;
    return KV_OK;
}

static kv_status list(kv_error *err)
{
    size_t count = 0;

    return kv_token_key_list(tour->token, see_key, &count, err);
}

static kv_status check(kv_error *err)
{
    for (kv_tour_key key = 0; key < KEYS; key++)
        KV_TRY(kv_token_key_check(tour->token, &tour->keys[key], err));
    return KV_OK;
}

static kv_status probe(kv_error *err)
{
    return kv_token_probe(tour->token, err);
}

static kv_status recover(kv_error *err)
{
    return kv_token_recover(tour->token, 100, err);
}

static kv_status end_thread(kv_error *err)
{
    (void)err;
    kv_token_thread_end(tour->token);
    return KV_OK;
}

static kv_status sign_with(kv_tour_key key, const char *name, kv_error *err)
{
    const kv_mechanism *alg = kv_mechanism_find(kv_slice_text(name));
    uint8_t digest[KV_DIGEST_MAX] = { 7 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    size_t right = kv_mechanism_signature_len(alg, kinds[key].kind);

    KV_TRY(kv_token_sign(tour->token, &tour->keys[key], alg,
                         kv_slice_of(digest, alg->digest_len ? alg->digest_len : 20), signature,
                         &len, err));
    kv_tour_must(len == right, "a signature has a wrong length");
    return KV_OK;
}

static kv_status sign_rsa(kv_error *err)
{
    KV_TRY(sign_with(RSA_SIGNS, "RS256", err));
    return sign_with(RSA_SIGNS, "PS512", err);
}

static kv_status sign_ec(kv_error *err)
{
    KV_TRY(sign_with(P256, "ES256", err));
    return sign_with(ED25519, "EdDSA", err);
}

static kv_status mac(kv_error *err)
{
    bool valid = false;
    uint8_t out[KV_MAC_BYTES];

    KV_TRY(kv_token_mac(tour->token, &tour->keys[MACS], KV_SLICE("message"), out, err));
    return kv_token_hmac_verify(tour->token, &tour->keys[MACS], kv_mac_at(0), KV_SLICE("message"),
                                kv_slice_of(out, sizeof(out)), &valid, err);
}

static kv_status random_bytes(kv_error *err)
{
    uint8_t out[64];

    return kv_token_random(tour->token, out, sizeof(out), err);
}

static kv_status seal_and_open(kv_error *err)
{
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_slice sealed;

    KV_TRY(kv_token_encrypt(tour->token, &tour->keys[SEALS], KV_SLICE("a secret"), KV_SLICE("aad"),
                            &tour->arena, &sealed, err));
    kv_tour_must(sealed.len == strlen("a secret") + KV_GCM_OVERHEAD,
                 "a ciphertext has a wrong length");
    KV_TRY(kv_token_decrypt(tour->token, &tour->keys[SEALS], sealed, KV_SLICE("aad"), &back, err));
    kv_tour_must(back.len == strlen("a secret"), "a plaintext has a wrong length");
    return KV_OK;
}

static kv_status cipher(const char *name, kv_slice aad, kv_error *err)
{
    const kv_encryption *alg = kv_encryption_find(kv_slice_text(name));
    const kv_slice plain = KV_SLICE("thirty-two bytes of plaintext ..");
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_sealed sealed;

    KV_TRY(kv_token_aes_encrypt(tour->token, &tour->keys[AES], alg, true, plain, KV_SLICE_NONE, aad,
                                &tour->arena, &sealed, err));
    KV_TRY(
        kv_token_aes_decrypt(tour->token, &tour->keys[AES], alg, true, &sealed, aad, &back, err));
    kv_tour_must(back.len <= sealed.ciphertext.len + sealed.tag.len, "a plaintext is too long");
    return KV_OK;
}

static kv_status cipher_gcm(kv_error *err)
{
    return cipher("A256GCM", KV_SLICE("aad"), err);
}

static kv_status cipher_cbc(kv_error *err)
{
    KV_TRY(cipher("A256CBC", KV_SLICE_NONE, err));
    return cipher("A256CBCPAD", KV_SLICE_NONE, err);
}

static kv_status wrap(kv_error *err)
{
    const kv_encryption *alg = kv_encryption_find(KV_SLICE("A128KW"));
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_slice wrapped;

    KV_TRY(kv_token_wrap(tour->token, &tour->keys[WRAPS], alg, KV_SLICE("sixteen bytes .."),
                         &tour->arena, &wrapped, err));
    kv_tour_must(wrapped.len == 24, "wrapped bytes have a wrong length");
    KV_TRY(kv_token_unwrap(tour->token, &tour->keys[WRAPS], alg, wrapped, &back, err));
    kv_tour_must(back.len <= wrapped.len, "unwrapped bytes are too long");
    return KV_OK;
}

/* Of a length that is not a multiple of the block, which some tokens lose. */
static kv_status wrap_odd(kv_error *err)
{
    const kv_encryption *alg = kv_encryption_find(KV_SLICE("CKM_AES_KEY_WRAP_PAD"));
    kv_slice wrapped;

    return kv_token_wrap(tour->token, &tour->keys[WRAPS], alg, KV_SLICE("odd"), &tour->arena,
                         &wrapped, err);
}

static kv_status open_rsa(const char *name, kv_error *err)
{
    const kv_encryption *alg = kv_encryption_find(kv_slice_text(name));
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_slice sealed;

    kv_tour_must(kv_public_key_encrypt(tour->keys[RSA_OPENS].spki, alg, true, KV_SLICE("message"),
                                       &tour->arena, &sealed, err) == KV_OK,
                 "nothing can be encrypted");
    KV_TRY(
        kv_token_rsa_decrypt(tour->token, &tour->keys[RSA_OPENS], alg, true, sealed, &back, err));
    kv_tour_must(back.len <= sealed.len, "a plaintext is too long");
    return KV_OK;
}

static kv_status decrypt_oaep(kv_error *err)
{
    return open_rsa("RSA-OAEP", err);
}

static kv_status decrypt_raw(kv_error *err)
{
    KV_TRY(open_rsa("RSA-OAEP-256", err));
    return open_rsa("RSA1_5", err);
}

static kv_status anchor(kv_error *err)
{
    const kv_slice name = KV_SLICE("anchor");
    kv_anchor read;

    KV_TRY(kv_token_anchor_write(tour->token, name, KV_SLICE("one"), err));
    KV_TRY(kv_token_anchor_write(tour->token, name, KV_SLICE("two"), err));
    KV_TRY(kv_token_anchor_read(tour->token, name, &tour->arena, &read, err));
    kv_tour_must(read.value.len <= KV_ANCHOR_MAX, "an anchor is too long");
    return kv_token_anchor_destroy(tour->token, name, err);
}

/* The server's own identity. Whoever asks OpenSSL gets a signature that is good, or none. */
static kv_status tls_pair(kv_tour_key key, kv_error *err)
{
    const uint8_t *at = tour->keys[key].spki.data;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, (long)tour->keys[key].spki.len), *pair = NULL;
    kv_tls_key *tls = NULL;
    char uri[128], id[2 * KV_KEY_ID_BYTES + 1];
    kv_status status;

    kv_hex(kv_slice_of(tour->keys[key].id, KV_KEY_ID_BYTES), id);
    (void)snprintf(uri, sizeof(uri), "pkcs11:token=tour;id=");
    for (size_t i = 0; i < KV_KEY_ID_BYTES; i++)
        (void)snprintf(uri + strlen(uri), 4, "%%%.2s", id + 2 * i);
    status = kv_tls_key_open(tour->token, uri, &tls, err);
    if (status == KV_OK)
        status = kv_tls_key_pair(tls, public, &pair, err);
    kv_tour_must((status == KV_OK) == (pair != NULL), "a success without a key, or the reverse");
    kv_tls_key_close(tls);
    EVP_PKEY_free(pair);
    EVP_PKEY_free(public);
    return status;
}

static kv_status tls_ec(kv_error *err)
{
    return tls_pair(P256, err);
}

#define HERE(name)  \
    {               \
#name, name \
    }
#define ELSEWHERE(name)       \
    {                         \
#name, kv_tour_##name \
    }

static const struct {
    const char *name;
    kv_status (*take)(kv_error *err);
} steps[] = {
    HERE(list),
    HERE(check),
    HERE(probe),
    HERE(recover),
    HERE(end_thread),
    HERE(sign_rsa),
    HERE(sign_ec),
    HERE(mac),
    HERE(random_bytes),
    HERE(seal_and_open),
    HERE(cipher_gcm),
    HERE(cipher_cbc),
    HERE(wrap),
    HERE(wrap_odd),
    HERE(decrypt_oaep),
    HERE(decrypt_raw),
    ELSEWHERE(bear_ec),
    ELSEWHERE(bear_secrets),
    ELSEWHERE(can),
    ELSEWHERE(export_and_seal),
    ELSEWHERE(import_pairs),
    ELSEWHERE(import_secret),
    ELSEWHERE(import_brought),
    ELSEWHERE(destroy_halves),
    HERE(anchor),
    HERE(tls_ec),
};

const char *kv_tour_name(size_t index)
{
    return index < KV_COUNT(steps) ? steps[index].name : NULL;
}

kv_status kv_tour_step(size_t index, kv_error *err)
{
    kv_status status;

    if (!tour->token)
        return KV_OK;
    *err = (kv_error){ 0 };
    status = steps[index].take(err);
    kv_tour_must(status == KV_OK || err->status == status, "a failure does not say what it is");
    return status;
}

kv_status kv_tour_do(const char *name, kv_error *err)
{
    for (size_t i = 0; i < KV_COUNT(steps); i++)
        if (!strcmp(steps[i].name, name))
            return kv_tour_step(i, err);
    kv_tour_must(false, "there is no step of that name");
    return KV_INTERNAL;
}
