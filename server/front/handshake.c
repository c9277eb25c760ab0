/* handshake.c - SSL_do_handshake on a worker, and the peer's certificate read there. */
#include "server/front/handshake.h"

#include <stddef.h>

#include <openssl/err.h>

static kv_conn *conn_of_task(kv_task *task)
{
    return (kv_conn *)((char *)task - offsetof(kv_conn, task));
}

static bool read_peer(kv_conn *conn)
{
    X509 *certificate = SSL_get0_peer_certificate(conn->ssl);
    uint8_t *der = NULL;
    int len;
    bool good;

    if (!certificate)
        return true;
    len = i2d_X509(certificate, &der);
    good = len > 0 && EVP_Digest(der, (size_t)len, conn->peer.thumbprint, NULL, EVP_sha256(), NULL);
    good = good && kv_buffer_add(&conn->certificate, kv_slice_of(der, (size_t)len));
    OPENSSL_free(der);
    conn->peer.certificate = kv_buffer_slice(&conn->certificate);
    conn->peer.has_certificate = good;
    return good;
}

static bool speaks_h2(SSL *ssl)
{
    const unsigned char *protocol;
    unsigned len;

    SSL_get0_alpn_selected(ssl, &protocol, &len);
    return kv_slice_equal(kv_slice_of(protocol, len), KV_SLICE("h2"));
}

/* Without the extended master secret a session of TLS 1.2 can be spliced into another. */
static bool is_bound(SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
}

static kv_handshake_result step(kv_conn *conn)
{
    int rv, why;

    ERR_clear_error();
    rv = SSL_do_handshake(conn->ssl);
    why = SSL_get_error(conn->ssl, rv);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ)
        return KV_HANDSHAKE_MORE;
    if (rv != 1 || !speaks_h2(conn->ssl) || !is_bound(conn->ssl) || !read_peer(conn))
        return KV_HANDSHAKE_FAILED;
    return KV_HANDSHAKE_DONE;
}

static void come_home(kv_mail *mail, void *owner)
{
    kv_conn *conn = (kv_conn *)((char *)mail - offsetof(kv_conn, mail));

    (void)owner;
    kv_conn_handshake_done(conn);
}

static void run(kv_task *task, kv_worker *worker)
{
    kv_conn *conn = conn_of_task(task);

    (void)worker;
    conn->result = step(conn);
    kv_mailbox_post(conn->loop->box, &conn->mail);
}

kv_status kv_handshake_step(kv_conn *conn, kv_error *err)
{
    conn->steps++;
    conn->task.run = run;
    conn->mail.deliver = come_home;
    memcpy(conn->task.key, conn->peer.host_key, sizeof(conn->task.key));
    KV_TRY(kv_lanes_offer(conn->loop->front->lanes, KV_LANE_HANDSHAKE, &conn->task, err));
    conn->with_worker = true;
    return KV_OK;
}
