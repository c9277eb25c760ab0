/* alpn.c - a listener for TLS handshakes and nothing else. */
#include "server/front/alpn.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <utlist.h>

#include "server/base/clock.h"
#include "server/front/listening.h"

enum {
    CONNECTIONS = 256,
    HANDSHAKE_MS = 10000,
    BACKLOG = 128,
    ACCEPTS = 32, /* at a time */
    FULL_MS = 50, /* when no descriptor is left */
    NAME_TYPE_HOST = 0
};

typedef struct link_ link_;
struct link_ {
    kv_alpn *alpn;
    SSL *ssl;
    int fd;
    struct event *event;
    kv_deadline until;
    link_ *prev, *next;
};

struct kv_alpn {
    kv_alpn_config config;
    SSL_CTX *tls;
    struct event_base *base;
    struct event *accepts;
    struct event *stops;
    int fd;
    int stop; /* eventfd */
    uint16_t port;
    link_ *links; /* the oldest first */
    unsigned link_count;
    pthread_t thread;
    bool running;
};

/* --- what a peer asks for --- */

static uint16_t number_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* A list of one host name (RFC 6066 section 3). */
static bool read_name(SSL *ssl, kv_slice *out)
{
    const uint8_t *bytes;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &len) != 1 || len < 6 ||
        number_at(bytes) != len - 2 || bytes[2] != NAME_TYPE_HOST ||
        number_at(bytes + 3) != len - 5)
        return false;
    *out = kv_slice_of(bytes + 5, len - 5);
    return true;
}

/* A list of the one protocol (RFC 7301 section 3.1). */
static bool offers_it(SSL *ssl, const char *protocol)
{
    size_t name = strlen(protocol);
    const uint8_t *bytes;
    size_t len;

    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                     &bytes, &len) == 1 &&
           len == name + 3 && number_at(bytes) == len - 2 && bytes[2] == name &&
           !memcmp(bytes + 3, protocol, name);
}

