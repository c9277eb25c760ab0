/* issuer_set.c - issuers are set, changed and deleted.
 *
 * The credential is encrypted on the token before its row is stored; it is bound to a uid that is
 * new with each credential, so an older one cannot be put back beside newer settings.
 */
#include <jansson.h>

#include "server/base/text.h"
#include "server/issuer/domains.h"
#include "server/vault/authorities/authority_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"

enum { ORDERS_MOST = 1000000, ID_MAX = 256, ADMIN_TEXT_MAX = 128 };

/* --- single members --- */

static kv_status too_long(kv_slice text, size_t most, const char *field, kv_error *err)
{
    return text.len > most ? kv_fail_field(err, field, "has at most %zu bytes", most) : KV_OK;
}

static kv_status take_admins(kv_work *work, const kv_issuer_settings_in *in, kv_issuer_row *row,
                             kv_error *err)
{
    if (in->admin_count > KV_ISSUER_ADMINS_MAX)
        return kv_fail_field(err, "org_details.admin_details", "has at most %d elements",
                             KV_ISSUER_ADMINS_MAX);
    KV_TRY(too_long(in->organization_id, ID_MAX, "org_details.id", err));
    for (size_t i = 0; i < in->admin_count; i++) {
        const kv_issuer_admin *admin = &in->admins[i];

        KV_TRY(too_long(admin->first_name, ADMIN_TEXT_MAX, "org_details.admin_details", err));
        KV_TRY(too_long(admin->last_name, ADMIN_TEXT_MAX, "org_details.admin_details", err));
        KV_TRY(too_long(admin->email, ADMIN_TEXT_MAX, "org_details.admin_details", err));
        KV_TRY(too_long(admin->phone, ADMIN_TEXT_MAX, "org_details.admin_details", err));
    }
    row->organization_id = in->organization_id;
    return kv_issuer_admins_store(work, in->admins, in->admin_count, &row->admins, err);
}

static kv_status check_settings(kv_slice settings, kv_error *err)
{
    json_t *root =
        json_loadb((const char *)settings.data, settings.len, JSON_REJECT_DUPLICATES, NULL);
    bool is_object = json_is_object(root);

    json_decref(root);
    return is_object
               ? KV_OK
               : kv_fail_field(err, "settings", "must be one JSON object that names nothing twice");
}

static kv_status take_domains(kv_work *work, const kv_x509_list *rules, kv_issuer_row *row,
                              kv_error *err)
{
    char field[64];

    if (!rules->count)
        return kv_fail_field(err, "allowed_domains.rules",
                             "are required; \"*\" stands for every name");
    if (rules->count > KV_ISSUER_RULES_MAX)
        return kv_fail_field(err, "allowed_domains.rules", "has at most %d elements",
                             KV_ISSUER_RULES_MAX);
    for (size_t i = 0; i < rules->count; i++) {
        (void)snprintf(field, sizeof(field), "allowed_domains.rules[%zu]", i);
        if (!kv_slice_equal(rules->items[i], KV_SLICE("*")))
            KV_TRY(kv_issuer_domain_rule_check(rules->items[i], field, err));
    }
    return kv_texts_store(work, rules, &row->domains, err);
}

/* --- requesters --- */

