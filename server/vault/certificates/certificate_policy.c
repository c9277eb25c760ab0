/* certificate_policy.c - policies are completed, shown and changed; the next version sees it. */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/renewals/renewal_rules.h"

static void merge_text(kv_slice *to, kv_slice from)
{
    if (from.len)
        *to = from;
}

static void merge_list(kv_x509_list *to, const kv_x509_list *from)
{
    if (from->count)
        *to = *from;
}

/* A key of another type has another size and curve. */
static void merge_key(kv_x509_key_props *to, const kv_x509_key_props *from)
{
    if (from->kty.len || from->key_size || from->crv.len) {
        to->key_size = from->key_size;
        to->crv = from->crv;
        merge_text(&to->kty, from->kty);
    }
    if (from->exportable_given)
        to->exportable = from->exportable;
    if (from->reuse_key_given)
        to->reuse_key = from->reuse_key;
}

static bool has_sans(const kv_x509_sans *sans)
{
    return sans->emails.count || sans->dns_names.count || sans->upns.count || sans->uris.count ||
           sans->ip_addresses.count;
}

static void merge_props(kv_x509_props *to, const kv_x509_props *from)
{
    merge_text(&to->subject, from->subject);
    if (has_sans(&from->sans))
        to->sans = from->sans;
    merge_list(&to->ekus, &from->ekus);
    if (from->key_usage)
        to->key_usage = from->key_usage;
    if (from->validity_months_given) {
        to->validity_months = from->validity_months;
        to->validity_months_given = true;
    }
    if (from->ca_given)
        to->ca = from->ca;
}

void kv_policy_merge(kv_x509_policy *policy, const kv_x509_policy *changes)
{
    merge_key(&policy->key_props, &changes->key_props);
    merge_text(&policy->content_type, changes->content_type);
    merge_props(&policy->x509_props, &changes->x509_props);
    if (changes->lifetime_action_count) {
        policy->lifetime_actions = changes->lifetime_actions;
        policy->lifetime_action_count = changes->lifetime_action_count;
    }
    merge_text(&policy->issuer.name, changes->issuer.name);
    merge_text(&policy->issuer.cty, changes->issuer.cty);
    if (changes->issuer.cert_transparency_given)
        policy->issuer.cert_transparency = changes->issuer.cert_transparency;
}

/* Built in, an issuer object, or an authority of the vault. */
static kv_status check_issuer(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_x509_policy *policy, kv_error *err)
{
    const kv_issuer *issuer = NULL;

    KV_TRY(kv_issuer_known(vault, work, vault_row, policy->issuer.name, &issuer, err));
    if (kv_issuer_is_local(issuer) && policy->x509_props.ca)
        return kv_fail_field(err, "policy.x509_props.basic_constraints.ca",
                             "must be false: an authority below it is made as one");
    return KV_OK;
}

kv_status kv_policy_complete(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             kv_x509_policy *policy, kv_error *err)
{
    if (!policy->key_props.exportable_given) {
        policy->key_props.exportable = vault_row->default_exportable != 0;
        policy->key_props.exportable_given = true;
    }
    kv_x509_policy_defaults(policy);
    KV_TRY(kv_x509_policy_check(work->arena, policy, err));
    return check_issuer(vault, work, vault_row, policy, err);
}

kv_status kv_policy_find(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_policy_row *row,
                         kv_x509_policy *out, kv_error *err)
{
    *row = (kv_policy_row){ .object_uid = object_uid };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_policies, row, work->arena, err));
    return kv_policy_load(work, row->policy, out, err);
}

static kv_certificate_policy_bundle bundle_of(const kv_policy_row *row,
                                              const kv_x509_policy *policy)
{
    return (kv_certificate_policy_bundle){
        .policy = *policy, .enabled = true, .created = row->created, .updated = row->updated
    };
}

kv_status kv_certificate_policy_get(kv_vault *vault, kv_work *work,
                                    const kv_certificate_policy_get_in *in,
                                    kv_certificate_policy_bundle *out, kv_error *err)
{
    kv_object_row object;
    kv_x509_policy policy;
    kv_policy_row row;

    KV_TRY(kv_find_object(vault, work, &in->target, NULL, &object, err));
    KV_TRY(kv_policy_find(vault, work, object.uid, &row, &policy, err));
    *out = bundle_of(&row, &policy);
    return KV_OK;
}

/* Another trigger, or none. */
static kv_status plan_renewal(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, const kv_x509_policy *policy,
                              kv_renewal_row *row, kv_change *change, kv_error *err)
{
    kv_certificate_version_row version;

    if (!object->current.len)
        return KV_OK;
    KV_TRY(kv_find_certificate_version(vault, work, object->uid, object->current, &version, err));
    KV_TRY(kv_expiry_policy_altered(vault, work, &version, policy, change, err));
    return kv_renewal_keep(vault, work, vault_row, policy, &version, row, change, err);
}

kv_status kv_certificate_policy_update(kv_vault *vault, kv_work *work,
                                       const kv_certificate_policy_update_in *in,
                                       kv_certificate_policy_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_renewal_row renewal;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_x509_policy policy;
    kv_policy_row row;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_policy_find(vault, work, object.uid, &row, &policy, err));
    kv_policy_merge(&policy, &in->policy);
    KV_TRY(kv_policy_complete(vault, work, &vault_row, &policy, err));
    KV_TRY(kv_policy_store(work, &policy, &row.policy, err));
    row.updated = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_policies, &row, err));
    KV_TRY(plan_renewal(vault, work, &vault_row, &object, &policy, &renewal, &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_wake_steps(vault);
    *out = bundle_of(&row, &policy);
    return KV_OK;
}
