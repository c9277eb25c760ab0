/* crl.c - from a list of revoked certificates to a signed, checked revocation list. */
#include "server/x509/crl.h"

#include <time.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>

#include "server/x509/inspect.h"
#include "server/x509/names.h"
#include "server/x509/openssl.h"

enum { SERIAL_MAX = 20, REASON_MAX = 10 };

/* RFC 5280, section 5.1. OpenSSL's own structure cannot be given the algorithm that stands in the
 * signed part unless OpenSSL signs itself. */
typedef struct crl_tbs {
    ASN1_INTEGER *version;
    X509_ALGOR *algorithm;
    X509_NAME *issuer;
    ASN1_TIME *this_update;
    ASN1_TIME *next_update;
    STACK_OF(X509_REVOKED) *revoked;
    STACK_OF(X509_EXTENSION) *extensions;
} crl_tbs;

typedef struct crl {
    crl_tbs *tbs;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} crl;

/* clang-format off */
ASN1_SEQUENCE(crl_tbs) = {
    ASN1_SIMPLE(crl_tbs, version, ASN1_INTEGER),
    ASN1_SIMPLE(crl_tbs, algorithm, X509_ALGOR),
    ASN1_SIMPLE(crl_tbs, issuer, X509_NAME),
    ASN1_SIMPLE(crl_tbs, this_update, ASN1_TIME),
    ASN1_SIMPLE(crl_tbs, next_update, ASN1_TIME),
    ASN1_SEQUENCE_OF_OPT(crl_tbs, revoked, X509_REVOKED),
    ASN1_EXP_SEQUENCE_OF(crl_tbs, extensions, X509_EXTENSION, 0)
} static_ASN1_SEQUENCE_END(crl_tbs)

ASN1_SEQUENCE(crl) = {
    ASN1_SIMPLE(crl, tbs, crl_tbs),
    ASN1_SIMPLE(crl, algorithm, X509_ALGOR),
    ASN1_SIMPLE(crl, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(crl)

static void crl_free(crl *it)
{
    ASN1_item_free((ASN1_VALUE *)it, ASN1_ITEM_rptr(crl));
}
/* clang-format on */

KV_OSSL_TYPE(list, crl, crl_free)
KV_OSSL_TYPE(parsed_list, X509_CRL, X509_CRL_free)
KV_OSSL_TYPE(revoked, X509_REVOKED, X509_REVOKED_free)
KV_OSSL_TYPE(time, ASN1_TIME, ASN1_TIME_free)
KV_OSSL_TYPE(general_time, ASN1_GENERALIZEDTIME, ASN1_GENERALIZEDTIME_free)
KV_OSSL_TYPE(enumerated, ASN1_ENUMERATED, ASN1_ENUMERATED_free)
KV_OSSL_TYPE(scope, ISSUING_DIST_POINT, ISSUING_DIST_POINT_free)

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "the revocation list could not be built");
}

/* ---- what the caller gives ---- */

static kv_status check_entry(const kv_x509_revoked *entry, int64_t now_ms, kv_error *err)
{
    kv_slice serial = entry->serial;

    if (serial.len == 0 || serial.len > SERIAL_MAX || (serial.data[0] & 0x80) ||
        serial.data[0] == 0)
        return kv_fail_field(err, "revoked.serial", "must be positive, at most %d bytes",
                             SERIAL_MAX);
    if (entry->reason < 0 || entry->reason > REASON_MAX ||
        (entry->reason >= 6 && entry->reason <= 8))
        return kv_fail_field(err, "revoked.reason",
                             "must be a CRLReason other than certificateHold and removeFromCRL");
    if (entry->revoked_ms <= 0 || entry->revoked_ms > now_ms)
        return kv_fail_field(err, "revoked.revoked_ms", "must not be in the future");
    if (entry->invalid_since < 0 || entry->invalid_since > entry->revoked_ms)
        return kv_fail_field(err, "revoked.invalid_since", "must not be after the revocation");
    return KV_OK;
}

static kv_status check_input(const kv_x509_crl_build *in, kv_error *err)
{
    if (in->number == 0)
        return kv_fail_field(err, "number", "must be positive");
    if (in->next_ms <= in->now_ms)
        return kv_fail_field(err, "next_ms", "must be later than now");
    if (in->shard.len &&
        (!kv_slice_starts_with(in->shard, KV_SLICE("http://")) || kv_x509_uri_problem(in->shard)))
        return kv_fail_field(err, "shard", "must be an http:// URL");
    for (size_t i = 0; i < in->count; i++)
        KV_TRY(check_entry(&in->revoked[i], in->now_ms, err));
    return KV_OK;
}

