/* conn.c - bytes between a socket, TLS and a session, and when a connection ends. */
#include "server/front/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <utlist.h>

#include "server/base/secret_buf.h"
#include "server/front/grpc/door.h"
#include "server/front/grpc/memory.h"
#include "server/front/handshake.h"

enum {
    MOST_STEPS = 32,            /* of a handshake: a client that drips costs a job per drop */
    HIGH_WATER = 256 * 1024,    /* encrypted and not taken by the socket: no more is made */
    MOST_WAITING = 1024 * 1024, /* past the high water only what TLS answers by itself is added */
    PLAIN_BYTES = 32 * 1024,    /* gathered for one SSL_write */
    PEER_PART = 16,             /* of the memory for requests: strangers of one address */
    KEYS_GLITCHES = 9,          /* what new keys of TLS cost, their record apart */
    LEAN_MS = 1000,             /* idle for so long, a connection gives its buffers back */
    FLOOD_TOLD_US = 1000000
};

static size_t waiting(const kv_conn *conn)
{
    return BIO_ctrl_pending(conn->out);
}

static void want_write(kv_conn *conn, bool wanted)
{
    if (wanted == conn->write_wanted)
        return;
    conn->write_wanted = wanted;
    if (wanted)
        (void)event_add(conn->write_event, NULL);
    else
        (void)event_del(conn->write_event);
}

/* False when the connection is broken. */
static bool send_encrypted(kv_conn *conn)
{
    uint8_t *scratch = conn->loop->scratch;

    for (;;) {
        char *data;
        long len = BIO_get_mem_data(conn->out, &data);
        ssize_t sent;

        if (len <= 0) {
            want_write(conn, false);
            return true;
        }
        if (len > KV_LOOP_SCRATCH_BYTES)
            len = KV_LOOP_SCRATCH_BYTES;
        sent = send(conn->fd, data, (size_t)len, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            want_write(conn, true);
            return true;
        }
        if (sent < 0)
            return false;
        (void)BIO_read(conn->out, scratch, (int)sent); /* consumes it */
        conn->sent_bytes += (uint64_t)sent;
    }
}

/* Gathers frames, so that many small ones share a TLS record. */
static kv_status gather(kv_conn *conn, size_t *len, kv_error *err)
{
    uint8_t *plain = conn->loop->scratch;

    *len = 0;
    while (*len < PLAIN_BYTES) {
        kv_slice frame;

        KV_TRY(kv_grpc_session_pull(conn->session, &frame, err));
        if (!frame.len)
            return KV_OK;
        memcpy(plain + *len, frame.data, frame.len);
        *len += frame.len;
    }
    return KV_OK;
}

/* False when the connection is broken. */
static bool encrypt(kv_conn *conn)
{
    kv_error err;
    size_t len, written = 0;
    bool more = true;

    while (more && waiting(conn) < HIGH_WATER) {
        int rv = 1;

        /* What was gathered before a failure holds the GOAWAY: it leaves all the same. */
        more = gather(conn, &len, &err) == KV_OK && len > 0;
        if (len)
            rv = SSL_write_ex(conn->ssl, conn->loop->scratch, len, &written);
        kv_wipe(conn->loop->scratch, len);
        if (rv != 1 || (len && written != len))
            return false;
        if (!send_encrypted(conn))
            return false;
    }
    return true;
}

void kv_conn_flush(kv_conn *conn)
{
    bool good = true;

    if (conn->with_worker)
        return;
    if (conn->state == KV_CONN_OPEN) {
        good = encrypt(conn);
        kv_door_events(conn); /* messages that left make room for others */
    }
    good = good && send_encrypted(conn);
    if (!good ||
        (conn->state == KV_CONN_OPEN && kv_grpc_session_over(conn->session) && !waiting(conn)))
        kv_conn_close(conn);
}

/* TLS tells of every record that comes, and of the messages in those that are not data. */
static void on_record(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
                      void *context)
{
    kv_conn *conn = context;

    (void)version;
    (void)data;
    (void)len;
    (void)ssl;
    if (!sent && type == SSL3_RT_HEADER)
        conn->bare++;
    else if (!sent && type == SSL3_RT_HANDSHAKE)
        conn->bare += KEYS_GLITCHES;
}

/* For records without data. One is left out: the rest of the last may be on its way. */
static kv_status charge(kv_conn *conn, kv_error *err)
{
    unsigned useless = conn->bare > 1 ? conn->bare - 1 : 0;

    conn->bare -= useless;
    return useless ? kv_grpc_session_charge(conn->session, useless, err) : KV_OK;
}

