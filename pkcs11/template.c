/* template.c - the template firewall: what each class of key may do, and nothing else. */
#include "pkcs11/template.h"

#include "pkcs11/public_key.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

typedef struct class_row {
    bool exportable;
    bool sign, verify, encrypt, decrypt, wrap, unwrap; /* of the private or secret key */
} class_row;

static const class_row classes[KV_CLASS_COUNT] = {
    [KV_CLASS_SIGN] = { .exportable = true, .sign = true },
    [KV_CLASS_DECRYPT] = { .decrypt = true },
    [KV_CLASS_SECRET] = { .encrypt = true, .decrypt = true },
    [KV_CLASS_SEAL] = { .sign = true },
    [KV_CLASS_MAC] = { .sign = true, .verify = true },
    [KV_CLASS_CIPHER] = { .encrypt = true, .decrypt = true },
    [KV_CLASS_WRAP] = { .wrap = true, .unwrap = true },
    [KV_CLASS_EXCHANGE] = { .unwrap = true },
};

#define KIND(name) (1u << KV_KEY_##name)
#define RSA_KINDS  (KIND(RSA_2048) | KIND(RSA_3072) | KIND(RSA_4096))
#define EC_KINDS   (KIND(P256) | KIND(P384) | KIND(P521) | KIND(P256K))
#define AES_KINDS  (KIND(AES_128) | KIND(AES_192) | KIND(AES_256))

/* What kinds a class has, and what mechanisms they are pinned to. */
typedef struct pin_row {
    kv_key_class class;
    unsigned kinds; /* bits of kv_key_kind */
    unsigned count;
    CK_MECHANISM_TYPE allowed[3];
} pin_row;

static const pin_row pins[] = {
    { KV_CLASS_SIGN, RSA_KINDS, 2, { CKM_RSA_PKCS, CKM_RSA_PKCS_PSS } },
    { KV_CLASS_SIGN, EC_KINDS, 1, { CKM_ECDSA } },
    { KV_CLASS_SIGN, KIND(ED25519), 1, { CKM_EDDSA } },
    { KV_CLASS_DECRYPT, RSA_KINDS, 2, { CKM_RSA_PKCS_OAEP, CKM_RSA_X_509 } },
    { KV_CLASS_SECRET, KIND(AES_256), 1, { CKM_AES_GCM } },
    { KV_CLASS_SEAL, KIND(P256), 1, { CKM_ECDSA } },
    { KV_CLASS_MAC, KIND(HMAC_256), 1, { CKM_SHA256_HMAC } },
    { KV_CLASS_MAC, KIND(HMAC_384), 1, { CKM_SHA384_HMAC } },
    { KV_CLASS_MAC, KIND(HMAC_512), 1, { CKM_SHA512_HMAC } },
    { KV_CLASS_CIPHER, AES_KINDS, 3, { CKM_AES_GCM, CKM_AES_CBC, CKM_AES_CBC_PAD } },
    { KV_CLASS_WRAP, AES_KINDS, 2, { CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD } },
    { KV_CLASS_EXCHANGE, RSA_KINDS, 1, { CKM_RSA_PKCS_OAEP } },
};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static const uint8_t public_exponent[] = { 0x01, 0x00, 0x01 };

/* NULL when the kind does not fit the class. */
static const pin_row *pin_of(kv_key_class class, kv_key_kind kind)
{
    for (size_t i = 0; i < KV_COUNT(pins) && (unsigned)kind < KV_KEY_KIND_COUNT; i++)
        if (pins[i].class == class && pins[i].kinds & (1u << kind))
            return &pins[i];
    return NULL;
}

