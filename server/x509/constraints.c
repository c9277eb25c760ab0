/* constraints.c - builds the name constraints of an authority, and asks those above. */
#include "server/x509/constraints.h"

#include <stdio.h>

#include <openssl/err.h>

#include "server/base/text.h"
#include "server/x509/authority_write.h"
#include "server/x509/dn.h"
#include "server/x509/extensions.h"
#include "server/x509/names.h"

enum { IP_MAX = 32, FIELD_MAX = 64 };

KV_OSSL_TYPE(constraints_of, NAME_CONSTRAINTS, NAME_CONSTRAINTS_free)
KV_OSSL_TYPE(subtree, GENERAL_SUBTREE, GENERAL_SUBTREE_free)

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "the name constraints could not be built");
}

/* ---- rules ---- */

static kv_slice after(kv_slice text, size_t from)
{
    return kv_slice_of(text.data + from, text.len - from);
}

static bool begins_with_dot(kv_slice text)
{
    return text.len > 0 && text.data[0] == '.';
}

static const char *dns_problem(kv_slice text)
{
    if (text.len && text.data[0] == '*')
        return "must be without a wildcard: all names below are meant";
    return kv_x509_dns_name_problem(text);
}

static const char *email_problem(kv_slice text)
{
    if (text.len && memchr(text.data, '@', text.len))
        return kv_x509_email_problem(text);
    return dns_problem(begins_with_dot(text) ? after(text, 1) : text);
}

/* Address and mask, as the extension has them; 0 when it is no range, or has host bits. */
static size_t range_bytes(kv_slice text, uint8_t out[IP_MAX])
{
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    size_t before = slash ? (size_t)(slash - text.data) : text.len;
    uint64_t bits = 0;
    size_t len = slash ? kv_x509_ip_bytes(kv_slice_of(text.data, before), out) : 0;

    if (len == 0 || !kv_text_number(after(text, before + 1), len * 8, &bits))
        return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned left = bits > i * 8 ? (unsigned)(bits - i * 8) : 0;

        out[len + i] = left >= 8 ? 0xff : (uint8_t)(0xff00u >> left);
        if (out[i] & ~out[len + i])
            return 0;
    }
    return 2 * len;
}

static const char *range_problem(kv_slice text)
{
    uint8_t bytes[IP_MAX];

    return range_bytes(text, bytes) ? NULL : "must be a network such as 10.0.0.0/8";
}

typedef const char *problem_of(kv_slice text);

static kv_status check_texts(const kv_x509_list *texts, problem_of *problem, const char *side,
                             const char *kind, kv_error *err)
{
    for (size_t i = 0; i < texts->count; i++) {
        const char *why = problem(texts->items[i]);
        char field[FIELD_MAX];

        (void)snprintf(field, sizeof(field), "name_constraints.%s.%s[%zu]", side, kind, i);
        if (why)
            return kv_fail_field(err, field, "%s", why);
    }
    return KV_OK;
}

static kv_status check_side(kv_arena *arena, const kv_x509_subtrees *trees, const char *side,
                            kv_error *err)
{
    size_t count = trees->dns_names.count + trees->ip_ranges.count + trees->emails.count +
                   trees->directory_names.count;

    if (count > KV_X509_SUBTREES_MAX)
        return kv_fail_field(err, "name_constraints", "must be at most %d of a side",
                             KV_X509_SUBTREES_MAX);
    KV_TRY(check_texts(&trees->dns_names, dns_problem, side, "dns_names", err));
    KV_TRY(check_texts(&trees->ip_ranges, range_problem, side, "ip_ranges", err));
    KV_TRY(check_texts(&trees->emails, email_problem, side, "emails", err));
    for (size_t i = 0; i < trees->directory_names.count; i++) {
        char field[FIELD_MAX];
        kv_x509_dn dn;

        (void)snprintf(field, sizeof(field), "name_constraints.%s.directory_names[%zu]", side, i);
        KV_TRY(kv_x509_dn_parse(arena, trees->directory_names.items[i], field, &dn, err));
        if (!dn.count)
            return kv_fail_field(err, field, "must not be empty");
    }
    return KV_OK;
}

kv_status kv_x509_constraints_check(kv_arena *arena, const kv_x509_constraints *constraints,
                                    kv_error *err)
{
    KV_TRY(check_side(arena, &constraints->permitted, "permitted", err));
    return check_side(arena, &constraints->excluded, "excluded", err);
}

static bool side_empty(const kv_x509_subtrees *trees)
{
    return !trees->dns_names.count && !trees->ip_ranges.count && !trees->emails.count &&
           !trees->directory_names.count;
}

bool kv_x509_constraints_empty(const kv_x509_constraints *constraints)
{
    return side_empty(&constraints->permitted) && side_empty(&constraints->excluded);
}

/* ---- the extension ---- */

