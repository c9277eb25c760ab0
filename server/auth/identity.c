/* identity.c - certificates to names, with OpenSSL doing the verification. */
#include "server/auth/identity.h"

#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "server/base/text.h"

/* 112 bits: RSA-2048, P-224, SHA-224 and up. */
enum { AUTH_LEVEL = 2 };

typedef struct kv_client_ca {
    X509 *certificate;
    X509_STORE *store; /* trusts this one alone, so it is certain who issued what */
    uint8_t sha256[32];
    int64_t not_before_ms;
    int64_t not_after_ms;
} kv_client_ca;

struct kv_client_cas {
    unsigned count;
    kv_client_ca cas[KV_CLIENT_CAS_MAX];
};

static void x509_cleanup(X509 **certificate)
{
    X509_free(*certificate);
}

static void store_ctx_cleanup(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}

static void bio_cleanup(BIO **bio)
{
    BIO_free(*bio);
}

static void general_names_cleanup(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static X509 *parse(kv_slice der)
{
    const uint8_t *at = der.data;
    X509 *certificate;

    if (der.len == 0 || der.len > KV_PIN_CERTIFICATE_MAX)
        return NULL;
    certificate = d2i_X509(NULL, &at, (long)der.len);
    if (certificate && at != der.data + der.len) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static bool time_of(const ASN1_TIME *time, int64_t *out_ms)
{
    struct tm parts = { 0 };

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *out_ms = (int64_t)timegm(&parts) * 1000;
    return true;
}

/* notAfter names the last second that counts. */
static bool dates_of(const X509 *certificate, int64_t *from_ms, int64_t *until_ms)
{
    if (!time_of(X509_get0_notBefore(certificate), from_ms) ||
        !time_of(X509_get0_notAfter(certificate), until_ms))
        return false;
    *until_ms += 1000;
    return true;
}

/* --- the client CAs --- */

static kv_status add_ca(kv_client_cas *cas, kv_slice der, kv_error *err)
{
    kv_client_ca *ca = &cas->cas[cas->count];

    SHA256(der.data, der.len, ca->sha256);
    for (unsigned i = 0; i < cas->count; i++) {
        if (kv_slice_equal(kv_slice_of(cas->cas[i].sha256, 32), kv_slice_of(ca->sha256, 32)))
            return kv_fail(err, KV_PRECONDITION, "a client CA is given twice");
    }
    ca->certificate = parse(der);
    if (!ca->certificate || !dates_of(ca->certificate, &ca->not_before_ms, &ca->not_after_ms) ||
        X509_check_ca(ca->certificate) != 1) {
        X509_free(ca->certificate);
        return kv_fail(err, KV_PRECONDITION, "a client CA is not the certificate of a CA");
    }
    ca->store = X509_STORE_new();
    cas->count++; /* from here on kv_client_cas_free() cleans up */
    if (!ca->store || X509_STORE_add_cert(ca->store, ca->certificate) != 1)
        return kv_fail(err, KV_BUSY, "out of memory");
    return KV_OK;
}

kv_status kv_client_cas_new(const kv_slice *certificates, unsigned count, kv_client_cas **out,
                            kv_error *err)
{
    kv_client_cas *cas;
    kv_status status = KV_OK;

    if (count > KV_CLIENT_CAS_MAX)
        return kv_fail(err, KV_PRECONDITION, "at most %d client CAs can be configured",
                       KV_CLIENT_CAS_MAX);
    cas = calloc(1, sizeof(*cas));
    if (!cas)
        return kv_fail(err, KV_BUSY, "out of memory");
    for (unsigned i = 0; i < count && status == KV_OK; i++)
        status = add_ca(cas, certificates[i], err);
    if (status != KV_OK) {
        kv_client_cas_free(cas);
        return status;
    }
    *out = cas;
    return KV_OK;
}

void kv_client_cas_free(kv_client_cas *cas)
{
    if (!cas)
        return;
    for (unsigned i = 0; i < cas->count; i++) {
        X509_STORE_free(cas->cas[i].store);
        X509_free(cas->cas[i].certificate);
    }
    free(cas);
}

unsigned kv_client_cas_count(const kv_client_cas *cas)
{
    return cas->count;
}

const uint8_t *kv_client_cas_hash(const kv_client_cas *cas, unsigned index)
{
    return cas->cas[index].sha256;
}

bool kv_client_cas_has(const kv_client_cas *cas, const uint8_t sha256[32])
{
    for (unsigned i = 0; i < cas->count; i++)
        if (kv_slice_equal(kv_slice_of(cas->cas[i].sha256, 32), kv_slice_of(sha256, 32)))
            return true;
    return false;
}

/* Did this CA itself issue it, for client authentication? Dates are checked at every call, from
 * memory, so not here. */
bool kv_client_cas_have(const kv_client_cas *cas, kv_slice der)
{
    X509 *certificate = parse(der);
    EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
    bool found = false;

    for (unsigned i = 0; key && !found && i < cas->count; i++)
        found = EVP_PKEY_eq(key, X509_get0_pubkey(cas->cas[i].certificate)) == 1;
    X509_free(certificate);
    ERR_clear_error();
    return found;
}

static bool issued_by(const kv_client_ca *ca, X509 *certificate)
{
    __attribute__((cleanup(store_ctx_cleanup))) X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;

    if (!context || X509_STORE_CTX_init(context, ca->store, certificate, NULL) != 1)
        return false;
    param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 ||
        X509_verify_cert(context) != 1)
        return false;
    /* Just the two: the CA's own certificate is nobody's credential. */
    return sk_X509_num(X509_STORE_CTX_get0_chain(context)) == 2;
}

static const kv_client_ca *find_issuer(const kv_client_cas *cas, X509 *certificate)
{
    for (unsigned i = 0; cas && i < cas->count; i++) {
        if (issued_by(&cas->cas[i], certificate))
            return &cas->cas[i];
    }
    return NULL;
}

/* --- names --- */

static bool is_value(kv_slice value)
{
    return value.len > 0 && value.len <= KV_MAPPING_VALUE_MAX && kv_text_printable(value);
}

void kv_match_pin_text(const uint8_t sha256[32], char out[KV_PIN_TEXT_BYTES])
{
    static const char prefix[] = "sha256:";

    memcpy(out, prefix, sizeof(prefix) - 1);
    kv_hex(kv_slice_of(sha256, 32), out + sizeof(prefix) - 1);
}

kv_status kv_match_pin(const uint8_t sha256[32], kv_arena *arena, kv_slice *out, kv_error *err)
{
    char text[KV_PIN_TEXT_BYTES];

    kv_match_pin_text(sha256, text);
    return kv_arena_copy(arena, kv_slice_text(text), out, err);
}

kv_status kv_match_mapping(const uint8_t ca_sha256[32], kv_name_type type, kv_slice value,
                           kv_arena *arena, kv_slice *out, kv_error *err)
{
    static const char *const names[] = {
        [KV_NAME_URI] = "uri", [KV_NAME_DNS] = "dns", [KV_NAME_SUBJECT] = "subject"
    };
    char hex[65];

    if (type < KV_NAME_URI || type > KV_NAME_SUBJECT)
        return kv_fail_field(err, "name_type", "must be URI, DNS or SUBJECT");
    if (!is_value(value))
        return kv_fail_field(err, "value", "must be 1 to %d bytes of printable text",
                             KV_MAPPING_VALUE_MAX);
    if (type == KV_NAME_DNS)
        KV_TRY(kv_text_lower(arena, value, &value, err));
    kv_hex(kv_slice_of(ca_sha256, 32), hex);
    return kv_arena_print(arena, out, err, "ca:%s:%s:%.*s", hex, names[type], KV_SLICE_ARG(value));
}

static kv_status add_name(const kv_client_ca *ca, kv_name_type type, kv_slice value,
                          kv_arena *arena, kv_certificate *out, kv_error *err)
{
    if (!is_value(value))
        return KV_OK;
    if (out->match_count == KV_CERTIFICATE_NAMES_MAX) {
        out->too_many_names = true;
        return KV_OK;
    }
    return kv_match_mapping(ca->sha256, type, value, arena, &out->matches[out->match_count++], err);
}

static kv_status add_alternative_names(const kv_client_ca *ca, X509 *certificate, kv_arena *arena,
                                       kv_certificate *out, kv_error *err)
{
    __attribute__((cleanup(general_names_cleanup))) GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        kv_name_type mapped = type == GEN_URI ? KV_NAME_URI : KV_NAME_DNS;

        if (type != GEN_URI && type != GEN_DNS)
            continue;
        KV_TRY(add_name(ca, mapped,
                        kv_slice_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
                        arena, out, err));
    }
    return KV_OK;
}

