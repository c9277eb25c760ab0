/* certificate_probe.c - a TLS handshake to see a certificate, and no more. */
#include "client/cli/certificate_probe.h"

#include <errno.h>
#include <poll.h>
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
    bool fits;

    if (!name)
        name = good && !is_address(host) ? host : "";
    fits = strlen(name) < sizeof(out->name);
    if (fits)
        (void)snprintf(out->name, sizeof(out->name), "%s", name);
    OPENSSL_free(host);
    OPENSSL_free(port);
    ERR_clear_error();
    if (!good)
        return kv_cli_usage(cli, "--probe must be HOST:PORT");
    return fits ? KV_EXIT_OK
                : kv_cli_usage(cli, "the name of --probe or --probe-name has at most %d bytes",
                               KV_PROBE_NAME_BYTES - 1);
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

/* The first error is the cause; what resolvers say is beside it. Without one it is `broken`. */
static void say_error(int broken, char why[KV_PROBE_WHY_BYTES])
{
    const char *more = "", *reason = broken ? strerror(broken) : "no answer";
    int flags = 0;
    unsigned long code = ERR_peek_error_all(NULL, NULL, NULL, &more, &flags);

    if (ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    else if (ERR_GET_LIB(code) == ERR_LIB_BIO && (flags & ERR_TXT_STRING) && *more)
        reason = more;
    else if (ERR_reason_error_string(code))
        reason = ERR_reason_error_string(code);
    (void)snprintf(why, KV_PROBE_WHY_BYTES, "no TLS connection: %s", reason);
    ERR_clear_error();
}

/* Until there is something to read or room to write. */
static bool wait_for(BIO *link, kv_deadline end)
{
    struct pollfd of = { .events = BIO_should_read(link) ? POLLIN : POLLOUT };

    if (kv_deadline_passed(end)) {
        errno = ETIMEDOUT;
        return false;
    }
    return BIO_get_fd(link, &of.fd) >= 0 &&
           (poll(&of, 1, (int)kv_deadline_left_ms(end)) >= 0 || errno == EINTR);
}

static bool shake_hands(BIO *link, kv_deadline end)
{
    (void)BIO_set_nbio(link, 1);
    for (;;) {
        errno = 0;
        if (BIO_do_handshake(link) == 1)
            return true;
        if (!BIO_should_retry(link) || !wait_for(link, end))
            return false;
    }
}

/* What is served, or NULL. `algorithms` of signatures, or NULL: any. */
static X509 *look(const kv_cli_probe *probe, SSL_CTX *context, const char *algorithms,
                  kv_deadline end, char why[KV_PROBE_WHY_BYTES])
{
    BIO *link = BIO_new_ssl_connect(context);
    X509 *leaf = NULL;
    SSL *ssl = NULL;

    ERR_clear_error();
    errno = 0;
    if (link && BIO_get_ssl(link, &ssl) == 1 && BIO_set_conn_hostname(link, probe->where) == 1 &&
        (!*probe->name || SSL_set_tlsext_host_name(ssl, probe->name) == 1) &&
        (!algorithms || SSL_set1_sigalgs_list(ssl, algorithms) == 1) && shake_hands(link, end))
        leaf = SSL_get1_peer_certificate(ssl);
    if (!leaf)
        say_error(errno, why);
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

static bool serves(const kv_cli_probe *probe, SSL_CTX *context, X509 *leaf, kv_deadline end,
                   char why[KV_PROBE_WHY_BYTES])
{
    X509 *served = look(probe, context, NULL, end, why);
    bool same;

    if (served && !same_kind(served, leaf)) {
        X509 *other = look(probe, context, algorithms_of(leaf), end, why);

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
    char seen[KV_PROBE_WHY_BYTES] = "";

    for (bool first = true;; first = false) {
        if (serves(probe, context, leaf, end, seen))
            return true;
        /* The end of our time says less than what was seen before. */
        if (first || !kv_deadline_passed(end))
            memcpy(why, seen, sizeof(seen));
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
