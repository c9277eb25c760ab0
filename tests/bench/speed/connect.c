/* connect.c - connections, one after the other: TCP, mutual TLS, and the server's first frame, so
 * that it is known to have taken the client's certificate.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/bench/speed/bench.h"

enum { HOST_BYTES = 256 };

typedef struct connector {
    const bench_options *options;
    struct addrinfo *to;
    SSL_CTX *context;
    SSL_SESSION *session; /* the last one that came, for the next connection */
} connector;

static _Noreturn void die_of_openssl(const char *what)
{
    char text[256];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    bench_die(what, text);
}

/* A copy: OpenSSL makes a session unusable when its connection ends without a farewell. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    connector *me = SSL_get_app_data(ssl);

    SSL_SESSION_free(me->session);
    me->session = SSL_SESSION_dup(session);
    return 0;
}

static struct addrinfo *look_up(const char *endpoint)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char host[HOST_BYTES];
    char *port;

    (void)snprintf(host, sizeof(host), "%s", endpoint);
    port = strrchr(host, ':');
    if (port)
        *port++ = '\0';
    if (!port || getaddrinfo(host, port, &hints, &found) != 0)
        bench_die("--endpoint", endpoint);
    return found;
}

static SSL_CTX *make_context(const bench_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context || SSL_CTX_load_verify_locations(context, options->ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x02h2", 3) != 0)
        die_of_openssl("TLS");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (options->resume)
        SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

static int connect_socket(const struct addrinfo *to)
{
    const struct linger at_once = { .l_onoff = 1 };
    const int on = 1;

    for (; to; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            /* Thousands of ports would wait for late packets otherwise. */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
            return fd;
        }
        if (fd >= 0)
            (void)close(fd);
    }
    bench_die("connect", strerror(errno));
}

static void connect_once(void *state)
{
    connector *me = state;
    SSL *ssl = SSL_new(me->context);
    int fd = connect_socket(me->to);
    bool resumed = me->session != NULL;
    char byte;

    if (!ssl || SSL_set_app_data(ssl, me) != 1 || SSL_set_fd(ssl, fd) != 1 ||
        (me->session && SSL_set_session(ssl, me->session) != 1))
        die_of_openssl("TLS");
    /* The server speaks first: its SETTINGS. A ticket comes before them. */
    if (SSL_connect(ssl) != 1 || SSL_read(ssl, &byte, 1) != 1)
        die_of_openssl("handshake");
    if (resumed && !SSL_session_reused(ssl))
        bench_die("the server", "does not resume the session");
    SSL_free(ssl);
    (void)close(fd);
}

void bench_connect(const bench_options *options, bench_series *out)
{
    connector *all = calloc(options->parallel, sizeof(*all));
    bench_worker *workers = calloc(options->parallel, sizeof(*workers));
    struct addrinfo *to = look_up(options->endpoint);

    if (!all || !workers)
        bench_die("memory", "exhausted");
    for (unsigned i = 0; i < options->parallel; i++) {
        all[i] = (connector){ .options = options, .to = to, .context = make_context(options) };
        workers[i] = (bench_worker){ &all[i], connect_once };
        connect_once(&all[i]);
        if (options->resume && !all[i].session)
            bench_die("the server", "gives no session to resume");
    }
    bench_threads(options, workers, options->parallel, out);
    for (unsigned i = 0; i < options->parallel; i++) {
        SSL_SESSION_free(all[i].session);
        SSL_CTX_free(all[i].context);
    }
    freeaddrinfo(to);
    free(workers);
    free(all);
}
