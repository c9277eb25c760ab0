/* tls_alpn.c - tls-alpn-01: the authority makes a TLS handshake with the name. */
#include "server/challenge/tls_alpn.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "server/base/text.h"
#include "server/challenge/dns.h"
#include "server/net/address.h"

enum {
    ARENA_BYTES = 16 * 1024,
    ADDRESS_BYTES = 16,
    V4_AT = 12, /* where an IPv4 address begins in a kv_address */
    V4_BYTES = 4,
    DIGEST_BYTES = 32,
    REVERSE_MAX = 80,
    V6_REVERSE = 72, /* 32 digits with a dot each, and ip6.arpa */
    SERIAL_BYTES = 16,
    BEFORE_S = 3600,
    AFTER_S = 7 * 24 * 3600
};

static const char identifier_oid[] = "1.3.6.1.5.5.7.1.31"; /* id-pe-acmeIdentifier */
static const uint8_t v4_prefix[V4_AT] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* --- names of addresses --- */

bool kv_reverse_name(kv_slice address, kv_arena *arena, kv_slice *out)
{
    kv_address at;
    char name[REVERSE_MAX] = "";
    int len = 0;
    kv_error err = { 0 };

    if (!kv_address_parse(address, &at))
        return false;
    if (!memcmp(at.bytes, v4_prefix, V4_AT)) {
        const uint8_t *b = at.bytes + V4_AT;

        len = snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
    } else {
        for (int i = ADDRESS_BYTES - 1; i >= 0; i--)
            len += snprintf(name + len, sizeof(name) - (size_t)len, "%x.%x.", at.bytes[i] & 15,
                            at.bytes[i] >> 4);
        len += snprintf(name + len, sizeof(name) - (size_t)len, "ip6.arpa");
    }
    return kv_arena_copy(arena, kv_slice_of(name, (size_t)len), out, &err) == KV_OK;
}

static bool ends_with(kv_slice text, kv_slice end)
{
    return text.len >= end.len &&
           kv_slice_equal(kv_slice_of(text.data + text.len - end.len, end.len), end);
}

static bool is_reverse(kv_slice name)
{
    return ends_with(name, KV_SLICE(".in-addr.arpa")) || ends_with(name, KV_SLICE(".ip6.arpa"));
}

static kv_status notice_of(const kv_challenge_task *task, kv_challenge_notice *out, kv_error *err)
{
    *out =
        (kv_challenge_notice){ .type = KV_SLICE("tls-alpn-01"), .says = task->key_authorization };
    KV_TRY(kv_challenge_check_token(task, err));
    if (task->address) {
        if (kv_reverse_name(task->name, task->arena, &out->asked))
            return KV_OK;
    } else if (kv_dns_name_good(task->name) && !is_reverse(task->name)) {
        out->asked = task->name;
        return KV_OK;
    }
    return kv_fail(err, KV_PRECONDITION, "tls-alpn-01 cannot prove that name");
}

/* The other way: the bytes of the address that a name for reverse look-ups is about; 0: it is none.
 */
static size_t address_of(kv_slice name, uint8_t out[ADDRESS_BYTES])
{
    static const kv_slice v4_end = KV_SLICE(".in-addr.arpa");
    kv_address backwards;

    if (ends_with(name, v4_end)) {
        if (!kv_address_parse(kv_slice_of(name.data, name.len - v4_end.len), &backwards) ||
            memcmp(backwards.bytes, v4_prefix, V4_AT) != 0)
            return 0;
        for (int i = 0; i < V4_BYTES; i++)
            out[i] = backwards.bytes[ADDRESS_BYTES - 1 - i];
        return V4_BYTES;
    }
    if (name.len != V6_REVERSE)
        return 0;
    /* "b.a.9.8. ... .ip6.arpa": a digit and a dot for each half of a byte, the last one first. */
    for (int i = 0; i < ADDRESS_BYTES; i++) {
        const uint8_t *digits = name.data + (size_t)(ADDRESS_BYTES - 1 - i) * 4;
        uint8_t pair[2] = { digits[2], digits[0] };

        if (!kv_unhex(kv_slice_of(pair, 2), &out[i], 1))
            return 0;
    }
    return ADDRESS_BYTES;
}

/* --- the certificate --- */

