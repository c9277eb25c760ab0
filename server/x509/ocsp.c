/* ocsp.c - reads OCSP requests, builds signed, checked answers. */
#include "server/x509/ocsp.h"

#include <time.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "server/x509/inspect.h"
#include "server/x509/openssl.h"

enum { SERIAL_MAX = 20, NONCE_MAX = 32 };

/* RFC 6960, section 4.2.1. OpenSSL's own structures cannot be given the responder's name and the
 * algorithm unless OpenSSL signs itself. */
typedef struct ocsp_tbs {
    ASN1_OCTET_STRING *by_key;
    ASN1_GENERALIZEDTIME *produced;
    STACK_OF(OCSP_SINGLERESP) *responses;
    STACK_OF(X509_EXTENSION) *extensions;
} ocsp_tbs;

typedef struct ocsp_basic {
    ocsp_tbs *tbs;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
    STACK_OF(X509) *certificates;
} ocsp_basic;

/* clang-format off */
ASN1_SEQUENCE(ocsp_tbs) = {
    ASN1_EXP(ocsp_tbs, by_key, ASN1_OCTET_STRING, 2),
    ASN1_SIMPLE(ocsp_tbs, produced, ASN1_GENERALIZEDTIME),
    ASN1_SEQUENCE_OF(ocsp_tbs, responses, OCSP_SINGLERESP),
    ASN1_EXP_SEQUENCE_OF_OPT(ocsp_tbs, extensions, X509_EXTENSION, 1)
} static_ASN1_SEQUENCE_END(ocsp_tbs)

ASN1_SEQUENCE(ocsp_basic) = {
    ASN1_SIMPLE(ocsp_basic, tbs, ocsp_tbs),
    ASN1_SIMPLE(ocsp_basic, algorithm, X509_ALGOR),
    ASN1_SIMPLE(ocsp_basic, signature, ASN1_BIT_STRING),
    ASN1_EXP_SEQUENCE_OF_OPT(ocsp_basic, certificates, X509, 0)
} static_ASN1_SEQUENCE_END(ocsp_basic)

static void ocsp_basic_free(ocsp_basic *it)
{
    ASN1_item_free((ASN1_VALUE *)it, ASN1_ITEM_rptr(ocsp_basic));
}
/* clang-format on */

KV_OSSL_TYPE(basic, ocsp_basic, ocsp_basic_free)
KV_OSSL_TYPE(ocsp_request, OCSP_REQUEST, OCSP_REQUEST_free)
KV_OSSL_TYPE(ocsp_response, OCSP_RESPONSE, OCSP_RESPONSE_free)
KV_OSSL_TYPE(parsed_basic, OCSP_BASICRESP, OCSP_BASICRESP_free)
KV_OSSL_TYPE(certid, OCSP_CERTID, OCSP_CERTID_free)
KV_OSSL_TYPE(time, ASN1_TIME, ASN1_TIME_free)

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "the OCSP answer could not be built");
}

/* ---- questions ---- */

static OCSP_REQUEST *parse(kv_slice der)
{
    const unsigned char *at = der.data;
    OCSP_REQUEST *request = NULL;

    if (der.len && der.len <= KV_X509_OCSP_REQUEST_MAX)
        request = d2i_OCSP_REQUEST(NULL, &at, (long)der.len);
    if (request && at != der.data + der.len) {
        OCSP_REQUEST_free(request);
        request = NULL;
    }
    ERR_clear_error();
    return request;
}

static X509_EXTENSION *nonce_of(OCSP_REQUEST *request)
{
    return OCSP_REQUEST_get_ext(request,
                                OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1));
}

/* The value is an OCTET STRING in the extension's own; old clients leave the inner one away. */
static bool good_nonce(OCSP_REQUEST *request)
{
    X509_EXTENSION *nonce = nonce_of(request);
    int len = nonce ? ASN1_STRING_length(X509_EXTENSION_get_data(nonce)) : 1;

    return len >= 1 && len <= NONCE_MAX + 2;
}

/* By the hash that the question names: SHA-1 or SHA-256. */
static bool is_of(const OCSP_CERTID *id, X509 *issuer)
{
    ASN1_OBJECT *hash = NULL;
    KV_AUTO(kv_ossl_certid) own = NULL;
    int nid;

    if (!OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)id))
        return false;
    nid = OBJ_obj2nid(hash);
    if (nid != NID_sha1 && nid != NID_sha256)
        return false;
    own = OCSP_cert_to_id(nid == NID_sha1 ? EVP_sha1() : EVP_sha256(), NULL, issuer);
    return own && OCSP_id_issuer_cmp(own, id) == 0;
}

