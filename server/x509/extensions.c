/* extensions.c - subject and requested extensions of a policy as OpenSSL objects. */
#include "server/x509/extensions.h"

#include "server/x509/dn.h"
#include "server/x509/names.h"

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "a part of the certificate could not be built");
}

kv_status kv_x509_subject_build(kv_arena *arena, const kv_x509_policy *policy, X509_NAME **out,
                                kv_error *err)
{
    KV_AUTO(kv_ossl_name) name = X509_NAME_new();
    kv_x509_dn dn;

    KV_TRY(
        kv_x509_dn_parse(arena, policy->x509_props.subject, "policy.x509_props.subject", &dn, err));
    if (!name)
        return failed(err);
    /* The text begins with the last RDN. */
    for (size_t i = dn.count; i-- > 0;) {
        const kv_x509_attribute *item = &dn.items[i];
        bool joins = i + 1 < dn.count && dn.items[i + 1].same_rdn;

        if (!X509_NAME_add_entry_by_NID(name, item->nid, MBSTRING_UTF8, item->value.data,
                                        (int)item->value.len, -1, joins ? -1 : 0))
            return failed(err);
    }
    *out = name;
    name = NULL;
    return KV_OK;
}

static bool add(STACK_OF(X509_EXTENSION) **all, int nid, void *value, bool critical)
{
    return value && X509V3_add1_i2d(all, nid, value, critical, X509V3_ADD_DEFAULT) == 1;
}

static kv_status add_constraints(STACK_OF(X509_EXTENSION) **all, bool ca, kv_error *err)
{
    KV_AUTO(kv_ossl_constraints) value = BASIC_CONSTRAINTS_new();

    if (value)
        value->ca = ca ? 0xff : 0;
    return add(all, NID_basic_constraints, value, true) ? KV_OK : failed(err);
}

static kv_status add_key_usage(STACK_OF(X509_EXTENSION) **all, uint32_t usage, kv_error *err)
{
    KV_AUTO(kv_ossl_bits) value = ASN1_BIT_STRING_new();

    for (int i = 0; value && i < KV_X509_KEY_USAGE_COUNT; i++)
        if ((usage & (UINT32_C(1) << i)) && !ASN1_BIT_STRING_set_bit(value, i, 1))
            return failed(err);
    return add(all, NID_key_usage, value, true) ? KV_OK : failed(err);
}

static kv_status add_ekus(STACK_OF(X509_EXTENSION) **all, const kv_x509_list *ekus, kv_error *err)
{
    KV_AUTO(kv_ossl_usages) value = EXTENDED_KEY_USAGE_new();

    for (size_t i = 0; value && i < ekus->count; i++) {
        ASN1_OBJECT *oid = kv_ossl_object(ekus->items[i]);

        if (!oid || !sk_ASN1_OBJECT_push(value, oid)) {
            ASN1_OBJECT_free(oid);
            return failed(err);
        }
    }
    return add(all, NID_ext_key_usage, value, false) ? KV_OK : failed(err);
}

static bool set_ip(GENERAL_NAME *name, kv_slice text)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    uint8_t bytes[16];
    size_t len = kv_x509_ip_bytes(text, bytes);

    if (!value || !len || !ASN1_OCTET_STRING_set(value, bytes, (int)len)) {
        ASN1_OCTET_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    return true;
}

static bool set_upn(GENERAL_NAME *name, kv_slice text)
{
    ASN1_UTF8STRING *string = ASN1_UTF8STRING_new();
    ASN1_TYPE *value = ASN1_TYPE_new();

    if (!string || !value || !ASN1_STRING_set(string, text.data, (int)text.len)) {
        ASN1_UTF8STRING_free(string);
        ASN1_TYPE_free(value);
        return false;
    }
    ASN1_TYPE_set(value, V_ASN1_UTF8STRING, string);
    if (!GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_ms_upn), value)) {
        ASN1_TYPE_free(value);
        return false;
    }
    return true;
}

static bool set_name(GENERAL_NAME *name, int kind, kv_slice text)
{
    if (kind == GEN_IPADD)
        return set_ip(name, text);
    if (kind == GEN_OTHERNAME)
        return set_upn(name, text);
    return kv_ossl_set_text(name, kind, text);
}

static bool add_names(GENERAL_NAMES *names, int kind, const kv_x509_list *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        KV_AUTO(kv_ossl_general_name) name = GENERAL_NAME_new();

        if (!name || !set_name(name, kind, texts->items[i]) || !sk_GENERAL_NAME_push(names, name))
            return false;
        name = NULL;
    }
    return true;
}

static kv_status add_sans(STACK_OF(X509_EXTENSION) **all, const kv_x509_sans *sans, bool critical,
                          kv_error *err)
{
    KV_AUTO(kv_ossl_general_names) names = GENERAL_NAMES_new();

    if (!names || !add_names(names, GEN_DNS, &sans->dns_names) ||
        !add_names(names, GEN_IPADD, &sans->ip_addresses) ||
        !add_names(names, GEN_EMAIL, &sans->emails) ||
        !add_names(names, GEN_OTHERNAME, &sans->upns) || !add_names(names, GEN_URI, &sans->uris))
        return failed(err);
    if (sk_GENERAL_NAME_num(names) == 0)
        return KV_OK;
    return add(all, NID_subject_alt_name, names, critical) ? KV_OK : failed(err);
}

static bool is_blank(kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != ' ')
            return false;
    return true;
}

kv_status kv_x509_extensions_build(const kv_x509_policy *policy, STACK_OF(X509_EXTENSION) **out,
                                   kv_error *err)
{
    const kv_x509_props *x509 = &policy->x509_props;
    KV_AUTO(kv_ossl_extensions) all = NULL;

    KV_TRY(add_constraints(&all, x509->ca, err));
    if (x509->key_usage)
        KV_TRY(add_key_usage(&all, x509->key_usage, err));
    if (x509->ekus.count)
        KV_TRY(add_ekus(&all, &x509->ekus, err));
    KV_TRY(add_sans(&all, &x509->sans, is_blank(x509->subject), err));
    *out = all;
    all = NULL;
    return KV_OK;
}
