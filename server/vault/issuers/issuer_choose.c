/* issuer_choose.c - whom a policy's issuer stands for, and whether it may be used for that.
 *
 * Asked when a certificate is ordered, again before the issuer is, and when a certificate is
 * brought: rules that were changed in between count.
 */
#include "server/base/text.h"
#include "server/issuer/domains.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/issuers/issuer_rules.h"

void kv_chosen_issuer_cleanup(kv_chosen_issuer *chosen)
{
    kv_secret_buf_cleanup(&chosen->credential);
    *chosen = (kv_chosen_issuer){ 0 };
}

static kv_status no_issuer(kv_slice name, kv_error *err)
{
    return kv_fail_field(err, "policy.issuer.name", "this vault has no issuer '%.*s'",
                         KV_SLICE_ARG(name));
}

/* The functions for a name that has no row. */
static kv_status rowless(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         kv_slice name, const kv_issuer **out, kv_error *err)
{
    kv_authority_row authority;
    bool exists = false;

    *out = kv_provider_find(vault, name);
    if (*out && !(*out)->needs_account)
        return KV_OK;
    KV_TRY(kv_authority_look_up(vault, work, vault_row->uid, name, &authority, &exists, err));
    if (!exists || !kv_authority_is_current(&authority))
        return no_issuer(name, err);
    *out = kv_provider_find(vault, KV_SLICE(KV_X509_ISSUER_LOCAL_CA));
    return KV_OK;
}

kv_status kv_issuer_known(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_slice name, const kv_issuer **out, kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    if (kv_issuer_is_builtin(name))
        return rowless(vault, work, vault_row, name, out, err);
    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, name, &row, &exists, err));
    if (!exists)
        return rowless(vault, work, vault_row, name, out, err);
    *out = kv_provider_find(vault, row.provider);
    return *out ? KV_OK : no_issuer(name, err);
}

/* --- the rules --- */

static kv_status permit_requester(const kv_issuer_bundle *issuer, kv_slice requester, kv_error *err)
{
    static const uint8_t nobody[KV_PRINCIPAL_ID_BYTES] = { 0 };
    char digits[2 * KV_PRINCIPAL_ID_BYTES + 1];

    if (!requester.len || kv_slice_equal(requester, kv_slice_of(nobody, sizeof(nobody))) ||
        !issuer->requester_count)
        return KV_OK;
    if (requester.len == KV_PRINCIPAL_ID_BYTES) {
        kv_hex(requester, digits);
        for (size_t i = 0; i < issuer->requester_count; i++)
            if (kv_slice_equal(issuer->requesters[i].id, kv_slice_text(digits)))
                return KV_OK;
    }
    kv_fail(err, KV_DENIED, "issuer '%.*s' may not be used by this principal",
            KV_SLICE_ARG(issuer->name));
    return kv_because(err, KV_REASON_ISSUER_RULES);
}

static bool any_name(const kv_x509_list *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (kv_slice_equal(rules->items[i], KV_SLICE("*")))
            return true;
    return false;
}

static kv_status permit_names(kv_work *work, const kv_issuer_bundle *issuer, kv_slice subject,
                              const kv_x509_sans *sans, kv_error *err)
{
    kv_status status;

    if (any_name(&issuer->domains))
        return KV_OK;
    status = kv_issuer_domains_check(work->arena, &issuer->domains, subject, sans, err);
    return status == KV_DENIED ? kv_because(err, KV_REASON_ISSUER_RULES) : status;
}

/* The auditor reads which issuer was asked for, and why it was not to be. */
static kv_status note(kv_work *work, kv_slice issuer, kv_status status, kv_error *err)
{
    kv_error ignored = { 0 };
    kv_slice text;

    if (kv_arena_print(work->arena, &text, &ignored, "issuer=%.*s%s%s", KV_SLICE_ARG(issuer),
                       status == KV_OK ? "" : " refused: ", status == KV_OK ? "" : err->message) ==
        KV_OK)
        work->entry->note = text;
    return status;
}

static kv_status judge(kv_work *work, const kv_vault_row *vault_row, const kv_issuer_row *row,
                       const kv_x509_policy *policy, kv_slice requester, kv_error *err)
{
    kv_issuer_bundle issuer;

    if (!row->enabled) {
        kv_fail(err, KV_PRECONDITION, "issuer '%.*s' is disabled", KV_SLICE_ARG(row->display_name));
        return kv_because(err, KV_REASON_DISABLED);
    }
    KV_TRY(kv_issuer_bundle_of(work, vault_row, row, &issuer, err));
    KV_TRY(permit_requester(&issuer, requester, err));
    return permit_names(work, &issuer, policy->x509_props.subject, &policy->x509_props.sans, err);
}

/* Who runs an authority decides what it may certify: the rules under its own name, in its own
 * vault, bind every issuer that stands for it. */
