/* test_alpn.c - handshakes with an authority, and with everybody else who comes to port 443. */
#include "server/front/alpn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "tests/support/kv_cmocka.h"

enum { ROOM = 8, WAIT_MS = 20000 };

/* As sent in a hello: a length, then the name. */
static const uint8_t right[] = "\x0a"
                               "acme-tls/1";
static const uint8_t other[] = "\x02"
                               "h2";
static const uint8_t both[] = "\x02"
                              "h2"
                              "\x0a"
                              "acme-tls/1";
static const uint8_t nearly[] = "\x0a"
                                "acme-tls/2";

typedef struct bench {
    EVP_PKEY *key;
    X509 *certificate;
    atomic_uint asked;
    kv_alpn *alpn;
    SSL_CTX *client;
} bench;

static kv_status find(void *context, kv_slice name, X509 **certificate, EVP_PKEY **key,
                      kv_error *err)
{
    bench *at = context;

    atomic_fetch_add(&at->asked, 1);
    if (!kv_slice_equal(name, KV_SLICE("www.example.org")))
        return kv_fail(err, KV_NOT_FOUND, "not there");
    X509_up_ref(at->certificate);
    EVP_PKEY_up_ref(at->key);
    *certificate = at->certificate;
    *key = at->key;
    return KV_OK;
}

static int set_up(void **state)
{
    bench *at = calloc(1, sizeof(*at));
    kv_alpn_config config = { .listen = "127.0.0.1:0",
                              .protocol = "acme-tls/1",
                              .connections = ROOM,
                              .handshake_ms = 3000,
                              .find = find,
                              .context = at };
    kv_error err = { 0 };

    assert_non_null(at);
    at->key = EVP_EC_gen("P-256");
    at->certificate = X509_new();
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(at->certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(at->certificate), 3600));
    assert_int_equal(X509_set_pubkey(at->certificate, at->key), 1);
    assert_true(X509_sign(at->certificate, at->key, EVP_sha256()) > 0);
    at->client = SSL_CTX_new(TLS_client_method());
    assert_non_null(at->client);
    assert_kv_ok(kv_alpn_start(&config, &at->alpn, &err));
    *state = at;
    return 0;
}

static int take_down(void **state)
{
    bench *at = *state;

    kv_alpn_stop(at->alpn);
    SSL_CTX_free(at->client);
    X509_free(at->certificate);
    EVP_PKEY_free(at->key);
    free(at);
    return 0;
}

