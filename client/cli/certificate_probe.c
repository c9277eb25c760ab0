/* certificate_probe.c - a TLS handshake to see a certificate, and no more. */
#include "client/cli/certificate_probe.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "server/base/clock.h"
#include "server/base/text.h"

enum { SECONDS_DEFAULT = 10, SECONDS_MAX = 300, NAP_MS = 100 };

/* --- options --- */

/* A name in SNI is never an address (RFC 6066, section 3). */
static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool is = address != NULL;

    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is;
}

static kv_exit take_name(const kv_cli *cli, kv_cli_probe *out)
{
    const char *name = kv_cli_given(cli, "probe-name");
    char *host = NULL, *port = NULL;
    int parsed = BIO_parse_hostserv(out->where, &host, &port, BIO_PARSE_PRIO_HOST);
    bool good = parsed == 1 && host && *host && port && *port;

    if (!name)
        name = good && !is_address(host) ? host : "";
    good = good && strlen(name) < sizeof(out->name);
    if (good)
        (void)snprintf(out->name, sizeof(out->name), "%s", name);
    OPENSSL_free(host);
    OPENSSL_free(port);
    ERR_clear_error();
    return good ? KV_EXIT_OK : kv_cli_usage(cli, "--probe must be HOST:PORT");
}

kv_exit kv_cli_probe_read(const kv_cli *cli, kv_cli_probe *out)
{
    const char *seconds = kv_cli_given(cli, "probe-seconds");
    uint64_t count = SECONDS_DEFAULT;

    *out = (kv_cli_probe){ .where = kv_cli_given(cli, "probe") };
    if (!out->where && (seconds || kv_cli_given(cli, "probe-name")))
        return kv_cli_usage(cli, "--probe-name and --probe-seconds are for --probe");
    if (seconds && (!kv_text_number(kv_slice_text(seconds), SECONDS_MAX, &count) || !count))
        return kv_cli_usage(cli, "--probe-seconds must be 1 to %d", SECONDS_MAX);
    out->seconds = (int)count;
    return out->where ? take_name(cli, out) : KV_EXIT_OK;
}

/* --- one look --- */

static void say_error(char why[KV_PROBE_WHY_BYTES])
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    (void)snprintf(why, KV_PROBE_WHY_BYTES, "no TLS connection: %s", reason ? reason : "no answer");
    ERR_clear_error();
}

/* What is served, or NULL. `algorithms` of signatures, or NULL: any. */
static X509 *look(const kv_cli_probe *probe, SSL_CTX *context, const char *algorithms, int seconds,
                  char why[KV_PROBE_WHY_BYTES])
{
    BIO *link = BIO_new_ssl_connect(context);
    X509 *leaf = NULL;
    SSL *ssl = NULL;

    if (link && BIO_get_ssl(link, &ssl) == 1 && BIO_set_conn_hostname(link, probe->where) == 1 &&
        (!*probe->name || SSL_set_tlsext_host_name(ssl, probe->name) == 1) &&
        (!algorithms || SSL_set1_sigalgs_list(ssl, algorithms) == 1) &&
        BIO_do_connect_retry(link, seconds, NAP_MS) == 1)
        leaf = SSL_get1_peer_certificate(ssl);
    if (!leaf)
        say_error(why);
    BIO_free_all(link);
    ERR_clear_error();
    return leaf;
}

/* A program may have certificates for keys of both kinds: asked for the kind that is meant. */
static const char *algorithms_of(X509 *leaf)
{
    return EVP_PKEY_is_a(X509_get0_pubkey(leaf), "RSA")
               ? "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384"
               : "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
}

static bool same_kind(X509 *one, X509 *other)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(one)) ==
           EVP_PKEY_get_base_id(X509_get0_pubkey(other));
}

static void say_other(X509 *served, char why[KV_PROBE_WHY_BYTES])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(served), NULL);
    char *digits = number ? BN_bn2hex(number) : NULL;

    (void)snprintf(why, KV_PROBE_WHY_BYTES, "it serves the certificate with serial number %.64s",
                   digits ? digits : "unknown");
    OPENSSL_free(digits);
    BN_free(number);
}

static bool serves(const kv_cli_probe *probe, SSL_CTX *context, X509 *leaf, int seconds,
                   char why[KV_PROBE_WHY_BYTES])
{
    X509 *served = look(probe, context, NULL, seconds, why);
    bool same;

    if (served && !same_kind(served, leaf)) {
        X509 *other = look(probe, context, algorithms_of(leaf), seconds, why);

        if (other) {
            X509_free(served);
            served = other;
        }
    }
    same = served && X509_cmp(served, leaf) == 0;
    if (served && !same)
        say_other(served, why);
    X509_free(served);
    return same;
}

/* --- until it is --- */

static bool keep_looking(const kv_cli_probe *probe, SSL_CTX *context, X509 *leaf, int seconds,
                         char why[KV_PROBE_WHY_BYTES])
{
    const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
    kv_deadline end = kv_deadline_in_ms(seconds * INT64_C(1000));

    for (;;) {
        int left = (int)((kv_deadline_left_ms(end) + 999) / 1000);

        if (serves(probe, context, leaf, left ? left : 1, why))
            return true;
        if (kv_deadline_passed(end))
            return false;
        (void)nanosleep(&nap, NULL);
    }
}

bool kv_cli_probe_serves(const kv_cli_probe *probe, X509 *leaf, int seconds,
                         char why[KV_PROBE_WHY_BYTES])
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct sigaction before;
    bool same = false;

    (void)snprintf(why, KV_PROBE_WHY_BYTES, "out of memory");
    /* Somebody who hangs up in between must not end us. */
    (void)sigaction(SIGPIPE, &ignore, &before);
    if (context) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        same = keep_looking(probe, context, leaf, seconds, why);
    }
    (void)sigaction(SIGPIPE, &before, NULL);
    SSL_CTX_free(context);
    return same;
}