static int on_hello(SSL *ssl, int *alert, void *context)
{
    kv_alpn *alpn = context;
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    kv_error err = { 0 };
    kv_slice name;
    int good;

    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    if (!offers_it(ssl, alpn->config.protocol))
        return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    if (!read_name(ssl, &name) ||
        alpn->config.find(alpn->config.context, name, &certificate, &key, &err) != KV_OK)
        return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_INTERNAL_ERROR;
    good = SSL_use_certificate(ssl, certificate) == 1 && SSL_use_PrivateKey(ssl, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* The hello was looked at already: it is the first of the list. */
static int on_protocols(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                        unsigned in_len, void *context)
{
    (void)ssl;
    (void)in_len;
    (void)context;
    *out_len = in[0];
    *out = in + 1;
    return SSL_TLSEXT_ERR_OK;
}

/* --- connections --- */

static void drop(link_ *link)
{
    kv_alpn *alpn = link->alpn;

    DL_DELETE(alpn->links, link);
    alpn->link_count--;
    if (link->event)
        event_free(link->event);
    SSL_free(link->ssl);
    (void)close(link->fd);
    free(link);
}

static void on_bytes(evutil_socket_t fd, short what, void *context);

static bool wait_for(link_ *link, short what)
{
    int64_t left = kv_deadline_left_ms(link->until);
    struct timeval timeout = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

    if (left <= 0)
        return false;
    if (link->event)
        event_free(link->event);
    link->event = event_new(link->alpn->base, link->fd, what, on_bytes, link);
    return link->event && event_add(link->event, &timeout) == 0;
}

static void go_on(link_ *link)
{
    int rc = SSL_do_handshake(link->ssl);
    int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(link->ssl, rc);

    if (why == SSL_ERROR_WANT_READ && wait_for(link, EV_READ))
        return;
    if (why == SSL_ERROR_WANT_WRITE && wait_for(link, EV_WRITE))
        return;
    if (why == SSL_ERROR_NONE)
        (void)SSL_shutdown(link->ssl);
    ERR_clear_error();
    drop(link);
}

static void on_bytes(evutil_socket_t fd, short what, void *context)
{
    link_ *link = context;

    (void)fd;
    if (what & EV_TIMEOUT)
        drop(link);
    else
        go_on(link);
}

static void take_in(kv_alpn *alpn, int fd)
{
    link_ *link = calloc(1, sizeof(*link));
    SSL *ssl = link ? SSL_new(alpn->tls) : NULL;

    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        free(link);
        (void)close(fd);
        return;
    }
    SSL_set_accept_state(ssl);
    *link = (link_){
        .alpn = alpn, .ssl = ssl, .fd = fd, .until = kv_deadline_in_ms(alpn->config.handshake_ms)
    };
    if (alpn->link_count >= alpn->config.connections)
        drop(alpn->links);
    DL_APPEND(alpn->links, link);
    alpn->link_count++;
    go_on(link);
}

static void on_accept(evutil_socket_t listener, short what, void *context)
{
    static const struct timespec full = { .tv_nsec = FULL_MS * 1000000L };
    kv_alpn *alpn = context;

    (void)what;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            take_in(alpn, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE)
            (void)nanosleep(&full, NULL);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static void on_stop(evutil_socket_t fd, short what, void *context)
{
    kv_alpn *alpn = context;

    (void)fd;
    (void)what;
    (void)event_base_loopbreak(alpn->base);
}

static void *run(void *context)
{
    kv_alpn *alpn = context;

    (void)event_base_dispatch(alpn->base);
    return NULL;
}

/* --- the whole --- */

static kv_status make_tls(kv_alpn *alpn, kv_error *err)
{
    alpn->tls = SSL_CTX_new(TLS_server_method());
    if (!alpn->tls || SSL_CTX_set_min_proto_version(alpn->tls, TLS1_2_VERSION) != 1)
        return kv_fail(err, KV_UNAVAILABLE, "TLS cannot be set up");
    (void)SSL_CTX_set_options(alpn->tls,
                              SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(alpn->tls, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(alpn->tls, 0);
    (void)SSL_CTX_set_mode(alpn->tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_client_hello_cb(alpn->tls, on_hello, alpn);
    SSL_CTX_set_alpn_select_cb(alpn->tls, on_protocols, alpn);
    return KV_OK;
}

static kv_status make_events(kv_alpn *alpn, kv_error *err)
{
    alpn->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    alpn->base = event_base_new();
    if (alpn->base && alpn->stop >= 0) {
        alpn->accepts = event_new(alpn->base, alpn->fd, EV_READ | EV_PERSIST, on_accept, alpn);
        alpn->stops = event_new(alpn->base, alpn->stop, EV_READ, on_stop, alpn);
    }
    if (!alpn->accepts || !alpn->stops || event_add(alpn->accepts, NULL) != 0 ||
        event_add(alpn->stops, NULL) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "an event loop cannot be made");
    return KV_OK;
}

static kv_status build(kv_alpn *alpn, kv_error *err)
{
    KV_TRY(make_tls(alpn, err));
    KV_TRY(kv_listen_on(alpn->config.listen, BACKLOG, &alpn->fd, &alpn->port, err));
    KV_TRY(make_events(alpn, err));
    if (pthread_create(&alpn->thread, NULL, run, alpn) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    alpn->running = true;
    return KV_OK;
}

kv_status kv_alpn_start(const kv_alpn_config *config, kv_alpn **out, kv_error *err)
{
    kv_alpn *alpn = calloc(1, sizeof(*alpn));
    kv_status status;

    if (!alpn)
        return kv_fail(err, KV_BUSY, "out of memory");
    alpn->config = *config;
    alpn->fd = -1;
    alpn->stop = -1;
    if (!alpn->config.connections)
        alpn->config.connections = CONNECTIONS;
    if (!alpn->config.handshake_ms)
        alpn->config.handshake_ms = HANDSHAKE_MS;
    status = build(alpn, err);
    if (status != KV_OK) {
        kv_alpn_stop(alpn);
        return status;
    }
    *out = alpn;
    return KV_OK;
}

uint16_t kv_alpn_port(const kv_alpn *alpn)
{
    return alpn->port;
}

void kv_alpn_stop(kv_alpn *alpn)
{
    link_ *link, *next;

    if (!alpn)
        return;
    if (alpn->running && eventfd_write(alpn->stop, 1) == 0)
        (void)pthread_join(alpn->thread, NULL);
    DL_FOREACH_SAFE (alpn->links, link, next)
        drop(link);
    if (alpn->accepts)
        event_free(alpn->accepts);
    if (alpn->stops)
        event_free(alpn->stops);
    if (alpn->base)
        event_base_free(alpn->base);
    if (alpn->fd >= 0)
        (void)close(alpn->fd);
    if (alpn->stop >= 0)
        (void)close(alpn->stop);
    SSL_CTX_free(alpn->tls);
    free(alpn);
}
