/* token_birth.c - what births and imports have in common: read back, try, put on the token. */
#include "pkcs11/token_birth.h"

#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

enum { MODULUS_MAX = 512, POINT_MAX = 2 * KV_EC_COORDINATE_MAX + 1, DER_OVERHEAD = 3 };

void kv_token_discard(kv_token_visit *visit, CK_OBJECT_HANDLE *object)
{
    /* What will not go on its own goes with the session. */
    if (*object != CK_INVALID_HANDLE &&
        visit->f->C_DestroyObject(visit->session, *object) != CKR_OK)
        visit->spoiled = true;
    *object = CK_INVALID_HANDLE;
}

void kv_token_birth_cleanup(kv_token_birth *b)
{
    if (!b->visit)
        return;
    kv_token_discard(b->visit, &b->kept);
    kv_token_discard(b->visit, &b->kept_public);
    kv_token_discard(b->visit, &b->public);
    kv_token_discard(b->visit, &b->key);
}

CK_RV kv_token_birth_unwrap(kv_token_birth *b, CK_OBJECT_HANDLE with, kv_slice wrapped)
{
    CK_MECHANISM mechanism = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    kv_template template;
    CK_RV rv;

    kv_template_private(b->spec, &template);
    rv = b->visit->f->C_UnwrapKey(b->visit->session, &mechanism, with,
                                  (uint8_t *)(uintptr_t)wrapped.data, wrapped.len, template.items,
                                  template.count, &b->key);
    return kv_rv_made(rv, &b->key);
}

kv_status kv_token_birth_check_id(kv_token_birth *b, kv_error *err)
{
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;

    /* The token is asked, which makes it look at all its objects, only about an id that was seen
     * here: ids are drawn at random, so none that others have made is one of ours. */
    if (!kv_token_index_has(b->visit->token, b->spec->id))
        return KV_OK;
    KV_TRY(kv_objects_with_id(b->visit, b->spec->id, &list, &found, err));
    return found ? kv_fail(err, KV_EXISTS, "the token has a key with this id") : KV_OK;
}

static kv_status not_as_asked(kv_error *err, const char *what)
{
    kv_fail(err, KV_INTERNAL, "the token made a key that is not what was asked for");
    return kv_note(err, "read-back: %s", what);
}

/* An attribute that the new key has to have. */
static kv_status tell(kv_token_birth *b, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, void *out,
                      size_t *len, kv_error *err)
{
    kv_status status = kv_object_bytes(b->visit, key, type, out, len, err);

    return status == KV_NOT_FOUND ? not_as_asked(err, "an attribute is missing") : status;
}

/* The public half was read with `status`; when it is none it is not the caller who is wrong. */
static kv_status is_public_half(kv_token_birth *b, kv_status status, kv_error *err)
{
    kv_key_kind kind = KV_KEY_NONE;

    if (status == KV_OK)
        status = kv_public_key_kind(b->born.spki, &kind, err);
    if (status == KV_BAD_REQUEST || (status == KV_OK && kind != b->spec->kind))
        return not_as_asked(err, "its public half");
    return status;
}

/* What the token says about the key must be what was asked for. */
static kv_status read_back(kv_token_birth *b, CK_OBJECT_HANDLE key, kv_error *err)
{
    kv_token_visit *visit = b->visit;
    uint8_t id[KV_KEY_ID_BYTES];
    size_t len = sizeof(id);
    bool exportable = b->spec->exportable;
    const char *differs;
    kv_key_kind kind;
    CK_RV rv;

    KV_TRY(tell(b, key, CKA_ID, id, &len, err));
    b->born.local = kv_object_flag(visit, key, CKA_LOCAL) == KV_FLAG_TRUE;
    b->born.sensitive = kv_object_flag(visit, key, CKA_SENSITIVE) == KV_FLAG_TRUE;
    b->born.always_sensitive = kv_object_flag(visit, key, CKA_ALWAYS_SENSITIVE) == KV_FLAG_TRUE;
    b->born.extractable = kv_object_flag(visit, key, CKA_EXTRACTABLE) != KV_FLAG_FALSE;
    b->born.never_extractable = kv_object_flag(visit, key, CKA_NEVER_EXTRACTABLE) == KV_FLAG_TRUE;
    KV_TRY(kv_objects_were_read(visit, err));
    if (len != sizeof(id) || memcmp(id, b->spec->id, len) != 0)
        return not_as_asked(err, "CKA_ID");
    /* What came from elsewhere must not pass for what was made here. */
    if (b->born.local == b->imported || !b->born.sensitive ||
        b->born.always_sensitive == b->imported)
        return not_as_asked(err, "CKA_LOCAL, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE");
    if (b->born.extractable != exportable ||
        b->born.never_extractable == (exportable || b->imported))
        return not_as_asked(err, "CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE");
    kind = kv_template_kind_of(visit, key);
    KV_TRY(kv_objects_were_read(visit, err));
    if (kind != b->spec->kind)
        return not_as_asked(err, "CKA_KEY_TYPE and size");
    rv = kv_template_differs(visit, key, b->spec->class, b->spec->kind, &differs);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GetAttributeValue", err);
    KV_TRY(kv_objects_were_read(visit, err));
    return differs[0] ? not_as_asked(err, differs) : KV_OK;
}

