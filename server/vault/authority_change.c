/* authority_change.c - an authority gets its certificate, is changed, is deleted. */
#include "server/vault/authority_rules.h"
#include "server/vault/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations.h"
#include "server/vault/own_step.h"
#include "server/x509/inspect.h"
#include "server/x509/merge.h"

static kv_status check_imported(const kv_x509_merged *merged, kv_error *err)
{
    const kv_x509_facts *leaf = &merged->leaf;
    uint32_t must = KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN;

    if (!leaf->is_ca)
        return kv_fail_field(err, "x5c", "the certificate is not that of a CA");
    if (leaf->has_key_usage && (leaf->key_usage & must) != must)
        return kv_fail_field(err, "x5c", "the certificate may not sign certificates and lists");
    if (!leaf->subject_key_id.len)
        return kv_fail_field(err, "x5c", "the certificate has no subject key identifier");
    if (!merged->complete)
        return kv_fail_field(err, "x5c", "the chain does not reach a root");
    return KV_OK;
}

/* The request's own facts are the policy that the certificate is held against. */
static kv_status merge(kv_vault *vault, kv_work *work, const kv_authority_import_in *in,
                       const kv_authority_row *row, kv_x509_merged *out, kv_error *err)
{
    kv_x509_policy policy = { .x509_props.ca = true, .x509_props.ca_given = true };
    kv_x509_merge_in merging = { .given = in->x5c,
                                 .field = "x5c",
                                 .spki = row->spki,
                                 .csr = row->csr,
                                 .policy = &policy,
                                 .now_ms = work->now_ms,
                                 .scope = KV_X509_LINT_PRIVATE };
    kv_x509_facts wanted;

    KV_TRY(kv_x509_inspect_request(work->arena, row->csr, &wanted, err));
    policy.x509_props.subject = wanted.subject;
    policy.x509_props.key_usage = KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN;
    KV_TRY(kv_x509_merge(work->arena, &merging, out, err));
    KV_TRY(check_imported(out, err));
    return kv_authority_not_for_callers(vault, &out->chain, "x5c", err);
}

kv_status kv_authority_import(kv_vault *vault, kv_work *work, const kv_authority_import_in *in,
                              kv_authority_bundle *out, kv_error *err)
{
    kv_crl_row list = { 0 };
    kv_change change = { 0 };
    kv_x509_merged merged;
    kv_vault_row vault_row;
    kv_authority_row row;

    KV_TRY(kv_authority_find(vault, work, &in->target, &vault_row, &row, err));
    if (row.certificate.len)
        return kv_fail(err, KV_PRECONDITION, "the authority does not wait for a certificate");
    KV_TRY(merge(vault, work, in, &row, &merged, err));
    row.certificate = merged.chain.items[0];
    row.csr = KV_SLICE_NONE;
    row.updated = work->now_ms;
    KV_TRY(kv_chain_join(work, &merged.chain, 1, &row.chain, err));
    list.authority_uid = row.uid;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, &list, work->arena, err));
    list.owed = 1;
    KV_TRY(kv_change_update(&change, &kv_table_authorities, &row, err));
    KV_TRY(kv_change_update(&change, &kv_table_crls, &list, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_crl_try(vault, work, &row);
    return kv_authority_bundle_of(work, &vault_row, &row, out, err);
}

kv_status kv_authority_update(kv_vault *vault, kv_work *work, const kv_authority_update_in *in,
                              kv_authority_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_authority_row row;

    KV_TRY(kv_authority_find(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_authority_settings(&in->revocation, in->max_months, &row, err));
    KV_TRY(kv_authority_allow(vault, work, &in->allow_vaults, &in->disallow_vaults, &row, err));
    if (in->has_enabled)
        row.enabled = in->enabled;
    row.updated = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_authorities, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_responder_try(vault, work, &row);
    return kv_authority_bundle_of(work, &vault_row, &row, out, err);
}

/* --- the end --- */

enum { PER_SCAN = 500, PER_CHANGE = 8 };

/* Its responder's certificate goes with it. */
static bool counts(const kv_authority_row *row, const kv_issued_row *issued, int64_t now_ms)
{
    return issued->not_after > now_ms && !kv_slice_equal(issued->object_uid, row->uid);
}

/* Somebody may still ask whether it was revoked. */
static kv_status refuse_in_use(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                               kv_error *err)
{
    kv_issued_row from = { .authority_uid = row->uid };
    kv_scan scan = { .table = &kv_table_issued, .prefix = 1, .from = &from, .limit = PER_SCAN };
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) page = KV_ARENA(KV_STEP_ARENA_BYTES);
        const kv_issued_row *found;
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &page, &rows, err));
        found = rows.rows;
        for (unsigned i = 0; i < rows.count; i++)
            if (counts(row, &found[i], work->now_ms))
                return kv_fail(err, KV_PRECONDITION,
                               "a certificate of this authority has not expired");
        more = rows.more && rows.count;
        if (more)
            KV_TRY(kv_arena_copy(work->arena, found[rows.count - 1].serial, &from.serial, err));
        scan.after = true;
    }
    return KV_OK;
}

