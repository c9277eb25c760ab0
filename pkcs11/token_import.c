/* token_import.c - keys from elsewhere: unwrapped or created as session objects, then born. */
#include "pkcs11/token_import.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "pkcs11/private_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_try.h"

enum { KEK_BYTES = 32, KWP_BLOCK = 8, RAW_BYTES = 32 };

typedef struct importing {
    const kv_key_spec *spec;
    kv_slice spki;    /* of the key; empty for secret keys */
    kv_slice raw;     /* to be created from; empty: */
    kv_slice wrapped; /* to be unwrapped under */
    kv_slice kek;     /* this */
    kv_arena *arena;
    kv_key_born born;
} importing;

/* An AES key that lives for one import and can do nothing but that. */
static CK_RV make_kek(kv_token_visit *visit, const importing *work, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_MECHANISM_TYPE allowed = CKM_AES_KEY_WRAP_PAD;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE inner[] = {
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, work->spec->exportable ? &yes : &no, sizeof(no) },
    };
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &no, sizeof(no) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_ENCRYPT, &no, sizeof(no) },
        { CKA_DECRYPT, &no, sizeof(no) },
        { CKA_WRAP, &no, sizeof(no) },
        { CKA_UNWRAP, &yes, sizeof(yes) },
        { CKA_ALLOWED_MECHANISMS, &allowed, sizeof(allowed) },
        { CKA_UNWRAP_TEMPLATE, inner, sizeof(inner) },
        { CKA_VALUE, (void *)(uintptr_t)work->kek.data, work->kek.len },
    };

    return kv_rv_made(visit->f->C_CreateObject(visit->session, template, KV_COUNT(template), out),
                      out);
}

static kv_status create(kv_token_birth *b, const importing *work, kv_error *err)
{
    kv_template template;
    CK_RV rv;

    if (kv_key_kind_of(work->spec->kind)->family == KV_FAMILY_SECRET)
        kv_template_secret(work->spec, &template);
    else
        kv_template_private(work->spec, &template);
    kv_template_put_value(&template, work->spec->kind, work->raw);
    rv = b->visit->f->C_CreateObject(b->visit->session, template.items, template.count, &b->key);
    rv = kv_rv_made(rv, &b->key);
    return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_CreateObject", err);
}

static kv_status take_in(kv_token_birth *b, const importing *work, kv_error *err)
{
    CK_OBJECT_HANDLE kek = CK_INVALID_HANDLE;
    CK_RV rv;

    if (work->raw.len)
        return create(b, work, err);
    rv = make_kek(b->visit, work, &kek);
    if (rv != CKR_OK)
        return kv_token_failed(b->visit, rv, "C_CreateObject", err);
    rv = kv_token_birth_unwrap(b, kek, work->wrapped);
    kv_token_discard(b->visit, &kek);
    return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_UnwrapKey", err);
}

static kv_status import(kv_token_visit *visit, void *context, kv_error *err)
{
    importing *work = context;
    KV_AUTO(kv_token_birth)
    b = { .visit = visit,
          .spec = work->spec,
          .arena = work->arena,
          .imported = true,
          .born = { .spki = work->spki } };

    KV_TRY(kv_token_birth_check_id(&b, err));
    KV_TRY(take_in(&b, work, err));
    KV_TRY(kv_token_birth_settle(&b, err));
    work->born = b.born;
    return KV_OK;
}

/* AES-KWP in software, which the token undoes. */
static kv_status wrap(kv_slice kek, const kv_secret_buf *plain, kv_secret_buf *out, kv_error *err)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    kv_status status = kv_secret_buf_new(plain->len + 2 * KWP_BLOCK, out, err);
    int len = 0, rest = 0;
    bool good = false;

    if (status == KV_OK && ctx) {
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        good = EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, kek.data, NULL) &&
               EVP_EncryptUpdate(ctx, out->data, &len, plain->data, (int)plain->len) &&
               EVP_EncryptFinal_ex(ctx, out->data + len, &rest);
    }
    EVP_CIPHER_CTX_free(ctx);
    KV_TRY(status);
    out->len = (size_t)len + (size_t)rest;
    return good ? KV_OK : kv_fail(err, KV_INTERNAL, "a key cannot be wrapped");
}