static kv_status judge_authority(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                 const kv_issuer_row *row, const kv_x509_policy *policy,
                                 kv_slice requester, kv_error *err)
{
    kv_named_authority named;
    kv_issuer_row rules;
    bool exists = false;

    if (!kv_issuer_is_local(kv_provider_find(vault, row->provider)))
        return KV_OK;
    KV_TRY(
        kv_authority_named(vault, work, vault_row, row->display_name, row->settings, &named, err));
    KV_TRY(
        kv_issuer_look_up(vault, work, named.vault_row.uid, named.row.name, &rules, &exists, err));
    if (!exists || kv_slice_equal(rules.uid, row->uid))
        return KV_OK;
    return judge(work, &named.vault_row, &rules, policy, requester, err);
}

static kv_status judge_all(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_issuer_row *row, const kv_x509_policy *policy,
                           kv_slice requester, kv_error *err)
{
    KV_TRY(judge(work, vault_row, row, policy, requester, err));
    return judge_authority(vault, work, vault_row, row, policy, requester, err);
}

/* `*exists` is false for a builtin, or an authority of the vault, that nobody gave rules. */
static kv_status permit(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                        const kv_x509_policy *policy, kv_slice requester, kv_issuer_row *row,
                        bool *exists, kv_error *err)
{
    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, policy->issuer.name, row, exists, err));
    if (*exists)
        return note(work, row->display_name,
                    judge_all(vault, work, vault_row, row, policy, requester, err), err);
    return KV_OK;
}

kv_status kv_issuer_permit(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_x509_policy *policy, kv_slice requester, kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    return permit(vault, work, vault_row, policy, requester, &row, &exists, err);
}

static kv_status judge_leaf(kv_work *work, const kv_vault_row *vault_row, const kv_issuer_row *row,
                            const kv_x509_facts *leaf, kv_error *err)
{
    kv_issuer_bundle issuer;

    KV_TRY(kv_issuer_bundle_of(work, vault_row, row, &issuer, err));
    KV_TRY(permit_names(work, &issuer, leaf->subject, &leaf->sans, err));
    if (!leaf->other_sans || any_name(&issuer.domains))
        return KV_OK;
    kv_fail(err, KV_DENIED,
            "the certificate has a name of a kind that the issuer's rules cannot allow");
    return kv_because(err, KV_REASON_ISSUER_RULES);
}

kv_status kv_issuer_permit_leaf(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                const kv_x509_policy *policy, const kv_x509_facts *leaf,
                                kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, policy->issuer.name, &row, &exists, err));
    if (!exists)
        return KV_OK;
    return note(work, row.display_name, judge_leaf(work, vault_row, &row, leaf, err), err);
}

kv_status kv_issuer_demands_of(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice name, kv_issuer_demands *out, kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    *out = (kv_issuer_demands){ .trust = KV_X509_LINT_PRIVATE };
    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, name, &row, &exists, err));
    if (exists)
        *out = (kv_issuer_demands){ .trust = (kv_x509_lint_scope)row.trust,
                                    .strict_lint = row.strict_lint != 0 };
    return KV_OK;
}

/* --- the account --- */

static kv_status open_row(kv_vault *vault, kv_work *work, const kv_issuer_row *row,
                          kv_chosen_issuer *out, kv_error *err)
{
    kv_secret_version_row sealed = { .key_id = row->credential_key_id,
                                     .ciphertext = row->credential };
    kv_box place = kv_issuer_place(row);

    *out = (kv_chosen_issuer){
        .issuer = kv_provider_find(vault, row->provider),
        .account = { .name = row->display_name,
                     .account_id = row->account_id,
                     .settings = row->settings,
                     .trust = (kv_x509_lint_scope)row->trust,
                     .strict_lint = row->strict_lint != 0,
                     .world = &vault->world },
        .credential_uid = row->uid,
    };
    if (!out->issuer)
        return kv_fail(err, KV_UNSUPPORTED, "this server has no provider '%.*s' of issuers",
                       KV_SLICE_ARG(row->provider));
    if (!row->credential.len)
        return KV_OK;
    KV_TRY(kv_box_open(vault, work, &place, &sealed, &out->credential, err));
    out->account.credential = &out->credential;
    return KV_OK;
}

kv_status kv_issuer_choose(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_x509_policy *policy, kv_slice requester, kv_chosen_issuer *out,
                           kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    KV_TRY(permit(vault, work, vault_row, policy, requester, &row, &exists, err));
    if (exists)
        return open_row(vault, work, &row, out, err);
    return rowless(vault, work, vault_row, policy->issuer.name, &out->issuer, err);
}

kv_status kv_issuer_open(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         kv_slice name, kv_chosen_issuer *out, kv_error *err)
{
    kv_issuer_row row;
    bool exists = false;

    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, name, &row, &exists, err));
    if (exists)
        return open_row(vault, work, &row, out, err);
    if (rowless(vault, work, vault_row, name, &out->issuer, err) != KV_BAD_REQUEST)
        return err->status;
    *err = (kv_error){ 0 };
    return kv_fail(err, KV_NOT_FOUND, "there is no issuer '%.*s'", KV_SLICE_ARG(name));
}