/* What it issued goes before it does: a crash between leaves an authority that can be deleted. */
static kv_status forget_issued(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                               kv_error *err)
{
    kv_issued_row from = { .authority_uid = row->uid };
    kv_scan scan = { .table = &kv_table_issued, .prefix = 1, .from = &from, .limit = PER_CHANGE };
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) page = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &page);
        kv_change change = { 0 };
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &page, &rows, err));
        for (unsigned i = 0; i < rows.count; i++) {
            kv_issued_row *issued = (kv_issued_row *)rows.rows + i;

            if (counts(row, issued, work->now_ms))
                return kv_lost_race(KV_CONFLICT, err);
            KV_TRY(kv_change_delete(&change, &kv_table_issued, issued, err));
        }
        more = rows.count > 0;
        if (more)
            KV_TRY(kv_commit_step(vault, &step, "CertificateAuthorityForget", &change, err));
    }
    return KV_OK;
}

kv_status kv_authority_delete(kv_vault *vault, kv_work *work, const kv_authority_delete_in *in,
                              kv_nothing_out *out, kv_error *err)
{
    kv_crl_row list = { 0 };
    kv_token_object_row key;
    kv_token_object_row responder_key;
    kv_responder_row responder;
    kv_change change = { 0 };
    kv_authority_row row;

    (void)out;
    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &row, err));
    if (row.enabled)
        return kv_fail(err, KV_PRECONDITION, "the authority is enabled: disable it first");
    KV_TRY(refuse_in_use(vault, work, &row, err));
    KV_TRY(forget_issued(vault, work, &row, err));
    list.authority_uid = row.uid;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, &list, work->arena, err));
    KV_TRY(kv_change_doom(vault, work, row.key_id, &key, &change, err));
    KV_TRY(kv_responder_doom(vault, work, &row, &responder, &responder_key, &change, err));
    KV_TRY(kv_change_delete(&change, &kv_table_crls, &list, err));
    KV_TRY(kv_change_delete(&change, &kv_table_authorities, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    work->entry->has_key = true;
    memcpy(work->entry->key_id, row.key_id.data, KV_KEY_ID_BYTES);
    if (responder.key_id.len)
        KV_TRY(kv_destroy_key(vault, work, responder.key_id, err));
    return kv_destroy_key(vault, work, row.key_id, err);
}

kv_status kv_refuse_authorities(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_authority_row from = { .vault_uid = vault_uid };
    kv_scan scan = { .table = &kv_table_authorities, .prefix = 1, .from = &from, .limit = 1 };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (rows.count)
        return kv_fail(err, KV_PRECONDITION,
                       "the vault has certificate authorities: delete them first");
    return KV_OK;
}

/* --- at start --- */

static kv_status check_one(kv_vault *vault, kv_own_step *at, void *row, void *context,
                           kv_error *err)
{
    const kv_authority_row *authority = row;
    kv_x509_list chain;

    (void)context;
    if (!authority->certificate.len)
        return KV_OK;
    KV_TRY(kv_authority_chain(&at->work, authority, &chain, err));
    if (kv_authority_not_for_callers(vault, &chain, "", err) == KV_OK)
        return KV_OK;
    return kv_fail(err, KV_PRECONDITION,
                   "[tls] client_ca has the certificate authority '%.*s' of this server, or one "
                   "above it: whoever may order certificates could make identities",
                   KV_SLICE_ARG(authority->display_name));
}

kv_status kv_vault_check_authorities(kv_vault *vault, kv_error *err)
{
    return kv_each_row(vault, &kv_table_authorities, check_one, NULL, err);
}