static kv_status take_serial(kv_arena *arena, OCSP_CERTID *id, kv_slice *out, kv_error *err)
{
    ASN1_INTEGER *serial = NULL;

    if (!OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) || serial->length < 0)
        return failed(err);
    *out = KV_SLICE_NONE;
    /* One that this server never gives is known to nobody. */
    if (serial->type == V_ASN1_NEG_INTEGER || serial->length > SERIAL_MAX)
        return KV_OK;
    return kv_arena_copy(arena, kv_slice_of(serial->data, (size_t)serial->length), out, err);
}

kv_status kv_x509_ocsp_read(kv_arena *arena, kv_slice der, kv_slice issuer_der,
                            kv_x509_ocsp_question *out, kv_error *err)
{
    KV_AUTO(kv_ossl_ocsp_request) request = parse(der);
    KV_AUTO(kv_ossl_x509) issuer = kv_ossl_parse_certificate(issuer_der);
    kv_x509_ocsp_question question = { 0 };
    int count = request ? OCSP_request_onereq_count(request) : 0;

    if (!issuer)
        return failed(err);
    if (count < 1 || count > KV_X509_OCSP_IDS_MAX || !good_nonce(request))
        return kv_fail(err, KV_BAD_REQUEST, "this is not an OCSP request");
    question.nonce = nonce_of(request) != NULL;
    question.count = (size_t)count;
    for (int i = 0; i < count; i++) {
        OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, i));

        question.foreign = question.foreign || !is_of(id, issuer);
        KV_TRY(take_serial(arena, id, &question.serials[i], err));
    }
    ERR_clear_error();
    *out = question;
    return KV_OK;
}

/* ---- answers ---- */

static kv_status add_single(OCSP_BASICRESP *scratch, OCSP_CERTID *id, const kv_x509_ocsp_answer *in,
                            const kv_x509_ocsp_status *status, kv_error *err)
{
    static const int states[] = { V_OCSP_CERTSTATUS_GOOD, V_OCSP_CERTSTATUS_REVOKED,
                                  V_OCSP_CERTSTATUS_UNKNOWN };
    KV_AUTO(kv_ossl_time) revoked = ASN1_TIME_set(NULL, (time_t)(status->revoked_ms / 1000));
    KV_AUTO(kv_ossl_time) from = ASN1_TIME_set(NULL, (time_t)(in->now_ms / 1000));
    KV_AUTO(kv_ossl_time) until = ASN1_TIME_set(NULL, (time_t)(in->next_ms / 1000));
    int reason = status->reason ? status->reason : OCSP_REVOKED_STATUS_NOSTATUS;

    if (!revoked || !from || !until ||
        !OCSP_basic_add1_status(scratch, id, states[status->state], reason, revoked, from, until))
        return failed(err);
    return KV_OK;
}

/* OpenSSL builds the single answers; a copy of each goes into ours. */
static kv_status add_responses(ocsp_tbs *tbs, OCSP_REQUEST *request, const kv_x509_ocsp_answer *in,
                               kv_error *err)
{
    KV_AUTO(kv_ossl_parsed_basic) scratch = OCSP_BASICRESP_new();

    if (!scratch || OCSP_request_onereq_count(request) != (int)in->count)
        return failed(err);
    for (size_t i = 0; i < in->count; i++) {
        OCSP_ONEREQ *one = OCSP_request_onereq_get0(request, (int)i);
        OCSP_SINGLERESP *copy;

        KV_TRY(add_single(scratch, OCSP_onereq_get0_id(one), in, &in->statuses[i], err));
        copy = ASN1_item_dup(ASN1_ITEM_rptr(OCSP_SINGLERESP), OCSP_resp_get0(scratch, (int)i));
        if (!copy || !sk_OCSP_SINGLERESP_push(tbs->responses, copy)) {
            OCSP_SINGLERESP_free(copy);
            return failed(err);
        }
    }
    return KV_OK;
}