static kv_status add_subject(const kv_client_ca *ca, X509 *certificate, kv_arena *arena,
                             kv_certificate *out, kv_error *err)
{
    __attribute__((cleanup(bio_cleanup))) BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;

    if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0)
        return kv_fail(err, KV_BUSY, "out of memory");
    len = BIO_get_mem_data(bio, &text);
    return add_name(ca, KV_NAME_SUBJECT, kv_slice_of(text, len > 0 ? (size_t)len : 0), arena, out,
                    err);
}

static kv_status add_names(const kv_client_cas *cas, X509 *certificate, kv_arena *arena,
                           kv_certificate *out, kv_error *err)
{
    const kv_client_ca *ca = find_issuer(cas, certificate);

    if (!ca)
        return KV_OK;
    memcpy(out->ca_sha256, ca->sha256, sizeof(out->ca_sha256));
    out->mapped_from_ms =
        ca->not_before_ms > out->not_before_ms ? ca->not_before_ms : out->not_before_ms;
    out->mapped_until_ms =
        ca->not_after_ms < out->not_after_ms ? ca->not_after_ms : out->not_after_ms;
    KV_TRY(add_alternative_names(ca, certificate, arena, out, err));
    KV_TRY(add_subject(ca, certificate, arena, out, err));
    /* Which names would count must not depend on their order. */
    if (out->too_many_names)
        out->match_count = 0;
    return KV_OK;
}

static kv_status read_certificate(const kv_client_cas *cas, kv_slice der, kv_arena *arena,
                                  kv_certificate *out, kv_error *err)
{
    __attribute__((cleanup(x509_cleanup))) X509 *certificate = parse(der);
    kv_certificate read = { 0 };

    if (!certificate || !dates_of(certificate, &read.not_before_ms, &read.not_after_ms))
        return kv_fail_field(err, "certificate",
                             "must be one X.509 certificate in DER, of at most "
                             "16384 bytes");
    SHA256(der.data, der.len, read.sha256);
    KV_TRY(add_names(cas, certificate, arena, &read, err));
    *out = read;
    return KV_OK;
}

kv_status kv_certificate_read(const kv_client_cas *cas, kv_slice der, kv_arena *arena,
                              kv_certificate *out, kv_error *err)
{
    kv_status status = read_certificate(cas, der, arena, out, err);

    /* A certificate that another CA issued is no error; its traces must not reach the next user of
     * this thread. */
    ERR_clear_error();
    return status;
}