static kv_status read_issuer(kv_arena *arena, const kv_x509_crl_build *in, kv_x509_facts *out,
                             kv_error *err)
{
    KV_TRY(kv_x509_inspect(arena, in->issuer, out, err));
    if (!out->is_ca || (out->has_key_usage && !(out->key_usage & KV_X509_CRL_SIGN)))
        return kv_fail(err, KV_PRECONDITION,
                       "the issuer's certificate may not sign revocation lists");
    if (out->not_after_ms <= in->now_ms || out->not_before_ms > in->now_ms)
        return kv_fail(err, KV_PRECONDITION, "the issuer's certificate is not valid now");
    if (!out->subject_key_id.len)
        return kv_fail(err, KV_PRECONDITION,
                       "the issuer's certificate has no subject key identifier");
    if (!kv_x509_signature_mechanism(out->key_kind))
        return kv_fail(err, KV_PRECONDITION, "the issuer's key cannot sign revocation lists");
    return KV_OK;
}

/* ---- entries ---- */

static bool set_entry(X509_REVOKED *out, const kv_x509_revoked *entry)
{
    KV_AUTO(kv_ossl_integer) serial = ASN1_INTEGER_new();
    KV_AUTO(kv_ossl_time) when = ASN1_TIME_set(NULL, (time_t)(entry->revoked_ms / 1000));
    KV_AUTO(kv_ossl_enumerated) reason = ASN1_ENUMERATED_new();
    KV_AUTO(kv_ossl_general_time)
    since = ASN1_GENERALIZEDTIME_set(NULL, (time_t)(entry->invalid_since / 1000));

    if (!serial || !when || !reason || !since ||
        !ASN1_STRING_set(serial, entry->serial.data, (int)entry->serial.len) ||
        !X509_REVOKED_set_serialNumber(out, serial) || !X509_REVOKED_set_revocationDate(out, when))
        return false;
    if (entry->reason &&
        (!ASN1_ENUMERATED_set(reason, entry->reason) ||
         X509_REVOKED_add1_ext_i2d(out, NID_crl_reason, reason, 0, X509V3_ADD_DEFAULT) != 1))
        return false;
    return !entry->invalid_since ||
           X509_REVOKED_add1_ext_i2d(out, NID_invalidity_date, since, 0, X509V3_ADD_DEFAULT) == 1;
}

static int by_serial(const X509_REVOKED *const *a, const X509_REVOKED *const *b)
{
    return ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(*a), X509_REVOKED_get0_serialNumber(*b));
}

/* An empty list of entries is left away. */
static kv_status add_entries(crl_tbs *tbs, const kv_x509_crl_build *in, kv_error *err)
{
    STACK_OF(X509_REVOKED) *all = in->count ? sk_X509_REVOKED_new(by_serial) : NULL;

    tbs->revoked = all;
    for (size_t i = 0; i < in->count; i++) {
        KV_AUTO(kv_ossl_revoked) entry = X509_REVOKED_new();

        if (!all || !entry || !set_entry(entry, &in->revoked[i]) ||
            !sk_X509_REVOKED_push(all, entry))
            return failed(err);
        entry = NULL;
    }
    sk_X509_REVOKED_sort(all);
    for (int i = 1; i < sk_X509_REVOKED_num(all); i++) {
        const X509_REVOKED *before = sk_X509_REVOKED_value(all, i - 1);
        const X509_REVOKED *entry = sk_X509_REVOKED_value(all, i);

        if (!by_serial(&before, &entry))
            return kv_fail_field(err, "revoked.serial", "must not be given twice");
    }
    return KV_OK;
}

/* ---- the list's own extensions ---- */

static bool add(crl_tbs *tbs, int nid, void *value, bool critical)
{
    return X509V3_add1_i2d(&tbs->extensions, nid, value, critical, X509V3_ADD_DEFAULT) == 1;
}

static kv_status add_key_id(crl_tbs *tbs, kv_slice subject_key_id, kv_error *err)
{
    KV_AUTO(kv_ossl_key_id) authority = AUTHORITY_KEYID_new();

    if (!authority)
        return failed(err);
    authority->keyid = ASN1_OCTET_STRING_new();
    if (!authority->keyid ||
        !ASN1_OCTET_STRING_set(authority->keyid, subject_key_id.data, (int)subject_key_id.len) ||
        !add(tbs, NID_authority_key_identifier, authority, false))
        return failed(err);
    return KV_OK;
}

static kv_status add_number(crl_tbs *tbs, uint64_t number, kv_error *err)
{
    KV_AUTO(kv_ossl_integer) value = ASN1_INTEGER_new();

    if (!value || !ASN1_INTEGER_set_uint64(value, number) ||
        !add(tbs, NID_crl_number, value, false))
        return failed(err);
    return KV_OK;
}

