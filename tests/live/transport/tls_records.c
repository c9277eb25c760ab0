/* tls_records.c - the keys of RFC 8446, section 7, and RFC 5246, section 6.3, and what they seal.
 */
#include "tests/live/transport/tls_records.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "tests/support/kv_cmocka.h"

enum { HEADER = 5, TAG = 16, SALT = 4, EXPLICIT = 8, RANDOM = 32, MASTER = 48, APPLICATION = 23 };

#define OCTETS(name, data, len) OSSL_PARAM_construct_octet_string(name, (void *)(data), len)

static void derive(const char *algorithm, OSSL_PARAM *params, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, algorithm, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    assert_int_equal(EVP_KDF_derive(context, out, len, params), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void expand(const uint8_t secret[RECORDS_SECRET], const char *label, uint8_t *out,
                   size_t len)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    uint8_t info[64] = { 0, (uint8_t)len };
    size_t label_len = strlen(label);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                            OCTETS(OSSL_KDF_PARAM_KEY, secret, RECORDS_SECRET),
                            OCTETS(OSSL_KDF_PARAM_INFO, info, 4 + label_len),
                            OSSL_PARAM_construct_end() };

    info[2] = (uint8_t)label_len;
    memcpy(info + 3, label, label_len); /* then the length of no context */
    derive("HKDF", params, out, len);
}

static void take_keys(records *it)
{
    expand(it->secret, "tls13 key", it->key, sizeof(it->key));
    expand(it->secret, "tls13 iv", it->iv, sizeof(it->iv));
    it->sequence = 0;
}

static void on_secret(const SSL *ssl, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    records *it = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0);
    const char *hex;
    size_t len;

    if (strncmp(line, label, sizeof(label) - 1))
        return;
    hex = strrchr(line, ' ') + 1;
    assert_int_equal(OPENSSL_hexstr2buf_ex(it->secret, sizeof(it->secret), &len, hex, '\0'), 1);
    assert_int_equal(len, RECORDS_SECRET);
}

void records_listen(SSL_CTX *context, records *out)
{
    *out = (records){ 0 };
    assert_int_equal(SSL_CTX_set_ex_data(context, 0, out), 1);
    SSL_CTX_set_keylog_callback(context, on_secret);
    assert_int_equal(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256"), 1);
}

/* The key block: both keys, then both salts; the client's are the first. */
static void begin_12(records *it, SSL *ssl)
{
    static const char label[] = "key expansion";
    uint8_t master[MASTER], seed[sizeof(label) - 1 + 2 * (size_t)RANDOM], block[40];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                            OCTETS(OSSL_KDF_PARAM_SECRET, master, sizeof(master)),
                            OCTETS(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
                            OSSL_PARAM_construct_end() };

    assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, MASTER), MASTER);
    memcpy(seed, label, sizeof(label) - 1);
    assert_int_equal(SSL_get_server_random(ssl, seed + sizeof(label) - 1, RANDOM), RANDOM);
    assert_int_equal(SSL_get_client_random(ssl, seed + sizeof(label) - 1 + RANDOM, RANDOM), RANDOM);
    derive("TLS1-PRF", params, block, sizeof(block));
    memcpy(it->key, block, sizeof(it->key));
    memcpy(it->iv, block + 2 * sizeof(it->key), SALT);
    it->sequence = 1; /* Finished was the first */
}

void records_begin(records *it, SSL *ssl)
{
    it->tls12 = SSL_version(ssl) == TLS1_2_VERSION;
    if (it->tls12)
        begin_12(it, ssl);
    else
        take_keys(it);
}

void records_next_keys(records *it)
{
    uint8_t next[RECORDS_SECRET];

    expand(it->secret, "tls13 traffic upd", next, sizeof(next));
    memcpy(it->secret, next, sizeof(next));
    take_keys(it);
}

static void put_number(uint8_t *out, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

/* Text and tag to `out`. */
static void seal(const records *it, const uint8_t nonce[12], kv_slice aad, kv_slice text,
                 uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len;

    assert_int_equal(EVP_EncryptInit_ex2(context, EVP_aes_128_gcm(), it->key, nonce, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &len, aad.data, (int)aad.len), 1);
    assert_int_equal(EVP_EncryptUpdate(context, out, &len, text.data, (int)text.len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, out + text.len, &len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + text.len), 1);
    EVP_CIPHER_CTX_free(context);
}

static size_t seal_12(const records *it, uint8_t type, kv_slice content, uint8_t *out)
{
    size_t len = EXPLICIT + content.len + TAG;
    uint8_t aad[13], nonce[12];

    put_number(aad, it->sequence, 8);
    aad[8] = type;
    put_number(aad + 9, 0x0303, 2);
    put_number(aad + 11, content.len, 2);
    memcpy(nonce, it->iv, SALT);
    put_number(nonce + SALT, it->sequence, EXPLICIT);
    out[0] = type;
    put_number(out + 1, 0x0303, 2);
    put_number(out + 3, len, 2);
    memcpy(out + HEADER, nonce + SALT, EXPLICIT);
    seal(it, nonce, kv_slice_of(aad, sizeof(aad)), content, out + HEADER + EXPLICIT);
    return HEADER + len;
}

static size_t seal_13(const records *it, uint8_t type, kv_slice content, uint8_t *out)
{
    size_t len = content.len + 1 + TAG;
    uint8_t text[RECORDS_MOST + 1], nonce[12], count[8];

    memcpy(text, content.data, content.len);
    text[content.len] = type;
    memcpy(nonce, it->iv, sizeof(nonce));
    put_number(count, it->sequence, sizeof(count));
    for (size_t i = 0; i < sizeof(count); i++)
        nonce[4 + i] ^= count[i];
    out[0] = APPLICATION;
    put_number(out + 1, 0x0303, 2);
    put_number(out + 3, len, 2);
    seal(it, nonce, kv_slice_of(out, HEADER), kv_slice_of(text, content.len + 1), out + HEADER);
    return HEADER + len;
}

size_t records_seal(records *it, uint8_t type, kv_slice content, uint8_t out[RECORDS_BYTES])
{
    size_t len;

    assert_true(content.len <= RECORDS_MOST);
    len = it->tls12 ? seal_12(it, type, content, out) : seal_13(it, type, content, out);
    it->sequence++;
    return len;
}
