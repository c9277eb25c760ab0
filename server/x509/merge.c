/* merge.c - a CA's answer, taken apart and judged. */
#include "server/x509/merge.h"

#include "server/x509/armour.h"
#include "server/x509/compare.h"
#include "server/x509/found.h"
#include "server/x509/warnings.h"

enum { SCRATCH_MAX = 4 << 20 };

static kv_status check_sizes(const kv_x509_merge_in *in, kv_error *err)
{
    size_t total = 0;

    if (!in->given.count)
        return kv_fail_field(err, in->field, "must not be empty");
    if (in->given.count > KV_X509_MERGE_CERTIFICATES)
        return kv_fail_field(err, in->field, "must be at most %d pieces",
                             KV_X509_MERGE_CERTIFICATES);
    for (size_t i = 0; i < in->given.count; i++) {
        if (in->given.items[i].len > KV_X509_MERGE_MAX - total)
            return kv_fail_field(err, in->field, "must be at most %d bytes long",
                                 KV_X509_MERGE_MAX);
        total += in->given.items[i].len;
    }
    return KV_OK;
}

static kv_status read_piece(kv_x509_found *found, kv_slice piece, kv_error *err)
{
    kv_x509_form form = KV_X509_FORM_UNKNOWN;
    kv_slice bytes = KV_SLICE_NONE;
    bool is = false;

    KV_TRY(kv_x509_peel(found->scratch, piece, found->field,
                        "a certificate in DER or PEM, or PKCS#7, or base64 of one", &bytes, &form,
                        err));
    if (form == KV_X509_FORM_PEM)
        return kv_x509_pem_read(found, bytes, err);
    KV_TRY(kv_x509_certificates_read(found, bytes, &is, err));
    return is ? KV_OK : kv_fail_field(err, found->field, "is neither a certificate nor PKCS#7");
}

static kv_status read_all(kv_x509_found *found, const kv_x509_merge_in *in, kv_error *err)
{
    for (size_t i = 0; i < in->given.count; i++)
        KV_TRY(read_piece(found, in->given.items[i], err));
    if (!found->count)
        return kv_fail_field(err, in->field, "has no certificate");
    if (found->count > KV_X509_MERGE_CERTIFICATES)
        return kv_fail_field(err, in->field, "has more than %d certificates",
                             KV_X509_MERGE_CERTIFICATES);
    return KV_OK;
}

/* The one certificate of the pending key. */
static kv_status find_leaf(const kv_x509_found *found, const kv_x509_merge_in *in, size_t *leaf,
                           kv_x509_facts *facts, kv_error *err)
{
    size_t matches = 0;

    for (size_t i = 0; i < found->count; i++) {
        kv_x509_facts each;

        if (kv_x509_inspect(found->arena, found->certificates[i], &each, err) != KV_OK)
            return kv_fail_field(err, in->field, "certificate %zu is malformed", i + 1);
        if (!kv_slice_equal(each.spki, in->spki))
            continue;
        *leaf = i;
        *facts = each;
        matches++;
    }
    if (!matches)
        return kv_fail_field(
            err, in->field, "no certificate is for the pending key: its public key does not match");
    if (matches > 1)
        return kv_fail_field(err, in->field, "%zu certificates are for the pending key: bring one",
                             matches);
    return KV_OK;
}

static kv_status check_repeated(const kv_x509_merge_in *in, kv_slice leaf, bool *repeated,
                                kv_error *err)
{
    *repeated = in->merged.len && kv_slice_equal(in->merged, leaf);
    if (in->merged.len && !*repeated)
        return kv_fail(err, KV_PRECONDITION,
                       "another certificate has been merged into this operation already");
    return KV_OK;
}

static kv_status check_ca(const kv_x509_merge_in *in, const kv_x509_facts *leaf, kv_error *err)
{
    if (leaf->is_ca && !in->policy->x509_props.ca)
        return kv_fail_field(err, in->field, "it is a CA's certificate, which was not requested");
    if (!leaf->is_ca && in->policy->x509_props.ca)
        return kv_fail_field(err, in->field, "it is not a CA's certificate, which was requested");
    return KV_OK;
}

static kv_status check_dates(const kv_x509_merge_in *in, const kv_x509_facts *leaf, kv_error *err)
{
    if (leaf->not_after_ms < leaf->not_before_ms)
        return kv_fail_field(err, in->field, "it ends before it begins");
    if (leaf->not_after_ms <= in->now_ms)
        return kv_fail_field(err, in->field, "it has expired");
    if (leaf->not_before_ms > in->now_ms + KV_X509_MERGE_SKEW_MS)
        return kv_fail_field(err, in->field, "it is not valid yet");
    return KV_OK;
}

