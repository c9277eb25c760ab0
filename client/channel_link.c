/* channel_link.c - one connection: connect, shake hands, then carry bytes. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "client/channel_link.h"
#include "server/base/secret_buf.h"

enum { READ_BYTES = 32 * 1024, GATHER_BYTES = 64 * 1024 };

/* Each address gets its part of the time that is left: one that swallows what is sent to it must
 * not keep the others from being tried. */
static void give_time(kv_link *link)
{
    int64_t parts = 1;

    for (const struct addrinfo *rest = link->address; rest; rest = rest->ai_next)
        parts++;
    link->move_by = kv_deadline_in_ms(kv_deadline_left_ms(link->connect_by) / parts);
}

/* Starts on the next address that gives a socket. */
static kv_status try_next(kv_link *link, kv_error *err)
{
    const int on = 1;

    if (link->fd >= 0)
        (void)close(link->fd);
    link->fd = -1;
    while (link->address) {
        const struct addrinfo *to = link->address;
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        link->address = to->ai_next;
        if (fd < 0)
            continue;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        if (!connect(fd, to->ai_addr, to->ai_addrlen) || errno == EINPROGRESS) {
            link->fd = fd;
            give_time(link);
            return KV_OK;
        }
        (void)close(fd);
    }
    kv_fail(err, KV_UNAVAILABLE, "cannot connect to %s", link->endpoint->authority);
    return kv_note(err, "%s", strerror(errno));
}

static kv_status not_found(const kv_link *link, const char *why, kv_error *err)
{
    return kv_fail(err, KV_UNAVAILABLE, "%s cannot be found: %s", link->endpoint->authority, why);
}

static kv_status take_addresses(kv_link *link, int rv, kv_error *err)
{
    link->state = KV_LINK_CONNECTING;
    if (rv) {
        link->addresses = NULL;
        return not_found(link, gai_strerror(rv), err);
    }
    link->address = link->addresses;
    return try_next(link, err);
}

/* An address needs no look-up. A name has one at a time, however many connections were given up
 * that waited for it; what an old one said is of no use. */
static kv_status look_up(kv_link *link, kv_error *err)
{
    const struct addrinfo numeric = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    kv_endpoint *to = link->endpoint;
    int rv = getaddrinfo(to->host, to->port, &numeric, &link->addresses);

    if (rv != EAI_NONAME)
        return take_addresses(link, rv, err);
    link->addresses = NULL;
    if (to->lookup && kv_lookup_over(to->lookup)) {
        kv_lookup_abandon(to->lookup);
        to->lookup = NULL;
    }
    if (!to->lookup)
        KV_TRY(kv_lookup_start(to->host, to->port, &to->lookup, err));
    link->state = KV_LINK_LOOKING_UP;
    link->fd = kv_lookup_fd(to->lookup);
    return KV_OK;
}

static kv_status looked_up(kv_link *link, kv_error *err)
{
    kv_lookup *lookup = link->endpoint->lookup;

    if (!kv_lookup_over(lookup))
        return KV_OK;
    link->endpoint->lookup = NULL;
    link->fd = -1;
    return take_addresses(link, kv_lookup_take(lookup, &link->addresses), err);
}

kv_link *kv_link_new(kv_channel *channel, kv_error *err)
{
    const kv_grpc_client_limits limits = { .message_bytes = channel->config.message_bytes,
                                           .header_bytes = channel->config.header_bytes };
    kv_link *link = calloc(1, sizeof(*link));

    if (!link) {
        kv_fail(err, KV_UNAVAILABLE, "out of memory");
        return NULL;
    }
    link->channel = channel;
    link->endpoint = &channel->endpoints[channel->at];
    link->fd = -1;
    link->connect_by = kv_deadline_in_ms(channel->config.connect_ms);
    link->move_by = link->connect_by;
    if (kv_grpc_client_new(&limits, &link->session, err) != KV_OK || look_up(link, err) != KV_OK) {
        kv_link_free(link);
        return NULL;
    }
    return link;
}

void kv_link_free(kv_link *link)
{
    if (!link)
        return;
    if (link->ssl && link->state == KV_LINK_OPEN) {
        (void)SSL_shutdown(link->ssl);
        ERR_clear_error();
    }
    SSL_free(link->ssl);
    if (link->fd >= 0 && link->state != KV_LINK_LOOKING_UP)
        (void)close(link->fd);
    if (link->addresses)
        freeaddrinfo(link->addresses);
    kv_grpc_client_free(link->session);
    kv_buffer_cleanup(&link->out);
    kv_shown_tokens_cleanup(&link->shown);
    free(link);
}