kv_status kv_template_check(const kv_key_spec *spec, kv_error *err)
{
    if (!pin_of(spec->class, spec->kind))
        return kv_fail(err, KV_BAD_REQUEST, "a key of kind %s cannot have this use",
                       kv_key_kind_of(spec->kind)->name);
    /* No token wraps Ed25519 keys. */
    if (spec->exportable && (!classes[spec->class].exportable || spec->kind == KV_KEY_ED25519))
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
    switch (kv_key_kind_of(kind)->family) {
    case KV_FAMILY_RSA:
        return CKK_RSA;
    case KV_FAMILY_EC:
        return CKK_EC;
    case KV_FAMILY_OKP:
        return CKK_EC_EDWARDS;
    case KV_FAMILY_SECRET:
    case KV_FAMILY_NONE:
        break;
    }
    return kind >= KV_KEY_HMAC_256 ? CKK_GENERIC_SECRET : CKK_AES;
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

/* What may come out of a key that unwraps. The token insists on it, whoever asks. */
static void put_unwrap_template(const kv_key_spec *spec, kv_template *out)
{
    bool callers = spec->class == KV_CLASS_WRAP;

    out->inner_class = CKO_SECRET_KEY;
    out->inner_type = callers ? CKK_GENERIC_SECRET : CKK_AES;
    out->inner[0] = (CK_ATTRIBUTE){ CKA_CLASS, &out->inner_class, sizeof(out->inner_class) };
    out->inner[1] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, &out->inner_type, sizeof(out->inner_type) };
    out->inner[2] = (CK_ATTRIBUTE){ CKA_TOKEN, (void *)(uintptr_t)&no, sizeof(no) };
    out->inner[3] =
        (CK_ATTRIBUTE){ CKA_EXTRACTABLE, (void *)(uintptr_t)(callers ? &yes : &no), sizeof(yes) };
    out->inner[4] =
        (CK_ATTRIBUTE){ CKA_SENSITIVE, (void *)(uintptr_t)(callers ? &no : &yes), sizeof(yes) };
    put(out, CKA_UNWRAP_TEMPLATE, out->inner, sizeof(out->inner));
}