static kv_status expect(kv_key_kind is, kv_key_kind wanted, kv_slice spki, kv_slice expected,
                        kv_error *err)
{
    if (is != wanted)
        return kv_fail_field(err, "key", "the key is of kind %s, not %s", kv_key_kind_of(is)->name,
                             kv_key_kind_of(wanted)->name);
    if (expected.len && !kv_slice_equal(spki, expected))
        return kv_fail_field(err, "key", "the private key does not belong to the public key");
    return KV_OK;
}

static kv_status import_secret(kv_token *token, importing *work, const kv_secret_buf *material,
                               kv_error *err)
{
    size_t bits = kv_key_kind_of(work->spec->kind)->bits;

    if (8 * material->len != bits)
        return kv_fail_field(err, "key", "a key of kind %s has %zu bytes",
                             kv_key_kind_of(work->spec->kind)->name, bits / 8);
    work->raw = kv_secret_buf_slice(material);
    return kv_token_run(token, import, work, err);
}

static kv_status import_raw(kv_token *token, importing *work, EVP_PKEY *key, kv_error *err)
{
    KV_AUTO(kv_secret_buf) raw = KV_SECRET_NONE;
    size_t len = RAW_BYTES;

    KV_TRY(kv_secret_buf_new(RAW_BYTES, &raw, err));
    if (EVP_PKEY_get_raw_private_key(key, raw.data, &len) <= 0 || len != RAW_BYTES)
        return kv_fail(err, KV_INTERNAL, "a private key cannot be encoded");
    work->raw = kv_secret_buf_slice(&raw);
    return kv_token_run(token, import, work, err);
}

static kv_status import_pair(kv_token *token, importing *work, const kv_secret_buf *material,
                             kv_slice expected, kv_error *err)
{
    KV_AUTO(kv_private_key) key = NULL;
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) wrapped = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) kek = KV_SECRET_NONE;
    kv_key_kind kind = KV_KEY_NONE;

    KV_TRY(kv_private_key_read(material, &key, &kind, err));
    KV_TRY(kv_private_key_public(key, work->arena, &work->spki, err));
    KV_TRY(expect(kind, work->spec->kind, work->spki, expected, err));
    if (kind == KV_KEY_ED25519)
        return import_raw(token, work, key, err);
    KV_TRY(kv_token_require(token, CKM_AES_KEY_WRAP_PAD, err));
    KV_TRY(kv_private_key_encode(key, &pkcs8, err));
    KV_TRY(kv_secret_buf_new(KEK_BYTES, &kek, err));
    if (RAND_priv_bytes(kek.data, KEK_BYTES) != 1)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(wrap(kv_secret_buf_slice(&kek), &pkcs8, &wrapped, err));
    work->kek = kv_secret_buf_slice(&kek);
    work->wrapped = kv_secret_buf_slice(&wrapped);
    return kv_token_run(token, import, work, err);
}

kv_status kv_token_key_import(kv_token *token, const kv_key_spec *spec,
                              const kv_secret_buf *material, kv_slice spki, kv_arena *arena,
                              kv_key_born *out, kv_error *err)
{
    importing work = { .spec = spec, .arena = arena };

    KV_TRY(kv_template_check(spec, err));
    KV_TRY(kv_template_supported(token, spec->class, spec->kind, err));
    if (kv_key_kind_of(spec->kind)->family == KV_FAMILY_SECRET)
        KV_TRY(import_secret(token, &work, material, err));
    else
        KV_TRY(import_pair(token, &work, material, spki, err));
    *out = work.born;
    return KV_OK;
}
