/* test_tls_alpn.c - the certificate of a challenge: what an authority looks at in it. */
#include "server/challenge/tls_alpn.h"

#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/challenge/memory_board.h"

typedef struct bench {
    memory_board memory;
    kv_tls_alpn tls_alpn;
    kv_arena arena;
    kv_challenge_task task;
} bench;

static void set_up(bench *at)
{
    memory_board_open(&at->memory);
    at->tls_alpn = (kv_tls_alpn){ .board = &at->memory.board };
    at->arena = KV_ARENA(16 * 1024);
    at->task = (kv_challenge_task){ .name = KV_SLICE("www.example.org"),
                                    .token = KV_SLICE("abc"),
                                    .key_authorization = KV_SLICE("abc.def"),
                                    .arena = &at->arena };
}

static void assert_name(X509 *certificate, int type, kv_slice expected)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int got_type = -1;
    ASN1_STRING *got;

    assert_non_null(names);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    got = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &got_type);
    assert_int_equal(got_type, type);
    assert_slice_equal(expected,
                       kv_slice_of(ASN1_STRING_get0_data(got), (size_t)ASN1_STRING_length(got)));
    GENERAL_NAMES_free(names);
}

/* RFC 8737 section 3: critical, an OCTET STRING of SHA-256 of the key authorization. */
static void assert_identifier(X509 *certificate, const char *key_authorization)
{
    uint8_t expected[34] = { 0x04, 0x20 };
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    int at = X509_get_ext_by_OBJ(certificate, oid, -1);
    X509_EXTENSION *extension = X509_get_ext(certificate, at);
    const ASN1_OCTET_STRING *value;

    assert_true(at >= 0);
    assert_int_equal(X509_get_ext_by_OBJ(certificate, oid, at), -1);
    assert_int_equal(X509_EXTENSION_get_critical(extension), 1);
    assert_int_equal(EVP_Digest(key_authorization, strlen(key_authorization), expected + 2, NULL,
                                EVP_sha256(), NULL),
                     1);
    value = X509_EXTENSION_get_data(extension);
    assert_slice_equal(
        kv_slice_of(expected, sizeof(expected)),
        kv_slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
    ASN1_OBJECT_free(oid);
}

static void a_certificate_proves_one_name(void **state)
{
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    kv_error err = { 0 };
    bench at;

    (void)state;
    set_up(&at);
    assert_kv_ok(kv_challenge_tls_alpn.present(&at.tls_alpn, &at.task, &err));
    assert_kv_ok(kv_tls_alpn_certificate(&at.tls_alpn, KV_SLICE("WWW.example.ORG"), &certificate,
                                         &key, &err));
    assert_name(certificate, GEN_DNS, KV_SLICE("www.example.org"));
    assert_identifier(certificate, "abc.def");
    assert_int_equal(X509_check_private_key(certificate, key), 1);
    assert_int_equal(X509_verify(certificate, key), 1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(certificate)), -1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(certificate)), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    assert_kv_ok(kv_challenge_tls_alpn.clean(&at.tls_alpn, &at.task, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_tls_alpn_certificate(&at.tls_alpn, at.task.name, &certificate, &key, &err));
    kv_arena_cleanup(&at.arena);
}

static void an_address_is_asked_for_by_its_reverse_name(void **state)
{
    static const struct {
        kv_slice address;
        kv_slice sni;
        kv_slice bytes;
    } cases[] = {
        { KV_SLICE("192.0.2.7"), KV_SLICE("7.2.0.192.in-addr.arpa"), KV_SLICE("\xc0\0\2\7") },
        { KV_SLICE("2001:db8::1"),
          KV_SLICE("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
          KV_SLICE("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1") },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        X509 *certificate = NULL;
        EVP_PKEY *key = NULL;
        kv_error err = { 0 };
        bench at;

        set_up(&at);
        at.task.name = cases[i].address;
        at.task.address = true;
        assert_kv_ok(kv_challenge_tls_alpn.present(&at.tls_alpn, &at.task, &err));
        assert_kv_ok(kv_tls_alpn_certificate(&at.tls_alpn, cases[i].sni, &certificate, &key, &err));
        assert_name(certificate, GEN_IPADD, cases[i].bytes);
        X509_free(certificate);
        EVP_PKEY_free(key);
        kv_arena_cleanup(&at.arena);
    }
}

static void what_it_cannot_prove_is_not_put_up(void **state)
{
    static const struct {
        kv_slice name;
        bool address, wildcard;
    } bad[] = {
        { KV_SLICE("example.org"), false, true },
        { KV_SLICE("7.2.0.192.in-addr.arpa"), false, false },
        { KV_SLICE("x.ip6.arpa"), false, false },
        { KV_SLICE("www.example.org"), true, false },
        { KV_SLICE("192.0.2.7/24"), true, false },
        { KV_SLICE(""), false, false },
    };
    kv_error err = { 0 };
    bench at;

    (void)state;
    set_up(&at);
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        at.task.name = bad[i].name;
        at.task.address = bad[i].address;
        at.task.wildcard = bad[i].wildcard;
        assert_kv_fails(KV_PRECONDITION,
                        kv_challenge_tls_alpn.present(&at.tls_alpn, &at.task, &err));
    }
    assert_int_equal(at.memory.posted, 0);
    kv_arena_cleanup(&at.arena);
}

static void what_is_no_name_is_not_looked_for(void **state)
{
    static const kv_slice bad[] = { KV_SLICE(""), KV_SLICE("a\0b"), KV_SLICE("a..b"),
                                    KV_SLICE("\xff"), KV_SLICE("*.example.org") };
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    kv_error err = { 0 };
    char longest[300];
    bench at;

    (void)state;
    set_up(&at);
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_kv_fails(KV_NOT_FOUND,
                        kv_tls_alpn_certificate(&at.tls_alpn, bad[i], &certificate, &key, &err));
    memset(longest, 'a', sizeof(longest));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_tls_alpn_certificate(&at.tls_alpn, kv_slice_of(longest, sizeof(longest)),
                                            &certificate, &key, &err));
    assert_int_equal(at.memory.looked, 0);
    assert_null(certificate);
    kv_arena_cleanup(&at.arena);
}

/* A row that somebody else wrote: nothing but a certificate for it, or none. */
static void odd_reverse_names_make_no_certificate(void **state)
{
    static const char *const odd[] = { "x.in-addr.arpa", "1.2.in-addr.arpa", "a.ip6.arpa",
                                       "1.0.0.0.ip6.arpa" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(odd); i++) {
        X509 *certificate = NULL;
        EVP_PKEY *key = NULL;
        kv_error err = { 0 };
        bench at;
        kv_challenge_notice notice = { KV_SLICE("tls-alpn-01"), kv_slice_text(odd[i]),
                                       KV_SLICE("abc.def") };

        set_up(&at);
        assert_kv_ok(at.memory.board.post(&at.memory, &notice, &err));
        assert_kv_fails(KV_INTERNAL, kv_tls_alpn_certificate(&at.tls_alpn, notice.asked,
                                                             &certificate, &key, &err));
        kv_arena_cleanup(&at.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_proves_one_name),
        cmocka_unit_test(an_address_is_asked_for_by_its_reverse_name),
        cmocka_unit_test(what_it_cannot_prove_is_not_put_up),
        cmocka_unit_test(what_is_no_name_is_not_looked_for),
        cmocka_unit_test(odd_reverse_names_make_no_certificate),
    };

    return cmocka_run_group_tests_name("tls_alpn", tests, NULL, NULL);
}
