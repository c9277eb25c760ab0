/* authority_change.c - an authority gets its certificate, is changed, is deleted. */
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
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

/* Lists, chains and clients know the authority by its name. */
static kv_status check_same(kv_work *work, const kv_authority_row *before,
                            const kv_x509_merged *merged, kv_error *err)
{
    kv_x509_facts facts;

    if (!before->certificate.len)
        return KV_OK;
    KV_TRY(kv_x509_inspect(work->arena, before->certificate, &facts, err));
    if (!kv_slice_equal(facts.subject, merged->leaf.subject))
        return kv_fail_field(err, "x5c", "the certificate has another subject than the one before");
    return KV_OK;
}

typedef struct importing {
    kv_vault_row vault_row;
    kv_authority_row row;
    bool waits; /* with a new key */
    kv_authority_row waiting;
    kv_authority_row former;
    kv_crl_row list;
    kv_crl_row old_list;
    kv_x509_merged merged;
} importing;

static void take_certificate(kv_work *work, const kv_x509_merged *merged, kv_authority_row *row)
{
    row->certificate = merged->chain.items[0];
    row->csr = KV_SLICE_NONE;
    row->updated = work->now_ms;
}

static kv_status store_import(kv_vault *vault, kv_work *work, importing *at, kv_error *err)
{
    kv_authority_row gone = at->waiting;
    kv_authority_row *next = at->waits ? &at->waiting : &at->row;
    const kv_slice before[] = { at->row.certificate, at->row.chain };
    kv_change change = { 0 };

    take_certificate(work, &at->merged, next);
    KV_TRY(kv_chain_join(work, &at->merged.chain, 1, &next->chain, err));
    /* What a key signed before follows its new certificate; a new key signed nothing yet. */
    if (!at->waits && before[0].len)
        KV_TRY(kv_authority_owe_chains(work, next, before,
                                       (const kv_slice[]){ next->certificate, next->chain }, err));
    at->list.authority_uid = next->uid;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, &at->list, work->arena, err));
    at->list.owed = 1;
    at->list.authority = at->row.name;
    if (at->waits) {
        KV_TRY(kv_change_delete(&change, &kv_table_authorities, &gone, err));
        next->enabled = at->row.enabled;
        next->vaults = at->row.vaults;
        next->max_months = at->row.max_months;
        KV_TRY(kv_authority_succeed(vault, work, &at->row, next, &at->former, &at->old_list,
                                    &change, err));
        at->list.number = at->old_list.number;
    } else {
        KV_TRY(kv_change_update(&change, &kv_table_authorities, next, err));
    }
    KV_TRY(kv_change_update(&change, &kv_table_crls, &at->list, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_authority_try_chains(vault, work, next);
    kv_crl_try(vault, work, next);
    if (at->waits)
        kv_crl_try(vault, work, &at->former);
    return KV_OK;
}

kv_status kv_authority_import(kv_vault *vault, kv_work *work, const kv_authority_import_in *in,
                              kv_authority_bundle *out, kv_error *err)
{
    importing at = { 0 };

    KV_TRY(kv_authority_find(vault, work, &in->target, &at.vault_row, &at.row, err));
    KV_TRY(kv_authority_settle_chains(vault, work, &at.row, err));
    KV_TRY(kv_authority_waiting(vault, work, &at.row, &at.waiting, &at.waits, err));
    if (!at.waits && !at.row.csr.len)
        return kv_fail(err, KV_PRECONDITION, "the authority does not wait for a certificate");
    KV_TRY(merge(vault, work, in, at.waits ? &at.waiting : &at.row, &at.merged, err));
    KV_TRY(check_same(work, &at.row, &at.merged, err));
    KV_TRY(store_import(vault, work, &at, err));
    return kv_authority_bundle_of(work, &at.vault_row, at.waits ? &at.waiting : &at.row, out, err);
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

/* All keys of an authority, and one that waits. */
typedef struct keys {
    kv_authority_row *rows;
    size_t count;
} keys;

static kv_status find_keys(kv_vault *vault, kv_work *work, const kv_authority_row *row, keys *out,
                           kv_error *err)
{
    kv_authority_row *known;
    bool waits = false;

    KV_TRY(kv_authority_all_keys(vault, work, row, &known, &out->count, err));
    out->rows = kv_arena_array(work->arena, out->count + 1, sizeof(*out->rows));
    if (!out->rows)
        return kv_arena_full(err);
    for (size_t i = 0; i < out->count; i++)
        out->rows[i] = known[i];
    KV_TRY(kv_authority_waiting(vault, work, row, &out->rows[out->count], &waits, err));
    out->count += waits;
    return KV_OK;
}

/* Its responder's certificate goes with it, and what its keys made of each other. */
static bool counts(const keys *of, const kv_issued_row *issued, int64_t now_ms)
{
    if (issued->not_after <= now_ms)
        return false;
    for (size_t i = 0; i < of->count; i++)
        if (kv_slice_equal(issued->object_uid, of->rows[i].uid))
            return false;
    return true;
}

/* Somebody may still ask whether it was revoked. */
static kv_status refuse_in_use(kv_vault *vault, kv_work *work, const keys *of, kv_slice uid,
                               kv_error *err)
{
    kv_issued_row from = { .authority_uid = uid, .not_after = work->now_ms };
    kv_scan scan = { .table = &kv_table_issued,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .after = true,
                     .limit = PER_SCAN };
    const kv_issued_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++)
        if (rows.more || counts(of, &found[i], work->now_ms))
            return kv_fail(err, KV_PRECONDITION, "a certificate of this authority has not expired");
    return KV_OK;
}

/* What it issued goes before it does: a crash between leaves an authority that can be deleted. */
static kv_status forget_issued(kv_vault *vault, kv_work *work, const keys *of, kv_slice uid,
                               kv_error *err)
{
    kv_issued_row from = { .authority_uid = uid };
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

            if (counts(of, issued, work->now_ms))
                return kv_lost_race(KV_CONFLICT, err);
            KV_TRY(kv_change_delete(&change, &kv_table_issued, issued, err));
        }
        more = rows.count > 0;
        if (more)
            KV_TRY(kv_commit_step(vault, &step, "CertificateAuthorityForget", &change, err));
    }
    return KV_OK;
}

