/* derive.c - a policy read off a certificate. */
#include "server/x509/derive.h"

#include "server/x509/calendar.h"

static const kv_x509_lifetime_action tell_contacts = {
    .action = KV_X509_EMAIL_CONTACTS,
    .lifetime_percentage = KV_X509_LIFETIME_PERCENTAGE_DEFAULT,
};

uint32_t kv_x509_months_covering(int64_t not_before_ms, int64_t not_after_ms)
{
    uint32_t low = 1, high = KV_X509_VALIDITY_MONTHS_MAX;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (kv_x509_add_months(not_before_ms, middle) >= not_after_ms)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static kv_x509_key_props key_props(const kv_x509_facts *facts, bool exportable)
{
    const kv_key_kind_row *row = kv_key_kind_of(facts->key_kind);
    bool ec = row->family == KV_FAMILY_EC;

    return (kv_x509_key_props){
        .kty = ec ? KV_SLICE("EC") : KV_SLICE("RSA"),
        .key_size = facts->key_bits,
        .crv = ec ? kv_slice_text(row->name) : KV_SLICE_NONE,
        .exportable = exportable,
        .exportable_given = true,
        .reuse_key_given = true,
    };
}

void kv_x509_policy_derive(const kv_x509_facts *facts, const kv_x509_derive *how,
                           kv_x509_policy *out)
{
    *out = (kv_x509_policy){
        .key_props = key_props(facts, how->exportable),
        .content_type = how->content_type,
        .x509_props = {
            .subject = facts->subject,
            .sans = facts->sans,
            .ekus = facts->ekus,
            .key_usage = facts->key_usage,
            .validity_months =
                kv_x509_months_covering(facts->not_before_ms, facts->not_after_ms),
            .validity_months_given = true,
            .ca = facts->is_ca,
            .ca_given = true,
        },
        .lifetime_actions = &tell_contacts,
        .lifetime_action_count = 1,
        .issuer = { .name = KV_SLICE(KV_X509_ISSUER_UNKNOWN) },
    };
}
