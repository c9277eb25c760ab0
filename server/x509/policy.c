/* policy.c - the defaults and the rules of certificate policies. */
#include "server/x509/policy.h"

#include <stdio.h>

#include "server/base/text.h"
#include "server/x509/dn.h"
#include "server/x509/names.h"

enum { FIELD_BYTES = 96, ISSUER_NAME_MAX = 127, PERCENTAGE_MAX = 99 };

static const char *const usage_names[KV_X509_KEY_USAGE_COUNT] = {
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly",
};

const char *kv_x509_key_usage_name(unsigned index)
{
    return index < KV_X509_KEY_USAGE_COUNT ? usage_names[index] : "";
}

uint32_t kv_x509_key_usage_bit(kv_slice name)
{
    for (unsigned i = 0; i < KV_X509_KEY_USAGE_COUNT; i++)
        if (kv_slice_equal(name, kv_slice_text(usage_names[i])))
            return UINT32_C(1) << i;
    return 0;
}

typedef struct key_type {
    const char *name;
    kv_key_family family;
    bool hsm; /* the caller asks for a key that never leaves the token */
} key_type;

static const key_type key_types[] = {
    { "RSA", KV_FAMILY_RSA, false },
    { "RSA-HSM", KV_FAMILY_RSA, true },
    { "EC", KV_FAMILY_EC, false },
    { "EC-HSM", KV_FAMILY_EC, true },
};

static const kv_key_kind ec_kinds[] = { KV_KEY_P256, KV_KEY_P384, KV_KEY_P521 };

static const key_type *key_type_of(const kv_x509_policy *policy)
{
    for (size_t i = 0; i < KV_COUNT(key_types); i++)
        if (kv_slice_equal(policy->key_props.kty, kv_slice_text(key_types[i].name)))
            return &key_types[i];
    return NULL;
}

static bool is_family(const kv_x509_policy *policy, kv_key_family family)
{
    const key_type *type = key_type_of(policy);

    return type && type->family == family;
}

static kv_key_kind curve_named(kv_slice name)
{
    for (size_t i = 0; i < KV_COUNT(ec_kinds); i++)
        if (kv_slice_equal(name, kv_slice_text(kv_key_kind_of(ec_kinds[i])->name)))
            return ec_kinds[i];
    return KV_KEY_NONE;
}

static kv_key_kind curve_of_size(uint32_t bits)
{
    for (size_t i = 0; i < KV_COUNT(ec_kinds); i++)
        if (kv_key_kind_of(ec_kinds[i])->bits == bits)
            return ec_kinds[i];
    return KV_KEY_NONE;
}

kv_key_kind kv_x509_policy_key_kind(const kv_x509_policy *policy)
{
    if (is_family(policy, KV_FAMILY_RSA))
        return kv_key_kind_rsa(policy->key_props.key_size);
    if (is_family(policy, KV_FAMILY_EC))
        return curve_named(policy->key_props.crv);
    return KV_KEY_NONE;
}

bool kv_x509_policy_issuer_is(const kv_x509_policy *policy, const char *name)
{
    return kv_text_equal_nocase(policy->issuer.name, kv_slice_text(name));
}

/* ---- defaults ---- */

static void default_key(kv_x509_key_props *key, const kv_x509_policy *policy)
{
    kv_key_kind curve;

    if (key->kty.len == 0)
        key->kty = KV_SLICE("RSA");
    if (is_family(policy, KV_FAMILY_RSA) && key->key_size == 0)
        key->key_size = kv_key_kind_of(KV_KEY_RSA_2048)->bits;
    if (!is_family(policy, KV_FAMILY_EC))
        return;
    if (key->crv.len == 0) {
        curve = key->key_size ? curve_of_size(key->key_size) : KV_KEY_P256;
        if (curve != KV_KEY_NONE)
            key->crv = kv_slice_text(kv_key_kind_of(curve)->name);
    }
    curve = curve_named(key->crv);
    if (key->key_size == 0 && curve != KV_KEY_NONE)
        key->key_size = kv_key_kind_of(curve)->bits;
}

