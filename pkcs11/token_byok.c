/* token_byok.c - keys that are brought wrapped: two unwrappings on the token. */
#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_import.h"
#include "pkcs11/token_try.h"

enum { KWP_LEAST = 16, KWP_BLOCK = 8 };

static const char not_ours[] = "the wrapped key cannot be unwrapped with this key-exchange key";

typedef struct bringing {
    const kv_key_spec *spec;
    const kv_key_ref *exchange;
    kv_slice blob;
    kv_slice spki;
    kv_arena *arena;
    kv_key_born born;
} bringing;

/* The first key of a blob: for unwrapping private keys that stay on the token. */
typedef struct first_key {
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE allowed;
    CK_ULONG len;
    CK_BBOOL yes, no;
    CK_ATTRIBUTE inner[3];
    CK_ATTRIBUTE items[14];
} first_key;

enum { WITHOUT_LENGTH = 13 };

static void describe(first_key *out)
{
    *out = (first_key){ .class = CKO_SECRET_KEY,
                        .type = CKK_AES,
                        .allowed = CKM_AES_KEY_WRAP_PAD,
                        .len = 32,
                        .yes = CK_TRUE,
                        .no = CK_FALSE };
    CK_ATTRIBUTE inner[] = {
        { CKA_PRIVATE, &out->yes, sizeof(out->yes) },
        { CKA_SENSITIVE, &out->yes, sizeof(out->yes) },
        { CKA_EXTRACTABLE, &out->no, sizeof(out->no) },
    };
    CK_ATTRIBUTE items[] = {
        { CKA_CLASS, &out->class, sizeof(out->class) },
        { CKA_KEY_TYPE, &out->type, sizeof(out->type) },
        { CKA_TOKEN, &out->no, sizeof(out->no) },
        { CKA_PRIVATE, &out->yes, sizeof(out->yes) },
        { CKA_SENSITIVE, &out->yes, sizeof(out->yes) },
        { CKA_EXTRACTABLE, &out->no, sizeof(out->no) },
        { CKA_ENCRYPT, &out->no, sizeof(out->no) },
        { CKA_DECRYPT, &out->no, sizeof(out->no) },
        { CKA_WRAP, &out->no, sizeof(out->no) },
        { CKA_UNWRAP, &out->yes, sizeof(out->yes) },
        { CKA_SIGN, &out->no, sizeof(out->no) },
        { CKA_ALLOWED_MECHANISMS, &out->allowed, sizeof(out->allowed) },
        { CKA_UNWRAP_TEMPLATE, out->inner, sizeof(out->inner) },
        { CKA_VALUE_LEN, &out->len, sizeof(out->len) },
    };

    memcpy(out->inner, inner, sizeof(inner));
    memcpy(out->items, items, sizeof(items));
}

CK_RV kv_token_take_exchanged(kv_token_visit *visit, CK_OBJECT_HANDLE exchange, kv_slice sealed,
                              CK_OBJECT_HANDLE *out)
{
    CK_RSA_PKCS_OAEP_PARAMS params;
    CK_MECHANISM oaep = kv_token_oaep(&params);
    first_key template;
    CK_RV rv;

    describe(&template);
    rv = visit->f->C_UnwrapKey(visit->session, &oaep, exchange, (uint8_t *)(uintptr_t)sealed.data,
                               sealed.len, template.items, WITHOUT_LENGTH, out);
    return kv_rv_made(rv, out);
}

/* Stands in for a first key that does not unwrap, so that the second step is taken all the same
 * and fails as it does for a wrong second half. */
static CK_RV make_stand_in(kv_token_visit *visit, CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM generator = { CKM_AES_KEY_GEN, NULL, 0 };
    first_key template;
    CK_RV rv;

    describe(&template);
    rv = visit->f->C_GenerateKey(visit->session, &generator, template.items,
                                 KV_COUNT(template.items), out);
    return kv_rv_made(rv, out);
}

static kv_status refuse(kv_token_visit *visit, CK_RV rv, kv_error *err)
{
    kv_status status = kv_token_not_unwrapped(visit, rv, not_ours, err);

    return status == KV_BAD_REQUEST ? kv_fail_field(err, "key_hsm", "%s", not_ours) : status;
}

