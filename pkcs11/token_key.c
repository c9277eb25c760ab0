/* token_key.c - births, deaths and the roll-call of keys. */
#include "pkcs11/token_key.h"

#include <stdio.h>

#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

enum { MODULUS_MAX = 512, POINT_MAX = 2 * KV_EC_COORDINATE_MAX + 1, DER_OVERHEAD = 3 };

/* A birth under way. Whatever it still holds when it ends is destroyed. */
typedef struct birth {
    kv_token_visit *visit; /* NULL: not begun */
    const kv_key_spec *spec;
    kv_arena *arena;
    CK_OBJECT_HANDLE key, public;       /* session objects */
    CK_OBJECT_HANDLE kept, kept_public; /* on the token */
    kv_key_born born;
} birth;

static void destroy_object(kv_token_visit *visit, CK_OBJECT_HANDLE *object)
{
    /* What will not go on its own goes with the session. */
    if (*object != CK_INVALID_HANDLE &&
        visit->f->C_DestroyObject(visit->session, *object) != CKR_OK)
        visit->spoiled = true;
    *object = CK_INVALID_HANDLE;
}

static void birth_cleanup(birth *b)
{
    if (!b->visit)
        return;
    destroy_object(b->visit, &b->kept);
    destroy_object(b->visit, &b->kept_public);
    destroy_object(b->visit, &b->public);
    destroy_object(b->visit, &b->key);
}

static kv_status refuse_taken_id(birth *b, kv_error *err)
{
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;

    KV_TRY(kv_objects_with_id(b->visit, b->spec->id, &list, &found, err));
    return found ? kv_fail(err, KV_EXISTS, "the token has a key with this id") : KV_OK;
}

static kv_status generate(birth *b, kv_error *err)
{
    CK_MECHANISM mechanism = { kv_template_generator(b->spec->kind), NULL, 0 };
    kv_template private, public;
    CK_RV rv;

    KV_TRY(kv_token_require(b->visit->token, mechanism.mechanism, err));
    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_SECRET) {
        kv_template_secret(b->spec, &private);
        rv = b->visit->f->C_GenerateKey(b->visit->session, &mechanism, private.items, private.count,
                                        &b->key);
        return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_GenerateKey", err);
    }
    kv_template_private(b->spec, &private);
    kv_template_public(b->spec, &public);
    rv = b->visit->f->C_GenerateKeyPair(b->visit->session, &mechanism, public.items, public.count,
                                        private.items, private.count, &b->public, &b->key);
    return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_GenerateKeyPair", err);
}

static kv_status not_as_asked(kv_error *err, const char *what)
{
    kv_fail(err, KV_INTERNAL, "the token made a key that is not what was asked for");
    return kv_note(err, "read-back: %s", what);
}

/* What the token says about the key must be what was asked for. */
static kv_status read_back(birth *b, CK_OBJECT_HANDLE key, kv_error *err)
{
    kv_token_visit *visit = b->visit;
    uint8_t id[KV_KEY_ID_BYTES];
    size_t len = sizeof(id);
    bool exportable = b->spec->exportable;

    KV_TRY(kv_object_bytes(visit, key, CKA_ID, id, &len, err));
    b->born.local = kv_object_flag(visit, key, CKA_LOCAL) == KV_FLAG_TRUE;
    b->born.sensitive = kv_object_flag(visit, key, CKA_SENSITIVE) == KV_FLAG_TRUE;
    b->born.always_sensitive = kv_object_flag(visit, key, CKA_ALWAYS_SENSITIVE) == KV_FLAG_TRUE;
    b->born.extractable = kv_object_flag(visit, key, CKA_EXTRACTABLE) != KV_FLAG_FALSE;
    b->born.never_extractable = kv_object_flag(visit, key, CKA_NEVER_EXTRACTABLE) == KV_FLAG_TRUE;
    if (len != sizeof(id) || memcmp(id, b->spec->id, len) != 0)
        return not_as_asked(err, "CKA_ID");
    if (!b->born.local || !b->born.sensitive || !b->born.always_sensitive)
        return not_as_asked(err, "CKA_LOCAL, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE");
    if (b->born.extractable != exportable || b->born.never_extractable == exportable)
        return not_as_asked(err, "CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE");
    if (kv_object_flag(visit, key, CKA_PRIVATE) != KV_FLAG_TRUE)
        return not_as_asked(err, "CKA_PRIVATE");
    if (kv_template_kind_of(visit, key) != b->spec->kind)
        return not_as_asked(err, "CKA_KEY_TYPE and size");
    return KV_OK;
}

static kv_status read_rsa(birth *b, kv_error *err)
{
    uint8_t modulus[MODULUS_MAX], exponent[8];
    size_t modulus_len = sizeof(modulus), exponent_len = sizeof(exponent);

    KV_TRY(kv_object_bytes(b->visit, b->public, CKA_MODULUS, modulus, &modulus_len, err));
    KV_TRY(kv_object_bytes(b->visit, b->public, CKA_PUBLIC_EXPONENT, exponent, &exponent_len, err));
    return kv_public_key_from_rsa(kv_slice_of(modulus, modulus_len),
                                  kv_slice_of(exponent, exponent_len), b->arena, &b->born.spki,
                                  err);
}

