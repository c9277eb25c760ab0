/* acme_names.c - which names of a policy an order is for. */
#include <openssl/objects.h>

#include "server/base/text.h"
#include "server/issuer/acme_visit.h"
#include "server/x509/dn.h"
#include "server/x509/names.h"

typedef struct names {
    kv_acme_name *items;
    size_t count;
    kv_arena *arena;
} names;

static kv_status add(names *all, kv_slice text, bool address, kv_error *err)
{
    kv_slice lower;

    KV_TRY(kv_text_lower(all->arena, text, &lower, err));
    for (size_t i = 0; i < all->count; i++)
        if (kv_slice_equal(all->items[i].value, lower))
            return KV_OK;
    if (all->count == KV_ACME_NAMES_MOST)
        return kv_fail(err, KV_PRECONDITION, "an order has at most %d names", KV_ACME_NAMES_MOST);
    all->items[all->count++] = (kv_acme_name){ .value = lower, .address = address };
    return KV_OK;
}

/* The request has it as common name, and authorities want it among the names of the order. */
static kv_status add_common_names(names *all, kv_slice subject, kv_error *err)
{
    kv_x509_dn dn;

    KV_TRY(kv_x509_dn_parse(all->arena, subject, "policy.x509_props.subject", &dn, err));
    for (size_t i = 0; i < dn.count; i++) {
        kv_slice value = dn.items[i].value;

        if (dn.items[i].nid != NID_commonName)
            continue;
        if (!kv_x509_ip_problem(value))
            KV_TRY(add(all, value, true, err));
        else if (!kv_x509_dns_name_problem(value))
            KV_TRY(add(all, value, false, err));
        else
            return kv_fail(err, KV_PRECONDITION,
                           "the common name '%.*s' is no host name: ACME certifies nothing else",
                           KV_SLICE_ARG(value));
    }
    return KV_OK;
}

kv_status kv_acme_names_of(kv_arena *arena, const kv_x509_policy *policy, const kv_acme_name **out,
                           size_t *count, kv_error *err)
{
    const kv_x509_sans *sans = &policy->x509_props.sans;
    names all = { .arena = arena };

    all.items = kv_arena_array(arena, KV_ACME_NAMES_MOST, sizeof(*all.items));
    if (!all.items)
        return kv_arena_full(err);
    if (sans->emails.count || sans->upns.count || sans->uris.count)
        return kv_fail(err, KV_PRECONDITION,
                       "ACME certifies host names and addresses, no e-mail addresses, user names "
                       "and URIs");
    for (size_t i = 0; i < sans->dns_names.count; i++)
        KV_TRY(add(&all, sans->dns_names.items[i], false, err));
    for (size_t i = 0; i < sans->ip_addresses.count; i++)
        KV_TRY(add(&all, sans->ip_addresses.items[i], true, err));
    KV_TRY(add_common_names(&all, policy->x509_props.subject, err));
    if (!all.count)
        return kv_fail(err, KV_PRECONDITION, "the policy has no name that ACME could certify");
    *out = all.items;
    *count = all.count;
    return KV_OK;
}