static int connect_to(const bench *at)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(kv_alpn_port(at->alpn)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

typedef struct caller {
    const char *name; /* NULL: none */
    const uint8_t *protocols;
    unsigned len; /* 0: none */
    int version;  /* the highest */
} caller;

/* What came of it: "" and the connection's end, or the alert. */
static void shake(const bench *at, const caller *who, char out[128])
{
    SSL *ssl = SSL_new(at->client);
    int fd = connect_to(at);
    const uint8_t *chosen = NULL;
    unsigned chosen_len = 0;
    char byte;

    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    if (who->name)
        assert_int_equal(SSL_set_tlsext_host_name(ssl, who->name), 1);
    if (who->len)
        assert_int_equal(SSL_set_alpn_protos(ssl, who->protocols, who->len), 0);
    if (who->version)
        assert_int_equal(SSL_set_max_proto_version(ssl, who->version), 1);
    ERR_clear_error();
    out[0] = '\0';
    if (SSL_connect(ssl) == 1) {
        SSL_get0_alpn_selected(ssl, &chosen, &chosen_len);
        assert_slice_equal(KV_SLICE("acme-tls/1"), kv_slice_of(chosen, chosen_len));
        assert_int_equal(X509_cmp(SSL_get0_peer_certificate(ssl), at->certificate), 0);
        assert_true(SSL_read(ssl, &byte, 1) <= 0);
        assert_int_equal(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    } else {
        (void)snprintf(out, 128, "%s", ERR_reason_error_string(ERR_peek_error()));
    }
    SSL_free(ssl);
    (void)close(fd);
}

static void an_authority_gets_its_handshake(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    bench *at = *state;
    char why[128];

    for (size_t i = 0; i < KV_COUNT(versions); i++) {
        shake(at, &(caller){ "www.example.org", right, sizeof(right) - 1, versions[i] }, why);
        assert_string_equal(why, "");
    }
    assert_int_equal(atomic_load(&at->asked), 2);
}

static void everybody_else_gets_an_alert(void **state)
{
    static const struct {
        caller who;
        const char *alert;
        unsigned asked;
    } cases[] = {
        { { "www.example.org", NULL, 0, 0 }, "no application protocol", 0 },
        { { "www.example.org", other, sizeof(other) - 1, 0 }, "no application protocol", 0 },
        { { "www.example.org", both, sizeof(both) - 1, 0 }, "no application protocol", 0 },
        { { "www.example.org", nearly, sizeof(nearly) - 1, 0 }, "no application protocol", 0 },
        { { NULL, right, sizeof(right) - 1, 0 }, "unrecognized name", 0 },
        { { "other.example.org", right, sizeof(right) - 1, 0 }, "unrecognized name", 1 },
        { { "other.example.org", right, sizeof(right) - 1, TLS1_2_VERSION },
          "unrecognized name",
          1 },
    };
    bench *at = *state;
    char why[128];

    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        unsigned before = atomic_load(&at->asked);

        shake(at, &cases[i].who, why);
        if (!strstr(why, cases[i].alert))
            fail_msg("case %zu: '%s' instead of '%s'", i, why, cases[i].alert);
        assert_int_equal(atomic_load(&at->asked), before + cases[i].asked);
    }
}

/* True when the other end has hung up; an alert may come before. */
static bool hung_up(int fd)
{
    char bytes[512];
    ssize_t got;

    do
        got = recv(fd, bytes, sizeof(bytes), 0);
    while (got > 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

static void what_is_no_hello_is_hung_up_on(void **state)
{
    static const kv_slice bytes[] = {
        KV_SLICE("GET / HTTP/1.1\r\n\r\n"),
        KV_SLICE("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
        KV_SLICE("\x80\x2e\x01\x00\x02xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        KV_SLICE("\x17\x03\x03\x00\x01x"),
    };
    bench *at = *state;
    char why[128];

    for (size_t i = 0; i < KV_COUNT(bytes); i++) {
        int fd = connect_to(at);

        assert_true(send(fd, bytes[i].data, bytes[i].len, MSG_NOSIGNAL) > 0);
        assert_true(hung_up(fd));
        (void)close(fd);
    }
    shake(at, &(caller){ "www.example.org", right, sizeof(right) - 1, 0 }, why);
    assert_string_equal(why, "");
}

/* More than there is room for, none of whom says a word: each newcomer is served. */
static void silent_ones_keep_nobody_out(void **state)
{
    enum { SILENT = 3 * ROOM };
    bench *at = *state;
    int fds[SILENT];
    char why[128];

    for (int i = 0; i < SILENT; i++) {
        fds[i] = connect_to(at);
        assert_int_equal(send(fds[i], "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    }
    for (int i = 0; i < 5; i++) {
        shake(at, &(caller){ "www.example.org", right, sizeof(right) - 1, 0 }, why);
        assert_string_equal(why, "");
    }
    /* The first ones made room, the others' time runs out. */
    for (int i = 0; i < SILENT; i++) {
        assert_true(hung_up(fds[i]));
        (void)close(fds[i]);
    }
}

static void *shake_some(void *context)
{
    uintptr_t failed = 0;
    char why[128];

    for (int i = 0; i < 10; i++) {
        shake(context, &(caller){ "www.example.org", right, sizeof(right) - 1, 0 }, why);
        failed += why[0] != '\0';
    }
    return (void *)failed;
}

static void many_are_served_at_once(void **state)
{
    pthread_t threads[ROOM / 2];

    for (size_t i = 0; i < KV_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shake_some, *state), 0);
    for (size_t i = 0; i < KV_COUNT(threads); i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_int_equal((uintptr_t)failed, 0);
    }
}

static void it_stops_with_connections_open(void **state)
{
    bench *at = *state;
    int fd = connect_to(at);

    assert_int_equal(send(fd, "\x16", 1, MSG_NOSIGNAL), 1);
    kv_alpn_stop(at->alpn);
    at->alpn = NULL;
    assert_true(hung_up(fd));
    (void)close(fd);
}

static void an_address_that_is_taken_is_said(void **state)
{
    bench *at = *state;
    kv_alpn_config config = { .protocol = "acme-tls/1", .find = find, .context = at };
    kv_alpn *second = NULL;
    kv_error err = { 0 };
    char listen[32];

    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", kv_alpn_port(at->alpn));
    config.listen = listen;
    assert_kv_fails(KV_UNAVAILABLE, kv_alpn_start(&config, &second, &err));
    config.listen = "nonsense";
    assert_kv_fails(KV_BAD_REQUEST, kv_alpn_start(&config, &second, &err));
    assert_null(second);
}

#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(an_authority_gets_its_handshake),  ON_A_BENCH(everybody_else_gets_an_alert),
        ON_A_BENCH(what_is_no_hello_is_hung_up_on),   ON_A_BENCH(silent_ones_keep_nobody_out),
        ON_A_BENCH(many_are_served_at_once),          ON_A_BENCH(it_stops_with_connections_open),
        ON_A_BENCH(an_address_that_is_taken_is_said),
    };

    return cmocka_run_group_tests_name("alpn", tests, NULL, NULL);
}