kv_status kv_token_birth_read_rsa(kv_token_birth *b, CK_OBJECT_HANDLE from, kv_error *err)
{
    uint8_t modulus[MODULUS_MAX], exponent[8];
    size_t modulus_len = sizeof(modulus), exponent_len = sizeof(exponent);

    kv_status status;

    KV_TRY(tell(b, from, CKA_MODULUS, modulus, &modulus_len, err));
    KV_TRY(tell(b, from, CKA_PUBLIC_EXPONENT, exponent, &exponent_len, err));
    status =
        kv_public_key_from_rsa(kv_slice_of(modulus, modulus_len),
                               kv_slice_of(exponent, exponent_len), b->arena, &b->born.spki, err);
    return is_public_half(b, status, err);
}

static kv_status read_public(kv_token_birth *b, kv_error *err)
{
    uint8_t point[POINT_MAX + DER_OVERHEAD];
    size_t len = sizeof(point);
    kv_status status;

    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_RSA)
        return kv_token_birth_read_rsa(b, b->public, err);
    KV_TRY(tell(b, b->public, CKA_EC_POINT, point, &len, err));
    status = kv_public_key_from_point(b->spec->kind, kv_slice_of(point, len), b->arena,
                                      &b->born.spki, err);
    return is_public_half(b, status, err);
}

static kv_status try_it(kv_token_birth *b, kv_error *err)
{
    bool good = false;

    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_SECRET)
        KV_TRY(kv_token_try_secret(b->visit, b->spec->class, b->spec->kind, b->key, &good, err));
    else
        KV_TRY(kv_token_try_pair(b->visit, b->spec->class, b->spec->kind, b->key, b->born.spki,
                                 &good, err));
    if (!good && b->imported)
        return kv_fail_field(err, "key", "the private key does not belong to the public key");
    return good ? KV_OK : not_as_asked(err, "a trial operation");
}

/* What has the id of the new key on the token, for when a handle is not known. */
static void discard_by_id(kv_token_birth *b)
{
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;
    kv_error ignored;

    if (kv_objects_with_id(b->visit, b->spec->id, &list, &found, &ignored) != KV_OK)
        return;
    for (size_t i = 0; i < found; i++)
        (void)b->visit->f->C_DestroyObject(b->visit->session, list[i]);
}

static kv_status copy_to_token(kv_token_birth *b, CK_OBJECT_HANDLE from, CK_OBJECT_HANDLE *to,
                               kv_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE change = { CKA_TOKEN, &yes, sizeof(yes) };
    CK_RV rv = b->visit->f->C_CopyObject(b->visit->session, from, &change, 1, to);

    rv = kv_rv_made(rv, to);
    if (rv == CKR_OK)
        return KV_OK;
    kv_token_failed(b->visit, rv, "C_CopyObject", err);
    /* It may be there all the same: another try would make a second one. */
    discard_by_id(b);
    b->visit->again = false;
    return err->status;
}

kv_status kv_token_birth_settle(kv_token_birth *b, kv_error *err)
{
    KV_TRY(read_back(b, b->key, err));
    if (b->public != CK_INVALID_HANDLE)
        KV_TRY(read_public(b, err));
    KV_TRY(try_it(b, err));
    KV_TRY(copy_to_token(b, b->key, &b->kept, err));
    KV_TRY(read_back(b, b->kept, err));
    if (b->spec->keep_public && b->public != CK_INVALID_HANDLE)
        KV_TRY(copy_to_token(b, b->public, &b->kept_public, err));
    KV_TRY(kv_token_files_sync(&b->visit->token->files, err));
    /* An entry of this id can only be that of an object which others have removed. */
    kv_token_index_drop(b->visit, b->spec->id);
    KV_TRY(kv_token_index_add(b->visit, b->spec->id, b->kept, err));
    b->kept = b->kept_public = CK_INVALID_HANDLE;
    return KV_OK;
}
