/* test_tls12.c - TLS 1.2 where it is allowed, as strict as TLS 1.3 about who is calling. */
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "server/front/grpc/client_session.h"
#include "tests/live/transport/scene.h"

/* A client of another make: blocking, of one TLS version. */
typedef struct visitor {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
} visitor;

static visitor visitor_of(const scene *it, int version, const char *suites)
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

static void show(visitor *v, const char *certificate, const char *key)
{
    assert_int_equal(SSL_CTX_use_certificate_chain_file(v->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(v->context, key, SSL_FILETYPE_PEM), 1);
}

static void leave(visitor *v)
{
    SSL_free(v->ssl);
    SSL_CTX_free(v->context);
    if (v->fd >= 0)
        (void)close(v->fd);
}

/* Also reads: with TLS 1.2 a refusal may come after the client's part is done. */
static bool can_enter(const scene *it, visitor *v, SSL_SESSION *session)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)kv_front_port(it->server.front)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    char byte;

    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(v->fd, (const void *)&to, sizeof(to)), 0);
    v->ssl = SSL_new(v->context);
    assert_int_equal(SSL_set_fd(v->ssl, v->fd), 1);
    if (session)
        assert_int_equal(SSL_set_session(v->ssl, session), 1);
    /* The server's SETTINGS are the first thing it says. */
    return SSL_connect(v->ssl) == 1 && SSL_peek(v->ssl, &byte, 1) == 1;
}

static bool may_enter(const scene *it, int version, const char *suites, uint64_t options,
                      bool with_certificate)
{
    visitor v = visitor_of(it, version, suites);
    bool good;

    (void)SSL_CTX_set_options(v.context, options);
    if (with_certificate)
        show(&v, it->certs.client, it->certs.client_key);
    good = can_enter(it, &v, NULL);
    leave(&v);
    return good;
}

/* One call of Echo over the visitor's connection: its gRPC code. */
static int echo(scene *it, visitor *v)
{
    const kv_grpc_client_limits limits = { 0 };
    kv_grpc_client_request request = { .path = SERVICE "Echo",
                                       .authority = "127.0.0.1",
                                       .timeout_ms = LONG_MS,
                                       .message = scene_echo_request(it, KV_SLICE("hello"), 0) };
    kv_grpc_client_event event = { 0 };
    kv_grpc_client *session;
    kv_grpc_client_call *call;
    bool over = false;
    int code = -1;
    kv_error err;

    assert_kv_ok(kv_grpc_client_new(&limits, &session, &err));
    assert_kv_ok(kv_grpc_client_start(session, &request, &call, &err));
    while (!over) {
        uint8_t bytes[4096];
        kv_slice frame;
        int len;

        for (;;) {
            assert_kv_ok(kv_grpc_client_pull(session, &frame, &err));
            if (!frame.len)
                break;
            assert_int_equal(SSL_write(v->ssl, frame.data, (int)frame.len), (int)frame.len);
        }
        len = SSL_read(v->ssl, bytes, sizeof(bytes));
        assert_true(len > 0);
        assert_kv_ok(kv_grpc_client_receive(session, kv_slice_of(bytes, (size_t)len), &err));
        while (kv_grpc_client_next(session, &event))
            if (event.kind == KV_GRPC_CLIENT_END) {
                code = event.code;
                over = true;
            }
    }
    kv_grpc_client_free(session);
    return code;
}

static int set_up_12(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();
    scene *it;
    int code = scene_set_up(state);

    it = *state;
    assert_true(kv_test_server_stop(&it->server));
    it->server.tls12 = true;
    kv_test_server_start(&it->server, &config, &lanes, &it->certs);
    kv_channel_free(it->channel);
    it->channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    return code;
}

static void the_usual_server_speaks_only_13(void **state)
{
    assert_false(may_enter(*state, TLS1_2_VERSION, NULL, 0, true));
    assert_true(may_enter(*state, TLS1_3_VERSION, NULL, 0, true));
}

