/* certificate.c - from a policy and a public key to a signed, checked certificate. */
#include "server/x509/certificate.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "pkcs11/public_key.h"
#include "server/x509/authority_write.h"
#include "server/x509/extensions.h"
#include "server/x509/openssl.h"

enum { SERIAL_MAX = 20 };

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "the certificate could not be built");
}

/* ---- the issuer's side ---- */

typedef struct issuer {
    X509 *certificate; /* NULL: self-signed */
    const kv_mechanism *alg;
    int64_t not_after_ms; /* no certificate outlives this */
} issuer;

/* An issuer's path length counts the CAs that may follow it. */
static kv_status check_path(const kv_x509_build *in, X509 *above, kv_error *err)
{
    long room = above ? X509_get_pathlen(above) : -1;

    if (in->authority)
        KV_TRY(kv_x509_authority_check(in->authority, in->policy->x509_props.ca, err));
    if (room < 0 || !in->policy->x509_props.ca || in->rollover)
        return KV_OK;
    if (room == 0)
        return kv_fail(err, KV_PRECONDITION,
                       "the path length of the issuer's certificate allows no CA below it");
    if (in->authority && in->authority->path_limited && in->authority->path_length >= room)
        return kv_fail_field(err, "authority.path_length",
                             "must be less than the issuer's, which is %ld", room);
    return KV_OK;
}

static kv_status read_issuer(kv_arena *arena, const kv_x509_build *in, X509 **certificate,
                             issuer *out, kv_error *err)
{
    kv_key_kind kind = kv_x509_policy_key_kind(in->policy);
    int64_t not_after_ms = INT64_MAX;

    if (in->issuer.len) {
        kv_x509_facts facts = { 0 };

        KV_TRY(kv_x509_inspect(arena, in->issuer, &facts, err));
        if (!facts.is_ca || (facts.has_key_usage && !(facts.key_usage & KV_X509_KEY_CERT_SIGN)))
            return kv_fail(err, KV_PRECONDITION,
                           "the issuer's certificate is not one of a certification authority");
        if (facts.not_after_ms <= in->now_ms || facts.not_before_ms > in->now_ms)
            return kv_fail(err, KV_PRECONDITION, "the issuer's certificate is not valid now");
        kind = facts.key_kind;
        not_after_ms = facts.not_after_ms;
        *certificate = kv_ossl_parse_certificate(in->issuer);
        if (!*certificate)
            return failed(err);
    }
    *out = (issuer){ .certificate = *certificate,
                     .alg = kv_x509_signature_mechanism(kind),
                     .not_after_ms = not_after_ms };
    if (!out->alg)
        return kv_fail(err, KV_PRECONDITION, "the issuer's key cannot sign certificates");
    return KV_OK;
}

/* ---- what is to be signed ---- */

static kv_status set_serial(X509 *certificate, kv_slice given, kv_error *err)
{
    KV_AUTO(kv_ossl_integer) serial = ASN1_INTEGER_new();
    uint8_t bytes[KV_X509_SERIAL_BYTES];
    kv_slice value = given;

    if (given.len == 0) {
        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
            return failed(err);
        /* Positive, and always of the same length; 126 random bits are left. */
        bytes[0] = (bytes[0] & 0x3f) | 0x40;
        value = kv_slice_of(bytes, sizeof(bytes));
    }
    if (value.len > SERIAL_MAX || (value.data[0] & 0x80) || value.data[0] == 0)
        return kv_fail(err, KV_BAD_REQUEST, "a serial number is positive and has at most %d bytes",
                       SERIAL_MAX);
    if (!serial || !ASN1_STRING_set(serial, value.data, (int)value.len) ||
        !X509_set_serialNumber(certificate, serial))
        return failed(err);
    return KV_OK;
}

static kv_status set_validity(X509 *certificate, const kv_x509_build *in, const issuer *by,
                              kv_error *err)
{
    int64_t from = in->now_ms - KV_X509_BACKDATE_MS;
    int64_t until = kv_x509_add_months(in->now_ms, in->policy->x509_props.validity_months);

    if (until > by->not_after_ms)
        until = by->not_after_ms;
    if (in->until_ms && until > in->until_ms)
        until = in->until_ms;
    if (!ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(from / 1000)) ||
        !ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(until / 1000)))
        return failed(err);
    return KV_OK;
}

static kv_status set_names(kv_arena *arena, X509 *certificate, const kv_x509_build *in,
                           const issuer *by, kv_error *err)
{
    KV_AUTO(kv_ossl_name) subject = NULL;
    const X509_NAME *name;

    KV_TRY(kv_x509_subject_build(arena, in->policy, &subject, err));
    name = by->certificate ? X509_get_subject_name(by->certificate) : subject;
    if (!X509_set_subject_name(certificate, subject) || !X509_set_issuer_name(certificate, name))
        return failed(err);
    return KV_OK;
}

