/* key_rules.c - kinds, operations, states and bundles of keys. */
#include "server/vault/keys/key_rules.h"

#include "pkcs11/public_key.h"
#include "server/vault/values.h"

enum {
    ATTESTED_LOCAL = 1,
    ATTESTED_SENSITIVE = 2,
    ATTESTED_ALWAYS_SENSITIVE = 4,
    ATTESTED_EXTRACTABLE = 8,
    ATTESTED_NEVER_EXTRACTABLE = 16,
    RSA_BITS_DEFAULT = 2048,
    SECRET_BITS_DEFAULT = 256
};

static const struct {
    kv_curve curve;
    kv_key_kind kind;
} curves[] = {
    { KV_CURVE_P256, KV_KEY_P256 },       { KV_CURVE_P384, KV_KEY_P384 },
    { KV_CURVE_P521, KV_KEY_P521 },       { KV_CURVE_P256K, KV_KEY_P256K },
    { KV_CURVE_ED25519, KV_KEY_ED25519 },
};

/* What the token holds a key to for ever: one of these uses of its kind. The first is the default.
 */
#define SIGNING    (KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY)
#define ENCRYPTING (KV_KEY_OP_ENCRYPT | KV_KEY_OP_DECRYPT)
#define WRAPPING   (KV_KEY_OP_WRAP_KEY | KV_KEY_OP_UNWRAP_KEY)

static const struct {
    kv_key_type kty;
    kv_key_ops ops;
    kv_key_class class;
} uses[] = {
    { KV_KEY_TYPE_RSA, SIGNING, KV_CLASS_SIGN },
    { KV_KEY_TYPE_RSA, ENCRYPTING | WRAPPING, KV_CLASS_DECRYPT },
    { KV_KEY_TYPE_RSA, KV_KEY_OP_IMPORT, KV_CLASS_EXCHANGE },
    { KV_KEY_TYPE_EC, SIGNING, KV_CLASS_SIGN },
    { KV_KEY_TYPE_OKP, SIGNING, KV_CLASS_SIGN },
    { KV_KEY_TYPE_OCT, ENCRYPTING, KV_CLASS_CIPHER },
    { KV_KEY_TYPE_OCT, WRAPPING, KV_CLASS_WRAP },
    { KV_KEY_TYPE_OCT, SIGNING, KV_CLASS_MAC },
};

kv_status kv_key_class_asked(kv_key_type kty, kv_key_ops asked, kv_key_ops *ops, kv_key_class *out,
                             kv_error *err)
{
    for (size_t i = 0; i < KV_COUNT(uses); i++) {
        if (uses[i].kty != kty || asked & ~uses[i].ops)
            continue;
        *ops = asked ? asked : uses[i].ops;
        *out = uses[i].class;
        return KV_OK;
    }
    if (kty == KV_KEY_TYPE_RSA)
        return kv_fail_field(
            err, "key_ops",
            "an RSA key can sign and verify, or encrypt, decrypt, wrap and unwrap, "
            "or import: one of the three");
    if (kty == KV_KEY_TYPE_OCT)
        return kv_fail_field(err, "key_ops",
                             "a symmetric key can encrypt and decrypt, or wrap and unwrap, or sign "
                             "and verify: one of the three");
    return kv_fail_field(err, "key_ops", "a key of this type can sign and verify");
}

kv_key_type kv_key_type_of(kv_key_kind kind)
{
    static const kv_key_type types[] = { [KV_FAMILY_NONE] = KV_KEY_TYPE_NONE,
                                         [KV_FAMILY_RSA] = KV_KEY_TYPE_RSA,
                                         [KV_FAMILY_EC] = KV_KEY_TYPE_EC,
                                         [KV_FAMILY_OKP] = KV_KEY_TYPE_OKP,
                                         [KV_FAMILY_SECRET] = KV_KEY_TYPE_OCT };

    return types[kv_key_kind_of(kind)->family];
}

kv_key_class kv_key_class_of(const kv_key_version_row *version, kv_key_kind kind)
{
    kv_key_class class = KV_CLASS_SIGN;
    kv_key_ops ops;
    kv_error ignored = { 0 };

    /* Certificates have signing keys, also those whose key_ops are empty. */
    if (version->managed || kv_key_class_asked(kv_key_type_of(kind), (kv_key_ops)version->key_ops,
                                               &ops, &class, &ignored) == KV_OK)
        return class;
    return KV_CLASS_NONE;
}