static kv_status take_both(kv_token_birth *b, const bringing *work, CK_OBJECT_HANDLE exchange,
                           size_t split, kv_error *err)
{
    CK_OBJECT_HANDLE first = CK_INVALID_HANDLE;
    CK_RV rv =
        kv_token_take_exchanged(b->visit, exchange, kv_slice_of(work->blob.data, split), &first);
    bool opened = rv == CKR_OK;

    if (!opened && !kv_token_may_be_data(rv))
        return kv_token_failed(b->visit, rv, "C_UnwrapKey", err);
    if (!opened)
        rv = make_stand_in(b->visit, &first);
    if (rv != CKR_OK)
        return kv_token_failed(b->visit, rv, "C_GenerateKey", err);
    rv = kv_token_birth_unwrap(b, first,
                               kv_slice_of(work->blob.data + split, work->blob.len - split));
    kv_token_discard(b->visit, &first);
    if (rv == CKR_OK && opened)
        return KV_OK;
    return refuse(b->visit, rv == CKR_OK ? CKR_WRAPPED_KEY_INVALID : rv, err);
}

static kv_status bring(kv_token_visit *visit, void *context, kv_error *err)
{
    bringing *work = context;
    KV_AUTO(kv_token_birth)
    b = { .visit = visit,
          .spec = work->spec,
          .arena = work->arena,
          .imported = true,
          .born = { .spki = work->spki } };
    kv_found_key exchange;
    kv_key_kind kind;
    size_t split;

    KV_TRY(kv_token_birth_check_id(&b, err));
    KV_TRY(kv_token_index_find(visit, work->exchange, &exchange, err));
    split = kv_key_kind_of(exchange.kind)->bits / 8;
    if (work->blob.len < split + KWP_LEAST || (work->blob.len - split) % KWP_BLOCK)
        return kv_fail_field(err, "key_hsm", "%s", not_ours);
    KV_TRY(take_both(&b, work, exchange.use, split, err));
    /* From here on a fault is about the new key. */
    visit->key_id = NULL;
    kind = kv_template_kind_of(visit, b.key);
    if (kind != work->spec->kind)
        return kv_fail_field(err, "key", "the key is of kind %s, not %s",
                             kv_key_kind_of(kind)->name, kv_key_kind_of(work->spec->kind)->name);
    if (kv_key_kind_of(kind)->family == KV_FAMILY_RSA)
        KV_TRY(kv_token_birth_read_rsa(&b, b.key, err));
    if (work->spki.len && !kv_slice_equal(work->spki, b.born.spki))
        return kv_fail_field(err, "key", "the private key does not belong to the public key");
    KV_TRY(kv_token_birth_settle(&b, err));
    work->born = b.born;
    return KV_OK;
}

static kv_status check(kv_token *token, const bringing *work, kv_error *err)
{
    kv_key_family family = kv_key_kind_of(work->spec->kind)->family;
    kv_key_kind kind = KV_KEY_NONE;

    KV_TRY(kv_template_check(work->spec, err));
    if (family != KV_FAMILY_RSA && family != KV_FAMILY_EC)
        return kv_fail_field(err, "kty", "only RSA and EC keys can be brought wrapped");
    if (work->spec->exportable)
        return kv_fail(err, KV_BAD_REQUEST, "a key that was brought wrapped is never exportable");
    if (work->exchange->class != KV_CLASS_EXCHANGE)
        return kv_fail_field(err, "kid", "the key is not a key-exchange key");
    if (work->blob.len > KV_BYOK_MAX)
        return kv_fail_field(err, "key_hsm", "a wrapped key has at most %d bytes", KV_BYOK_MAX);
    if (family == KV_FAMILY_EC && !work->spki.len)
        return kv_fail_field(err, "key", "the public part of an EC key is needed");
    if (work->spki.len)
        KV_TRY(kv_public_key_kind(work->spki, &kind, err));
    if (work->spki.len && kind != work->spec->kind)
        return kv_fail_field(err, "key", "the public part is of kind %s, not %s",
                             kv_key_kind_of(kind)->name, kv_key_kind_of(work->spec->kind)->name);
    KV_TRY(kv_template_supported(token, work->spec->class, work->spec->kind, err));
    KV_TRY(kv_token_require(token, CKM_RSA_PKCS_OAEP, err));
    return kv_token_require(token, CKM_AES_KEY_WRAP_PAD, err);
}

kv_status kv_token_key_import_byok(kv_token *token, const kv_key_spec *spec,
                                   const kv_key_ref *exchange, kv_slice blob, kv_slice spki,
                                   kv_arena *arena, kv_key_born *out, kv_error *err)
{
    bringing work = {
        .spec = spec, .exchange = exchange, .blob = blob, .spki = spki, .arena = arena
    };

    KV_TRY(check(token, &work, err));
    KV_TRY(kv_token_run(token, bring, &work, err));
    *out = work.born;
    return KV_OK;
}