/* Everything TLS has decrypted goes to the session. False when the connection ends. */
static bool decrypt(kv_conn *conn)
{
    uint8_t *plain = conn->loop->scratch;
    kv_status status;
    size_t len = 0;
    kv_error err;
    int why;

    ERR_clear_error();
    do {
        int rv = SSL_read_ex(conn->ssl, plain, KV_LOOP_SCRATCH_BYTES, &len);

        why = SSL_get_error(conn->ssl, rv);
        if (why == SSL_ERROR_NONE) {
            conn->bare -= conn->bare > 0;
            status = kv_grpc_session_receive(conn->session, kv_slice_of(plain, len), &err);
            kv_wipe(plain, len);
        } else {
            status = charge(conn, &err);
        }
        /* After a record that is not data TLS wants to read though there are more. */
    } while (status == KV_OK && (why == SSL_ERROR_NONE ||
                                 (why == SSL_ERROR_WANT_READ && BIO_ctrl_pending(conn->in) > 0)));
    ERR_clear_error();
    kv_door_events(conn);
    kv_loop_mark_dirty(conn->loop, conn);
    /* Who sends nothing more has left: docs/decisions/0029-who-hangs-up-has-left.md. */
    if (status == KV_OK)
        return why == SSL_ERROR_WANT_READ;
    /* The flush sends the GOAWAY and closes: when the peer reads it, and it may send until then. */
    (void)event_del(conn->read_event);
    return true;
}

static void continue_handshake(kv_conn *conn)
{
    kv_error err;

    (void)event_del(conn->read_event);
    if (conn->steps >= MOST_STEPS || kv_handshake_step(conn, &err) != KV_OK) {
        atomic_fetch_add(&conn->loop->front->refused, 1);
        kv_conn_close(conn);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    kv_conn *conn = context;
    kv_loop *loop = conn->loop;
    ssize_t got = recv(fd, loop->scratch, KV_LOOP_SCRATCH_BYTES, 0);

    (void)what;
    conn->lean = false;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0 || waiting(conn) > MOST_WAITING ||
        BIO_write(conn->in, loop->scratch, (int)got) != got)
        kv_conn_close(conn);
    else if (conn->state == KV_CONN_HANDSHAKE)
        continue_handshake(conn);
    else if (!decrypt(conn))
        kv_conn_close(conn);
    kv_loop_flush(loop);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    kv_conn *conn = context;
    kv_loop *loop = conn->loop;

    (void)fd;
    (void)what;
    conn->write_wanted = false; /* the event fires once */
    kv_loop_mark_dirty(loop, conn);
    kv_loop_flush(loop);
}

static bool prepare(kv_conn *conn)
{
    struct event_base *base = conn->loop->base;

    conn->ssl = kv_tls_accept(conn->loop->front->tls);
    if (!conn->ssl)
        return false;
    conn->in = SSL_get_rbio(conn->ssl);
    conn->out = SSL_get_wbio(conn->ssl);
    conn->read_event = event_new(base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->write_event = event_new(base, conn->fd, EV_WRITE, on_writable, conn);
    return conn->read_event && conn->write_event && !event_add(conn->read_event, NULL);
}

static void destroy(kv_conn *conn)
{
    SSL_free(conn->ssl);
    kv_buffer_cleanup(&conn->certificate);
    free(conn);
}

void kv_conn_open(kv_loop *loop, int fd, const char *host, const char *address)
{
    kv_conn *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        kv_peers_leave(loop->front->peers, host);
        (void)close(fd);
        return;
    }
    conn->loop = loop;
    conn->fd = fd;
    conn->since_us = conn->moved_us = kv_monotonic_us();
    (void)snprintf(conn->host, sizeof(conn->host), "%s", host);
    (void)snprintf(conn->peer.address, sizeof(conn->peer.address), "%s", address);
    DL_APPEND(loop->conns, conn);
    atomic_fetch_add(&loop->open, 1);
    if (loop->draining ||
        !EVP_Digest(host, strlen(host), conn->peer.host_key, NULL, EVP_sha256(), NULL) ||
        !prepare(conn))
        kv_conn_close(conn);
}

/* A line a second is enough, however many connections flood: it has the numbers. */
static bool is_time_to_tell(kv_front *front)
{
    int_fast64_t told_us = atomic_load(&front->flood_told_us);
    int64_t now_us = kv_monotonic_us();

    return (!told_us || now_us - told_us >= FLOOD_TOLD_US) &&
           atomic_compare_exchange_strong(&front->flood_told_us, &told_us, now_us);
}

static void count_flood(kv_conn *conn)
{
    static const char *const names[] = {
        [KV_GRPC_FLOOD_FRAMES] = "frames", [KV_GRPC_FLOOD_RECORDS] = "records"
    };
    kv_front *front = conn->loop->front;
    kv_grpc_flood kind = conn->session ? kv_grpc_session_flood(conn->session) : KV_GRPC_FLOOD_NONE;

    if (kind == KV_GRPC_FLOOD_NONE)
        return;
    atomic_fetch_add(&front->floods[kind], 1);
    if (!is_time_to_tell(front))
        return;
    kv_log_write(
        front->services->log, KV_LOG_WARNING, "connection.flooded",
        (kv_log_field[]){
            { "with", names[kind], 0 },
            { "address", conn->peer.address, 0 },
            { "frames", NULL, (int64_t)atomic_load(&front->floods[KV_GRPC_FLOOD_FRAMES]) },
            { "records", NULL, (int64_t)atomic_load(&front->floods[KV_GRPC_FLOOD_RECORDS]) },
            { 0 } });
}