static GENERAL_NAME *general_name(kv_slice name)
{
    uint8_t address[ADDRESS_BYTES];
    bool reverse = is_reverse(name);
    size_t len = reverse ? address_of(name, address) : name.len;
    ASN1_STRING *text = reverse ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    GENERAL_NAME *out = GENERAL_NAME_new();

    if (!len || !text || !out || !ASN1_STRING_set(text, reverse ? address : name.data, (int)len)) {
        ASN1_STRING_free(text);
        GENERAL_NAME_free(out);
        return NULL;
    }
    GENERAL_NAME_set0_value(out, reverse ? GEN_IPADD : GEN_DNS, text);
    return out;
}

static bool add_name(X509 *certificate, kv_slice name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *one = general_name(name);
    bool done = false;

    if (names && one && sk_GENERAL_NAME_push(names, one) > 0) {
        one = NULL;
        done = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
    }
    GENERAL_NAME_free(one);
    GENERAL_NAMES_free(names);
    return done;
}

/* The extension holds an OCTET STRING that holds the digest. */
static bool add_identifier(X509 *certificate, const uint8_t digest[DIGEST_BYTES])
{
    uint8_t der[2 + DIGEST_BYTES] = { V_ASN1_OCTET_STRING, DIGEST_BYTES };
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = OBJ_txt2obj(identifier_oid, 1);
    X509_EXTENSION *extension = NULL;
    bool done = false;

    memcpy(der + 2, digest, DIGEST_BYTES);
    if (value && oid && ASN1_OCTET_STRING_set(value, der, sizeof(der)))
        extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
    if (extension)
        done = X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
    return done;
}

static bool add_frame(X509 *certificate, EVP_PKEY *key)
{
    static const char common_name[] = "ACME challenge";
    uint8_t serial[SERIAL_BYTES];
    BIGNUM *number;
    bool done;

    if (!kv_random_id(serial, sizeof(serial)))
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
           X509_set_version(certificate, X509_VERSION_3) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -BEFORE_S) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), AFTER_S) &&
           X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                      MBSTRING_ASC, (const uint8_t *)common_name, -1, -1, 0) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) &&
           X509_set_pubkey(certificate, key);
    BN_free(number);
    return done;
}

static kv_status make(kv_slice name, kv_slice says, X509 **certificate, EVP_PKEY **key,
                      kv_error *err)
{
    uint8_t digest[DIGEST_BYTES];
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *made = X509_new();

    if (pair && made && EVP_Digest(says.data, says.len, digest, NULL, EVP_sha256(), NULL) == 1 &&
        add_frame(made, pair) && add_name(made, name) && add_identifier(made, digest) &&
        X509_sign(made, pair, EVP_sha256())) {
        *certificate = made;
        *key = pair;
        return KV_OK;
    }
    X509_free(made);
    EVP_PKEY_free(pair);
    return kv_fail(err, KV_INTERNAL, "the certificate of a challenge cannot be made");
}

kv_status kv_tls_alpn_certificate(const kv_tls_alpn *tls_alpn, kv_slice sni, X509 **certificate,
                                  EVP_PKEY **key, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_challenge_notice notice = { .type = KV_SLICE("tls-alpn-01") };

    if (sni.len > KV_CHALLENGE_NAME_MAX)
        return kv_fail(err, KV_NOT_FOUND, "not a name");
    KV_TRY(kv_text_lower(&arena, sni, &notice.asked, err));
    if (!kv_dns_name_good(notice.asked))
        return kv_fail(err, KV_NOT_FOUND, "not a name");
    KV_TRY(tls_alpn->board->find(tls_alpn->board->context, &notice, &arena, err));
    return make(notice.asked, notice.says, certificate, key, err);
}

/* --- the row --- */

static kv_status present(void *context, const kv_challenge_task *task, kv_error *err)
{
    const kv_tls_alpn *tls_alpn = context;
    kv_challenge_notice notice;

    if (task->wildcard)
        return kv_fail(err, KV_PRECONDITION, "tls-alpn-01 cannot prove a wildcard name");
    KV_TRY(notice_of(task, &notice, err));
    return tls_alpn->board->post(tls_alpn->board->context, &notice, err);
}

static kv_status clean(void *context, const kv_challenge_task *task, kv_error *err)
{
    const kv_tls_alpn *tls_alpn = context;
    kv_challenge_notice notice;

    KV_TRY(notice_of(task, &notice, err));
    return tls_alpn->board->remove(tls_alpn->board->context, &notice, err);
}

const kv_challenge kv_challenge_tls_alpn = {
    .type = "tls-alpn-01",
    .addresses = true,
    .present = present,
    .clean = clean,
    .check = kv_challenge_check_plain,
};
