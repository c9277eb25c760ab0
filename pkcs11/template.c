/* template.c - the template firewall: what each class of key may do, and nothing else. */
#include "pkcs11/template.h"

#include "pkcs11/public_key.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

typedef struct class_row {
    unsigned kinds; /* bits of kv_key_kind */
    bool exportable;
    bool sign, verify, encrypt, decrypt; /* of the private or secret key */
    CK_MECHANISM_TYPE allowed[KV_FAMILY_SECRET + 1][2];
    unsigned allowed_count[KV_FAMILY_SECRET + 1];
} class_row;

#define KIND(name) (1u << KV_KEY_##name)
#define RSA_KINDS  (KIND(RSA_2048) | KIND(RSA_3072) | KIND(RSA_4096))
#define EC_KINDS   (KIND(P256) | KIND(P384) | KIND(P521))

static const class_row classes[KV_CLASS_COUNT] = {
    [KV_CLASS_SIGN] = { .kinds = RSA_KINDS | EC_KINDS,
                        .exportable = true,
                        .sign = true,
                        .allowed = { [KV_FAMILY_RSA] = { CKM_RSA_PKCS, CKM_RSA_PKCS_PSS },
                                     [KV_FAMILY_EC] = { CKM_ECDSA } },
                        .allowed_count = { [KV_FAMILY_RSA] = 2, [KV_FAMILY_EC] = 1 } },
    [KV_CLASS_DECRYPT] = { .kinds = RSA_KINDS,
                           .decrypt = true,
                           .allowed = { [KV_FAMILY_RSA] = { CKM_RSA_PKCS_OAEP, CKM_RSA_X_509 } },
                           .allowed_count = { [KV_FAMILY_RSA] = 2 } },
    [KV_CLASS_SECRET] = { .kinds = KIND(AES_256),
                          .encrypt = true,
                          .decrypt = true,
                          .allowed = { [KV_FAMILY_SECRET] = { CKM_AES_GCM } },
                          .allowed_count = { [KV_FAMILY_SECRET] = 1 } },
    [KV_CLASS_SEAL] = { .kinds = KIND(P256),
                        .sign = true,
                        .allowed = { [KV_FAMILY_EC] = { CKM_ECDSA } },
                        .allowed_count = { [KV_FAMILY_EC] = 1 } },
    [KV_CLASS_MAC] = { .kinds = KIND(HMAC_256),
                       .sign = true,
                       .verify = true,
                       .allowed = { [KV_FAMILY_SECRET] = { CKM_SHA256_HMAC } },
                       .allowed_count = { [KV_FAMILY_SECRET] = 1 } },
};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static const uint8_t public_exponent[] = { 0x01, 0x00, 0x01 };

