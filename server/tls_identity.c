/* tls_identity.c - where the TLS key comes from, and how a new one takes over. */
#include "server/tls_identity.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "server/credentials.h"

static bool on_token(const kv_settings *settings)
{
    return !strncmp(settings->tls_key, "pkcs11:", 7);
}

static bool also_tls12(const kv_settings *settings)
{
    return !strcmp(settings->tls_min_version, "1.2");
}

static kv_status read_chain(const char *path, STACK_OF(X509) **out, kv_error *err)
{
    BIO *file = BIO_new_file(path, "r");
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *certificate = NULL;
    bool stored = true;

    while (file && chain && stored && (certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)))
        stored = sk_X509_push(chain, certificate) > 0;
    BIO_free(file);
    ERR_clear_error();
    if (!stored)
        X509_free(certificate);
    if (stored && sk_X509_num(chain) > 0) {
        *out = chain;
        return KV_OK;
    }
    sk_X509_pop_free(chain, X509_free);
    return kv_fail(err, KV_UNAVAILABLE, "the TLS certificate '%.120s' cannot be read", path);
}

/* New connections use these parts from now on. */
static kv_status use(kv_server_identity *identity, const kv_tls_identity *parts, kv_error *err)
{
    struct tm end = { 0 };

    if (identity->tls)
        KV_TRY(kv_tls_swap(identity->tls, parts, err));
    else
        KV_TRY(kv_tls_new(parts, &identity->tls, err));
    if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(parts->chain, 0)), &end) == 1)
        identity->not_after_ms = (int64_t)timegm(&end) * 1000;
    return KV_OK;
}

static kv_status use_token_key(kv_server_identity *identity, const kv_settings *settings,
                               kv_error *err)
{
    kv_tls_identity parts = { .key = kv_tls_key_get(identity->token_key),
                              .also_tls12 = also_tls12(settings) };
    kv_status status;

    KV_TRY(read_chain(settings->tls_certificate, &parts.chain, err));
    status = use(identity, &parts, err);
    sk_X509_pop_free(parts.chain, X509_free);
    return status;
}

static kv_status use_files(kv_server_identity *identity, const kv_settings *settings, kv_error *err)
{
    kv_tls_identity parts = { 0 };
    kv_status status;

    KV_TRY(kv_tls_identity_read(settings->tls_certificate, settings->tls_key, &parts, err));
    parts.also_tls12 = also_tls12(settings);
    status = use(identity, &parts, err);
    kv_tls_identity_cleanup(&parts);
    return status;
}

static bool enter(void *context)
{
    kv_error ignored;

    return kv_tls_key_enter(context, &ignored) == KV_OK;
}

static void leave(void *context)
{
    kv_tls_key_leave(context);
}

static kv_status open_token_key(const kv_settings *settings, kv_tokens *tokens,
                                kv_server_identity *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) pin = KV_SECRET_NONE;
    kv_token_paths paths = { 0 };
    kv_tls_key_config config = { .module = settings->tokens[KV_SETTING_TOKEN_TLS].module,
                                 .uri = settings->tls_key,
                                 .pin = &pin };

    KV_TRY(kv_read_pin(&settings->tokens[KV_SETTING_TOKEN_TLS], &pin, err));
    KV_TRY(kv_token_paths_of(settings, KV_SETTING_TOKEN_TLS, &paths, err));
    config.lock_path = paths.lock;
    config.files_dir = paths.files[0] ? paths.files : NULL;
    config.backup_dir = paths.files[0] ? paths.backup : NULL;
    return kv_tls_key_open(&config, tokens, &out->token_key, err);
}

kv_status kv_server_identity_open(const kv_settings *settings, kv_tokens *tokens,
                                  kv_server_identity *out, kv_error *err)
{
    kv_server_identity identity = { 0 };
    kv_status status;

    if (!on_token(settings)) {
        KV_TRY(use_files(&identity, settings, err));
        *out = identity;
        return KV_OK;
    }
    KV_TRY(open_token_key(settings, tokens, &identity, err));
    status = use_token_key(&identity, settings, err);
    if (status == KV_OK)
        kv_tls_guard_set(
            identity.tls,
            &(kv_tls_guard){ .enter = enter, .leave = leave, .context = identity.token_key });
    *out = identity;
    return status;
}

void kv_server_identity_cleanup(kv_server_identity *identity)
{
    kv_tls_free(identity->tls);
    identity->tls = NULL;
}

void kv_server_identity_close_key(kv_server_identity *identity)
{
    kv_tls_key_close(identity->token_key);
    identity->token_key = NULL;
}

bool kv_server_identity_stale(const kv_server_identity *identity)
{
    return identity->token_key && kv_tls_key_stale(identity->token_key);
}

kv_status kv_server_identity_reload(kv_server_identity *identity, const kv_settings *settings,
                                    kv_error *err)
{
    if (!identity->token_key)
        return use_files(identity, settings, err);
    if (kv_tls_key_stale(identity->token_key))
        KV_TRY(kv_tls_key_reload(identity->token_key, err));
    return use_token_key(identity, settings, err);
}