short kv_link_poll_events(const kv_link *link)
{
    if (link->state == KV_LINK_CONNECTING)
        return POLLOUT;
    return link->wants_write ? POLLIN | POLLOUT : POLLIN;
}

static kv_status fail_tls(kv_link *link, kv_error *err)
{
    long verdict = SSL_get_verify_result(link->ssl);
    char text[160];

    if (link->state == KV_LINK_HANDSHAKE && verdict != X509_V_OK)
        kv_fail(err, KV_UNAVAILABLE, "the server's certificate is refused: %s",
                X509_verify_cert_error_string(verdict));
    else
        kv_fail(err, KV_UNAVAILABLE, "the connection to the server was lost");
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    return kv_note(err, "%s", text);
}

/* What TLS wants after an operation that did not finish. An error: the connection is dead. */
static kv_status want(kv_link *link, int rv, kv_error *err)
{
    switch (SSL_get_error(link->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
        return KV_OK;
    case SSL_ERROR_WANT_WRITE:
        link->wants_write = true;
        return KV_OK;
    default:
        return fail_tls(link, err);
    }
}

static void count(kv_link *link)
{
    kv_channel *channel = link->channel;

    pthread_mutex_lock(&channel->mutex);
    channel->counts.connections++;
    channel->counts.resumed += SSL_session_reused(link->ssl) ? 1 : 0;
    pthread_mutex_unlock(&channel->mutex);
}

static kv_status shake_hands(kv_link *link, kv_error *err)
{
    const unsigned char *protocol;
    unsigned len;
    int rv;

    ERR_clear_error();
    rv = SSL_do_handshake(link->ssl);
    if (rv != 1)
        return want(link, rv, err);
    SSL_get0_alpn_selected(link->ssl, &protocol, &len);
    if (!kv_slice_equal(kv_slice_of(protocol, len), KV_SLICE("h2")))
        return kv_fail(err, KV_UNAVAILABLE, "the server does not speak HTTP/2");
    link->state = KV_LINK_OPEN;
    count(link);
    return KV_OK;
}

static kv_status connected(kv_link *link, kv_error *err)
{
    int problem = 0;
    socklen_t len = sizeof(problem);

    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &problem, &len) || problem) {
        errno = problem;
        return try_next(link, err);
    }
    link->ssl = kv_channel_tls_connect(link->channel->tls, link->endpoint, link->fd);
    if (!link->ssl)
        return kv_fail(err, KV_UNAVAILABLE, "TLS cannot be started");
    link->state = KV_LINK_HANDSHAKE;
    return shake_hands(link, err);
}

static kv_status read_all(kv_link *link, kv_error *err)
{
    uint8_t plain[READ_BYTES];
    size_t len;
    int rv;

    ERR_clear_error();
    while ((rv = SSL_read_ex(link->ssl, plain, sizeof(plain), &len)) == 1) {
        kv_status status = kv_grpc_client_receive(link->session, kv_slice_of(plain, len), err);

        kv_wipe(plain, len);
        KV_TRY(status);
    }
    return want(link, rv, err);
}

kv_status kv_link_step(kv_link *link, short events, kv_error *err)
{
    if (events & POLLOUT)
        link->wants_write = false;
    switch (link->state) {
    case KV_LINK_LOOKING_UP:
        return looked_up(link, err);
    case KV_LINK_CONNECTING:
        return events ? connected(link, err) : try_next(link, err);
    case KV_LINK_HANDSHAKE:
        return shake_hands(link, err);
    case KV_LINK_OPEN:
        return events & ~POLLOUT ? read_all(link, err) : KV_OK;
    }
    return KV_OK;
}

kv_status kv_link_late(const kv_link *link, kv_error *err)
{
    if (link->state == KV_LINK_LOOKING_UP)
        return not_found(link, "the name service does not answer", err);
    return kv_fail(err, KV_UNAVAILABLE, "the server does not answer");
}

static kv_status gather(kv_link *link, kv_error *err)
{
    while (link->out.len < GATHER_BYTES) {
        kv_slice frame;

        KV_TRY(kv_grpc_client_pull(link->session, &frame, err));
        if (!frame.len)
            return KV_OK;
        if (!kv_buffer_add(&link->out, frame))
            return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    return KV_OK;
}

kv_status kv_link_flush(kv_link *link, kv_error *err)
{
    while (link->state == KV_LINK_OPEN && !link->wants_write) {
        size_t written;
        int rv;

        KV_TRY(gather(link, err));
        if (!link->out.len)
            return KV_OK;
        ERR_clear_error();
        rv = SSL_write_ex(link->ssl, link->out.data, link->out.len, &written);
        if (rv != 1)
            return want(link, rv, err);
        kv_wipe(link->out.data, written);
        kv_buffer_drop(&link->out, written);
    }
    return KV_OK;
}