static kv_status add_nonce(ocsp_tbs *tbs, OCSP_REQUEST *request, kv_error *err)
{
    X509_EXTENSION *nonce = nonce_of(request);

    if (nonce && !X509v3_add_ext(&tbs->extensions, nonce, -1))
        return failed(err);
    return KV_OK;
}

static kv_status fill(ocsp_basic *basic, OCSP_REQUEST *request, X509 *responder,
                      const kv_mechanism *alg, const kv_x509_ocsp_answer *in, kv_error *err)
{
    ocsp_tbs *tbs = basic->tbs;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!X509_pubkey_digest(responder, EVP_sha1(), digest, &len) ||
        !ASN1_OCTET_STRING_set(tbs->by_key, digest, (int)len) ||
        !ASN1_GENERALIZEDTIME_set(tbs->produced, (time_t)(in->now_ms / 1000)) ||
        !kv_ossl_set_algorithm(basic->algorithm, alg))
        return failed(err);
    basic->certificates = sk_X509_new_null();
    if (!basic->certificates || !X509_up_ref(responder))
        return failed(err);
    if (!sk_X509_push(basic->certificates, responder)) {
        X509_free(responder);
        return failed(err);
    }
    KV_TRY(add_responses(tbs, request, in, err));
    return add_nonce(tbs, request, err);
}

static kv_status sign(kv_arena *arena, ocsp_basic *basic, const kv_mechanism *alg,
                      const kv_x509_ocsp_answer *in, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) tbs = NULL;
    kv_slice signature = KV_SLICE_NONE;
    int len = ASN1_item_i2d((ASN1_VALUE *)basic->tbs, &tbs, ASN1_ITEM_rptr(ocsp_tbs));

    if (len <= 0)
        return failed(err);
    KV_TRY(kv_x509_sign(arena, &in->signer, alg, kv_slice_of(tbs, (size_t)len), &signature, err));
    return kv_ossl_set_signature(basic->signature, signature) ? KV_OK : failed(err);
}

/* Read by the parser of others, verified, and put into its envelope. */
static kv_status wrap(kv_arena *arena, const ocsp_basic *basic, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) bytes = NULL;
    KV_AUTO(kv_ossl_bytes) whole = NULL;
    KV_AUTO(kv_ossl_parsed_basic) again = NULL;
    KV_AUTO(kv_ossl_ocsp_response) response = NULL;
    int len = ASN1_item_i2d((const ASN1_VALUE *)basic, &bytes, ASN1_ITEM_rptr(ocsp_basic));
    const unsigned char *at = bytes;
    int valid;

    if (len <= 0)
        return failed(err);
    again = d2i_OCSP_BASICRESP(NULL, &at, len);
    valid = again ? OCSP_basic_verify(again, NULL, NULL, OCSP_NOVERIFY) : 0;
    ERR_clear_error();
    if (valid != 1)
        return kv_fail(err, KV_INTERNAL, "the signature of a new OCSP answer does not verify");
    response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, again);
    if (!response)
        return failed(err);
    len = i2d_OCSP_RESPONSE(response, &whole);
    return kv_ossl_keep(arena, whole, len, out, err);
}

kv_status kv_x509_ocsp_answer_der(kv_arena *arena, const kv_x509_ocsp_answer *in, kv_slice *out,
                                  kv_error *err)
{
    KV_AUTO(kv_ossl_basic) basic = (ocsp_basic *)ASN1_item_new(ASN1_ITEM_rptr(ocsp_basic));
    KV_AUTO(kv_ossl_ocsp_request) request = parse(in->request);
    KV_AUTO(kv_ossl_x509) responder = kv_ossl_parse_certificate(in->responder);
    kv_x509_facts facts = { 0 };
    const kv_mechanism *alg;

    if (!basic || !request || !responder)
        return failed(err);
    KV_TRY(kv_x509_inspect(arena, in->responder, &facts, err));
    alg = kv_x509_signature_mechanism(facts.key_kind);
    if (!alg)
        return failed(err);
    KV_TRY(fill(basic, request, responder, alg, in, err));
    KV_TRY(sign(arena, basic, alg, in, err));
    return wrap(arena, basic, out, err);
}

void kv_x509_ocsp_refusal(kv_x509_ocsp_error why, uint8_t out[5])
{
    const uint8_t der[5] = { 0x30, 0x03, 0x0a, 0x01, (uint8_t)why };

    memcpy(out, der, sizeof(der));
}
