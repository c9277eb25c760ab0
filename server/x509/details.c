/* details.c - what only the lint asks of a certificate. */
#include "server/x509/details.h"

#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "server/base/compiler.h"
#include "server/x509/der.h"
#include "server/x509/openssl.h"
#include "server/x509/weak.h"

enum { RSA_BITS_STEP = 8, COUNTRY_LETTERS = 2 };

static void read_subject(const X509 *certificate, kv_x509_details *out)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        out->common_names++;
    out->has_unit = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, -1) >= 0;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_countryName, at)) >= 0) {
        const ASN1_STRING *country = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        const unsigned char *text = ASN1_STRING_get0_data(country);

        out->bad_country = out->bad_country || ASN1_STRING_length(country) != COUNTRY_LETTERS ||
                           text[0] < 'A' || text[0] > 'Z' || text[1] < 'A' || text[1] > 'Z';
    }
}

/* Odd, and at least 3; a modulus of whole bytes that no known mistake has made. */
static kv_status read_rsa(const X509 *certificate, kv_x509_details *out, kv_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    BIGNUM *exponent = NULL;
    BIGNUM *modulus = NULL;
    kv_status status = KV_OK;

    if (!key || !EVP_PKEY_is_a(key, "RSA"))
        return KV_OK;
    out->bad_rsa = !EVP_PKEY_get_bn_param(key, "e", &exponent) ||
                   !EVP_PKEY_get_bn_param(key, "n", &modulus) || !BN_is_odd(exponent) ||
                   BN_is_one(exponent) || BN_num_bits(modulus) % RSA_BITS_STEP ||
                   kv_x509_modulus_has_small_factor(modulus) || kv_x509_modulus_is_roca(modulus);
    if (modulus)
        status = kv_x509_fermat_factors(modulus, KV_X509_FERMAT_ROUNDS, &out->close_primes, err);
    BN_free(exponent);
    BN_free(modulus);
    return status;
}

/* OpenSSL says "for TLS" of the parameters that the baseline requirements (section 7.1.3.2.1) have:
 * one hash for the message and the mask, and a salt as long as it. */
static bool is_good_pss(const X509 *certificate)
{
    const ASN1_OBJECT *object;
    uint32_t flags = 0;

    X509_ALGOR_get0(&object, NULL, NULL, X509_get0_tbs_sigalg(certificate));
    return OBJ_obj2nid(object) == NID_rsassaPss &&
           X509_get_signature_info((X509 *)(uintptr_t)certificate, NULL, NULL, NULL, &flags) &&
           (flags & X509_SIG_INFO_TLS);
}

/* RFC 5280, section 4.1.2.5: years until 2049 have two digits. */
static bool is_long(const ASN1_TIME *time)
{
    return ASN1_STRING_type(time) == V_ASN1_GENERALIZEDTIME &&
           strncmp((const char *)ASN1_STRING_get0_data(time), "2050", 4) < 0;
}

static void note_url(const GENERAL_NAME *name, bool *there, kv_x509_details *out)
{
    static const char http[] = "http://";
    const ASN1_IA5STRING *url = name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;

    *there = true;
    if (!url || ASN1_STRING_length(url) < (int)strlen(http) ||
        strncasecmp((const char *)ASN1_STRING_get0_data(url), http, strlen(http)) != 0)
        out->foreign_url = true;
}

static void read_lists(const X509 *certificate, kv_x509_details *out)
{
    CRL_DIST_POINTS *points =
        X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);

    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;
        const GENERAL_NAMES *names = name && name->type == 0 ? name->name.fullname : NULL;

        for (int k = 0; k < sk_GENERAL_NAME_num(names); k++)
            note_url(sk_GENERAL_NAME_value(names, k), &out->has_revocation, out);
    }
    CRL_DIST_POINTS_free(points);
}

static void read_access(const X509 *certificate, kv_x509_details *out)
{
    AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);
    bool other = false;

    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all); i++) {
        const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(all, i);
        bool ocsp = OBJ_obj2nid(one->method) == NID_ad_OCSP;

        note_url(one->location, ocsp ? &out->has_revocation : &other, out);
    }
    AUTHORITY_INFO_ACCESS_free(all);
}

/* Of the CA/Browser Forum: domain, organisation, individual validated, extended. */
static bool is_reserved(const ASN1_OBJECT *policy)
{
    static const char *const reserved[] = { "2.23.140.1.2.1", "2.23.140.1.2.2", "2.23.140.1.2.3",
                                            "2.23.140.1.1" };
    char text[80];

    (void)OBJ_obj2txt(text, sizeof(text), policy, 1);
    for (size_t i = 0; i < KV_COUNT(reserved); i++)
        if (!strcmp(text, reserved[i]))
            return true;
    return false;
}

static void read_policies(const X509 *certificate, kv_x509_details *out)
{
    CERTIFICATEPOLICIES *all = X509_get_ext_d2i(certificate, NID_certificate_policies, NULL, NULL);

    for (int i = 0; i < sk_POLICYINFO_num(all); i++)
        out->reserved_policies += is_reserved(sk_POLICYINFO_value(all, i)->policyid);
    CERTIFICATEPOLICIES_free(all);
}

kv_status kv_x509_details_of(const X509 *certificate, kv_slice der, kv_x509_details *out,
                             kv_error *err)
{
    const ASN1_BIT_STRING *issuer = NULL;
    const ASN1_BIT_STRING *subject = NULL;
    const X509_ALGOR *outside = NULL;

    *out = (kv_x509_details){ 0 };
    X509_get0_signature(NULL, &outside, certificate);
    X509_get0_uids(certificate, &issuer, &subject);
    out->two_algorithms = X509_ALGOR_cmp(outside, X509_get0_tbs_sigalg(certificate)) != 0;
    out->good_pss = is_good_pss(certificate);
    out->has_unique_ids = issuer || subject;
    out->has_constraints = X509_get_ext_by_NID(certificate, NID_name_constraints, -1) >= 0;
    out->not_der = !kv_x509_certificate_is_der(der);
    out->long_times =
        is_long(X509_get0_notBefore(certificate)) || is_long(X509_get0_notAfter(certificate));
    read_subject(certificate, out);
    KV_TRY(read_rsa(certificate, out, err));
    read_lists(certificate, out);
    read_access(certificate, out);
    read_policies(certificate, out);
    return kv_ossl_out_of_memory() ? kv_ossl_no_memory(err) : KV_OK;
}