static kv_status push(STACK_OF(GENERAL_SUBTREE) **all, GENERAL_NAME *base, kv_error *err)
{
    KV_AUTO(kv_ossl_subtree) tree = GENERAL_SUBTREE_new();

    if (!*all)
        *all = sk_GENERAL_SUBTREE_new_null();
    if (!tree || !base || !*all) {
        GENERAL_NAME_free(base);
        return failed(err);
    }
    GENERAL_NAME_free(tree->base);
    tree->base = base;
    if (!sk_GENERAL_SUBTREE_push(*all, tree))
        return failed(err);
    tree = NULL;
    return KV_OK;
}

static GENERAL_NAME *text_name(int kind, kv_slice text)
{
    KV_AUTO(kv_ossl_general_name) name = GENERAL_NAME_new();
    GENERAL_NAME *out = name;

    if (!name || !kv_ossl_set_text(name, kind, text))
        return NULL;
    name = NULL;
    return out;
}

static GENERAL_NAME *range_name(kv_slice text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    uint8_t bytes[IP_MAX];
    size_t len = range_bytes(text, bytes);

    if (!name || !value || !ASN1_OCTET_STRING_set(value, bytes, (int)len)) {
        GENERAL_NAME_free(name);
        ASN1_OCTET_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    return name;
}

static kv_status directory_name(kv_arena *arena, kv_slice text, GENERAL_NAME **out, kv_error *err)
{
    kv_x509_policy policy = { .x509_props.subject = text };
    X509_NAME *dn = NULL;
    GENERAL_NAME *name = GENERAL_NAME_new();
    kv_status status = name ? kv_x509_subject_build(arena, &policy, &dn, err) : failed(err);

    if (status != KV_OK) {
        GENERAL_NAME_free(name);
        return status;
    }
    GENERAL_NAME_set0_value(name, GEN_DIRNAME, dn);
    *out = name;
    return KV_OK;
}

static kv_status fill_side(kv_arena *arena, const kv_x509_subtrees *from,
                           STACK_OF(GENERAL_SUBTREE) **to, kv_error *err)
{
    for (size_t i = 0; i < from->dns_names.count; i++)
        KV_TRY(push(to, text_name(GEN_DNS, from->dns_names.items[i]), err));
    for (size_t i = 0; i < from->emails.count; i++)
        KV_TRY(push(to, text_name(GEN_EMAIL, from->emails.items[i]), err));
    for (size_t i = 0; i < from->ip_ranges.count; i++)
        KV_TRY(push(to, range_name(from->ip_ranges.items[i]), err));
    for (size_t i = 0; i < from->directory_names.count; i++) {
        GENERAL_NAME *name = NULL;

        KV_TRY(directory_name(arena, from->directory_names.items[i], &name, err));
        KV_TRY(push(to, name, err));
    }
    return KV_OK;
}

kv_status kv_x509_constraints_write(kv_arena *arena, X509 *certificate,
                                    const kv_x509_constraints *constraints, kv_error *err)
{
    KV_AUTO(kv_ossl_constraints_of) value = NAME_CONSTRAINTS_new();

    if (kv_x509_constraints_empty(constraints))
        return KV_OK;
    if (!value)
        return failed(err);
    KV_TRY(fill_side(arena, &constraints->permitted, &value->permittedSubtrees, err));
    KV_TRY(fill_side(arena, &constraints->excluded, &value->excludedSubtrees, err));
    if (X509_add1_ext_i2d(certificate, NID_name_constraints, value, 1, X509V3_ADD_DEFAULT) != 1)
        return failed(err);
    return KV_OK;
}

/* ---- those above ---- */

static kv_status ask(X509 *certificate, kv_slice authority, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) above = kv_ossl_parse_certificate(authority);
    KV_AUTO(kv_ossl_constraints_of) rules = NULL;
    int critical = 0;
    int verdict;

    if (!above)
        return failed(err);
    rules = X509_get_ext_d2i(above, NID_name_constraints, &critical, NULL);
    if (!rules && critical == -1)
        return KV_OK;
    if (!rules)
        return kv_fail(err, KV_PRECONDITION, "the name constraints of an authority are malformed");
    verdict = NAME_CONSTRAINTS_check(certificate, rules);
    if (verdict == X509_V_OK)
        verdict = NAME_CONSTRAINTS_check_CN(certificate, rules);
    ERR_clear_error();
    if (verdict == X509_V_OK)
        return KV_OK;
    return kv_fail(err, KV_PRECONDITION,
                   "the name constraints of the authority do not allow a name in it: %s",
                   X509_verify_cert_error_string(verdict));
}

kv_status kv_x509_constraints_allow(const kv_x509_list *authorities, kv_slice der, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);

    /* Fills the cache that the check reads the alternative names from. */
    if (!certificate || X509_check_purpose(certificate, -1, 0) != 1)
        return failed(err);
    for (size_t i = 0; i < authorities->count; i++)
        KV_TRY(ask(certificate, authorities->items[i], err));
    return KV_OK;
}