static bool set_point(ISSUING_DIST_POINT *scope, kv_slice url)
{
    KV_AUTO(kv_ossl_general_name) name = GENERAL_NAME_new();

    scope->distpoint = DIST_POINT_NAME_new();
    if (!name || !scope->distpoint || !kv_ossl_set_text(name, GEN_URI, url))
        return false;
    scope->distpoint->type = 0;
    scope->distpoint->name.fullname = GENERAL_NAMES_new();
    if (!scope->distpoint->name.fullname ||
        !sk_GENERAL_NAME_push(scope->distpoint->name.fullname, name))
        return false;
    name = NULL;
    return true;
}

static kv_status add_scope(crl_tbs *tbs, kv_slice url, kv_error *err)
{
    KV_AUTO(kv_ossl_scope) scope = ISSUING_DIST_POINT_new();

    if (!scope || !set_point(scope, url) || !add(tbs, NID_issuing_distribution_point, scope, true))
        return failed(err);
    return KV_OK;
}

/* ---- together ---- */

static kv_status fill(crl *list, const kv_x509_crl_build *in, const X509 *issuer,
                      const kv_x509_facts *facts, kv_error *err)
{
    const kv_mechanism *alg = kv_x509_signature_mechanism(facts->key_kind);
    crl_tbs *tbs = list->tbs;

    if (!ASN1_INTEGER_set(tbs->version, X509_CRL_VERSION_2) ||
        !X509_NAME_set(&tbs->issuer, X509_get_subject_name(issuer)) ||
        !ASN1_TIME_set(tbs->this_update, (time_t)(in->now_ms / 1000)) ||
        !ASN1_TIME_set(tbs->next_update, (time_t)(in->next_ms / 1000)) ||
        !kv_ossl_set_algorithm(tbs->algorithm, alg) || !kv_ossl_set_algorithm(list->algorithm, alg))
        return failed(err);
    KV_TRY(add_entries(tbs, in, err));
    KV_TRY(add_key_id(tbs, facts->subject_key_id, err));
    KV_TRY(add_number(tbs, in->number, err));
    return in->shard.len ? add_scope(tbs, in->shard, err) : KV_OK;
}

static kv_status sign(kv_arena *arena, crl *list, const kv_x509_crl_build *in,
                      const kv_mechanism *alg, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) tbs = NULL;
    kv_slice signature = KV_SLICE_NONE;
    int len = ASN1_item_i2d((ASN1_VALUE *)list->tbs, &tbs, ASN1_ITEM_rptr(crl_tbs));

    if (len <= 0)
        return failed(err);
    KV_TRY(kv_x509_sign(arena, &in->signer, alg, kv_slice_of(tbs, (size_t)len), &signature, err));
    return kv_ossl_set_signature(list->signature, signature) ? KV_OK : failed(err);
}

static kv_status check(kv_slice der, X509 *issuer, kv_error *err)
{
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_parsed_list) again = d2i_X509_CRL(NULL, &at, (long)der.len);
    int valid = again ? X509_CRL_verify(again, X509_get0_pubkey(issuer)) : 0;

    ERR_clear_error();
    if (valid != 1)
        return kv_fail(err, KV_INTERNAL, "the signature of a new revocation list does not verify");
    return KV_OK;
}

kv_status kv_x509_crl_build_der(kv_arena *arena, const kv_x509_crl_build *in, kv_slice *out,
                                kv_error *err)
{
    KV_AUTO(kv_ossl_list) list = (crl *)ASN1_item_new(ASN1_ITEM_rptr(crl));
    KV_AUTO(kv_ossl_bytes) bytes = NULL;
    KV_AUTO(kv_ossl_x509) issuer = NULL;
    kv_x509_facts facts = { 0 };
    kv_slice der = KV_SLICE_NONE;
    int len;

    KV_TRY(check_input(in, err));
    KV_TRY(read_issuer(arena, in, &facts, err));
    issuer = kv_ossl_parse_certificate(in->issuer);
    if (!list || !issuer)
        return failed(err);
    KV_TRY(fill(list, in, issuer, &facts, err));
    KV_TRY(sign(arena, list, in, kv_x509_signature_mechanism(facts.key_kind), err));
    len = ASN1_item_i2d((ASN1_VALUE *)list, &bytes, ASN1_ITEM_rptr(crl));
    KV_TRY(kv_ossl_keep(arena, bytes, len, &der, err));
    KV_TRY(check(der, issuer, err));
    *out = der;
    return KV_OK;
}