void kv_conn_close(kv_conn *conn)
{
    kv_loop *loop = conn->loop;

    if (conn->state == KV_CONN_CLOSED)
        return;
    count_flood(conn);
    kv_door_abandon(conn);
    if (conn->state == KV_CONN_OPEN && SSL_shutdown(conn->ssl) >= 0)
        (void)send_encrypted(conn); /* close_notify, if the socket takes it */
    ERR_clear_error();
    conn->state = KV_CONN_CLOSED;
    kv_grpc_session_free(conn->session);
    conn->session = NULL;
    if (conn->dirty)
        DL_DELETE2(loop->dirty, conn, dirty_prev, dirty_next);
    if (conn->read_event)
        event_free(conn->read_event);
    if (conn->write_event)
        event_free(conn->write_event);
    (void)close(conn->fd);
    DL_DELETE(loop->conns, conn);
    kv_peers_leave(loop->front->peers, conn->host);
    atomic_fetch_sub(&loop->open, 1);
    if (!conn->with_worker)
        destroy(conn);
}

static bool become_open(kv_conn *conn)
{
    kv_grpc_limits limits = conn->loop->config.grpc;
    kv_error err;

    limits.held_by_all = &conn->loop->front->held;
    limits.held_most = conn->loop->config.request_bytes;
    limits.held_by_peer = kv_peers_held(conn->loop->front->peers, conn->host);
    limits.peer_most = limits.held_most / PEER_PART;
    if (kv_grpc_session_new(&limits, &conn->session, &err) != KV_OK)
        return false;
    conn->state = KV_CONN_OPEN;
    SSL_set_msg_callback(conn->ssl, on_record);
    SSL_set_msg_callback_arg(conn->ssl, conn);
    conn->since_us = kv_monotonic_us();
    conn->moved_us = conn->since_us;
    return decrypt(conn);
}

void kv_conn_handshake_done(kv_conn *conn)
{
    bool good = conn->result != KV_HANDSHAKE_FAILED;

    conn->with_worker = false;
    if (conn->state == KV_CONN_CLOSED) {
        destroy(conn);
        return;
    }
    if (!send_encrypted(conn)) /* an alert leaves, too */
        good = false;
    if (good && conn->result == KV_HANDSHAKE_DONE)
        good = become_open(conn);
    if (!good || event_add(conn->read_event, NULL)) {
        atomic_fetch_add(&conn->loop->front->refused, 1);
        kv_conn_close(conn);
    }
}

void kv_conn_know(kv_conn *conn)
{
    conn->known = true;
    kv_grpc_session_trust(conn->session);
}

/* Tens of KiB that TLS keeps for the next record, and what its memory BIOs have grown to. */
static void give_buffers_back(kv_conn *conn)
{
    BIO *in, *out;

    if (BIO_ctrl_pending(conn->in) || waiting(conn) || !SSL_free_buffers(conn->ssl))
        return;
    conn->lean = true;
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    if (!in || !out) {
        BIO_free(in);
        BIO_free(out);
        return;
    }
    SSL_set_bio(conn->ssl, in, out);
    conn->in = in;
    conn->out = out;
}

/* When places are short, who has not said who they are is asked to go after a handshake's time. */
static int64_t idle_ms_of(const kv_conn *conn)
{
    const kv_front_config *config = &conn->loop->config;

    return conn->loop->crowded && !conn->known && config->handshake_ms < config->idle_ms
               ? config->handshake_ms
               : config->idle_ms;
}

/* The peer leaves replies lying: HTTP/2's windows are shut, or the socket takes nothing. */
static bool is_stalled(kv_conn *conn, int64_t now_us)
{
    uint64_t progress = kv_grpc_session_progress(conn->session);
    bool window = kv_grpc_session_unsent(conn->session) > 0 && progress == conn->seen_progress;
    bool socket = waiting(conn) > 0 && conn->sent_bytes == conn->seen_sent;

    conn->seen_progress = progress;
    conn->seen_sent = conn->sent_bytes;
    if (!window && !socket)
        conn->moved_us = now_us;
    return now_us - conn->moved_us > (int64_t)conn->loop->config.stall_ms * 1000;
}

void kv_conn_tick(kv_conn *conn, int64_t now_us)
{
    const kv_front_config *config = &conn->loop->config;
    int64_t age_ms = (now_us - conn->since_us) / 1000;

    if (conn->state == KV_CONN_HANDSHAKE) {
        if (age_ms > config->handshake_ms) {
            atomic_fetch_add(&conn->loop->front->refused, 1);
            kv_conn_close(conn);
        }
        return;
    }
    if (is_stalled(conn, now_us)) {
        kv_conn_close(conn);
        return;
    }
    if (conn->stub_count)
        conn->since_us = now_us;
    else if (age_ms > idle_ms_of(conn) + config->handshake_ms) {
        kv_conn_close(conn); /* it does not go when asked: half a header block keeps it */
    } else if (age_ms > idle_ms_of(conn)) {
        kv_grpc_session_end(conn->session);
        kv_loop_mark_dirty(conn->loop, conn);
    } else if (age_ms > LEAN_MS && !conn->lean) {
        give_buffers_back(conn);
    }
}