kv_status kv_template_check(const kv_key_spec *spec, kv_error *err)
{
    const class_row *row = &classes[spec->class < KV_CLASS_COUNT ? spec->class : 0];

    if (spec->kind >= KV_KEY_KIND_COUNT || !(row->kinds & (1u << spec->kind)))
        return kv_fail(err, KV_BAD_REQUEST, "a key of kind %s cannot have this use",
                       kv_key_kind_of(spec->kind)->name);
    if (spec->exportable && !row->exportable)
        return kv_fail(err, KV_BAD_REQUEST, "a key of this use is never exportable");
    if (spec->label.len > KV_KEY_LABEL_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a key's label has at most %d bytes", KV_KEY_LABEL_MAX);
    return KV_OK;
}

/* Cryptoki's templates are not const, but are only read. */
static void put(kv_template *out, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    out->items[out->count++] = (CK_ATTRIBUTE){ type, (void *)(uintptr_t)value, len };
}

static void put_flag(kv_template *out, CK_ATTRIBUTE_TYPE type, bool value)
{
    put(out, type, value ? &yes : &no, sizeof(yes));
}

static void put_number(kv_template *out, unsigned place, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    out->numbers[place] = value;
    put(out, type, &out->numbers[place], sizeof(value));
}

static CK_KEY_TYPE key_type(kv_key_kind kind)
{
    if (kind == KV_KEY_AES_256)
        return CKK_AES;
    if (kind == KV_KEY_HMAC_256)
        return CKK_GENERIC_SECRET;
    return kv_key_kind_of(kind)->family == KV_FAMILY_RSA ? CKK_RSA : CKK_EC;
}

static void put_common(const kv_key_spec *spec, CK_OBJECT_CLASS class, kv_template *out)
{
    *out = (kv_template){ 0 };
    put_number(out, 0, CKA_CLASS, class);
    put_number(out, 1, CKA_KEY_TYPE, key_type(spec->kind));
    put_flag(out, CKA_TOKEN, false);
    put(out, CKA_ID, spec->id, KV_KEY_ID_BYTES);
    put(out, CKA_LABEL, spec->label.len ? spec->label.data : public_exponent, spec->label.len);
    put_flag(out, CKA_MODIFIABLE, true);
    put_flag(out, CKA_COPYABLE, true);
}

static void put_pinned(const kv_key_spec *spec, kv_template *out)
{
    const class_row *row = &classes[spec->class];
    kv_key_family family = kv_key_kind_of(spec->kind)->family;

    for (unsigned i = 0; i < row->allowed_count[family]; i++)
        out->allowed[i] = row->allowed[family][i];
    put(out, CKA_ALLOWED_MECHANISMS, out->allowed,
        row->allowed_count[family] * sizeof(out->allowed[0]));
    put_flag(out, CKA_PRIVATE, true);
    put_flag(out, CKA_SENSITIVE, true);
    put_flag(out, CKA_EXTRACTABLE, spec->exportable);
    put_flag(out, CKA_SIGN, row->sign);
    put_flag(out, CKA_DECRYPT, row->decrypt);
    put_flag(out, CKA_UNWRAP, false);
    put_flag(out, CKA_DERIVE, false);
}

void kv_template_private(const kv_key_spec *spec, kv_template *out)
{
    put_common(spec, CKO_PRIVATE_KEY, out);
    put_pinned(spec, out);
    put_flag(out, CKA_SIGN_RECOVER, false);
    put_flag(out, CKA_ALWAYS_AUTHENTICATE, false);
}

void kv_template_public(const kv_key_spec *spec, kv_template *out)
{
    const class_row *row = &classes[spec->class];
    const kv_key_kind_row *kind = kv_key_kind_of(spec->kind);

    put_common(spec, CKO_PUBLIC_KEY, out);
    put_flag(out, CKA_PRIVATE, false);
    put_flag(out, CKA_VERIFY, row->sign);
    put_flag(out, CKA_ENCRYPT, row->decrypt);
    put_flag(out, CKA_WRAP, false);
    put_flag(out, CKA_VERIFY_RECOVER, false);
    if (kind->family == KV_FAMILY_EC) {
        put(out, CKA_EC_PARAMS, kind->ec_params, kind->ec_params_len);
    } else {
        put_number(out, 2, CKA_MODULUS_BITS, kind->bits);
        put(out, CKA_PUBLIC_EXPONENT, public_exponent, sizeof(public_exponent));
    }
}

void kv_template_secret(const kv_key_spec *spec, kv_template *out)
{
    const class_row *row = &classes[spec->class];

    put_common(spec, CKO_SECRET_KEY, out);
    put_pinned(spec, out);
    put_number(out, 2, CKA_VALUE_LEN, kv_key_kind_of(spec->kind)->bits / 8);
    put_flag(out, CKA_ENCRYPT, row->encrypt);
    put_flag(out, CKA_VERIFY, row->verify);
    put_flag(out, CKA_WRAP, false);
}

CK_MECHANISM_TYPE kv_template_generator(kv_key_kind kind)
{
    if (kind == KV_KEY_AES_256)
        return CKM_AES_KEY_GEN;
    if (kind == KV_KEY_HMAC_256)
        return CKM_GENERIC_SECRET_KEY_GEN;
    return kv_key_kind_of(kind)->family == KV_FAMILY_RSA ? CKM_RSA_PKCS_KEY_PAIR_GEN
                                                         : CKM_EC_KEY_PAIR_GEN;
}

static kv_key_family family_of(CK_KEY_TYPE type)
{
    if (type == CKK_RSA)
        return KV_FAMILY_RSA;
    if (type == CKK_EC)
        return KV_FAMILY_EC;
    return type == CKK_AES || type == CKK_GENERIC_SECRET ? KV_FAMILY_SECRET : KV_FAMILY_NONE;
}

kv_key_class kv_template_class_of(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    kv_key_family family = family_of(kv_object_number(visit, object, CKA_KEY_TYPE));
    CK_MECHANISM_TYPE allowed[8];
    size_t len = sizeof(allowed);
    kv_error ignored;

    if (family == KV_FAMILY_NONE ||
        kv_object_bytes(visit, object, CKA_ALLOWED_MECHANISMS, allowed, &len, &ignored) != KV_OK)
        return KV_CLASS_NONE;
    for (unsigned i = KV_CLASS_SIGN; i < KV_CLASS_COUNT; i++) {
        size_t expected = classes[i].allowed_count[family] * sizeof(allowed[0]);
        bool same = expected && len == expected;

        /* The order of the list is the token's business. */
        for (unsigned a = 0; same && a < classes[i].allowed_count[family]; a++) {
            same = false;
            for (unsigned b = 0; b < len / sizeof(allowed[0]); b++)
                same = same || allowed[b] == classes[i].allowed[family][a];
        }
        if (same)
            return (kv_key_class)i;
    }
    return KV_CLASS_NONE;
}

static kv_key_kind secret_kind(CK_KEY_TYPE type, CK_ULONG len)
{
    for (unsigned i = 0; i < KV_KEY_KIND_COUNT; i++)
        if (kv_key_kind_of((kv_key_kind)i)->family == KV_FAMILY_SECRET &&
            key_type((kv_key_kind)i) == type && kv_key_kind_of((kv_key_kind)i)->bits / 8 == len)
            return (kv_key_kind)i;
    return KV_KEY_NONE;
}

static kv_key_kind curve_kind(const uint8_t *params, size_t len)
{
    for (unsigned i = 0; i < KV_KEY_KIND_COUNT; i++) {
        const kv_key_kind_row *row = kv_key_kind_of((kv_key_kind)i);

        if (row->family == KV_FAMILY_EC && row->ec_params_len == len &&
            !memcmp(row->ec_params, params, len))
            return (kv_key_kind)i;
    }
    return KV_KEY_NONE;
}

kv_key_kind kv_template_kind_of(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    CK_KEY_TYPE type = kv_object_number(visit, object, CKA_KEY_TYPE);
    uint8_t bytes[512];
    size_t len = sizeof(bytes);
    kv_error ignored;

    switch (family_of(type)) {
    case KV_FAMILY_RSA:
        if (kv_object_bytes(visit, object, CKA_MODULUS, bytes, &len, &ignored) == KV_OK)
            return kv_key_kind_rsa((unsigned)len * 8);
        break;
    case KV_FAMILY_EC:
        if (kv_object_bytes(visit, object, CKA_EC_PARAMS, bytes, &len, &ignored) == KV_OK)
            return curve_kind(bytes, len);
        break;
    case KV_FAMILY_SECRET:
        return secret_kind(type, kv_object_number(visit, object, CKA_VALUE_LEN));
    case KV_FAMILY_NONE:
        break;
    }
    return KV_KEY_NONE;
}

static kv_status not_the_key(kv_error *err, const char *why)
{
    kv_fail(err, KV_INTERNAL, "the key on the token is not the one on record");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err, "%s", why);
}