static void default_x509(kv_x509_props *x509, const kv_x509_policy *policy)
{
    static const kv_slice tls[] = { KV_SLICE("1.3.6.1.5.5.7.3.1"), KV_SLICE("1.3.6.1.5.5.7.3.2") };

    if (x509->ekus.count == 0 && !x509->ca)
        x509->ekus = (kv_x509_list){ .items = tls, .count = KV_COUNT(tls) };
    if (x509->key_usage == 0) {
        x509->key_usage = KV_X509_DIGITAL_SIGNATURE;
        if (x509->ca)
            x509->key_usage |= KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN;
        else if (is_family(policy, KV_FAMILY_RSA)) /* RFC 8813 forbids it for EC keys */
            x509->key_usage |= KV_X509_KEY_ENCIPHERMENT;
    }
    if (x509->validity_months == 0 && !x509->validity_months_given)
        x509->validity_months = KV_X509_VALIDITY_MONTHS_DEFAULT;
}

void kv_x509_policy_defaults(kv_x509_policy *policy)
{
    static const kv_x509_lifetime_action renew = { .action = KV_X509_AUTO_RENEW,
                                                   .lifetime_percentage =
                                                       KV_X509_LIFETIME_PERCENTAGE_DEFAULT };
    static const kv_x509_lifetime_action mail = { .action = KV_X509_EMAIL_CONTACTS,
                                                  .lifetime_percentage =
                                                      KV_X509_LIFETIME_PERCENTAGE_DEFAULT };

    default_key(&policy->key_props, policy);
    default_x509(&policy->x509_props, policy);
    if (policy->content_type.len == 0)
        policy->content_type = KV_SLICE(KV_X509_CONTENT_PKCS12);
    if (policy->issuer.name.len == 0)
        policy->issuer.name = KV_SLICE(KV_X509_ISSUER_UNKNOWN);
    if (policy->lifetime_action_count == 0) {
        bool manual = kv_x509_policy_issuer_is(policy, KV_X509_ISSUER_UNKNOWN);

        policy->lifetime_actions = manual ? &mail : &renew;
        policy->lifetime_action_count = 1;
    }
}

/* ---- rules ---- */

static kv_status check_ec(const kv_x509_key_props *key, kv_error *err)
{
    kv_key_kind curve = curve_named(key->crv);

    if (key->crv.len == 0)
        return kv_fail_field(err, "policy.key_props.key_size",
                             "must be 256, 384 or 521 for an EC key");
    if (curve == KV_KEY_NONE)
        return kv_fail_field(err, "policy.key_props.crv", "must be P-256, P-384 or P-521");
    if (key->key_size != kv_key_kind_of(curve)->bits)
        return kv_fail_field(err, "policy.key_props.key_size", "must be %u, the size of %s",
                             kv_key_kind_of(curve)->bits, kv_key_kind_of(curve)->name);
    return KV_OK;
}

static kv_status check_key(const kv_x509_policy *policy, kv_error *err)
{
    const kv_x509_key_props *key = &policy->key_props;
    const key_type *type = key_type_of(policy);

    if (!type)
        return kv_fail_field(err, "policy.key_props.kty", "must be RSA, RSA-HSM, EC or EC-HSM");
    if (type->family == KV_FAMILY_RSA) {
        if (key->crv.len)
            return kv_fail_field(err, "policy.key_props.crv", "must be absent for an RSA key");
        if (kv_key_kind_rsa(key->key_size) == KV_KEY_NONE)
            return kv_fail_field(err, "policy.key_props.key_size",
                                 "must be 2048, 3072 or 4096 for an RSA key");
    } else {
        KV_TRY(check_ec(key, err));
    }
    if (type->hsm && key->exportable)
        return kv_fail_field(err, "policy.key_props.exportable",
                             "must be false for %s: such a key never leaves the token", type->name);
    return KV_OK;
}

static size_t characters(kv_slice utf8)
{
    size_t count = 0;

    for (size_t i = 0; i < utf8.len; i++)
        count += (utf8.data[i] & 0xc0) != 0x80;
    return count;
}

static kv_status check_subject(kv_arena *arena, const kv_x509_policy *policy, size_t sans,
                               kv_error *err)
{
    static const char field[] = "policy.x509_props.subject";
    kv_slice subject = policy->x509_props.subject;
    kv_x509_dn dn;

    if (characters(subject) > KV_X509_SUBJECT_MAX)
        return kv_fail_field(err, field, "must be at most %d characters long", KV_X509_SUBJECT_MAX);
    KV_TRY(kv_x509_dn_parse(arena, subject, field, &dn, err));
    if (dn.count == 0 && sans == 0)
        return kv_fail_field(err, field, "is required when there are no alternative names");
    if (dn.count == 0 && policy->x509_props.ca)
        return kv_fail_field(err, field, "is required for a certification authority");
    return KV_OK;
}