static kv_status set_key(X509 *certificate, const kv_x509_build *in, kv_error *err)
{
    KV_AUTO(kv_ossl_key) key = kv_ossl_parse_public_key(in->spki);
    kv_key_kind kind;

    KV_TRY(kv_public_key_kind(in->spki, &kind, err));
    if (kind != kv_x509_policy_key_kind(in->policy))
        return kv_fail(err, KV_INTERNAL, "the public key is not of the kind the policy asks for");
    return key && X509_set_pubkey(certificate, key) ? KV_OK : failed(err);
}

/* RFC 5280, section 4.2.1.2, method 1: SHA-1 of the key's bits. */
static ASN1_OCTET_STRING *key_identifier(const X509 *of)
{
    ASN1_OCTET_STRING *out = ASN1_OCTET_STRING_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!out || !X509_pubkey_digest(of, EVP_sha1(), digest, &len) ||
        !ASN1_OCTET_STRING_set(out, digest, (int)len)) {
        ASN1_OCTET_STRING_free(out);
        return NULL;
    }
    return out;
}

static kv_status add_key_identifiers(X509 *certificate, const issuer *by, kv_error *err)
{
    KV_AUTO(kv_ossl_octets) own = key_identifier(certificate);
    KV_AUTO(kv_ossl_key_id) authority = AUTHORITY_KEYID_new();
    const ASN1_OCTET_STRING *named =
        by->certificate ? X509_get0_subject_key_id(by->certificate) : NULL;

    if (!own || !authority)
        return failed(err);
    if (named)
        authority->keyid = ASN1_OCTET_STRING_dup(named);
    else
        authority->keyid = key_identifier(by->certificate ? by->certificate : certificate);
    if (!authority->keyid ||
        X509_add1_ext_i2d(certificate, NID_subject_key_identifier, own, 0, X509V3_ADD_DEFAULT) !=
            1 ||
        X509_add1_ext_i2d(certificate, NID_authority_key_identifier, authority, 0,
                          X509V3_ADD_DEFAULT) != 1)
        return failed(err);
    return KV_OK;
}

static kv_status add_extensions(kv_arena *arena, X509 *certificate, const kv_x509_build *in,
                                const issuer *by, kv_error *err)
{
    KV_AUTO(kv_ossl_extensions) all = NULL;

    KV_TRY(kv_x509_extensions_build(in->policy, &all, err));
    for (int i = 0; i < sk_X509_EXTENSION_num(all); i++)
        if (!X509_add_ext(certificate, sk_X509_EXTENSION_value(all, i), -1))
            return failed(err);
    if (in->authority)
        KV_TRY(kv_x509_authority_write(certificate, in->authority, err));
    if (in->authority && in->authority->constraints)
        KV_TRY(kv_x509_constraints_write(arena, certificate, in->authority->constraints, err));
    return add_key_identifiers(certificate, by, err);
}

/* The algorithm stands in the signed part and beside the signature. OpenSSL sets both only when it
 * signs itself, hence the casts. */
static kv_status set_algorithm(X509 *certificate, const kv_mechanism *alg, kv_error *err)
{
    const X509_ALGOR *beside;

    X509_get0_signature(NULL, &beside, certificate);
    if (!kv_ossl_set_algorithm((X509_ALGOR *)X509_get0_tbs_sigalg(certificate), alg) ||
        !kv_ossl_set_algorithm((X509_ALGOR *)beside, alg))
        return failed(err);
    return KV_OK;
}

static bool copy_extension(X509 *to, const X509 *from, int nid)
{
    int there = X509_get_ext_by_NID(to, nid, -1);
    int at = X509_get_ext_by_NID(from, nid, -1);

    if (there >= 0)
        X509_EXTENSION_free(X509_delete_ext(to, there));
    return at < 0 || X509_add_ext(to, X509_get_ext(from, at), -1);
}

/* What makes the authority the same one, byte for byte. */
static kv_status take_over(X509 *certificate, const kv_x509_build *in, kv_error *err)
{
    static const int always[] = { NID_basic_constraints, NID_name_constraints, NID_key_usage };
    KV_AUTO(kv_ossl_x509) like = kv_ossl_parse_certificate(in->like);
    bool good = like && X509_set_subject_name(certificate, X509_get_subject_name(like));

    if (good && !in->issuer.len)
        good = X509_set_issuer_name(certificate, X509_get_subject_name(like));
    for (size_t i = 0; good && i < KV_COUNT(always); i++)
        good = copy_extension(certificate, like, always[i]);
    if (good && EVP_PKEY_eq(X509_get0_pubkey(certificate), X509_get0_pubkey(like)) == 1)
        good = copy_extension(certificate, like, NID_subject_key_identifier);
    ERR_clear_error();
    return good ? KV_OK : failed(err);
}

