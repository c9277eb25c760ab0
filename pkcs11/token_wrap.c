/* token_wrap.c - AES key wrap of callers' bytes, through session objects. */
#include "pkcs11/token_wrap.h"

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

enum { BLOCK = 8, KW_LEAST = 16 };

static const char not_ours[] = "the wrapped bytes do not belong to this key and algorithm";

typedef struct wrapping {
    const kv_key_ref *key;
    const kv_encryption *alg;
    kv_slice in;
    uint8_t *out;
    size_t len;
    kv_secret_buf plain;
} wrapping;

static void wrapping_cleanup(wrapping *work)
{
    kv_secret_buf_cleanup(&work->plain);
}

/* What callers' bytes are while they are on the token; the key's CKA_UNWRAP_TEMPLATE asks for it
 * to be said. */
typedef struct callers_bytes {
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_BBOOL yes, no;
    CK_ATTRIBUTE items[7];
} callers_bytes;

enum { WITHOUT_VALUE = 6 };

static void describe(callers_bytes *out, kv_slice value)
{
    *out = (callers_bytes){
        .class = CKO_SECRET_KEY, .type = CKK_GENERIC_SECRET, .yes = CK_TRUE, .no = CK_FALSE
    };
    out->items[0] = (CK_ATTRIBUTE){ CKA_CLASS, &out->class, sizeof(out->class) };
    out->items[1] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, &out->type, sizeof(out->type) };
    out->items[2] = (CK_ATTRIBUTE){ CKA_TOKEN, &out->no, sizeof(out->no) };
    out->items[3] = (CK_ATTRIBUTE){ CKA_PRIVATE, &out->yes, sizeof(out->yes) };
    out->items[4] = (CK_ATTRIBUTE){ CKA_SENSITIVE, &out->no, sizeof(out->no) };
    out->items[5] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &out->yes, sizeof(out->yes) };
    out->items[WITHOUT_VALUE] =
        (CK_ATTRIBUTE){ CKA_VALUE, (void *)(uintptr_t)value.data, value.len };
}

CK_RV kv_token_wrap_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
                       kv_slice plaintext, uint8_t *out, size_t *len, const char **function)
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    CK_OBJECT_HANDLE bytes = CK_INVALID_HANDLE;
    CK_ULONG out_len = *len;
    callers_bytes template;
    CK_RV rv;

    describe(&template, plaintext);
    *function = "C_CreateObject";
    rv = visit->f->C_CreateObject(visit->session, template.items, KV_COUNT(template.items), &bytes);
    rv = kv_rv_made(rv, &bytes);
    if (rv != CKR_OK)
        return rv;
    *function = "C_WrapKey";
    rv = visit->f->C_WrapKey(visit->session, &mechanism, key, bytes, out, &out_len);
    rv = kv_rv_within(rv, out_len, *len);
    kv_token_discard(visit, &bytes);
    *len = out_len;
    return rv;
}

kv_status kv_token_unwrap_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
                             kv_slice wrapped, CK_RV *rv, kv_secret_buf *out, kv_error *err)
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    CK_OBJECT_HANDLE bytes = CK_INVALID_HANDLE;
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    callers_bytes template;
    kv_status status;
    size_t len;

    KV_TRY(kv_secret_buf_new(wrapped.len, &plain, err));
    describe(&template, KV_SLICE_NONE);
    *rv = visit->f->C_UnwrapKey(visit->session, &mechanism, key, (uint8_t *)(uintptr_t)wrapped.data,
                                wrapped.len, template.items, WITHOUT_VALUE, &bytes);
    *rv = kv_rv_made(*rv, &bytes);
    if (*rv != CKR_OK)
        return KV_OK;
    len = plain.len;
    status = kv_object_bytes(visit, bytes, CKA_VALUE, plain.data, &len, err);
    kv_token_discard(visit, &bytes);
    /* What has just been unwrapped has a value. */
    if (status == KV_NOT_FOUND)
        return kv_token_failed(visit, CKR_DEVICE_ERROR, "C_GetAttributeValue", err);
    KV_TRY(status);
    return kv_secret_buf_copy(kv_slice_of(plain.data, len), out, err);
}

