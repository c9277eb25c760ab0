/* authority.c - the extensions that point from a certificate to the authority above it. */
#include "server/x509/authority_write.h"
#include "server/x509/names.h"

enum { URL_MAX = 2048 };

KV_OSSL_TYPE(points, CRL_DIST_POINTS, CRL_DIST_POINTS_free)
KV_OSSL_TYPE(access, AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free)
KV_OSSL_TYPE(policies, CERTIFICATEPOLICIES, CERTIFICATEPOLICIES_free)

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "a part of the certificate could not be built");
}

/* ---- rules ---- */

static kv_status check_url(kv_slice url, const char *field, kv_error *err)
{
    if (url.len == 0)
        return KV_OK;
    if (url.len > URL_MAX || !kv_slice_starts_with(url, KV_SLICE("http://")) ||
        kv_x509_uri_problem(url))
        return kv_fail_field(err, field, "must be an http:// URL of at most %d bytes", URL_MAX);
    return KV_OK;
}

static kv_status check_policies(const kv_x509_list *oids, kv_error *err)
{
    if (oids->count > KV_X509_CERTIFICATE_POLICIES_MAX)
        return kv_fail_field(err, "authority.policies", "must be at most %d",
                             KV_X509_CERTIFICATE_POLICIES_MAX);
    for (size_t i = 0; i < oids->count; i++) {
        const char *problem = kv_x509_oid_problem(oids->items[i]);

        if (problem)
            return kv_fail_field(err, "authority.policies", "%s", problem);
        for (size_t j = 0; j < i; j++)
            if (kv_slice_equal(oids->items[i], oids->items[j]))
                return kv_fail_field(err, "authority.policies", "must not name one twice");
    }
    return KV_OK;
}

kv_status kv_x509_authority_check(const kv_x509_authority *authority, bool ca, kv_error *err)
{
    KV_TRY(check_url(authority->crl_url, "authority.crl_url", err));
    KV_TRY(check_url(authority->ocsp_url, "authority.ocsp_url", err));
    KV_TRY(check_url(authority->issuer_url, "authority.issuer_url", err));
    KV_TRY(check_policies(&authority->policies, err));
    if (authority->constraints && !ca && !kv_x509_constraints_empty(authority->constraints))
        return kv_fail_field(err, "name_constraints", "must be for a CA");
    if (authority->path_limited && (!ca || authority->path_length > KV_X509_PATH_LENGTH_MAX))
        return kv_fail_field(err, "authority.path_length", "must be for a CA, at most %d",
                             KV_X509_PATH_LENGTH_MAX);
    return KV_OK;
}

/* ---- extensions ---- */

static bool add(X509 *certificate, int nid, void *value, bool critical)
{
    return X509_add1_ext_i2d(certificate, nid, value, critical, X509V3_ADD_REPLACE) == 1;
}

/* The caller frees it. */
static GENERAL_NAMES *url_names(kv_slice url)
{
    KV_AUTO(kv_ossl_general_names) names = GENERAL_NAMES_new();
    KV_AUTO(kv_ossl_general_name) name = GENERAL_NAME_new();
    GENERAL_NAMES *out = names;

    if (!names || !name || !kv_ossl_set_text(name, GEN_URI, url) ||
        !sk_GENERAL_NAME_push(names, name))
        return NULL;
    name = NULL;
    names = NULL;
    return out;
}

static kv_status add_crl_url(X509 *certificate, kv_slice url, kv_error *err)
{
    KV_AUTO(kv_ossl_points) points = CRL_DIST_POINTS_new();
    DIST_POINT *point = DIST_POINT_new();

    if (!points || !point || !sk_DIST_POINT_push(points, point)) {
        DIST_POINT_free(point);
        return failed(err);
    }
    point->distpoint = DIST_POINT_NAME_new();
    if (!point->distpoint)
        return failed(err);
    point->distpoint->type = 0;
    point->distpoint->name.fullname = url_names(url);
    if (!point->distpoint->name.fullname ||
        !add(certificate, NID_crl_distribution_points, points, false))
        return failed(err);
    return KV_OK;
}

static bool push_access(AUTHORITY_INFO_ACCESS *all, int method, kv_slice url)
{
    ACCESS_DESCRIPTION *item = ACCESS_DESCRIPTION_new();

    if (!item || !sk_ACCESS_DESCRIPTION_push(all, item)) {
        ACCESS_DESCRIPTION_free(item);
        return false;
    }
    ASN1_OBJECT_free(item->method);
    item->method = OBJ_nid2obj(method);
    return kv_ossl_set_text(item->location, GEN_URI, url);
}

static kv_status add_access(X509 *certificate, const kv_x509_authority *authority, kv_error *err)
{
    KV_AUTO(kv_ossl_access) all = AUTHORITY_INFO_ACCESS_new();

    if (!all || (authority->ocsp_url.len && !push_access(all, NID_ad_OCSP, authority->ocsp_url)) ||
        (authority->issuer_url.len &&
         !push_access(all, NID_ad_ca_issuers, authority->issuer_url)) ||
        !add(certificate, NID_info_access, all, false))
        return failed(err);
    return KV_OK;
}

static kv_status add_policies(X509 *certificate, const kv_x509_list *oids, kv_error *err)
{
    KV_AUTO(kv_ossl_policies) all = CERTIFICATEPOLICIES_new();

    for (size_t i = 0; all && i < oids->count; i++) {
        POLICYINFO *item = POLICYINFO_new();

        if (!item || !sk_POLICYINFO_push(all, item)) {
            POLICYINFO_free(item);
            return failed(err);
        }
        ASN1_OBJECT_free(item->policyid);
        item->policyid = kv_ossl_object(oids->items[i]);
        if (!item->policyid)
            return failed(err);
    }
    if (!all || !add(certificate, NID_certificate_policies, all, false))
        return failed(err);
    return KV_OK;
}

static kv_status set_path_length(X509 *certificate, unsigned length, kv_error *err)
{
    KV_AUTO(kv_ossl_constraints) value = BASIC_CONSTRAINTS_new();

    if (!value)
        return failed(err);
    value->ca = 0xff;
    value->pathlen = ASN1_INTEGER_new();
    if (!value->pathlen || !ASN1_INTEGER_set(value->pathlen, (long)length) ||
        !add(certificate, NID_basic_constraints, value, true))
        return failed(err);
    return KV_OK;
}

static kv_status add_no_check(X509 *certificate, kv_error *err)
{
    ASN1_NULL *value = ASN1_NULL_new();
    bool good = value && add(certificate, NID_id_pkix_OCSP_noCheck, value, false);

    ASN1_NULL_free(value);
    return good ? KV_OK : failed(err);
}

kv_status kv_x509_authority_write(X509 *certificate, const kv_x509_authority *authority,
                                  kv_error *err)
{
    if (authority->path_limited)
        KV_TRY(set_path_length(certificate, authority->path_length, err));
    if (authority->crl_url.len)
        KV_TRY(add_crl_url(certificate, authority->crl_url, err));
    if (authority->ocsp_url.len || authority->issuer_url.len)
        KV_TRY(add_access(certificate, authority, err));
    if (authority->ocsp_no_check)
        KV_TRY(add_no_check(certificate, err));
    if (authority->policies.count)
        KV_TRY(add_policies(certificate, &authority->policies, err));
    return KV_OK;
}
