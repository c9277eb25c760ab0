/* pb_policy.c - a certificate policy in both directions. */
#include "server/wire/pb_policy.h"

/* By the number of keyvault.v1.KeyType and Curve; the first is what nobody said. */
static const char *const key_types[] = { "", "EC", "RSA", "oct", "OKP" };
static const char *const curves[] = { "", "P-256", "P-384", "P-521", "P-256K", "Ed25519" };

static kv_slice name_of(const char *const *names, size_t count, int number)
{
    return kv_slice_text(number > 0 && (size_t)number < count ? names[number] : "");
}

static int number_of(const char *const *names, size_t count, kv_slice name)
{
    for (size_t i = 1; i < count; i++)
        if (kv_slice_equal(name, kv_slice_text(names[i])))
            return (int)i;
    return 0;
}

static kv_status sans_in(const Keyvault__V1__SubjectAlternativeNames *from, kv_arena *arena,
                         kv_x509_sans *out, kv_error *err)
{
    KV_TRY(kv_pb_texts_in(from->n_emails, from->emails, arena, &out->emails, err));
    KV_TRY(kv_pb_texts_in(from->n_dns_names, from->dns_names, arena, &out->dns_names, err));
    KV_TRY(kv_pb_texts_in(from->n_upns, from->upns, arena, &out->upns, err));
    KV_TRY(kv_pb_texts_in(from->n_uris, from->uris, arena, &out->uris, err));
    return kv_pb_texts_in(from->n_ip_addresses, from->ip_addresses, arena, &out->ip_addresses, err);
}

static kv_status x509_in(const Keyvault__V1__X509Properties *from, kv_arena *arena,
                         kv_x509_props *out, kv_error *err)
{
    out->subject = kv_slice_text(from->subject);
    if (from->sans)
        KV_TRY(sans_in(from->sans, arena, &out->sans, err));
    KV_TRY(kv_pb_texts_in(from->n_ekus, from->ekus, arena, &out->ekus, err));
    /* Number 1 is bit 0 of the extension. */
    out->key_usage = kv_pb_mask(from->n_key_usage, (const int *)from->key_usage) >> 1;
    out->validity_months_given = from->has_validity_months_case != 0;
    out->validity_months = from->validity_months;
    out->ca_given = from->basic_constraints != NULL;
    out->ca = from->basic_constraints && from->basic_constraints->ca;
    return KV_OK;
}

/* What is missing or said twice is for kv_x509_policy_check to refuse. */
static kv_x509_lifetime_action action_in(const Keyvault__V1__LifetimeAction *from)
{
    kv_x509_lifetime_action to = { .action = KV_X509_ACTION_NONE };

    if (from->action_type == KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_AUTO_RENEW)
        to.action = KV_X509_AUTO_RENEW;
    if (from->action_type ==
        KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_EMAIL_CONTACTS)
        to.action = KV_X509_EMAIL_CONTACTS;
    if (from->trigger) {
        to.lifetime_percentage = from->trigger->lifetime_percentage;
        to.days_before_expiry = from->trigger->days_before_expiry;
    }
    return to;
}

kv_status kv_pb_policy_in(const Keyvault__V1__CertificatePolicy *from, kv_arena *arena,
                          kv_certificate_policy *out, kv_error *err)
{
    kv_x509_lifetime_action *actions;

    if (from->key_props) {
        const Keyvault__V1__KeyProperties *key = from->key_props;

        out->key_props.kty = name_of(key_types, KV_COUNT(key_types), (int)key->kty);
        out->key_props.key_size = key->key_size;
        out->key_props.crv = name_of(curves, KV_COUNT(curves), (int)key->crv);
        out->key_props.exportable_given = key->has_exportable_case != 0;
        out->key_props.exportable = key->exportable;
        out->key_props.reuse_key_given = key->has_reuse_key_case != 0;
        out->key_props.reuse_key = key->reuse_key;
    }
    if (from->secret_props)
        out->content_type = kv_slice_text(from->secret_props->content_type);
    if (from->x509_props)
        KV_TRY(x509_in(from->x509_props, arena, &out->x509_props, err));
    actions = kv_arena_array(arena, from->n_lifetime_actions, sizeof(*actions));
    if (!actions)
        return kv_arena_full(err);
    for (size_t i = 0; i < from->n_lifetime_actions; i++)
        actions[i] = action_in(from->lifetime_actions[i]);
    out->lifetime_actions = actions;
    out->lifetime_action_count = from->n_lifetime_actions;
    if (from->issuer) {
        out->issuer.name = kv_slice_text(from->issuer->name);
        out->issuer.cty = kv_slice_text(from->issuer->cty);
        out->issuer.cert_transparency_given = from->issuer->has_cert_transparency_case != 0;
        out->issuer.cert_transparency = from->issuer->cert_transparency;
    }
    return KV_OK;
}

static Keyvault__V1__KeyProperties *key_props(kv_pb_writer *writer, const kv_x509_key_props *from)
{
    Keyvault__V1__KeyProperties *to = kv_pb_new(writer, &keyvault__v1__key_properties__descriptor);

    if (!to)
        return NULL;
    to->kty = (Keyvault__V1__KeyType)number_of(key_types, KV_COUNT(key_types), from->kty);
    to->key_size = from->key_size;
    to->crv = (Keyvault__V1__Curve)number_of(curves, KV_COUNT(curves), from->crv);
    to->has_exportable_case = KEYVAULT__V1__KEY_PROPERTIES__HAS_EXPORTABLE_EXPORTABLE;
    to->exportable = from->exportable;
    to->has_reuse_key_case = KEYVAULT__V1__KEY_PROPERTIES__HAS_REUSE_KEY_REUSE_KEY;
    to->reuse_key = from->reuse_key;
    return to;
}