static kv_status check_request(kv_arena *arena, const kv_x509_merge_in *in,
                               const kv_x509_facts *leaf, kv_x509_warnings *warnings, kv_error *err)
{
    kv_x509_facts wanted;

    if (kv_x509_inspect_request(arena, in->csr, &wanted, err) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "the request of an operation is damaged");
    return kv_x509_compare(in, &wanted, leaf, warnings, err);
}

/* What the certificate does not say of itself. */
static kv_status look_beside(kv_arena *arena, const kv_x509_merge_in *in, kv_x509_merged *out,
                             kv_error *err)
{
    kv_x509_facts issuer = { 0 };

    if (out->chain.count > 1)
        KV_TRY(kv_x509_inspect(arena, out->chain.items[1], &issuer, err));
    out->leaf.beside = (kv_x509_beside){ .signed_after_ms = in->requested_ms,
                                         .signed_before_ms = in->requested_ms ? in->now_ms : 0,
                                         .issuer_until_ms = issuer.not_after_ms };
    return KV_OK;
}

static kv_status check_lint(const kv_x509_merge_in *in, const kv_x509_facts *leaf,
                            kv_x509_warnings *warnings, kv_error *err)
{
    kv_x509_findings findings = { 0 };

    kv_x509_lint(leaf, in->scope ? in->scope : KV_X509_LINT_PRIVATE, &findings);
    for (size_t i = 0; i < findings.count; i++) {
        const kv_x509_lint_row *row = findings.items[i];

        if (row->severity == KV_X509_LINT_ERROR && (in->strict & KV_X509_STRICT_LINT))
            return kv_fail_field(err, in->field, "it breaks the rule %s: %s", row->id,
                                 row->message);
        KV_TRY(kv_x509_warn(warnings, err, "%s: %s", row->id, row->message));
    }
    return KV_OK;
}

static kv_status tell_chain(const kv_x509_found *found, const kv_x509_chain *chain,
                            kv_x509_warnings *warnings, kv_error *err)
{
    if (found->duplicates)
        KV_TRY(kv_x509_warn(warnings, err, "%u repeated certificates were left out",
                            found->duplicates));
    if (chain->unrelated)
        KV_TRY(kv_x509_warn(warnings, err,
                            "%zu certificates that are not of the chain were left out",
                            chain->unrelated));
    if (!chain->complete)
        KV_TRY(kv_x509_warn(warnings, err, "the chain is incomplete: the issuer '%.*s' is missing",
                            KV_SLICE_ARG(chain->missing)));
    if (chain->expired)
        KV_TRY(kv_x509_warn(warnings, err, "%zu issuers of the chain are not valid now",
                            chain->expired));
    if (chain->complete && chain->certificates.count == 1)
        KV_TRY(kv_x509_warn(warnings, err, "the certificate is self-signed"));
    return KV_OK;
}

static kv_status judge(const kv_x509_found *found, const kv_x509_merge_in *in, kv_x509_merged *out,
                       kv_error *err)
{
    kv_x509_warnings warnings = { .arena = found->arena };
    kv_x509_chain_in wanted = {
        .certificates = { .items = found->certificates, .count = found->count },
        .anchors = in->anchors,
        .now_ms = in->now_ms,
        .field = in->field,
        .need_complete = in->strict & KV_X509_STRICT_CHAIN,
        .omit_root = in->omit_root,
    };
    kv_x509_chain chain = { 0 };

    KV_TRY(find_leaf(found, in, &wanted.leaf, &out->leaf, err));
    KV_TRY(check_repeated(in, found->certificates[wanted.leaf], &out->repeated, err));
    KV_TRY(check_ca(in, &out->leaf, err));
    KV_TRY(kv_x509_chain_build(found->arena, &wanted, &chain, err));
    out->chain = chain.certificates;
    out->complete = chain.complete;
    KV_TRY(check_dates(in, &out->leaf, err));
    KV_TRY(check_request(found->arena, in, &out->leaf, &warnings, err));
    KV_TRY(tell_chain(found, &chain, &warnings, err));
    KV_TRY(look_beside(found->arena, in, out, err));
    KV_TRY(check_lint(in, &out->leaf, &warnings, err));
    KV_TRY(kv_x509_chain_order(found->arena, out->chain, wanted.certificates, &out->order, err));
    return kv_x509_warnings_keep(&warnings, &out->warnings, err);
}

kv_status kv_x509_merge(kv_arena *arena, const kv_x509_merge_in *in, kv_x509_merged *out,
                        kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(SCRATCH_MAX);
    KV_AUTO(kv_x509_found) found = { .arena = arena, .scratch = &scratch, .field = in->field };
    kv_x509_merged merged = { 0 };

    KV_TRY(check_sizes(in, err));
    KV_TRY(read_all(&found, in, err));
    KV_TRY(judge(&found, in, &merged, err));
    *out = merged;
    return KV_OK;
}
