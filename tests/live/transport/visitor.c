/* visitor.c - a socket, OpenSSL's client and the client's side of HTTP/2. */
#include "tests/live/transport/visitor.h"

#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

visitor visitor_of(const scene *it, int version, const char *suites)
{
    static const unsigned char h2[] = { 2, 'h', '2' };
    visitor v = { .context = SSL_CTX_new(TLS_client_method()), .fd = -1 };

    assert_int_equal(SSL_CTX_set_min_proto_version(v.context, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(v.context, version), 1);
    if (suites)
        assert_int_equal(SSL_CTX_set_cipher_list(v.context, suites), 1);
    assert_int_equal(SSL_CTX_set_alpn_protos(v.context, h2, sizeof(h2)), 0);
    assert_int_equal(SSL_CTX_load_verify_file(v.context, it->certs.ca), 1);
    SSL_CTX_set_verify(v.context, SSL_VERIFY_PEER, NULL);
    return v;
}

void visitor_show(visitor *v, const char *certificate, const char *key)
{
    assert_int_equal(SSL_CTX_use_certificate_chain_file(v->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(v->context, key, SSL_FILETYPE_PEM), 1);
}

void visitor_leave(visitor *v)
{
    kv_grpc_client_free(v->http);
    SSL_free(v->ssl);
    SSL_CTX_free(v->context);
    if (v->fd >= 0)
        (void)close(v->fd);
}

bool visitor_enters(const scene *it, visitor *v, SSL_SESSION *session)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)kv_front_port(it->server.front)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int now = 1;
    char byte;

    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof(now)), 0);
    assert_int_equal(connect(v->fd, (const void *)&to, sizeof(to)), 0);
    v->ssl = SSL_new(v->context);
    assert_int_equal(SSL_set_fd(v->ssl, v->fd), 1);
    if (session)
        assert_int_equal(SSL_set_session(v->ssl, session), 1);
    /* The server's SETTINGS are the first thing it says. */
    return SSL_connect(v->ssl) == 1 && SSL_peek(v->ssl, &byte, 1) == 1;
}

static void say_in_pieces(visitor *v, kv_slice what)
{
    enum { STEP = 16, APPLICATION_DATA = 23 };

    for (size_t at = 0; at < what.len; at += STEP) {
        size_t step = what.len - at < STEP ? what.len - at : STEP;
        uint8_t record[RECORDS_BYTES];
        size_t len =
            records_seal(v->raw, APPLICATION_DATA, kv_slice_of(what.data + at, step), record);

        for (size_t i = 0; i < len; i++)
            assert_int_equal(send(v->fd, record + i, 1, MSG_NOSIGNAL), 1);
    }
}

static void say_all(visitor *v)
{
    kv_slice frame;
    kv_error err;

    for (;;) {
        assert_kv_ok(kv_grpc_client_pull(v->http, &frame, &err));
        if (!frame.len)
            return;
        if (v->raw)
            say_in_pieces(v, frame);
        else
            assert_int_equal(SSL_write(v->ssl, frame.data, (int)frame.len), (int)frame.len);
    }
}

void visitor_asks(visitor *v, const char *path, kv_slice message)
{
    const kv_grpc_client_limits limits = { 0 };
    kv_grpc_client_request request = {
        .path = path, .authority = "127.0.0.1", .timeout_ms = LONG_MS, .message = message
    };
    kv_grpc_client_call *call;
    kv_error err;

    if (!v->http)
        assert_kv_ok(kv_grpc_client_new(&limits, &v->http, &err));
    assert_kv_ok(kv_grpc_client_start(v->http, &request, &call, &err));
    say_all(v);
}

int visitor_echo(scene *it, visitor *v)
{
    kv_grpc_client_event event = { 0 };
    bool over = false;
    int code = -1;
    kv_error err;

    visitor_asks(v, SERVICE "Echo", scene_echo_request(it, KV_SLICE("hello"), 0));
    while (!over) {
        uint8_t bytes[4096];
        int len;

        say_all(v);
        len = SSL_read(v->ssl, bytes, sizeof(bytes));
        assert_true(len > 0);
        assert_kv_ok(kv_grpc_client_receive(v->http, kv_slice_of(bytes, (size_t)len), &err));
        while (kv_grpc_client_next(v->http, &event))
            if (event.kind == KV_GRPC_CLIENT_END) {
                code = event.code;
                over = true;
            }
    }
    return code;
}
