/* pem_read.c - certificates and private keys out of PEM text. */
#include <limits.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "server/x509/armour.h"
#include "server/x509/found.h"

enum { HEADERS_MAX = 512 };

KV_OSSL_TYPE(sealed, X509_SIG, X509_SIG_free)

typedef struct block_reader {
    kv_x509_found *found;
    kv_x509_block block;
    kv_error *err;
} block_reader;

static kv_status refused(const block_reader *r, const char *why)
{
    ERR_clear_error();
    return kv_fail_field(r->err, r->found->field, "PEM block %zu (%.*s) %s", r->block.number,
                         KV_SLICE_ARG(r->block.label), why);
}

static kv_status wrong_password(const block_reader *r)
{
    ERR_clear_error();
    if (!r->found->password.len)
        return kv_fail_field(r->err, "password", "the private key needs a password");
    return kv_fail_field(r->err, "password", "is not the private key's (or the key is damaged)");
}

/* ---- certificates ---- */

static kv_status read_certificate(block_reader *r)
{
    bool is = false;

    KV_TRY(kv_x509_certificates_read(r->found, r->block.der, &is, r->err));
    return is ? KV_OK : refused(r, "is not a certificate");
}

/* A certificate followed by what OpenSSL trusts it for, which is nobody else's business. */
static kv_status read_trusted(block_reader *r)
{
    const unsigned char *at = r->block.der.data;
    KV_AUTO(kv_ossl_x509) certificate = d2i_X509_AUX(NULL, &at, (long)r->block.der.len);

    if (!certificate || at != r->block.der.data + r->block.der.len)
        return refused(r, "is not a certificate");
    return kv_x509_found_certificate(r->found, certificate, r->err);
}

static kv_status read_pkcs7(block_reader *r)
{
    bool is = false;

    KV_TRY(kv_x509_pkcs7_read(r->found, r->block.der, &is, r->err));
    return is ? KV_OK : refused(r, "is not PKCS#7");
}

/* ---- keys ---- */

static kv_status read_pkcs8(block_reader *r)
{
    const unsigned char *at = r->block.der.data;
    KV_AUTO(kv_ossl_pkcs8) info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)r->block.der.len);

    if (!info || at != r->block.der.data + r->block.der.len)
        return refused(r, "is not a private key in PKCS#8");
    return kv_x509_found_pkcs8(r->found, info, r->err);
}

static kv_status read_sealed_pkcs8(block_reader *r)
{
    const unsigned char *at = r->block.der.data;
    KV_AUTO(kv_ossl_sealed) sealed = d2i_X509_SIG(NULL, &at, (long)r->block.der.len);
    KV_AUTO(kv_ossl_pkcs8) info = NULL;
    const X509_ALGOR *algorithm = NULL;
    OSSL_LIB_CTX *library = NULL;

    if (!sealed || at != r->block.der.data + r->block.der.len)
        return refused(r, "is not an encrypted private key");
    if (!r->found->password.len)
        return wrong_password(r);
    X509_SIG_get0(sealed, &algorithm, NULL);
    KV_TRY(kv_x509_found_algorithm(r->found, algorithm, &library, r->err));
    info = PKCS8_decrypt_ex(sealed, (const char *)r->found->password.data,
                            (int)r->found->password.len, library, NULL);
    if (!info)
        return wrong_password(r);
    return kv_x509_found_pkcs8(r->found, info, r->err);
}

static int give_password(char *out, int room, int writing, void *context)
{
    const kv_x509_found *found = context;

    if (writing || room < 0 || found->password.len > (size_t)room)
        return -1;
    memcpy(out, found->password.data, found->password.len);
    return (int)found->password.len;
}

static bool read_cipher(kv_slice headers, EVP_CIPHER_INFO *out)
{
    char text[HEADERS_MAX];
    size_t len = 0;
    int nid;

    if (headers.len >= sizeof(text))
        return false;
    for (size_t i = 0; i < headers.len; i++)
        if (headers.data[i] != '\r')
            text[len++] = (char)headers.data[i];
    text[len] = '\0';
    if (!PEM_get_EVP_CIPHER_INFO(text, out) || !out->cipher)
        return false;
    nid = EVP_CIPHER_get_nid(out->cipher);
    return nid == NID_aes_128_cbc || nid == NID_aes_192_cbc || nid == NID_aes_256_cbc ||
           nid == NID_des_ede3_cbc;
}