static Keyvault__V1__SubjectAlternativeNames *sans(kv_pb_writer *writer, const kv_x509_sans *from)
{
    Keyvault__V1__SubjectAlternativeNames *to =
        kv_pb_new(writer, &keyvault__v1__subject_alternative_names__descriptor);

    if (!to)
        return NULL;
    to->emails = kv_pb_texts(writer, from->emails.items, from->emails.count, &to->n_emails);
    to->dns_names =
        kv_pb_texts(writer, from->dns_names.items, from->dns_names.count, &to->n_dns_names);
    to->upns = kv_pb_texts(writer, from->upns.items, from->upns.count, &to->n_upns);
    to->uris = kv_pb_texts(writer, from->uris.items, from->uris.count, &to->n_uris);
    to->ip_addresses = kv_pb_texts(writer, from->ip_addresses.items, from->ip_addresses.count,
                                   &to->n_ip_addresses);
    return to;
}

static Keyvault__V1__X509Properties *x509_props(kv_pb_writer *writer, const kv_x509_props *from)
{
    Keyvault__V1__X509Properties *to =
        kv_pb_new(writer, &keyvault__v1__x509_properties__descriptor);

    if (!to)
        return NULL;
    to->subject = kv_pb_text(writer, from->subject);
    to->sans = sans(writer, &from->sans);
    to->ekus = kv_pb_texts(writer, from->ekus.items, from->ekus.count, &to->n_ekus);
    to->key_usage = (void *)kv_pb_numbers(writer, from->key_usage << 1, &to->n_key_usage);
    to->has_validity_months_case =
        KEYVAULT__V1__X509_PROPERTIES__HAS_VALIDITY_MONTHS_VALIDITY_MONTHS;
    to->validity_months = from->validity_months;
    to->basic_constraints = kv_pb_new(writer, &keyvault__v1__basic_constraints__descriptor);
    if (to->basic_constraints)
        to->basic_constraints->ca = from->ca;
    return to;
}

static Keyvault__V1__LifetimeAction *action(kv_pb_writer *writer,
                                            const kv_x509_lifetime_action *from)
{
    Keyvault__V1__LifetimeAction *to =
        kv_pb_new(writer, &keyvault__v1__lifetime_action__descriptor);
    Keyvault__V1__LifetimeTrigger *trigger =
        kv_pb_new(writer, &keyvault__v1__lifetime_trigger__descriptor);

    if (!to || !trigger)
        return NULL;
    if (from->lifetime_percentage) {
        trigger->has_lifetime_percentage_case =
            KEYVAULT__V1__LIFETIME_TRIGGER__HAS_LIFETIME_PERCENTAGE_LIFETIME_PERCENTAGE;
        trigger->lifetime_percentage = from->lifetime_percentage;
    }
    if (from->days_before_expiry) {
        trigger->has_days_before_expiry_case =
            KEYVAULT__V1__LIFETIME_TRIGGER__HAS_DAYS_BEFORE_EXPIRY_DAYS_BEFORE_EXPIRY;
        trigger->days_before_expiry = from->days_before_expiry;
    }
    to->trigger = trigger;
    to->action_type = from->action == KV_X509_AUTO_RENEW
                          ? KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_AUTO_RENEW
                          : KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_EMAIL_CONTACTS;
    return to;
}

static Keyvault__V1__IssuerParameters *issuer(kv_pb_writer *writer,
                                              const kv_x509_issuer_props *from)
{
    Keyvault__V1__IssuerParameters *to =
        kv_pb_new(writer, &keyvault__v1__issuer_parameters__descriptor);

    if (!to)
        return NULL;
    to->name = kv_pb_text(writer, from->name);
    to->cty = kv_pb_text(writer, from->cty);
    if (from->cert_transparency_given) {
        to->has_cert_transparency_case =
            KEYVAULT__V1__ISSUER_PARAMETERS__HAS_CERT_TRANSPARENCY_CERT_TRANSPARENCY;
        to->cert_transparency = from->cert_transparency;
    }
    return to;
}

Keyvault__V1__CertificatePolicy *kv_pb_policy(kv_pb_writer *writer,
                                              const kv_certificate_policy *from)
{
    Keyvault__V1__CertificatePolicy *to =
        kv_pb_new(writer, &keyvault__v1__certificate_policy__descriptor);

    if (!to)
        return NULL;
    to->key_props = key_props(writer, &from->key_props);
    to->secret_props = kv_pb_new(writer, &keyvault__v1__secret_properties__descriptor);
    if (to->secret_props)
        to->secret_props->content_type = kv_pb_text(writer, from->content_type);
    to->x509_props = x509_props(writer, &from->x509_props);
    to->lifetime_actions = kv_pb_array(writer, from->lifetime_action_count,
                                       sizeof(*to->lifetime_actions), &to->n_lifetime_actions);
    for (size_t i = 0; i < to->n_lifetime_actions; i++)
        to->lifetime_actions[i] = action(writer, &from->lifetime_actions[i]);
    to->issuer = issuer(writer, &from->issuer);
    return to;
}

kv_slice kv_pb_key_type_name(Keyvault__V1__KeyType type)
{
    return name_of(key_types, KV_COUNT(key_types), (int)type);
}

kv_slice kv_pb_curve_name(Keyvault__V1__Curve curve)
{
    return name_of(curves, KV_COUNT(curves), (int)curve);
}