kv_status kv_key_ops_changed(const kv_key_version_row *version, kv_key_ops asked, kv_error *err)
{
    kv_key_kind kind;
    kv_key_class class;
    kv_key_ops ops;

    KV_TRY(kv_kind_of_name(version->kind, &kind, err));
    KV_TRY(kv_key_class_asked(kv_key_type_of(kind), asked, &ops, &class, err));
    if (class != kv_key_class_of(version, kind))
        return kv_fail_field(err, "key_ops", "the use of a key is fixed when it is made");
    return KV_OK;
}

static kv_status ec_kind(uint32_t key_size, kv_curve crv, kv_key_kind *out, kv_error *err)
{
    for (size_t i = 0; i < KV_COUNT(curves); i++) {
        unsigned bits = kv_key_kind_of(curves[i].kind)->bits;
        bool by_curve = crv == curves[i].curve && (!key_size || key_size == bits);
        bool by_size = crv == KV_CURVE_NONE && key_size == bits;
        bool by_default = crv == KV_CURVE_NONE && !key_size && curves[i].curve == KV_CURVE_P256;

        if (kv_key_type_of(curves[i].kind) == KV_KEY_TYPE_EC &&
            (by_curve || by_size || by_default)) {
            *out = curves[i].kind;
            return KV_OK;
        }
    }
    return kv_fail_field(err, crv == KV_CURVE_NONE ? "key_size" : "crv",
                         "an EC key is on P-256, P-384, P-521 or P-256K, and key_size is 256, 384 "
                         "or 521 to match");
}

static kv_status okp_kind(uint32_t key_size, kv_curve crv, kv_key_kind *out, kv_error *err)
{
    if (crv != KV_CURVE_NONE && crv != KV_CURVE_ED25519)
        return kv_fail_field(err, "crv", "an OKP key is on Ed25519");
    if (key_size && key_size != kv_key_kind_of(KV_KEY_ED25519)->bits)
        return kv_fail_field(err, "key_size", "an Ed25519 key has 256 bits");
    *out = KV_KEY_ED25519;
    return KV_OK;
}

static kv_status sized_kind(kv_key_class class, uint32_t bits, kv_key_kind *out, kv_error *err)
{
    bool rsa = class == KV_CLASS_SIGN || class == KV_CLASS_DECRYPT || class == KV_CLASS_EXCHANGE;

    if (rsa)
        *out = kv_key_kind_rsa(bits ? bits : RSA_BITS_DEFAULT);
    else if (class == KV_CLASS_MAC)
        *out = kv_key_kind_hmac(bits ? bits : SECRET_BITS_DEFAULT);
    else
        *out = kv_key_kind_aes(bits ? bits : SECRET_BITS_DEFAULT);
    if (*out != KV_KEY_NONE)
        return KV_OK;
    if (rsa)
        return kv_fail_field(err, "key_size", "an RSA key has 2048, 3072 or 4096 bits");
    if (class == KV_CLASS_MAC)
        return kv_fail_field(err, "key_size",
                             "a symmetric key that signs has 256, 384 or 512 bits");
    return kv_fail_field(err, "key_size", "a symmetric key has 128, 192 or 256 bits");
}

kv_status kv_key_kind_asked(kv_key_type kty, kv_key_class class, uint32_t key_size, kv_curve crv,
                            kv_key_kind *out, kv_error *err)
{
    if (kty == KV_KEY_TYPE_EC)
        return ec_kind(key_size, crv, out, err);
    if (kty == KV_KEY_TYPE_OKP)
        return okp_kind(key_size, crv, out, err);
    if (kty != KV_KEY_TYPE_RSA && kty != KV_KEY_TYPE_OCT)
        return kv_fail_field(err, "kty", "the type of the key is required: EC, RSA, oct or OKP");
    if (crv != KV_CURVE_NONE)
        return kv_fail_field(err, "crv", "a key of this type has no curve");
    return sized_kind(class, key_size, out, err);
}

static kv_status refuse(kv_error *err, kv_reason reason, const kv_key_snapshot *key,
                        const char *why)
{
    kv_fail(err, KV_PRECONDITION, "key '%s' %s", key->name, why);
    return kv_because(err, reason);
}

