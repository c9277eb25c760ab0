/* channel_tls.c - the client's TLS 1.3: one CA, one certificate, the server's name checked,
 * sessions resumed. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "client/channel_private.h"

static kv_status fail_openssl(kv_error *err, kv_status status, const char *what, const char *path)
{
    char text[160];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    kv_fail(err, status, "%s %s cannot be used", what, path);
    return kv_note(err, "%s", text);
}

static int no_pass_phrase(char *buf, int size, int writing, void *unused)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)unused;
    return -1;
}

static kv_status use_identity(SSL_CTX *context, const kv_channel_config *config, kv_error *err)
{
    if (!config->cert_path)
        return KV_OK;
    if (SSL_CTX_use_certificate_chain_file(context, config->cert_path) != 1)
        return fail_openssl(err, KV_UNAVAILABLE, "the certificate", config->cert_path);
    if (config->key && SSL_CTX_use_PrivateKey(context, config->key) != 1)
        return fail_openssl(err, KV_BAD_REQUEST, "the key of", config->cert_path);
    if (config->key)
        return KV_OK;
    if (!config->key_path)
        return kv_fail(err, KV_BAD_REQUEST, "the certificate %s has no key", config->cert_path);
    if (SSL_CTX_use_PrivateKey_file(context, config->key_path, SSL_FILETYPE_PEM) != 1)
        return fail_openssl(err, KV_UNAVAILABLE, "the key", config->key_path);
    return KV_OK;
}

/* On the channel's thread, like every use of the endpoint. A copy, because OpenSSL makes a session
 * unusable when its connection ends without a farewell. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    kv_endpoint *endpoint = SSL_get_app_data(ssl);
    SSL_SESSION *copy = SSL_SESSION_is_resumable(session) ? SSL_SESSION_dup(session) : NULL;

    if (!copy)
        return 0;
    SSL_SESSION_free(endpoint->session);
    endpoint->session = copy;
    return 0;
}

static kv_status fill(SSL_CTX *context, const kv_channel_config *config, kv_error *err)
{
    static const unsigned char h2[] = { 2, 'h', '2' };

    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    (void)SSL_CTX_set_session_cache_mode(context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    if (!SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        SSL_CTX_set_alpn_protos(context, h2, sizeof(h2)))
        return kv_fail(err, KV_UNAVAILABLE, "TLS 1.3 is not available");
    if (SSL_CTX_load_verify_file(context, config->ca_path) != 1)
        return fail_openssl(err, KV_UNAVAILABLE, "the CA file", config->ca_path);
    return use_identity(context, config, err);
}

kv_status kv_channel_tls(const kv_channel_config *config, SSL_CTX **out, kv_error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    kv_status status;

    if (!context)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    status = fill(context, config, err);
    if (status != KV_OK) {
        SSL_CTX_free(context);
        return status;
    }
    *out = context;
    return KV_OK;
}

/* An address is compared with the certificate's addresses, a name with its names. */
static bool expect_name(SSL *ssl, const char *name)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);

    if (address) {
        ASN1_OCTET_STRING_free(address);
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

/* A ticket serves once: its second use would let an observer tie two connections together. */
static bool use_session(SSL *ssl, kv_endpoint *endpoint)
{
    SSL_SESSION *session = endpoint->session;
    bool good;

    if (!session)
        return true;
    endpoint->session = NULL;
    good = SSL_set_session(ssl, session) == 1;
    SSL_SESSION_free(session);
    return good;
}

SSL *kv_channel_tls_connect(SSL_CTX *context, kv_endpoint *endpoint, int fd)
{
    SSL *ssl = SSL_new(context);

    if (!ssl)
        return NULL;
    SSL_set_app_data(ssl, endpoint);
    if (!expect_name(ssl, endpoint->server_name) || SSL_set_fd(ssl, fd) != 1 ||
        !use_session(ssl, endpoint)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}
