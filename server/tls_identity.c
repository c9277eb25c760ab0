/* tls_identity.c - where the TLS key comes from, and how a new one takes over. */
#include "server/tls_identity.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "server/base/clock.h"
#include "server/credentials.h"

enum { TRIAL_STEP_MS = 100 };

static bool also_tls12(const kv_settings *settings)
{
    return !strcmp(settings->tls_min_version, "1.2");
}

static kv_status read_chain(const char *path, STACK_OF(X509) **out, kv_error *err)
{
    BIO *file = BIO_new_file(path, "r");
    STACK_OF(X509) *chain = sk_X509_new_null();
    bool read = file && chain && kv_tls_read_chain(file, chain);

    BIO_free(file);
    ERR_clear_error();
    if (read) {
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

/* What an earlier reload began is not used: the certificate may be another one by now. */
static kv_status clear_trial(kv_server_identity *identity, kv_error *err)
{
    EVP_PKEY *late = NULL;
    kv_error ignored = { 0 };

    if (!identity->trial)
        return KV_OK;
    if (!kv_tls_trial_over(identity->trial, 0))
        return kv_fail(err, KV_UNAVAILABLE,
                       "the token of the TLS key has not come back since an earlier reload");
    if (kv_tls_trial_take(identity->trial, &late, &ignored) == KV_OK)
        EVP_PKEY_free(late);
    identity->trial = NULL;
    return KV_OK;
}

/* False when the time is up, or the server is to end. */
static bool await_trial(const kv_server_identity *identity, int64_t seconds)
{
    kv_deadline until = kv_deadline_in_ms(seconds * 1000);

    while (!kv_tls_trial_over(identity->trial, TRIAL_STEP_MS))
        if (kv_deadline_passed(until) ||
            (identity->signals && kv_signals_stopping(identity->signals)))
            return false;
    return true;
}

static kv_status try_pair(kv_server_identity *identity, EVP_PKEY *public, int64_t seconds,
                          EVP_PKEY **out, kv_error *err)
{
    kv_tls_trial *trial;

    KV_TRY(clear_trial(identity, err));
    KV_TRY(kv_tls_trial_start(identity->token_key, public, &identity->trial, err));
    if (!await_trial(identity, seconds))
        return kv_fail(err, KV_UNAVAILABLE,
                       "the token of the TLS key does not sign for the new certificate");
    trial = identity->trial;
    identity->trial = NULL;
    return kv_tls_trial_take(trial, out, err);
}

/* A new certificate of the same key needs nothing of the token. At the start, when there is none
 * yet, nobody is kept waiting. */
static kv_status pair_with(kv_server_identity *identity, const kv_settings *settings,
                           X509 *certificate, EVP_PKEY **out, kv_error *err)
{
    EVP_PKEY *public = X509_get0_pubkey(certificate);

    if (!public)
        return kv_fail(err, KV_PRECONDITION, "the key of the TLS certificate cannot be read");
    if (!identity->pair)
        return kv_tls_key_pair(identity->token_key, public, out, err);
    if (EVP_PKEY_eq(identity->pair, public) != 1) {
        ERR_clear_error();
        return try_pair(identity, public, settings->tokens[KV_SETTING_TOKEN_TLS].hang_seconds, out,
                        err);
    }
    *out = identity->pair;
    return EVP_PKEY_up_ref(*out) ? KV_OK : kv_fail(err, KV_BUSY, "out of memory");
}

static kv_status use_token_key(kv_server_identity *identity, const kv_settings *settings,
                               kv_error *err)
{
    kv_tls_identity parts = { .also_tls12 = also_tls12(settings) };
    kv_status status;

    KV_TRY(read_chain(settings->tls_certificate, &parts.chain, err));
    status = pair_with(identity, settings, sk_X509_value(parts.chain, 0), &parts.key, err);
    if (status == KV_OK)
        status = use(identity, &parts, err);
    if (status == KV_OK) {
        EVP_PKEY_free(identity->pair);
        identity->pair = parts.key;
        parts.key = NULL;
    }
    kv_tls_identity_cleanup(&parts);
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

kv_status kv_server_identity_open(const kv_settings *settings, kv_tokens *tokens,
                                  kv_server_identity *out, kv_error *err)
{
    kv_server_identity identity = { 0 };
    kv_status status;

    if (!kv_tls_key_on_token(settings)) {
        KV_TRY(use_files(&identity, settings, err));
        *out = identity;
        return KV_OK;
    }
    KV_TRY(kv_tls_key_open(kv_tokens_get(tokens, KV_DUTY_TLS), settings->tls_key,
                           &identity.token_key, err));
    status = use_token_key(&identity, settings, err);
    *out = identity;
    return status;
}

void kv_server_identity_cleanup(kv_server_identity *identity)
{
    EVP_PKEY *late = NULL;
    kv_error ignored = { 0 };

    if (identity->trial && kv_tls_trial_take(identity->trial, &late, &ignored) == KV_OK)
        EVP_PKEY_free(late);
    identity->trial = NULL;
    kv_tls_free(identity->tls);
    identity->tls = NULL;
    EVP_PKEY_free(identity->pair);
    identity->pair = NULL;
    kv_tls_key_close(identity->token_key);
    identity->token_key = NULL;
}

kv_status kv_server_identity_reload(kv_server_identity *identity, const kv_settings *settings,
                                    kv_error *err)
{
    return identity->token_key ? use_token_key(identity, settings, err)
                               : use_files(identity, settings, err);
}