kv_status kv_key_allows(const kv_key_snapshot *key, kv_key_ops op, const char *verb, bool dated,
                        int64_t now_ms, kv_error *err)
{
    if (key->destroyed)
        return refuse(err, KV_REASON_DESTROYED, key, "was destroyed in this version");
    if (!key->enabled)
        return refuse(err, KV_REASON_DISABLED, key, "is disabled");
    if (!(key->key_ops & op)) {
        kv_fail(err, KV_PRECONDITION, "operation %s is not permitted on key '%s'", verb, key->name);
        return kv_because(err, KV_REASON_OPERATION_NOT_PERMITTED);
    }
    if (dated && key->not_before && now_ms < key->not_before)
        return refuse(err, KV_REASON_NOT_YET_VALID, key, "may not be used yet");
    if (dated && key->expires && now_ms >= key->expires)
        return refuse(err, KV_REASON_EXPIRED, key, "has expired");
    return KV_OK;
}

int64_t kv_key_attested(const kv_key_born *born)
{
    int64_t bits = 0;

    bits |= born->local ? ATTESTED_LOCAL : 0;
    bits |= born->sensitive ? ATTESTED_SENSITIVE : 0;
    bits |= born->always_sensitive ? ATTESTED_ALWAYS_SENSITIVE : 0;
    bits |= born->extractable ? ATTESTED_EXTRACTABLE : 0;
    bits |= born->never_extractable ? ATTESTED_NEVER_EXTRACTABLE : 0;
    return bits;
}

kv_status kv_key_check_born(const kv_key_born *born, bool exportable, kv_error *err)
{
    bool good = born->local && born->sensitive && born->always_sensitive &&
                (exportable || (!born->extractable && born->never_extractable));

    return good ? KV_OK : kv_fail(err, KV_INTERNAL, "the token made a key that is not as asked");
}

kv_status kv_key_check_imported(const kv_key_born *born, kv_error *err)
{
    bool good = !born->local && born->sensitive && !born->extractable;

    return good ? KV_OK : kv_fail(err, KV_INTERNAL, "the token took in a key, but not as asked");
}

static kv_curve curve_of(kv_key_kind kind)
{
    for (size_t i = 0; i < KV_COUNT(curves); i++)
        if (curves[i].kind == kind)
            return curves[i].curve;
    return KV_CURVE_NONE;
}

kv_status kv_key_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                           const kv_object_row *object, const kv_key_version_row *version,
                           kv_key_bundle *out, kv_error *err)
{
    kv_life life = KV_LIFE_OF(*version);
    kv_jwk jwk = { 0 };
    kv_key_kind kind;
    kv_tags tags;

    KV_TRY(kv_kind_of_name(version->kind, &kind, err));
    if (kv_key_type_of(kind) != KV_KEY_TYPE_OCT)
        KV_TRY(kv_public_key_jwk(version->spki, work->arena, &jwk, err));
    KV_TRY(kv_tags_load(work, version->tags, &tags, err));
    *out = (kv_key_bundle){
        .id = kv_id_of(vault_row, object, version->version),
        .key = { .kty = kv_key_type_of(kind),
                 .crv = curve_of(kind),
                 .n = jwk.n,
                 .e = jwk.e,
                 .x = jwk.x,
                 .y = jwk.y },
        .spki = version->spki,
        .key_size = kv_key_kind_of(kind)->bits,
        .key_ops = (kv_key_ops)version->key_ops,
        .attributes = kv_attributes_of(vault_row, &life, version->created, version->updated),
        .tags = tags,
        .managed = version->managed != 0,
        .exportable = version->exportable != 0,
        .attestation = { .local = (version->attested & ATTESTED_LOCAL) != 0,
                         .always_sensitive = (version->attested & ATTESTED_ALWAYS_SENSITIVE) != 0,
                         .never_extractable = (version->attested & ATTESTED_NEVER_EXTRACTABLE) != 0,
                         .sensitive = (version->attested & ATTESTED_SENSITIVE) != 0,
                         .extractable = (version->attested & ATTESTED_EXTRACTABLE) != 0,
                         .origin = version->imported ? KV_SLICE("imported") : KV_SLICE("generated"),
                         .key_id = version->key_id },
        .deletion = kv_deletion_of(object),
        .retirement = { .replaced = version->replaced,
                        .disabled = version->retired,
                        .kept = version->kept != 0,
                        .destroying = version->destroying,
                        .destroyed = version->destroyed },
    };
    return KV_OK;
}
