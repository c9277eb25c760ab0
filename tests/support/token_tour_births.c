/* token_tour_births.c - steps in which keys are made, brought, given out and destroyed. */
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "pkcs11/private_key.h"
#include "pkcs11/public_key.h"
#include "pkcs11/token_import.h"
#include "tests/support/token_tour_inside.h"

static kv_key_spec new_spec(kv_key_class class, kv_key_kind kind)
{
    kv_key_spec spec = { .class = class, .kind = kind, .label = KV_SLICE("a label") };

    memset(spec.id, 'a' + (int)kind, sizeof(spec.id));
    return spec;
}

static void must_be_born(const kv_key_spec *spec, const kv_key_born *born)
{
    bool secret = kv_key_kind_of(spec->kind)->family == KV_FAMILY_SECRET;
    kv_key_kind kind = KV_KEY_NONE;
    kv_error ignored;

    kv_tour_must(secret ? !born->spki.len
                        : kv_public_key_kind(born->spki, &kind, &ignored) == KV_OK &&
                              kind == spec->kind,
                 "a key was born without its public half");
}

static kv_status bear(const kv_key_spec *spec, kv_key_born *born, kv_error *err)
{
    KV_TRY(kv_token_key_generate(kv_the_tour.token, spec, &kv_the_tour.arena, born, err));
    must_be_born(spec, born);
    return KV_OK;
}

static kv_status live_and_die(kv_key_class class, kv_key_kind kind, kv_error *err)
{
    kv_key_spec spec = new_spec(class, kind);
    kv_key_born born;
    kv_key_gone gone;

    KV_TRY(bear(&spec, &born, err));
    KV_TRY(kv_token_key_destroy_told(kv_the_tour.token, spec.id, &gone, err));
    kv_tour_must(strlen(gone.label) < sizeof(gone.label), "a label without an end");
    return KV_OK;
}

kv_status kv_tour_bear_ec(kv_error *err)
{
    KV_TRY(live_and_die(KV_CLASS_SIGN, KV_KEY_P256, err));
    return live_and_die(KV_CLASS_SIGN, KV_KEY_ED25519, err);
}

kv_status kv_tour_bear_secrets(kv_error *err)
{
    KV_TRY(live_and_die(KV_CLASS_CIPHER, KV_KEY_AES_128, err));
    KV_TRY(live_and_die(KV_CLASS_WRAP, KV_KEY_AES_256, err));
    return live_and_die(KV_CLASS_MAC, KV_KEY_HMAC_512, err);
}

kv_status kv_tour_can(kv_error *err)
{
    return kv_token_key_can(kv_the_tour.token, KV_CLASS_SIGN, KV_KEY_P384, err);
}

kv_status kv_tour_export_and_seal(kv_error *err)
{
    kv_key_spec spec = new_spec(KV_CLASS_SIGN, KV_KEY_P256);
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_key_ref ref = { .class = KV_CLASS_SIGN };
    kv_key_born born;

    spec.exportable = spec.keep_public = true;
    KV_TRY(bear(&spec, &born, err));
    memcpy(ref.id, spec.id, sizeof(ref.id));
    ref.spki = born.spki;
    KV_TRY(kv_token_key_export(kv_the_tour.token, &ref, &pkcs8, err));
    kv_tour_must(pkcs8.len > 0, "an exported key is empty");
    KV_TRY(kv_token_key_seal_export(kv_the_tour.token, spec.id, err));
    return kv_token_key_destroy(kv_the_tour.token, spec.id, err);
}