typedef struct san_kind {
    const char *field;
    size_t offset; /* of the list in kv_x509_sans */
    size_t most;   /* bytes of one name */
    const char *(*problem)(kv_slice name);
} san_kind;

static const san_kind san_kinds[] = {
    { "emails", offsetof(kv_x509_sans, emails), KV_X509_SAN_MAX, kv_x509_email_problem },
    { "dns_names", offsetof(kv_x509_sans, dns_names), KV_X509_SAN_MAX, kv_x509_dns_name_problem },
    { "upns", offsetof(kv_x509_sans, upns), KV_X509_SAN_MAX, kv_x509_upn_problem },
    { "uris", offsetof(kv_x509_sans, uris), KV_X509_URI_MAX, kv_x509_uri_problem },
    { "ip_addresses", offsetof(kv_x509_sans, ip_addresses), KV_X509_SAN_MAX, kv_x509_ip_problem },
};

static const kv_x509_list *names_of(const kv_x509_sans *sans, const san_kind *kind)
{
    return (const kv_x509_list *)((const char *)sans + kind->offset);
}

static kv_status check_names(const kv_x509_list *names, const san_kind *kind, kv_error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *problem = NULL;
        char field[FIELD_BYTES];

        (void)snprintf(field, sizeof(field), "policy.x509_props.sans.%s[%zu]", kind->field, i);
        if (names->items[i].len == 0)
            return kv_fail_field(err, field, "must not be empty");
        if (names->items[i].len > kind->most)
            return kv_fail_field(err, field, "must be at most %zu bytes long", kind->most);
        problem = kind->problem(names->items[i]);
        if (problem)
            return kv_fail_field(err, field, "%s", problem);
    }
    return KV_OK;
}

static kv_status check_sans(const kv_x509_policy *policy, size_t *total, kv_error *err)
{
    const kv_x509_sans *sans = &policy->x509_props.sans;
    size_t count = 0;

    /* The bound first, list by list, so that a sum cannot overflow. */
    for (size_t i = 0; i < KV_COUNT(san_kinds); i++) {
        size_t more = names_of(sans, &san_kinds[i])->count;

        if (more > KV_X509_SANS_MAX - count)
            return kv_fail_field(err, "policy.x509_props.sans",
                                 "must have at most %d names altogether", KV_X509_SANS_MAX);
        count += more;
    }
    for (size_t i = 0; i < KV_COUNT(san_kinds); i++)
        KV_TRY(check_names(names_of(sans, &san_kinds[i]), &san_kinds[i], err));
    *total = count;
    return KV_OK;
}

static kv_status check_ekus(const kv_x509_list *ekus, kv_error *err)
{
    if (ekus->count > KV_X509_EKUS_MAX)
        return kv_fail_field(err, "policy.x509_props.ekus", "must have at most %d elements",
                             KV_X509_EKUS_MAX);
    for (size_t i = 0; i < ekus->count; i++) {
        const char *problem = kv_x509_oid_problem(ekus->items[i]);
        char field[FIELD_BYTES];

        (void)snprintf(field, sizeof(field), "policy.x509_props.ekus[%zu]", i);
        if (problem)
            return kv_fail_field(err, field, "%s", problem);
        for (size_t j = 0; j < i; j++)
            if (kv_slice_equal(ekus->items[i], ekus->items[j]))
                return kv_fail_field(err, field, "must not repeat another element");
    }
    return KV_OK;
}

static kv_status check_x509(kv_arena *arena, const kv_x509_policy *policy, kv_error *err)
{
    const kv_x509_props *x509 = &policy->x509_props;
    size_t sans = 0;

    KV_TRY(check_sans(policy, &sans, err));
    KV_TRY(check_subject(arena, policy, sans, err));
    KV_TRY(check_ekus(&x509->ekus, err));
    if (x509->key_usage & ~(uint32_t)KV_X509_KEY_USAGE_ALL)
        return kv_fail_field(err, "policy.x509_props.key_usage", "has an unknown key usage");
    if (x509->ca && !(x509->key_usage & KV_X509_KEY_CERT_SIGN))
        return kv_fail_field(err, "policy.x509_props.key_usage",
                             "must have keyCertSign for a certification authority");
    if (x509->validity_months < 1 || x509->validity_months > KV_X509_VALIDITY_MONTHS_MAX)
        return kv_fail_field(err, "policy.x509_props.validity_months", "must be 1 to %d",
                             KV_X509_VALIDITY_MONTHS_MAX);
    return KV_OK;
}