/* CKA_EC_POINT is the point in a DER OCTET STRING; some tokens leave the wrapping out. */
static kv_slice unwrap_point(kv_slice der)
{
    if (der.len > 2 && der.data[0] == 0x04 && der.data[1] == der.len - 2)
        return kv_slice_of(der.data + 2, der.len - 2);
    if (der.len > 3 && der.data[0] == 0x04 && der.data[1] == 0x81 && der.data[2] == der.len - 3)
        return kv_slice_of(der.data + 3, der.len - 3);
    return der;
}

static kv_status read_public(birth *b, kv_error *err)
{
    uint8_t point[POINT_MAX + DER_OVERHEAD];
    size_t len = sizeof(point);

    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_RSA)
        return read_rsa(b, err);
    KV_TRY(kv_object_bytes(b->visit, b->public, CKA_EC_POINT, point, &len, err));
    return kv_public_key_from_point(b->spec->kind, unwrap_point(kv_slice_of(point, len)), b->arena,
                                    &b->born.spki, err);
}

static kv_status try_it(birth *b, kv_error *err)
{
    bool good = false;

    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_SECRET)
        KV_TRY(kv_token_try_secret(b->visit, b->spec->class, b->key, &good, err));
    else
        KV_TRY(kv_token_try_pair(b->visit, b->spec->class, b->spec->kind, b->key, b->born.spki,
                                 &good, err));
    return good ? KV_OK : not_as_asked(err, "a trial operation");
}

static kv_status copy_to_token(birth *b, CK_OBJECT_HANDLE from, CK_OBJECT_HANDLE *to, kv_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE change = { CKA_TOKEN, &yes, sizeof(yes) };
    CK_RV rv = b->visit->f->C_CopyObject(b->visit->session, from, &change, 1, to);

    return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_CopyObject", err);
}

static kv_status give_birth(kv_token_visit *visit, void *context, kv_error *err)
{
    birth *wanted = context;
    KV_AUTO(birth) b = { .visit = visit, .spec = wanted->spec, .arena = wanted->arena };

    KV_TRY(refuse_taken_id(&b, err));
    KV_TRY(generate(&b, err));
    KV_TRY(read_back(&b, b.key, err));
    if (b.public != CK_INVALID_HANDLE)
        KV_TRY(read_public(&b, err));
    KV_TRY(try_it(&b, err));
    KV_TRY(copy_to_token(&b, b.key, &b.kept, err));
    KV_TRY(read_back(&b, b.kept, err));
    if (b.spec->keep_public && b.public != CK_INVALID_HANDLE)
        KV_TRY(copy_to_token(&b, b.public, &b.kept_public, err));
    KV_TRY(kv_token_files_sync(&visit->token->files, err));
    /* An entry of this id can only be that of an object which others have removed. */
    kv_token_index_drop(visit, b.spec->id);
    KV_TRY(kv_token_index_add(visit, b.spec->id, b.kept, err));

    wanted->born = b.born;
    b.kept = b.kept_public = CK_INVALID_HANDLE;
    return KV_OK;
}

kv_status kv_token_key_generate(kv_token *token, const kv_key_spec *spec, kv_arena *arena,
                                kv_key_born *out, kv_error *err)
{
    birth wanted = { .spec = spec, .arena = arena };

    KV_TRY(kv_template_check(spec, err));
    KV_TRY(kv_token_run(token, give_birth, &wanted, err));
    *out = wanted.born;
    return KV_OK;
}

static kv_status destroy_key(kv_token_visit *visit, void *context, kv_error *err)
{
    const uint8_t *id = context;
    KV_AUTO(kv_handles) list = NULL;
    KV_AUTO(kv_handles) left = NULL;
    size_t found = 0, rest = 0;
    CK_RV rv;

    kv_token_index_drop(visit, id);
    KV_TRY(kv_objects_with_id(visit, id, &list, &found, err));
    for (size_t i = 0; i < found; i++) {
        rv = visit->f->C_DestroyObject(visit->session, list[i]);
        if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID)
            return kv_token_failed(visit, rv, "C_DestroyObject", err);
    }
    KV_TRY(kv_objects_with_id(visit, id, &left, &rest, err));
    /* A wedged token finds nothing, which is not the same as being rid of the key. */
    if (rest || !kv_token_probe_inside(visit)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    return kv_token_files_sync(&visit->token->files, err);
}

kv_status kv_token_key_destroy(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES], kv_error *err)
{
    return kv_token_run(token, destroy_key, (void *)(uintptr_t)id, err);
}

static kv_status check_key(kv_token_visit *visit, void *context, kv_error *err)
{
    kv_found_key found;

    return kv_token_index_find(visit, context, &found, err);
}

kv_status kv_token_key_check(kv_token *token, const kv_key_ref *key, kv_error *err)
{
    return kv_token_run(token, check_key, (void *)(uintptr_t)key, err);
}