static kv_status fill(kv_arena *arena, X509 *certificate, const kv_x509_build *in, const issuer *by,
                      kv_error *err)
{
    if (!X509_set_version(certificate, X509_VERSION_3))
        return failed(err);
    KV_TRY(set_serial(certificate, in->serial, err));
    KV_TRY(set_validity(certificate, in, by, err));
    KV_TRY(set_names(arena, certificate, in, by, err));
    KV_TRY(set_key(certificate, in, err));
    KV_TRY(add_extensions(arena, certificate, in, by, err));
    if (in->like.len)
        KV_TRY(take_over(certificate, in, err));
    return set_algorithm(certificate, by->alg, err);
}

/* ---- lint, sign, check ---- */

static kv_status encode(kv_arena *arena, X509 *certificate, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int len = i2d_X509(certificate, &der);

    return kv_ossl_keep(arena, der, len, out, err);
}

/* Still without a signature: a rule that is broken must cost no signature. */
static kv_status lint(kv_arena *arena, X509 *certificate, const kv_x509_build *in, const issuer *by,
                      kv_x509_findings *out, kv_error *err)
{
    kv_x509_list above = { .items = &in->issuer, .count = in->issuer.len > 0 };
    kv_x509_facts facts = { 0 };
    kv_slice der = KV_SLICE_NONE;

    KV_TRY(encode(arena, certificate, &der, err));
    KV_TRY(kv_x509_inspect(arena, der, &facts, err));
    if (!in->rollover) {
        KV_TRY(kv_x509_constraints_allow(&above, der, err));
        KV_TRY(kv_x509_constraints_allow(&in->above, der, err));
    }
    facts.beside = (kv_x509_beside){ .signed_after_ms = in->now_ms,
                                     .signed_before_ms = in->now_ms,
                                     .issuer_until_ms = above.count ? by->not_after_ms : 0 };
    kv_x509_lint(&facts, in->scope, out);
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i]->severity == KV_X509_LINT_ERROR)
            return kv_fail_field(err, "policy", "breaks the rule %s: %s", out->items[i]->id,
                                 out->items[i]->message);
    return KV_OK;
}

static kv_status sign(kv_arena *arena, X509 *certificate, const kv_x509_build *in, const issuer *by,
                      kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) tbs = NULL;
    const ASN1_BIT_STRING *place;
    kv_slice signature = KV_SLICE_NONE;
    int len = i2d_re_X509_tbs(certificate, &tbs);

    if (len <= 0)
        return failed(err);
    KV_TRY(
        kv_x509_sign(arena, &in->signer, by->alg, kv_slice_of(tbs, (size_t)len), &signature, err));
    X509_get0_signature(&place, NULL, certificate);
    return kv_ossl_set_signature((ASN1_BIT_STRING *)place, signature) ? KV_OK : failed(err);
}

/* A certificate leaves this file only when somebody else's parser and verifier would take it. */
static kv_status check(kv_arena *arena, const kv_x509_build *in, const issuer *by,
                       kv_x509_built *built, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) again = kv_ossl_parse_certificate(built->der);
    EVP_PKEY *key = again ? X509_get0_pubkey(by->certificate ? by->certificate : again) : NULL;
    int valid = key ? X509_verify(again, key) : 0;

    ERR_clear_error();
    if (valid != 1)
        return kv_fail(err, KV_INTERNAL, "the signature of a new certificate does not verify");
    KV_TRY(kv_x509_inspect(arena, built->der, &built->facts, err));
    if (!kv_slice_equal(built->facts.spki, in->spki))
        return kv_fail(err, KV_INTERNAL, "a new certificate has another public key");
    return KV_OK;
}

kv_status kv_x509_certificate_build(kv_arena *arena, const kv_x509_build *in, kv_x509_built *out,
                                    kv_error *err)
{
    KV_AUTO(kv_ossl_x509) certificate = X509_new();
    KV_AUTO(kv_ossl_x509) above = NULL;
    kv_x509_built built = { 0 };
    issuer by = { 0 };

    if (!certificate)
        return failed(err);
    KV_TRY(read_issuer(arena, in, &above, &by, err));
    KV_TRY(check_path(in, above, err));
    KV_TRY(fill(arena, certificate, in, &by, err));
    KV_TRY(lint(arena, certificate, in, &by, &built.findings, err));
    KV_TRY(sign(arena, certificate, in, &by, err));
    KV_TRY(encode(arena, certificate, &built.der, err));
    KV_TRY(check(arena, in, &by, &built, err));
    *out = built;
    return KV_OK;
}