static kv_status check_trigger(const kv_x509_policy *policy, size_t index, kv_error *err)
{
    const kv_x509_lifetime_action *action = &policy->lifetime_actions[index];
    uint32_t most = policy->x509_props.validity_months * KV_X509_DAYS_PER_MONTH;
    char field[FIELD_BYTES];

    (void)snprintf(field, sizeof(field), "policy.lifetime_actions[%zu].trigger", index);
    if (!action->lifetime_percentage == !action->days_before_expiry)
        return kv_fail_field(err, field,
                             "must have exactly one of lifetime_percentage (1 to %d) and "
                             "days_before_expiry (1 to %u)",
                             PERCENTAGE_MAX, most);
    if (action->lifetime_percentage > PERCENTAGE_MAX) {
        (void)snprintf(field, sizeof(field),
                       "policy.lifetime_actions[%zu].trigger.lifetime_percentage", index);
        return kv_fail_field(err, field, "must be 1 to %d", PERCENTAGE_MAX);
    }
    if (action->days_before_expiry > most) {
        (void)snprintf(field, sizeof(field),
                       "policy.lifetime_actions[%zu].trigger.days_before_expiry", index);
        return kv_fail_field(err, field, "must be 1 to %u, %d days for each month of validity",
                             most, KV_X509_DAYS_PER_MONTH);
    }
    return KV_OK;
}

static kv_status check_actions(const kv_x509_policy *policy, kv_error *err)
{
    char field[FIELD_BYTES];

    if (policy->lifetime_action_count > KV_X509_LIFETIME_ACTIONS_MAX)
        return kv_fail_field(err, "policy.lifetime_actions", "must have at most %d elements",
                             KV_X509_LIFETIME_ACTIONS_MAX);
    for (size_t i = 0; i < policy->lifetime_action_count; i++) {
        kv_x509_action action = policy->lifetime_actions[i].action;

        (void)snprintf(field, sizeof(field), "policy.lifetime_actions[%zu].action_type", i);
        if (action != KV_X509_EMAIL_CONTACTS && action != KV_X509_AUTO_RENEW)
            return kv_fail_field(err, field, "must be AutoRenew or EmailContacts");
        if (action == KV_X509_AUTO_RENEW &&
            kv_x509_policy_issuer_is(policy, KV_X509_ISSUER_UNKNOWN))
            return kv_fail_field(err, field,
                                 "must not be AutoRenew with issuer Unknown: nobody would renew");
        if (i > 0 && action == policy->lifetime_actions[0].action)
            return kv_fail_field(err, field, "must not repeat another action");
        KV_TRY(check_trigger(policy, i, err));
    }
    return KV_OK;
}

static bool good_issuer_name(kv_slice name)
{
    if (name.len == 0 || name.len > ISSUER_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            c != '-')
            return false;
    }
    return true;
}

static kv_status check_issuer(const kv_x509_policy *policy, kv_error *err)
{
    if (!good_issuer_name(policy->issuer.name))
        return kv_fail_field(err, "policy.issuer.name",
                             "must be Self, Unknown or the name of an issuer: 1 to %d letters, "
                             "digits and hyphens",
                             ISSUER_NAME_MAX);
    if (policy->issuer.cty.len > KV_X509_CTY_MAX || !kv_text_printable(policy->issuer.cty))
        return kv_fail_field(err, "policy.issuer.cty", "must be printable, at most %d bytes",
                             KV_X509_CTY_MAX);
    return KV_OK;
}

kv_status kv_x509_policy_check(kv_arena *arena, const kv_x509_policy *policy, kv_error *err)
{
    KV_TRY(check_key(policy, err));
    if (!kv_slice_equal(policy->content_type, KV_SLICE(KV_X509_CONTENT_PKCS12)) &&
        !kv_slice_equal(policy->content_type, KV_SLICE(KV_X509_CONTENT_PEM)))
        return kv_fail_field(err, "policy.secret_props.content_type", "must be %s or %s",
                             KV_X509_CONTENT_PKCS12, KV_X509_CONTENT_PEM);
    KV_TRY(check_x509(arena, policy, err));
    KV_TRY(check_issuer(policy, err));
    return check_actions(policy, err);
}
