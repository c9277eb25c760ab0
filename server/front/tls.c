/* tls.c - TLS 1.3, or 1.2 at its best, a client certificate of any issuer, HTTP/2 or nothing. */
#include "server/front/tls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
    RSA_LEAST_BITS = 2048,
    RSA_MOST_BITS = 8192,
    MOST_CERTIFICATE_BYTES = 32 * 1024,
    TICKET_SECONDS = 3600
};

/* Of TLS 1.2: what HTTP/2 does not forbid. Those of TLS 1.3 are OpenSSL's own. */
#define TLS12_SUITES                                             \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

struct kv_tls {
    pthread_mutex_t mutex; /* guards `context` */
    SSL_CTX *context;
};

/* Adds OpenSSL's own words to the error and empties its queue. */
static kv_status note_openssl(kv_error *err)
{
    char text[160];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    return kv_note(err, "%s", text);
}

static bool good_curve(const EVP_PKEY *key)
{
    char group[64];
    size_t len;

    if (!EVP_PKEY_get_group_name(key, group, sizeof(group), &len))
        return false;
    return !strcmp(group, SN_X9_62_prime256v1) || !strcmp(group, SN_secp384r1) ||
           !strcmp(group, SN_secp521r1);
}

kv_status kv_tls_check_client(X509 *certificate, kv_error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int bits = key ? EVP_PKEY_get_bits(key) : 0;
    uint32_t usage = X509_get_extended_key_usage(certificate);

    if (!key)
        return kv_fail(err, KV_BAD_REQUEST, "the client certificate's key cannot be read");
    if (EVP_PKEY_is_a(key, "RSA")) {
        if (bits < RSA_LEAST_BITS || bits > RSA_MOST_BITS)
            return kv_fail(err, KV_BAD_REQUEST, "the client's RSA key has %d bits, not %d to %d",
                           bits, RSA_LEAST_BITS, RSA_MOST_BITS);
    } else if (!EVP_PKEY_is_a(key, "EC") || !good_curve(key)) {
        return kv_fail(err, KV_BAD_REQUEST,
                       "the client's key must be RSA or on P-256, P-384 or P-521");
    }
    if (usage != UINT32_MAX && !(usage & XKU_SSL_CLIENT))
        return kv_fail(err, KV_BAD_REQUEST,
                       "the client certificate's extended key usage lacks clientAuth");
    return KV_OK;
}