static void put_pinned(const kv_key_spec *spec, kv_template *out)
{
    const class_row *row = &classes[spec->class];
    const pin_row *pin = pin_of(spec->class, spec->kind);

    for (unsigned i = 0; i < pin->count; i++)
        out->allowed[i] = pin->allowed[i];
    put(out, CKA_ALLOWED_MECHANISMS, out->allowed, pin->count * sizeof(out->allowed[0]));
    put_flag(out, CKA_PRIVATE, true);
    put_flag(out, CKA_SENSITIVE, true);
    put_flag(out, CKA_EXTRACTABLE, spec->exportable);
    put_flag(out, CKA_SIGN, row->sign);
    put_flag(out, CKA_DECRYPT, row->decrypt);
    put_flag(out, CKA_UNWRAP, row->unwrap);
    put_flag(out, CKA_DERIVE, false);
    if (row->unwrap)
        put_unwrap_template(spec, out);
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
    if (kind->ec_params_len) {
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
    put_flag(out, CKA_ENCRYPT, row->encrypt);
    put_flag(out, CKA_VERIFY, row->verify);
    put_flag(out, CKA_WRAP, row->wrap);
}

void kv_template_new_secret(const kv_key_spec *spec, kv_template *out)
{
    kv_template_secret(spec, out);
    put_number(out, 2, CKA_VALUE_LEN, kv_key_kind_of(spec->kind)->bits / 8);
}

void kv_template_put_value(kv_template *out, kv_key_kind kind, kv_slice value)
{
    const kv_key_kind_row *row = kv_key_kind_of(kind);

    if (row->ec_params_len)
        put(out, CKA_EC_PARAMS, row->ec_params, row->ec_params_len);
    put(out, CKA_VALUE, value.data, value.len);
}

CK_MECHANISM_TYPE kv_template_generator(kv_key_kind kind)
{
    switch (key_type(kind)) {
    case CKK_RSA:
        return CKM_RSA_PKCS_KEY_PAIR_GEN;
    case CKK_EC:
        return CKM_EC_KEY_PAIR_GEN;
    case CKK_EC_EDWARDS:
        return CKM_EC_EDWARDS_KEY_PAIR_GEN;
    case CKK_AES:
        return CKM_AES_KEY_GEN;
    default:
        return CKM_GENERIC_SECRET_KEY_GEN;
    }
}

kv_status kv_template_supported(const kv_token *token, kv_key_class class, kv_key_kind kind,
                                kv_error *err)
{
    const pin_row *pin = pin_of(class, kind);

    KV_TRY(kv_token_require(token, kv_template_generator(kind), err));
    for (unsigned i = 0; pin && i < pin->count; i++)
        KV_TRY(kv_token_require(token, pin->allowed[i], err));
    return KV_OK;
}

/* A bit for each kind with this key type. */
static unsigned kinds_of_type(CK_KEY_TYPE type)
{
    unsigned kinds = 0;

    for (unsigned i = KV_KEY_NONE + 1; i < KV_KEY_KIND_COUNT; i++)
        if (key_type((kv_key_kind)i) == type)
            kinds |= 1u << i;
    return kinds;
}

/* The order of the list is the token's business. */
static bool is_pinned(kv_token_visit *visit, CK_OBJECT_HANDLE object, const pin_row *pin)
{
    CK_MECHANISM_TYPE allowed[8];
    size_t len = sizeof(allowed), count;
    bool same;

    if (!kv_object_has(visit, object, CKA_ALLOWED_MECHANISMS, allowed, &len) ||
        len % sizeof(allowed[0]))
        return false;
    count = len / sizeof(allowed[0]);
    same = count == pin->count;
    for (unsigned a = 0; same && a < pin->count; a++) {
        same = false;
        for (unsigned b = 0; b < count; b++)
            same = same || allowed[b] == pin->allowed[a];
    }
    return same;
}

kv_key_class kv_template_class_of(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    unsigned kinds = kinds_of_type(kv_object_number(visit, object, CKA_KEY_TYPE));

    for (size_t i = 0; kinds && i < KV_COUNT(pins); i++)
        if (pins[i].kinds & kinds && is_pinned(visit, object, &pins[i]))
            return pins[i].class;
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
    /* The newer spelling of the same curve. */
    static const uint8_t ed25519_oid[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };

    if (kv_slice_equal(kv_slice_of(params, len), kv_slice_of(ed25519_oid, sizeof(ed25519_oid))))
        return KV_KEY_ED25519;
    for (unsigned i = 0; len && i < KV_KEY_KIND_COUNT; i++) {
        const kv_key_kind_row *row = kv_key_kind_of((kv_key_kind)i);

        if (row->ec_params_len == len && !memcmp(row->ec_params, params, len))
            return (kv_key_kind)i;
    }
    return KV_KEY_NONE;
}

kv_key_kind kv_template_kind_of(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    CK_KEY_TYPE type = kv_object_number(visit, object, CKA_KEY_TYPE);
    uint8_t bytes[512];
    size_t len = sizeof(bytes);

    switch (type) {
    case CKK_RSA:
        if (kv_object_has(visit, object, CKA_MODULUS, bytes, &len))
            return kv_key_kind_rsa((unsigned)len * 8);
        break;
    case CKK_EC:
    case CKK_EC_EDWARDS:
        if (kv_object_has(visit, object, CKA_EC_PARAMS, bytes, &len))
            return curve_kind(bytes, len);
        break;
    case CKK_AES:
    case CKK_GENERIC_SECRET:
        return secret_kind(type, kv_object_number(visit, object, CKA_VALUE_LEN));
    default:
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
    CK_OBJECT_CLASS class = kv_object_number(visit, object, CKA_CLASS);
    bool hidden = kv_object_flag(visit, object, CKA_SENSITIVE) == KV_FLAG_TRUE &&
                  kv_object_flag(visit, object, CKA_PRIVATE) == KV_FLAG_TRUE;
    kv_key_kind is = kv_template_kind_of(visit, object);
    kv_key_kind expected = KV_KEY_NONE;
    const pin_row *pin = pin_of(ref->class, is);
    bool pinned;
    bool good = false;

    KV_TRY(kv_objects_were_read(visit, err));
    if (class == CK_UNAVAILABLE_INFORMATION)
        return kv_token_failed(visit, CKR_OBJECT_HANDLE_INVALID, "C_GetAttributeValue", err);
    if ((class != CKO_SECRET_KEY && class != CKO_PRIVATE_KEY) || !hidden)
        return not_the_key(err, "not a private and sensitive key of its class");
    if (!pin || (class == CKO_SECRET_KEY) != (kv_key_kind_of(is)->family == KV_FAMILY_SECRET))
        return not_the_key(err, "its kind does not fit its class");
    pinned = is_pinned(visit, object, pin);
    KV_TRY(kv_objects_were_read(visit, err));
    if (!pinned)
        return not_the_key(err, "its mechanisms are not those of its class");
    *kind = is;
    if (class == CKO_SECRET_KEY)
        return KV_OK;
    if (!ref->spki.len)
        return kv_fail_field(err, "spki", "the public key of the key is needed");
    KV_TRY(kv_public_key_kind(ref->spki, &expected, err));
    if (is != expected)
        return not_the_key(err, "its kind is not that of the public key");
    KV_TRY(kv_token_try_pair(visit, ref->class, is, object, ref->spki, &good, err));
    return good ? KV_OK : not_the_key(err, "its public key is another one");
}

static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
} compared[] = {
    { CKA_CLASS, "CKA_CLASS" },
    { CKA_PRIVATE, "CKA_PRIVATE" },
    { CKA_SENSITIVE, "CKA_SENSITIVE" },
    { CKA_EXTRACTABLE, "CKA_EXTRACTABLE" },
    { CKA_SIGN, "CKA_SIGN" },
    { CKA_DECRYPT, "CKA_DECRYPT" },
    { CKA_UNWRAP, "CKA_UNWRAP" },
    { CKA_DERIVE, "CKA_DERIVE" },
    { CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER" },
    { CKA_ALWAYS_AUTHENTICATE, "CKA_ALWAYS_AUTHENTICATE" },
    { CKA_ENCRYPT, "CKA_ENCRYPT" },
    { CKA_VERIFY, "CKA_VERIFY" },
    { CKA_WRAP, "CKA_WRAP" },
    { CKA_UNWRAP_TEMPLATE, "CKA_UNWRAP_TEMPLATE" },
};

static const CK_ATTRIBUTE *find_attribute(const kv_template *template, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < template->count; i++)
        if (template->items[i].type == type)
            return &template->items[i];
    return NULL;
}

/* The attributes of an object that its class has a rule for, read in one call. */
typedef struct comparison {
    size_t count;
    const CK_ATTRIBUTE *rules[KV_COUNT(compared)];
    const char *names[KV_COUNT(compared)];
    CK_ATTRIBUTE got[KV_COUNT(compared)];
    uint8_t values[KV_COUNT(compared)][sizeof(CK_ULONG)];
} comparison;

static void prepare(const kv_template *template, bool may_be_extractable, comparison *out)
{
    out->count = 0;
    for (size_t i = 0; i < KV_COUNT(compared); i++) {
        const CK_ATTRIBUTE *rule = find_attribute(template, compared[i].type);
        bool read = compared[i].type != CKA_UNWRAP_TEMPLATE;
        size_t at = out->count;

        if (!rule || (rule->type == CKA_EXTRACTABLE && may_be_extractable))
            continue;
        out->rules[at] = rule;
        out->names[at] = compared[i].name;
        /* Not every token reads a template inside an attribute; all say how long it is. */
        out->got[at] = (CK_ATTRIBUTE){ rule->type, read ? out->values[at] : NULL,
                                       read ? sizeof(out->values[at]) : 0 };
        out->count++;
    }
}

/* By what was written into `values`, wherever the module says that it is. */
static const char *compare(const comparison *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->got[i].ulValueLen != c->rules[i]->ulValueLen ||
            (c->rules[i]->type != CKA_UNWRAP_TEMPLATE &&
             memcmp(c->values[i], c->rules[i]->pValue, c->rules[i]->ulValueLen) != 0))
            return c->names[i];
    return "";
}

CK_RV kv_template_differs(kv_token_visit *visit, CK_OBJECT_HANDLE object, kv_key_class class,
                          kv_key_kind kind, const char **name)
{
    kv_key_spec spec = { .class = class, .kind = kind };
    const pin_row *pin = pin_of(class, kind);
    comparison c = { 0 };
    kv_template template;
    CK_RV rv;

    *name = class != KV_CLASS_NONE && !pin ? "CKA_KEY_TYPE" : "CKA_ALLOWED_MECHANISMS";
    if (!pin || !is_pinned(visit, object, pin))
        return CKR_OK;
    if (kv_key_kind_of(kind)->family == KV_FAMILY_SECRET)
        kv_template_secret(&spec, &template);
    else
        kv_template_private(&spec, &template);
    prepare(&template, classes[class].exportable && kind != KV_KEY_ED25519, &c);
    rv = visit->f->C_GetAttributeValue(visit->session, object, c.got, c.count);
    /* What the object does not have, or does not tell, has an impossible length, and so differs. */
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        rv == CKR_BUFFER_TOO_SMALL)
        rv = CKR_OK;
    if (rv == CKR_OK)
        *name = compare(&c);
    return rv;
}