/* What is on the token for it, and its list. */
typedef struct remains {
    kv_token_object_row key;
    kv_token_object_row responder_key;
    kv_responder_row responder;
    kv_crl_row list;
} remains;

static kv_status doom(kv_vault *vault, kv_work *work, const kv_authority_row *row, remains *out,
                      kv_change *change, kv_error *err)
{
    kv_status status;

    *out = (remains){ .list = { .authority_uid = row->uid } };
    if (row->key_id.len)
        KV_TRY(kv_change_doom(vault, work, row->key_id, &out->key, change, err));
    KV_TRY(kv_responder_doom(vault, work, row, &out->responder, &out->responder_key, change, err));
    status = kv_records_get(vault->config.records, &kv_table_crls, &out->list, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    return kv_change_delete(change, &kv_table_crls, &out->list, err);
}

static kv_status destroy(kv_vault *vault, kv_work *work, kv_slice key_id, const remains *of,
                         kv_error *err)
{
    if (of->responder.key_id.len)
        KV_TRY(kv_destroy_key(vault, work, of->responder.key_id, err));
    return key_id.len ? kv_destroy_key(vault, work, key_id, err) : KV_OK;
}

kv_status kv_authority_retire(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                              kv_error *err)
{
    kv_authority_row without = *row;
    kv_change change = { 0 };
    remains all;

    KV_TRY(doom(vault, work, row, &all, &change, err));
    without.key_id = KV_SLICE_NONE;
    without.updated = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_authorities, &without, err));
    KV_TRY(kv_commit_step(vault, work, "CertificateAuthorityRetire", &change, err));
    return destroy(vault, work, row->key_id, &all, err);
}

kv_status kv_authority_remove(kv_vault *vault, kv_work *work, kv_authority_row *row, bool step,
                              kv_error *err)
{
    kv_change change = { 0 };
    remains all;

    KV_TRY(doom(vault, work, row, &all, &change, err));
    KV_TRY(kv_change_delete(&change, &kv_table_authorities, row, err));
    if (step)
        KV_TRY(kv_commit_step(vault, work, "CertificateAuthorityRemoveKey", &change, err));
    else
        KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    if (!step && row->key_id.len) {
        work->entry->has_key = true;
        memcpy(work->entry->key_id, row->key_id.data, KV_KEY_ID_BYTES);
    }
    return destroy(vault, work, row->key_id, &all, err);
}

kv_status kv_authority_delete(kv_vault *vault, kv_work *work, const kv_authority_delete_in *in,
                              kv_nothing_out *out, kv_error *err)
{
    kv_authority_row row;
    keys all;

    (void)out;
    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &row, err));
    if (row.enabled)
        return kv_fail(err, KV_PRECONDITION, "the authority is enabled: disable it first");
    KV_TRY(find_keys(vault, work, &row, &all, err));
    for (size_t i = 0; i < all.count; i++)
        KV_TRY(refuse_in_use(vault, work, &all, all.rows[i].uid, err));
    for (size_t i = 0; i < all.count; i++)
        KV_TRY(forget_issued(vault, work, &all, all.rows[i].uid, err));
    /* Its own row, which the others belong to, goes last. */
    for (size_t i = all.count; i-- > 1;)
        KV_TRY(kv_authority_remove(vault, work, &all.rows[i], true, err));
    return kv_authority_remove(vault, work, &all.rows[0], false, err);
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