static kv_status import_key(const char *type, kv_key_kind kind, kv_error *err)
{
    kv_key_spec spec = new_spec(KV_CLASS_SIGN, kind);
    EVP_PKEY *key = kind == KV_KEY_P256 ? EVP_EC_gen(type) : EVP_PKEY_Q_keygen(NULL, NULL, type);
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_error ignored;
    kv_key_born born;

    kv_tour_must(key && kv_private_key_encode(key, &pkcs8, &ignored) == KV_OK, "no key to import");
    EVP_PKEY_free(key);
    KV_TRY(kv_token_key_import(kv_the_tour.token, &spec, &pkcs8, KV_SLICE_NONE, &kv_the_tour.arena,
                               &born, err));
    must_be_born(&spec, &born);
    return kv_token_key_destroy(kv_the_tour.token, spec.id, err);
}

kv_status kv_tour_import_pairs(kv_error *err)
{
    KV_TRY(import_key("P-256", KV_KEY_P256, err));
    return import_key("ED25519", KV_KEY_ED25519, err);
}

kv_status kv_tour_import_secret(kv_error *err)
{
    kv_key_spec spec = new_spec(KV_CLASS_CIPHER, KV_KEY_AES_256);
    KV_AUTO(kv_secret_buf) value = KV_SECRET_NONE;
    kv_error ignored;
    kv_key_born born;

    kv_tour_must(
        kv_secret_buf_copy(KV_SLICE("thirty-two bytes of key material"), &value, &ignored) == KV_OK,
        "no memory");
    KV_TRY(kv_token_key_import(kv_the_tour.token, &spec, &value, KV_SLICE_NONE, &kv_the_tour.arena,
                               &born, err));
    return kv_token_key_destroy(kv_the_tour.token, spec.id, err);
}

/* AES-KWP of a private key under a key that is sealed for the exchange key. */
static size_t wrap_for_exchange(const kv_secret_buf *pkcs8, uint8_t *out, size_t room)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t kek[32] = { 9 };
    kv_slice sealed = KV_SLICE_NONE;
    kv_error ignored;
    int some = 0, rest = 0;

    kv_tour_must(ctx && kv_public_key_encrypt(kv_the_tour.keys[RSA_TAKES].spki,
                                              kv_encryption_find(KV_SLICE("RSA-OAEP")), false,
                                              kv_slice_of(kek, sizeof(kek)), &kv_the_tour.arena,
                                              &sealed, &ignored) == KV_OK,
                 "nothing can be sealed");
    kv_tour_must(sealed.len + pkcs8->len + 16 <= room, "no room for a wrapped key");
    memcpy(out, sealed.data, sealed.len);
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    kv_tour_must(
        EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, kek, NULL) &&
            EVP_EncryptUpdate(ctx, out + sealed.len, &some, pkcs8->data, (int)pkcs8->len) &&
            EVP_EncryptFinal_ex(ctx, out + sealed.len + some, &rest),
        "nothing can be wrapped");
    EVP_CIPHER_CTX_free(ctx);
    return sealed.len + (size_t)some + (size_t)rest;
}

kv_status kv_tour_import_brought(kv_error *err)
{
    kv_key_spec spec = new_spec(KV_CLASS_SIGN, KV_KEY_P256);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    uint8_t blob[1024];
    kv_error ignored;
    kv_key_born born;
    kv_slice spki = KV_SLICE_NONE;
    size_t len;

    kv_tour_must(key && kv_private_key_encode(key, &pkcs8, &ignored) == KV_OK &&
                     kv_private_key_public(key, &kv_the_tour.arena, &spki, &ignored) == KV_OK,
                 "no key to bring");
    EVP_PKEY_free(key);
    len = wrap_for_exchange(&pkcs8, blob, sizeof(blob));
    KV_TRY(kv_token_key_import_byok(kv_the_tour.token, &spec, &kv_the_tour.keys[RSA_TAKES],
                                    kv_slice_of(blob, len), spki, &kv_the_tour.arena, &born, err));
    return kv_token_key_destroy(kv_the_tour.token, spec.id, err);
}

kv_status kv_tour_destroy_halves(kv_error *err)
{
    size_t destroyed = 0;

    return kv_token_key_destroy_halves(kv_the_tour.token, &destroyed, err);
}