static kv_status principal_of(kv_vault *vault, kv_work *work, kv_slice text, size_t at,
                              kv_principal_row *out, kv_error *err)
{
    kv_principal_row from = { 0 };
    kv_scan scan = {
        .table = &kv_table_principals, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    uint8_t *id = kv_arena_alloc(work->arena, KV_PRINCIPAL_ID_BYTES);
    char field[64];
    kv_rows rows;

    if (!id)
        return kv_arena_full(err);
    if (kv_unhex(text, id, KV_PRINCIPAL_ID_BYTES)) {
        *out = (kv_principal_row){ .id = kv_slice_of(id, KV_PRINCIPAL_ID_BYTES) };
        if (kv_records_get(vault->config.records, &kv_table_principals, out, work->arena, err) !=
            KV_NOT_FOUND)
            return err->status;
        *err = (kv_error){ 0 };
    }
    KV_TRY(kv_text_lower(work->arena, text, &from.name_lower, err));
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (rows.count) {
        *out = *(const kv_principal_row *)rows.rows;
        return KV_OK;
    }
    (void)snprintf(field, sizeof(field), "allowed_requesters.principals[%zu]", at);
    return kv_fail_field(err, field, "there is no principal '%.*s'", KV_SLICE_ARG(text));
}

/* By id, so that who gets a name later gets nothing with it. */
static kv_status take_requesters(kv_vault *vault, kv_work *work, const kv_x509_list *asked,
                                 kv_issuer_row *row, kv_error *err)
{
    kv_slice *texts = kv_arena_array(work->arena, asked->count, sizeof(*texts));
    char digits[2 * KV_PRINCIPAL_ID_BYTES + 1];
    kv_principal_row principal;

    if (!texts)
        return kv_arena_full(err);
    if (asked->count > KV_ISSUER_REQUESTERS_MAX)
        return kv_fail_field(err, "allowed_requesters.principals", "has at most %d elements",
                             KV_ISSUER_REQUESTERS_MAX);
    for (size_t i = 0; i < asked->count; i++) {
        KV_TRY(principal_of(vault, work, asked->items[i], i, &principal, err));
        kv_hex(principal.id, digits);
        KV_TRY(kv_arena_print(work->arena, &texts[i], err, "%s %.*s", digits,
                              KV_SLICE_ARG(principal.name)));
    }
    return kv_texts_store(work, &(kv_x509_list){ .items = texts, .count = asked->count },
                          &row->requesters, err);
}

/* --- how much, and when --- */

static kv_status take_order_rules(kv_work *work, const kv_issuer_settings_in *in,
                                  kv_issuer_row *row, kv_error *err)
{
    if (in->orders_per_hour > ORDERS_MOST)
        return kv_fail_field(err, "order_rules.orders_per_hour", "is at most %d", ORDERS_MOST);
    if (in->certificates_per_week > ORDERS_MOST)
        return kv_fail_field(err, "order_rules.certificates_per_week", "is at most %d",
                             ORDERS_MOST);
    row->orders_per_hour = in->orders_per_hour;
    row->certificates_per_week = in->certificates_per_week;
    return kv_blackouts_store(work, &in->blackouts, "order_rules.blackouts", &row->blackouts, err);
}

/* --- the whole --- */

static kv_status take_credential(kv_vault *vault, kv_work *work, const kv_issuer_settings_in *in,
                                 kv_vault_row *vault_row, kv_issuer_row *row, kv_error *err)
{
    kv_secret_version_row sealed = { 0 };
    kv_box place;

    if (!in->credential.len)
        return KV_OK;
    KV_TRY(kv_new_uid(work, &row->uid, err));
    place = kv_issuer_place(row);
    KV_TRY(kv_box_close(vault, work, vault_row, &place, in->credential, &sealed, err));
    row->credential_key_id = sealed.key_id;
    row->credential = sealed.ciphertext;
    return KV_OK;
}

static kv_status take(kv_vault *vault, kv_work *work, const kv_issuer_settings_in *in,
                      kv_issuer_row *row, kv_error *err)
{
    if (in->provider.len)
        row->provider = in->provider;
    KV_TRY(too_long(in->account_id, ID_MAX, "credentials.account_id", err));
    KV_TRY(too_long(in->credential, KV_ISSUER_CREDENTIAL_MAX, "credentials.pwd", err));
    if (in->account_id.len)
        row->account_id = in->account_id;
    if (in->settings.len) {
        KV_TRY(check_settings(in->settings, err));
        row->settings = in->settings;
    }
    if (in->has_organization)
        KV_TRY(take_admins(work, in, row, err));
    if (in->trust)
        row->trust = in->trust;
    if (in->has_strict_lint)
        row->strict_lint = in->strict_lint;
    if (in->has_domains)
        KV_TRY(take_domains(work, &in->domains, row, err));
    if (in->has_requesters)
        KV_TRY(take_requesters(vault, work, &in->requesters, row, err));
    if (in->has_enabled)
        row->enabled = in->enabled;
    if (in->has_order_rules)
        KV_TRY(take_order_rules(work, in, row, err));
    row->updated = work->now_ms;
    return KV_OK;
}

static kv_status refuse_account(const kv_issuer_row *row, bool has_credential, kv_error *err)
{
    const char *field = row->account_id.len       ? "credentials.account_id"
                        : has_credential          ? "credentials.pwd"
                        : row->settings.len       ? "settings"
                        : row->credential_expires ? "credentials.expires"
                                                  : NULL;

    return field ? kv_fail_field(err, field, "issuer %.*s has no account",
                                 KV_SLICE_ARG(row->provider))
                 : KV_OK;
}

/* Under the name of an authority there are only the rules for that one. */
static kv_status check_local(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_issuer_row *row, const kv_authority_row *same_name,
                             kv_error *err)
{
    kv_named_authority named;
    kv_status status =
        kv_authority_named(vault, work, vault_row, row->display_name, row->settings, &named, err);

    if (status == KV_DENIED)
        return kv_fail_field(err, "settings",
                             "there is no such certificate authority that serves this vault");
    KV_TRY(status);
    if (same_name && !kv_slice_equal(named.row.uid, same_name->uid))
        return kv_fail_field(err, "settings",
                             "a certificate authority of this vault has the issuer's name");
    return KV_OK;
}

/* What has a name already, its rules are set under that name. */
static kv_status check_name(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            const kv_issuer_row *row, const kv_issuer *provider, kv_error *err)
{
    kv_authority_row authority;
    bool exists = false;

    if ((kv_issuer_is_builtin(row->name) || kv_issuer_is_builtin(row->provider)) &&
        !kv_text_equal_nocase(row->name, row->provider))
        return kv_fail_field(err, "provider",
                             "Self and Unknown are issuers and providers of one name");
    KV_TRY(kv_authority_look_up(vault, work, row->vault_uid, row->name, &authority, &exists, err));
    if (kv_issuer_is_local(provider))
        return check_local(vault, work, vault_row, row, exists ? &authority : NULL, err);
    if (exists)
        return kv_fail_field(err, "provider", "an authority of this vault has that name: only %s",
                             KV_X509_ISSUER_LOCAL_CA);
    return KV_OK;
}

/* Does all of it fit together, and the provider? */
static kv_status check(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                       kv_issuer_row *row, bool has_credential, kv_error *err)
{
    const kv_issuer *provider = kv_provider_find(vault, row->provider);
    static const kv_secret_buf some = { 0 };
    kv_issuer_account account = { .name = row->display_name,
                                  .account_id = row->account_id,
                                  .credential = has_credential ? &some : NULL,
                                  .settings = row->settings,
                                  .trust = (kv_x509_lint_scope)row->trust,
                                  .world = &vault->world };

    if (!row->provider.len)
        return kv_fail_field(err, "provider", "is required");
    if (!provider)
        return kv_fail_field(err, "provider", "this server has no provider '%.*s' of issuers",
                             KV_SLICE_ARG(row->provider));
    row->provider = kv_slice_text(provider->provider);
    if (kv_issuer_is_local(provider))
        KV_TRY(provider->check_account(&account, work->arena, err));
    KV_TRY(check_name(vault, work, vault_row, row, provider, err));
    if (!row->domains.len)
        return take_domains(work, &(kv_x509_list){ 0 }, row, err);
    if (!provider->needs_account)
        return refuse_account(row, has_credential, err);
    return provider->check_account ? provider->check_account(&account, work->arena, err) : KV_OK;
}

/* Another end is announced anew. */
static void take_end(const kv_work *work, const kv_issuer_settings_in *in, kv_issuer_row *row)
{
    if (!in->has_credential_expires || in->credential_expires == row->credential_expires)
        return;
    row->credential_expires = in->credential_expires;
    row->credential_since = work->now_ms;
    row->credential_told = 0;
}

/* The settings are judged before the token is asked to encrypt. */
static kv_status fill(kv_vault *vault, kv_work *work, const kv_issuer_settings_in *in,
                      kv_vault_row *vault_row, kv_issuer_row *row, kv_error *err)
{
    bool enrolled = false;

    KV_TRY(take(vault, work, in, row, err));
    take_end(work, in, row);
    KV_TRY(kv_enrolment_exists(vault, work, row, &enrolled, err));
    KV_TRY(check(vault, work, vault_row, row,
                 in->credential.len || row->credential.len || (enrolled && row->account_id.len),
                 err));
    if (enrolled && (in->credential.len || row->credential.len))
        kv_issuer_forget_credential(row);
    return enrolled ? KV_OK : take_credential(vault, work, in, vault_row, row, err);
}

static kv_status refuse_too_many(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_issuer_row from = { .vault_uid = vault_uid };
    kv_scan scan = {
        .table = &kv_table_issuers, .prefix = 1, .from = &from, .limit = KV_ISSUERS_MAX
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (rows.count < KV_ISSUERS_MAX)
        return KV_OK;
    kv_fail(err, KV_BUSY, "a vault has at most %d issuers", KV_ISSUERS_MAX);
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

/* The change stands, whatever comes of this: what waits would be tried again later anyway. */
static void try_again(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row, kv_slice name)
{
    kv_error later = { 0 };

    if (kv_issuer_try_again(vault, work, vault_row, name, &later) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "issuer.health.unknown",
                     (kv_log_field[]){ { "why", later.message, 0 }, { 0 } });
}

kv_status kv_vault_issuer_set(kv_vault *vault, kv_work *work, const kv_issuer_set_in *in,
                              kv_issuer_bundle *out, kv_error *err)
{
    kv_issuer_row row = { .display_name = in->target.issuer,
                          .trust = KV_X509_LINT_PRIVATE,
                          .admins = KV_SLICE("[]"),
                          .requesters = KV_SLICE("[]"),
                          .blackouts = KV_SLICE("[]"),
                          .enabled = 1,
                          .created = work->now_ms };
    kv_issuer_row before = { .blackouts = row.blackouts };
    kv_blackout_change blackouts;
    kv_change change = { 0 };
    kv_vault_row vault_row;
    bool exists = false;

    work->entry->collection = KV_SLICE("issuers");
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    KV_TRY(kv_check_name(in->target.issuer, "issuer", err));
    work->entry->name = in->target.issuer;
    KV_TRY(kv_text_lower(work->arena, in->target.issuer, &row.name, err));
    row.vault_uid = vault_row.uid;
    KV_TRY(kv_issuer_look_up(vault, work, vault_row.uid, row.name, &before, &exists, err));
    if (!exists)
        KV_TRY(refuse_too_many(vault, work, vault_row.uid, err));
    KV_TRY(kv_new_uid(work, &row.uid, err));
    KV_TRY(fill(vault, work, in, &vault_row, &row, err));
    KV_TRY(kv_blackout_change_begin(vault, work, &vault_row, row.name, before.blackouts,
                                    row.blackouts, &blackouts, err));
    if (exists) {
        row.head = before.head;
        row.created = before.created;
        if (row.credential_expires == before.credential_expires) {
            row.credential_since = before.credential_since;
            row.credential_told = before.credential_told;
        }
        KV_TRY(kv_change_update(&change, &kv_table_issuers, &row, err));
    } else {
        KV_TRY(kv_change_insert(&change, &kv_table_issuers, &row, err));
    }
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    try_again(vault, work, &vault_row, row.name);
    kv_blackout_change_end(vault, work, &blackouts);
    KV_TRY(kv_issuer_bundle_of(work, &vault_row, &row, out, err));
    return kv_issuer_show_health(vault, work, &row, out, err);
}

kv_status kv_vault_issuer_update(kv_vault *vault, kv_work *work, const kv_issuer_update_in *in,
                                 kv_issuer_bundle *out, kv_error *err)
{
    kv_blackout_change blackouts;
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_issuer_row row;
    kv_slice stored;

    KV_TRY(kv_issuer_find_row(vault, work, &in->target, &vault_row, &row, err));
    stored = row.blackouts;
    KV_TRY(fill(vault, work, in, &vault_row, &row, err));
    KV_TRY(kv_blackout_change_begin(vault, work, &vault_row, row.name, stored, row.blackouts,
                                    &blackouts, err));
    KV_TRY(kv_change_update(&change, &kv_table_issuers, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    try_again(vault, work, &vault_row, row.name);
    kv_blackout_change_end(vault, work, &blackouts);
    KV_TRY(kv_issuer_bundle_of(work, &vault_row, &row, out, err));
    return kv_issuer_show_health(vault, work, &row, out, err);
}

/* Whose accounts were closed, once; all zero: nobody's. */
typedef struct closing {
    unsigned races;
    kv_issuer_row row;
} closing;

/* What the authority was told is not told again; of another account it has not been told. */
static kv_status close_accounts(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                const kv_issuer_row *row, closing *all, kv_error *err)
{
    if (all->row.name.len && kv_slice_equal(all->row.provider, row->provider) &&
        kv_slice_equal(all->row.settings, row->settings) &&
        kv_slice_equal(all->row.account_id, row->account_id))
        return KV_OK;
    KV_TRY(kv_enrolments_deactivate(vault, work, vault_row, row, err));
    all->row = *row;
    return KV_OK;
}

static kv_status try_delete(kv_vault *vault, kv_work *work, const kv_issuer_delete_in *in,
                            closing *all, kv_issuer_bundle *out, kv_error *err)
{
    kv_blackout_change blackouts;
    kv_enrolments_ended ended;
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_issuer_row row;

    KV_TRY(kv_issuer_find_row(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_blackout_change_begin(vault, work, &vault_row, row.name, row.blackouts,
                                    KV_SLICE("[]"), &blackouts, err));
    KV_TRY(kv_issuer_bundle_of(work, &vault_row, &row, out, err));
    if (in->deactivate_account)
        KV_TRY(close_accounts(vault, work, &vault_row, &row, all, err));
    KV_TRY(kv_enrolments_end(vault, work, &row, &change, &ended, err));
    KV_TRY(kv_change_delete(&change, &kv_table_issuers, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_enrolments_destroy(vault, work, &ended);
    kv_blackout_change_end(vault, work, &blackouts);
    return KV_OK;
}

kv_status kv_vault_issuer_delete(kv_vault *vault, kv_work *work, const kv_issuer_delete_in *in,
                                 kv_issuer_bundle *out, kv_error *err)
{
    closing all = { 0 };
    kv_status status;

    do
        status = try_delete(vault, work, in, &all, out, err);
    while (kv_race_again(work, status, &all.races, err));
    return status;
}