/* Replaces the verification of the chain: trust and dates are decided by `identify`. */
static int verify(X509_STORE_CTX *store, void *unused)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    kv_error err;

    (void)unused;
    if (leaf && kv_tls_check_client(leaf, &err) == KV_OK) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *unused)
{
    static const unsigned char h2[] = { 2, 'h', '2' };
    unsigned char *chosen;

    (void)ssl;
    (void)unused;
    if (SSL_select_next_proto(&chosen, out_len, h2, sizeof(h2), offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool add_chain(SSL_CTX *context, STACK_OF(X509) *chain)
{
    for (int i = 1; i < sk_X509_num(chain); i++)
        if (!SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)))
            return false;
    return true;
}

static bool set_versions(SSL_CTX *context, bool also_tls12)
{
    static const char signatures[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:"
                                     "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
                                     "RSA+SHA256:RSA+SHA384:RSA+SHA512";

    return SSL_CTX_set_min_proto_version(context, also_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) &&
           SSL_CTX_set_cipher_list(context, TLS12_SUITES) &&
           (!also_tls12 || SSL_CTX_set1_sigalgs_list(context, signatures));
}

static bool set_rules(SSL_CTX *context, bool also_tls12)
{
    static const unsigned char session_context[] = "keyvault";

    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify, NULL);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* What comes between data, as new keys, is a step by itself: it can be counted, and ended. */
    (void)SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_max_cert_list(context, MOST_CERTIFICATE_BYTES);
    /* Tickets only: a server-side cache would be a lock that all loops share. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(context, TICKET_SECONDS);
    return set_versions(context, also_tls12) && SSL_CTX_set_max_early_data(context, 0) &&
           SSL_CTX_set_num_tickets(context, 1) &&
           SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1);
}

static kv_status make_context(const kv_tls_identity *identity, SSL_CTX **out, kv_error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (!context)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    if (sk_X509_num(identity->chain) < 1) {
        SSL_CTX_free(context);
        return kv_fail(err, KV_BAD_REQUEST, "the server's certificate is missing");
    }
    if (!set_rules(context, identity->also_tls12) ||
        !SSL_CTX_use_certificate(context, sk_X509_value(identity->chain, 0)) ||
        !SSL_CTX_use_PrivateKey(context, identity->key) || !add_chain(context, identity->chain)) {
        SSL_CTX_free(context);
        kv_fail(err, KV_BAD_REQUEST, "the server's certificate and key do not belong together");
        return note_openssl(err);
    }
    *out = context;
    return KV_OK;
}

kv_status kv_tls_new(const kv_tls_identity *identity, kv_tls **out, kv_error *err)
{
    SSL_CTX *context;
    kv_tls *tls;

    KV_TRY(make_context(identity, &context, err));
    tls = calloc(1, sizeof(*tls));
    if (!tls) {
        SSL_CTX_free(context);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    (void)pthread_mutex_init(&tls->mutex, NULL);
    tls->context = context;
    *out = tls;
    return KV_OK;
}

void kv_tls_free(kv_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    (void)pthread_mutex_destroy(&tls->mutex);
    free(tls);
}

kv_status kv_tls_swap(kv_tls *tls, const kv_tls_identity *identity, kv_error *err)
{
    SSL_CTX *fresh, *old;

    KV_TRY(make_context(identity, &fresh, err));
    pthread_mutex_lock(&tls->mutex);
    old = tls->context;
    tls->context = fresh;
    pthread_mutex_unlock(&tls->mutex);
    SSL_CTX_free(old); /* connections that use it hold references */
    return KV_OK;
}

SSL *kv_tls_accept(kv_tls *tls)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    SSL *ssl;

    pthread_mutex_lock(&tls->mutex);
    ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->mutex);
    if (!in || !out || !ssl) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    return ssl;
}

bool kv_tls_read_chain(BIO *file, STACK_OF(X509) *chain)
{
    X509 *certificate;

    ERR_clear_error();
    while ((certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)))
        if (!sk_X509_push(chain, certificate)) {
            X509_free(certificate);
            return false;
        }
    /* Nothing more that begins: all else that ends it is damage. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return false;
    ERR_clear_error();
    return sk_X509_num(chain) > 0;
}

/* A key with a pass phrase cannot be read: nobody is asked. */
static int no_pass_phrase(char *buf, int size, int writing, void *unused)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)unused;
    return -1;
}

kv_status kv_tls_identity_read(const char *certificate_path, const char *key_path,
                               kv_tls_identity *out, kv_error *err)
{
    BIO *certificate_file = BIO_new_file(certificate_path, "r");
    BIO *key_file = BIO_new_file(key_path, "r");
    kv_tls_identity identity = { .chain = sk_X509_new_null() };
    bool good = certificate_file && key_file && identity.chain &&
                kv_tls_read_chain(certificate_file, identity.chain);

    if (good)
        identity.key = PEM_read_bio_PrivateKey(key_file, NULL, no_pass_phrase, NULL);
    BIO_free(certificate_file);
    BIO_free(key_file);
    if (!identity.key) {
        kv_tls_identity_cleanup(&identity);
        kv_fail(err, KV_UNAVAILABLE, "the TLS certificate or key cannot be read");
        return note_openssl(err);
    }
    *out = identity;
    return KV_OK;
}

void kv_tls_identity_cleanup(kv_tls_identity *identity)
{
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    *identity = (kv_tls_identity){ 0 };
}
