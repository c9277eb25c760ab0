/* certificate_merge.c - a certificate comes back for a request that was signed elsewhere. */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/certificates/certificate_transparency.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"
#include "server/x509/merge.h"

/* Only what waits for somebody can be merged; what was merged may be repeated. */
static kv_status check_state(const kv_operation_row *operation, kv_error *err)
{
    if (kv_slice_equal(operation->state, KV_STATE_WORKING)) {
        kv_fail(err, KV_PRECONDITION, "this server is still working on the operation");
        return kv_because(err, KV_REASON_OPERATION_IN_PROGRESS);
    }
    if (!kv_state_in_progress(operation->state) &&
        !kv_slice_equal(operation->state, KV_STATE_COMPLETED))
        return kv_fail(err, KV_PRECONDITION,
                       "the operation was %.*s and its key is gone; create the certificate again",
                       KV_SLICE_ARG(operation->state));
    if (!kv_text_equal_nocase(operation->issuer, kv_slice_text(KV_X509_ISSUER_UNKNOWN)))
        return kv_fail(err, KV_PRECONDITION,
                       "the certificate comes from issuer '%.*s'; merging is for issuer Unknown",
                       KV_SLICE_ARG(operation->issuer));
    return KV_OK;
}

/* What an earlier version's issuer sent may complete this chain. */
kv_status kv_known_issuers(kv_vault *vault, kv_work *work, const kv_object_row *object,
                           kv_x509_list *out, kv_error *err)
{
    kv_certificate_version_row row;
    kv_x509_list chain;

    *out = (kv_x509_list){ 0 };
    if (!object->current.len)
        return KV_OK;
    KV_TRY(kv_find_certificate_version(vault, work, object->uid, object->current, &row, err));
    KV_TRY(kv_chain_split(work, row.der, row.chain, &chain, err));
    *out = (kv_x509_list){ .items = chain.items + 1, .count = chain.count - 1 };
    return KV_OK;
}

/* The start that the creation asked for, with what this call says on top. */
static kv_status take_start(kv_work *work, const kv_certificate_merge_in *in, kv_issuance *at,
                            kv_error *err)
{
    KV_TRY(kv_start_load(work, at->operation->attributes, &at->enabled, &at->tags, err));
    KV_TRY(kv_start_change(work, &in->attributes, &in->tags, &at->enabled, &at->tags, err));
    at->usage = at->policy.x509_props.key_usage;
    return KV_OK;
}

/* What was merged already was judged then. */
static kv_status check_transparency(kv_vault *vault, kv_work *work, const kv_issuance *at,
                                    kv_x509_lint_scope trust, kv_x509_merged *out, kv_error *err)
{
    kv_transparency_in in = { .policy = &at->policy, .trust = trust, .field = "x5c" };

    if (out->repeated)
        return KV_OK;
    return kv_transparency_judge(vault, work, &in, out, &at->operation->transparency, err);
}

static kv_status check_certificates(kv_vault *vault, kv_work *work,
                                    const kv_certificate_merge_in *in, const kv_issuance *at,
                                    kv_x509_merged *out, kv_error *err)
{
    kv_certificate_version_row before = { 0 };
    kv_issuer_demands demands;
    kv_x509_merge_in merge = {
        .given = in->x5c,
        .field = "x5c",
        .spki = at->operation->spki,
        .csr = at->operation->csr,
        .policy = &at->policy,
        .now_ms = work->now_ms,
        .requested_ms = at->operation->created,
        .strict = in->require_complete_chain ? KV_X509_STRICT_CHAIN : 0,
    };

    KV_TRY(kv_issuer_demands_of(vault, work, at->vault_row, at->policy.issuer.name, &demands, err));
    merge.scope = demands.trust;
    if (demands.strict_lint)
        merge.strict |= KV_X509_STRICT_LINT;
    KV_TRY(kv_known_issuers(vault, work, at->object, &merge.anchors, err));
    if (kv_slice_equal(at->operation->state, KV_STATE_COMPLETED)) {
        KV_TRY(
            kv_find_certificate_version(vault, work, at->object->uid, at->version, &before, err));
        merge.merged = before.der;
    }
    KV_TRY(kv_x509_merge(work->arena, &merge, out, err));
    KV_TRY(check_transparency(vault, work, at, demands.trust, out, err));
    return kv_issuer_permit_leaf(vault, work, at->vault_row, &at->policy, &out->leaf, err);
}

kv_status kv_certificate_pending_merge(kv_vault *vault, kv_work *work,
                                       const kv_certificate_merge_in *in,
                                       kv_certificate_bundle *out, kv_error *err)
{
    kv_operation_row operation;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_x509_merged merged = { 0 };
    kv_issuance at = { .vault_row = &vault_row, .object = &object, .operation = &operation };

    KV_TRY(kv_operation_of(vault, work, &in->target, &vault_row, &object, &operation, err));
    KV_TRY(check_state(&operation, err));
    at.version = operation.version;
    KV_TRY(kv_policy_load(work, operation.policy, &at.policy, err));
    KV_TRY(kv_issuer_permit(vault, work, &vault_row, &at.policy, kv_asker(work), err));
    KV_TRY(take_start(work, in, &at, err));
    KV_TRY(check_certificates(vault, work, in, &at, &merged, err));
    if (!merged.repeated) {
        KV_TRY(kv_issuance_find_key(vault, work, &at, err));
        if (in->preserve_cert_order)
            at.given = &merged.order;
        work->entry->has_key = true;
        memcpy(work->entry->key_id, at.key.id, sizeof(work->entry->key_id));
        KV_TRY(kv_texts_store(work, &merged.warnings, &operation.warnings, err));
        KV_TRY(kv_issuance_finish(vault, work, &at, &merged.chain, err));
    }
    KV_TRY(kv_certificate_show(vault, work, &vault_row, &object, at.version, out, err));
    out->warnings = merged.warnings;
    return KV_OK;
}