/* The encryption of OpenSSL's old formats: one MD5 of the password. Decrypts in place, in the
 * scratch arena, which is wiped. */
static kv_status open_traditional(block_reader *r)
{
    EVP_CIPHER_INFO cipher = { 0 };
    long len = (long)r->block.der.len;
    unsigned char *bytes = (unsigned char *)(uintptr_t)r->block.der.data;

    if (!r->block.headers.len)
        return KV_OK;
    if (!read_cipher(r->block.headers, &cipher))
        return refused(r, "is encrypted in a way that is not supported");
    if (!r->found->password.len)
        return wrong_password(r);
    if (!PEM_do_header(&cipher, bytes, &len, give_password, r->found) || len <= 0)
        return wrong_password(r);
    r->block.der.len = (size_t)len;
    return KV_OK;
}

static bool has_explicit_curve(const EVP_PKEY *key)
{
    char encoding[32] = "";

    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           (!EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding,
                                            sizeof(encoding), NULL) ||
            strcmp(encoding, OSSL_PKEY_EC_ENCODING_EXPLICIT) == 0);
}

static kv_status read_traditional(block_reader *r, int type)
{
    KV_AUTO(kv_ossl_key) key = NULL;
    const unsigned char *at;
    EVP_PKEY *taken;

    KV_TRY(open_traditional(r));
    at = r->block.der.data;
    key = d2i_PrivateKey(type, NULL, &at, (long)r->block.der.len);
    ERR_clear_error();
    if (!key && r->block.headers.len)
        return wrong_password(r);
    if (!key || at != r->block.der.data + r->block.der.len)
        return refused(r, "is not a private key of that kind");
    if (has_explicit_curve(key))
        return kv_fail_field(r->err, r->found->field, "the curve of an EC key must be a named one");
    taken = key;
    key = NULL;
    return kv_x509_found_key(r->found, taken, r->err);
}

static kv_status read_rsa(block_reader *r)
{
    return read_traditional(r, EVP_PKEY_RSA);
}

static kv_status read_ec(block_reader *r)
{
    return read_traditional(r, EVP_PKEY_EC);
}

static kv_status refuse_kind(block_reader *r)
{
    return refused(r, "is a kind of key that is not supported");
}

static kv_status pass_over(block_reader *r)
{
    (void)r;
    return KV_OK;
}

/* ---- all blocks ---- */

typedef struct kind {
    const char *label;
    bool is_key;
    kv_status (*read)(block_reader *r);
} kind;

static const kind kinds[] = {
    { "CERTIFICATE", false, read_certificate },
    { "X509 CERTIFICATE", false, read_certificate },
    { "TRUSTED CERTIFICATE", false, read_trusted },
    { "PKCS7", false, read_pkcs7 },
    { "PKCS #7 SIGNED DATA", false, read_pkcs7 },
    { "CMS", false, read_pkcs7 },
    { "PRIVATE KEY", true, read_pkcs8 },
    { "ENCRYPTED PRIVATE KEY", true, read_sealed_pkcs8 },
    { "RSA PRIVATE KEY", true, read_rsa },
    { "EC PRIVATE KEY", true, read_ec },
    { "DSA PRIVATE KEY", true, refuse_kind },
    { "OPENSSH PRIVATE KEY", true, refuse_kind },
    { "ANY PRIVATE KEY", true, refuse_kind },
    { "EC PARAMETERS", false, pass_over },
    { "DH PARAMETERS", false, pass_over },
    { "X509 CRL", false, pass_over },
    { "PUBLIC KEY", false, pass_over },
    { "CERTIFICATE REQUEST", false, pass_over },
    { "NEW CERTIFICATE REQUEST", false, pass_over },
};

static kv_status read_block(block_reader *r)
{
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        if (!kv_slice_equal(r->block.label, kv_slice_text(kinds[i].label)))
            continue;
        if (kinds[i].is_key && !r->found->needs_key)
            return refused(r, "is out of place: bring certificates only, keep the key private");
        return kinds[i].read(r);
    }
    return refused(r, "is nothing that belongs here");
}

kv_status kv_x509_pem_read(kv_x509_found *found, kv_slice text, kv_error *err)
{
    kv_x509_blocks blocks = { .rest = text, .field = found->field };
    block_reader r = { .found = found, .err = err };
    bool more = true;

    for (;;) {
        KV_TRY(kv_x509_blocks_next(found->scratch, &blocks, &r.block, &more, err));
        if (!more)
            return KV_OK;
        KV_TRY(read_block(&r));
    }
}