kv_status kv_template_prove(kv_token_visit *visit, const kv_key_ref *ref, CK_OBJECT_HANDLE object,
                            kv_key_kind *kind, kv_error *err)
{
    const class_row *row = &classes[ref->class < KV_CLASS_COUNT ? ref->class : 0];
    bool secret = ref->class == KV_CLASS_SECRET || ref->class == KV_CLASS_MAC;
    CK_OBJECT_CLASS class = kv_object_number(visit, object, CKA_CLASS);
    kv_key_kind is, expected = KV_KEY_NONE;
    bool good = false;

    if (class == CK_UNAVAILABLE_INFORMATION)
        return kv_token_failed(visit, CKR_OBJECT_HANDLE_INVALID, "C_GetAttributeValue", err);
    if (class != (secret ? CKO_SECRET_KEY : CKO_PRIVATE_KEY) ||
        kv_object_flag(visit, object, CKA_SENSITIVE) != KV_FLAG_TRUE ||
        kv_object_flag(visit, object, CKA_PRIVATE) != KV_FLAG_TRUE)
        return not_the_key(err, "not a private and sensitive key of its class");
    is = kv_template_kind_of(visit, object);
    if (!(row->kinds & (1u << is)))
        return not_the_key(err, "its kind does not fit its class");
    *kind = is;
    if (secret)
        return KV_OK;
    if (!ref->spki.len)
        return kv_fail_field(err, "spki", "the public key of the key is needed");
    KV_TRY(kv_public_key_kind(ref->spki, &expected, err));
    if (is != expected)
        return not_the_key(err, "its kind is not that of the public key");
    KV_TRY(kv_token_try_pair(visit, ref->class, is, object, ref->spki, &good, err));
    return good ? KV_OK : not_the_key(err, "its public key is another one");
}
