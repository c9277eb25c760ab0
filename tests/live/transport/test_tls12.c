/* test_tls12.c - TLS 1.2 where it is allowed, as strict as TLS 1.3 about who is calling. */
#include <openssl/err.h>

#include "tests/live/transport/visitor.h"

static bool may_enter(const scene *it, int version, const char *suites, uint64_t options,
                      bool with_certificate)
{
    visitor v = visitor_of(it, version, suites);
    bool good;

    (void)SSL_CTX_set_options(v.context, options);
    if (with_certificate)
        visitor_show(&v, it->certs.client, it->certs.client_key);
    good = visitor_enters(it, &v, NULL);
    visitor_leave(&v);
    return good;
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
    assert_true(visitor_enters(it, &v, NULL));
    assert_int_equal(SSL_version(v.ssl), TLS1_3_VERSION);
    visitor_leave(&v);
}

static void the_caller_is_known_over_12(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);
    SSL_SESSION *session;

    visitor_show(&v, it->certs.client, it->certs.client_key);
    assert_true(visitor_enters(it, &v, NULL));
    assert_int_equal(visitor_echo(it, &v), 0);
    session = SSL_get1_session(v.ssl);
    (void)SSL_shutdown(v.ssl);
    visitor_leave(&v);

    /* And over a resumed session, whose certificate is in the ticket. */
    v = visitor_of(it, TLS1_2_VERSION, NULL);
    assert_true(visitor_enters(it, &v, session));
    assert_int_equal(SSL_session_reused(v.ssl), 1);
    assert_int_equal(visitor_echo(it, &v), 0);
    SSL_SESSION_free(session);
    visitor_leave(&v);
}

static void a_stranger_is_one_over_12(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);

    assert_true(visitor_enters(it, &v, NULL));
    assert_int_equal(visitor_echo(it, &v), 16);
    visitor_leave(&v);
    v = visitor_of(it, TLS1_2_VERSION, NULL);
    visitor_show(&v, it->certs.usage, it->certs.usage_key);
    assert_false(visitor_enters(it, &v, NULL));
    visitor_leave(&v);
    v = visitor_of(it, TLS1_2_VERSION, "DEFAULT:@SECLEVEL=0");
    visitor_show(&v, it->certs.weak, it->certs.weak_key);
    assert_false(visitor_enters(it, &v, NULL));
    visitor_leave(&v);
}

static void nobody_renegotiates(void **state)
{
    scene *it = *state;
    visitor v = visitor_of(it, TLS1_2_VERSION, NULL);
    char bytes[256];

    visitor_show(&v, it->certs.client, it->certs.client_key);
    assert_true(visitor_enters(it, &v, NULL));
    assert_true(SSL_read(v.ssl, bytes, sizeof(bytes)) > 0);
    ERR_clear_error();
    assert_int_equal(SSL_renegotiate(v.ssl), 1);
    (void)SSL_do_handshake(v.ssl);
    while (SSL_read(v.ssl, bytes, sizeof(bytes)) > 0)
        ;
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    visitor_leave(&v);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
#define OLD(name)   cmocka_unit_test_setup_teardown(name, scene_set_up_12, scene_tear_down)

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