static void modern_suites_of_12_are_spoken(void **state)
{
    static const char *const modern[] = { "ECDHE-ECDSA-AES256-GCM-SHA384",
                                          "ECDHE-ECDSA-AES128-GCM-SHA256",
                                          "ECDHE-ECDSA-CHACHA20-POLY1305" };

    for (size_t i = 0; i < KV_COUNT(modern); i++)
        assert_true(may_enter(*state, TLS1_2_VERSION, modern[i], 0, true));
    assert_true(may_enter(*state, TLS1_2_VERSION, NULL, 0, false));
    assert_true(may_enter(*state, TLS1_3_VERSION, NULL, 0, true));
}

static void all_else_is_refused(void **state)
{
    /* CBC, 8-byte tags, no forward secrecy, another kind of key. */
    static const char *const old[] = { "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA",
                                       "ECDHE-ECDSA-AES128-CCM8", "AES256-GCM-SHA384",
                                       "DHE-RSA-AES256-GCM-SHA384" };

    for (size_t i = 0; i < KV_COUNT(old); i++)
        assert_false(may_enter(*state, TLS1_2_VERSION, old[i], 0, true));
    assert_false(may_enter(*state, TLS1_2_VERSION, NULL, SSL_OP_NO_EXTENDED_MASTER_SECRET, true));
    /* Level 0, or this client would not even ask. */
    assert_false(may_enter(*state, TLS1_1_VERSION, "ALL:@SECLEVEL=0", 0, true));
}

static void the_newest_version_is_chosen(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);

    assert_int_equal(SSL_CTX_set_max_proto_version(v.context, TLS1_3_VERSION), 1);
    assert_true(can_enter(it, &v, NULL));
    assert_int_equal(SSL_version(v.ssl), TLS1_3_VERSION);
    leave(&v);
}

static void the_caller_is_known_over_12(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);
    SSL_SESSION *session;

    show(&v, it->certs.client, it->certs.client_key);
    assert_true(can_enter(it, &v, NULL));
    assert_int_equal(echo(it, &v), 0);
    session = SSL_get1_session(v.ssl);
    (void)SSL_shutdown(v.ssl);
    leave(&v);

    /* And over a resumed session, whose certificate is in the ticket. */
    v = visitor_of(it, TLS1_2_VERSION, NULL);
    assert_true(can_enter(it, &v, session));
    assert_int_equal(SSL_session_reused(v.ssl), 1);
    assert_int_equal(echo(it, &v), 0);
    SSL_SESSION_free(session);
    leave(&v);
}

static void a_stranger_is_one_over_12(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);

    assert_true(can_enter(it, &v, NULL));
    assert_int_equal(echo(it, &v), 16);
    leave(&v);
    v = visitor_of(it, TLS1_2_VERSION, NULL);
    show(&v, it->certs.usage, it->certs.usage_key);
    assert_false(can_enter(it, &v, NULL));
    leave(&v);
    v = visitor_of(it, TLS1_2_VERSION, "DEFAULT:@SECLEVEL=0");
    show(&v, it->certs.weak, it->certs.weak_key);
    assert_false(can_enter(it, &v, NULL));
    leave(&v);
}

static void nobody_renegotiates(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);
    char bytes[256];

    show(&v, it->certs.client, it->certs.client_key);
    assert_true(can_enter(it, &v, NULL));
    assert_true(SSL_read(v.ssl, bytes, sizeof(bytes)) > 0);
    ERR_clear_error();
    assert_int_equal(SSL_renegotiate(v.ssl), 1);
    (void)SSL_do_handshake(v.ssl);
    while (SSL_read(v.ssl, bytes, sizeof(bytes)) > 0)
        ;
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    leave(&v);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
#define OLD(name)   cmocka_unit_test_setup_teardown(name, set_up_12, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_usual_server_speaks_only_13),
        OLD(modern_suites_of_12_are_spoken),
        OLD(all_else_is_refused),
        OLD(the_newest_version_is_chosen),
        OLD(the_caller_is_known_over_12),
        OLD(a_stranger_is_one_over_12),
        OLD(nobody_renegotiates),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("tls12", tests, NULL, NULL);
}