/* SoftHSM fills up with zeros before it wraps, and so loses the length. */
static kv_status check_wrapped(kv_token_visit *visit, const wrapping *work, CK_OBJECT_HANDLE key,
                               size_t len, kv_error *err)
{
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    CK_RV rv = CKR_OK;

    KV_TRY(kv_token_unwrap_by(visit, key, work->alg->ckm, kv_slice_of(work->out, len), &rv, &back,
                              err));
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_UnwrapKey", err);
    if (kv_secret_buf_equal(&back, work->in))
        return KV_OK;
    kv_fail_field(err, "plaintext", "token '%s' wraps only multiples of %d bytes",
                  visit->token->label, BLOCK);
    err->status = KV_UNSUPPORTED;
    return kv_because(err, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
}

static kv_status wrap(kv_token_visit *visit, void *context, kv_error *err)
{
    wrapping *work = context;
    const char *function = "";
    size_t len = work->len;
    kv_found_key key;
    CK_RV rv;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    KV_TRY(kv_encryption_check(work->alg, KV_CLASS_WRAP, key.kind, false, err));
    rv = kv_token_wrap_by(visit, key.use, work->alg->ckm, work->in, work->out, &len, &function);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, function, err);
    if (work->in.len % BLOCK)
        KV_TRY(check_wrapped(visit, work, key.use, len, err));
    if (len != work->len)
        return kv_token_failed(visit, CKR_DEVICE_ERROR, "length of a result", err);
    return KV_OK;
}

static kv_status unwrap(kv_token_visit *visit, void *context, kv_error *err)
{
    wrapping *work = context;
    kv_found_key key;
    CK_RV rv = CKR_OK;

    kv_secret_buf_cleanup(&work->plain);
    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    KV_TRY(kv_encryption_check(work->alg, KV_CLASS_WRAP, key.kind, false, err));
    KV_TRY(kv_token_unwrap_by(visit, key.use, work->alg->ckm, work->in, &rv, &work->plain, err));
    if (rv != CKR_OK)
        return kv_token_not_unwrapped(visit, rv, not_ours, err);
    kv_token_probe_learn(visit);
    return KV_OK;
}

static kv_status check(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                       kv_error *err)
{
    if (key->class != KV_CLASS_WRAP)
        return kv_fail_field(err, "key", "keys of this class do not wrap");
    KV_TRY(kv_encryption_check(alg, KV_CLASS_WRAP, KV_KEY_NONE, false, err));
    return kv_token_require(token, alg->ckm, err);
}

kv_status kv_token_wrap(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                        kv_slice plaintext, kv_arena *arena, kv_slice *out, kv_error *err)
{
    wrapping work = { .key = key, .alg = alg, .in = plaintext };

    KV_TRY(check(token, key, alg, err));
    if (alg->mode == KV_MODE_KW && (plaintext.len < KW_LEAST || plaintext.len % BLOCK))
        return kv_fail_field(err, "plaintext", "%s takes a multiple of %d bytes and at least %d",
                             alg->name, BLOCK, KW_LEAST);
    if (!plaintext.len || plaintext.len > KV_WRAP_MAX)
        return kv_fail_field(err, "plaintext", "%s takes 1 to %d bytes", alg->name, KV_WRAP_MAX);
    work.len = (plaintext.len + BLOCK - 1) / BLOCK * BLOCK + BLOCK;
    work.out = kv_arena_alloc(arena, work.len);
    if (!work.out)
        return kv_arena_full(err);
    KV_TRY(kv_token_run(token, wrap, &work, err));
    *out = kv_slice_of(work.out, work.len);
    return KV_OK;
}

kv_status kv_token_unwrap(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                          kv_slice wrapped, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(wrapping) work = { .key = key, .alg = alg, .in = wrapped };
    size_t least = (alg->mode == KV_MODE_KW ? KW_LEAST : BLOCK) + BLOCK;

    KV_TRY(check(token, key, alg, err));
    if (wrapped.len < least || wrapped.len % BLOCK || wrapped.len > KV_WRAP_MAX + BLOCK)
        return kv_fail(err, KV_BAD_REQUEST, "%s", not_ours);
    KV_TRY(kv_token_run(token, unwrap, &work, err));
    *out = kv_secret_buf_move(&work.plain);
    return KV_OK;
}
