/* token_export.c - the one way out for keys born exportable, and closing it for good. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "pkcs11/private_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_object.h"

enum { KEK_BYTES = 32, WRAPPED_MAX = 4096, KWP_BLOCK = 8, SPKI_MAX = 1024 };

typedef struct exporting {
    const kv_key_ref *key;
    kv_secret_buf *pkcs8;
} exporting;

/* An AES key whose value we know, for one wrapping; it lives in this session only. */
static kv_status make_kek(kv_token_visit *visit, const kv_secret_buf *value, CK_OBJECT_HANDLE *out,
                          kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_MECHANISM_TYPE allowed = CKM_AES_KEY_WRAP_PAD;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &no, sizeof(no) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_ENCRYPT, &no, sizeof(no) },
        { CKA_DECRYPT, &no, sizeof(no) },
        { CKA_WRAP, &yes, sizeof(yes) },
        { CKA_UNWRAP, &no, sizeof(no) },
        { CKA_ALLOWED_MECHANISMS, &allowed, sizeof(allowed) },
        { CKA_VALUE, value->data, value->len },
    };
    CK_RV rv = visit->f->C_CreateObject(visit->session, template, KV_COUNT(template), out);

    rv = kv_rv_made(rv, out);
    return rv == CKR_OK ? KV_OK : kv_token_failed(visit, rv, "C_CreateObject", err);
}

static kv_status wrap(kv_token_visit *visit, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
                      kv_secret_buf *out, kv_error *err)
{
    CK_MECHANISM mechanism = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    KV_AUTO(kv_secret_buf) wrapped = KV_SECRET_NONE;
    CK_ULONG len = WRAPPED_MAX;
    CK_RV rv;

    KV_TRY(kv_secret_buf_new(WRAPPED_MAX, &wrapped, err));
    rv = visit->f->C_WrapKey(visit->session, &mechanism, kek, key, wrapped.data, &len);
    rv = kv_rv_within(rv, len, WRAPPED_MAX);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_WrapKey", err);
    return kv_secret_buf_copy(kv_slice_of(wrapped.data, len), out, err);
}

static kv_status unwrap(const kv_secret_buf *kek, const kv_secret_buf *wrapped, kv_secret_buf *out,
                        kv_error *err)
{
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, rest = 0;
    bool good = false;
    kv_status status = kv_secret_buf_new(wrapped->len + KWP_BLOCK, &plain, err);

    if (status == KV_OK && ctx) {
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        good = EVP_DecryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, kek->data, NULL) &&
               EVP_DecryptUpdate(ctx, plain.data, &len, wrapped->data, (int)wrapped->len) &&
               EVP_DecryptFinal_ex(ctx, plain.data + len, &rest);
    }
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    KV_TRY(status);
    if (!good)
        return kv_fail(err, KV_INTERNAL, "the token wrapped a key in a way that cannot be undone");
    return kv_secret_buf_copy(kv_slice_of(plain.data, (size_t)len + (size_t)rest), out, err);
}

/* Checks that what came out is the private half of the key on record, and writes it once more:
 * SoftHSM pads what it wraps with zeros, which strict readers of PKCS#8 refuse. */
static kv_status normalise(const kv_secret_buf *raw, kv_slice spki, kv_secret_buf *out,
                           kv_error *err)
{
    const unsigned char *at = raw->data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)raw->len);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    unsigned char der[SPKI_MAX], *end = der;
    int len = key ? i2d_PUBKEY(key, NULL) : 0;
    bool same = len > 0 && len <= SPKI_MAX && i2d_PUBKEY(key, &end) == len &&
                kv_slice_equal(kv_slice_of(der, (size_t)len), spki);
    kv_status status = KV_OK;

    if (same)
        status = kv_private_key_encode(key, out, err);
    else
        status = kv_fail(err, KV_INTERNAL, "the exported key is not the one on record");
    EVP_PKEY_free(key);
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    return status;
}

static kv_status not_exportable(kv_error *err)
{
    kv_fail(err, KV_PRECONDITION, "the key is not exportable");
    return kv_because(err, KV_REASON_NOT_EXPORTABLE);
}

static kv_status export(kv_token_visit *visit, void *context, kv_error *err)
{
    exporting *work = context;
    KV_AUTO(kv_secret_buf) kek = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) wrapped = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) raw = KV_SECRET_NONE;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    kv_found_key found;
    bool extractable;
    kv_status status;

    KV_TRY(kv_token_index_find(visit, work->key, &found, err));
    extractable = kv_object_flag(visit, found.object, CKA_EXTRACTABLE) == KV_FLAG_TRUE;
    KV_TRY(kv_objects_were_read(visit, err));
    if (!extractable)
        return not_exportable(err);
    KV_TRY(kv_secret_buf_new(KEK_BYTES, &kek, err));
    if (RAND_priv_bytes(kek.data, KEK_BYTES) != 1)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(make_kek(visit, &kek, &handle, err));
    status = wrap(visit, handle, found.object, &wrapped, err);
    if (visit->f->C_DestroyObject(visit->session, handle) != CKR_OK)
        visit->spoiled = true;
    KV_TRY(status);
    KV_TRY(unwrap(&kek, &wrapped, &raw, err));
    return normalise(&raw, work->key->spki, work->pkcs8, err);
}

kv_status kv_token_key_export(kv_token *token, const kv_key_ref *key, kv_secret_buf *pkcs8,
                              kv_error *err)
{
    exporting work = { key, pkcs8 };

    if (key->class != KV_CLASS_SIGN)
        return not_exportable(err);
    KV_TRY(kv_token_require(token, CKM_AES_KEY_WRAP_PAD, err));
    return kv_token_run(token, export, &work, err);
}

static kv_status seal_one(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_error *err)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE change = { CKA_EXTRACTABLE, &no, sizeof(no) };
    bool sealed;
    CK_RV rv;

    if (kv_object_flag(visit, key, CKA_EXTRACTABLE) != KV_FLAG_FALSE) {
        rv = visit->f->C_SetAttributeValue(visit->session, key, &change, 1);
        if (rv != CKR_OK)
            return kv_token_failed(visit, rv, "C_SetAttributeValue", err);
    }
    sealed = kv_object_flag(visit, key, CKA_EXTRACTABLE) == KV_FLAG_FALSE;
    KV_TRY(kv_objects_were_read(visit, err));
    if (sealed)
        return KV_OK;
    return kv_fail(err, KV_INTERNAL, "the key is still extractable after it was sealed");
}

static kv_status seal(kv_token_visit *visit, void *context, kv_error *err)
{
    const uint8_t *id = context;
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0, keys = 0;

    KV_TRY(kv_objects_with_id(visit, id, &list, &found, err));
    for (size_t i = 0; i < found; i++) {
        CK_OBJECT_CLASS class = kv_object_number(visit, list[i], CKA_CLASS);

        KV_TRY(kv_objects_were_read(visit, err));
        if (class != CKO_PRIVATE_KEY)
            continue;
        KV_TRY(seal_one(visit, list[i], err));
        keys++;
    }
    if (!keys && !kv_token_probe_inside(visit)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    if (!keys)
        return kv_fail(err, KV_NOT_FOUND, "the key is not on the token");
    /* It was used by its own handle; from now on it may have a session copy. */
    kv_token_index_drop(visit, id);
    return kv_token_files_sync(&visit->token->files, err);
}

kv_status kv_token_key_seal_export(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES],
                                   kv_error *err)
{
    return kv_token_run(token, seal, (void *)(uintptr_t)id, err);
}
