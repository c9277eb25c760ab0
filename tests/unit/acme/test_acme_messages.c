/* test_acme_messages.c - directories, orders, authorizations, windows, links: good and bad ones. */
#include "server/acme/messages.h"

#include <stdio.h>

#include <openssl/x509.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

static int open_arena(void **state)
{
    static kv_arena arena;

    arena = KV_ARENA(4 << 20);
    *state = &arena;
    return 0;
}

static int close_arena(void **state)
{
    kv_arena_cleanup(*state);
    return 0;
}

static void urls_are_https_and_plain(void **state)
{
    static const char *const good[] = { "https://ca.test", "https://ca.test/",
                                        "https://ca.test:1/a", "https://[::1]/a?b=c&d",
                                        "https://ca.test/a@b" };
    static const char *const bad[] = {
        "",
        "http://ca.test/",
        "HTTPS://ca.test/",
        "https://",
        "https:///a",
        "https://:1/a",
        "https://user@ca.test/",
        "https://user:word@ca.test/",
        "https://ca.test/a#b",
        "https://ca.test/a b",
        "https://ca.test/\"",
        "https://ca.test/\\",
        "https://ca.test/\r\nX: y",
        "https://ca.test/\xc3\xa4",
        "/relative",
        "//ca.test/",
    };
    char longest[KV_ACME_URL_MOST + 2] = "https://ca.test/";

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        if (!kv_acme_url_good(kv_slice_text(good[i])))
            fail_msg("'%s'", good[i]);
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        if (kv_acme_url_good(kv_slice_text(bad[i])))
            fail_msg("'%s'", bad[i]);
    memset(longest + strlen(longest), 'a', sizeof(longest) - strlen(longest) - 1);
    assert_true(kv_acme_url_good(kv_slice_of(longest, KV_ACME_URL_MOST)));
    assert_false(kv_acme_url_good(kv_slice_of(longest, KV_ACME_URL_MOST + 1)));
    assert_false(kv_acme_url_good(kv_slice_of("https://ca.test/\0", 17)));
}

#define MUST                                                                                \
    "\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\",\"newOrder\":" \
    "\"https://ca.test/o\""

static void a_directory_says_where_everything_is(void **state)
{
    kv_acme_directory directory;
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_directory_read(
        *state,
        KV_SLICE("{" MUST
                 ",\"revokeCert\":\"https://ca.test/r\",\"keyChange\":\"https://ca.test/k\""
                 ",\"renewalInfo\":\"https://ca.test/i\",\"random\":\"anything\",\"meta\":{"
                 "\"termsOfService\":\"https://ca.test/tos\",\"externalAccountRequired\":true,"
                 "\"caaIdentities\":[\"CA.test\",\"other.test\"],"
                 "\"profiles\":{\"classic\":\"https://x.test\",\"shortlived\":\"y\",\"\\n\":1}}}"),
        &directory, &err));
    assert_string_equal(directory.new_order, "https://ca.test/o");
    assert_string_equal(directory.renewal_info, "https://ca.test/i");
    assert_true(directory.binding_required);
    assert_slice_equal(KV_SLICE("ca.test"), kv_acme_authority_domain(&directory, NULL));
    assert_int_equal(directory.profile_count, 2);
    assert_slice_equal(KV_SLICE("classic"), directory.profiles[0]);

    assert_kv_ok(kv_acme_directory_read(*state, KV_SLICE("{" MUST "}"), &directory, &err));
    assert_null(directory.renewal_info);
    assert_null(directory.key_change);
    assert_int_equal(kv_acme_authority_domain(&directory, NULL).len, 0);
    assert_int_equal(directory.account_hash_prefix.len, 0);
    assert_false(directory.binding_required);
    assert_int_equal(directory.profile_count, 0);
}

typedef kv_status reader(kv_arena *arena, kv_slice body, void *out, kv_error *err);

static kv_status read_directory(kv_arena *arena, kv_slice body, void *out, kv_error *err)
{
    return kv_acme_directory_read(arena, body, out, err);
}

static kv_status read_order(kv_arena *arena, kv_slice body, void *out, kv_error *err)
{
    return kv_acme_order_read(arena, body, out, err);
}

static kv_status read_authorization(kv_arena *arena, kv_slice body, void *out, kv_error *err)
{
    return kv_acme_authorization_read(arena, body, out, err);
}

static kv_status read_window(kv_arena *arena, kv_slice body, void *out, kv_error *err)
{
    return kv_acme_window_read(arena, body, out, err);
}

static void assert_all_bad(void **state, reader *read, const char *const *bodies, size_t count)
{
    union {
        kv_acme_directory directory;
        kv_acme_order order;
        kv_acme_authorization authorization;
        kv_acme_window window;
    } out;

    for (size_t i = 0; i < count; i++) {
        kv_error err = { 0 };

        if (read(*state, kv_slice_text(bodies[i]), &out, &err) != KV_UNAVAILABLE)
            fail_msg("%s", bodies[i]);
        assert_true(strlen(err.message) > 0);
    }
}

static void bad_directories_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "{" MUST,
        "{" MUST "}{}",
        "{" MUST ",\"newOrder\":\"https://ca.test/o\"}",
        "{" MUST ",\"keyChange\":\"http://ca.test/k\"}",
        "{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\"}",
        "{\"newNonce\":1,\"newAccount\":\"https://ca.test/a\",\"newOrder\":\"https://ca.test/o\"}",
    };

    assert_all_bad(state, read_directory, bodies, KV_COUNT(bodies));
}

#define ORDER "\"finalize\":\"https://ca.test/f\",\"authorizations\":[\"https://ca.test/1\"]"

static void an_order_has_its_state_and_its_error(void **state)
{
    kv_acme_order order;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_acme_order_read(*state, KV_SLICE("{\"status\":\"pending\"," ORDER "}"), &order, &err));
    assert_int_equal(order.state, KV_ACME_PENDING);
    assert_int_equal(order.count, 1);
    assert_string_equal(order.authorizations[0], "https://ca.test/1");
    assert_false(order.failed);
    assert_null(order.certificate);

    assert_kv_ok(
        kv_acme_order_read(*state,
                           KV_SLICE("{\"status\":\"invalid\"," ORDER ",\"error\":{\"type\":"
                                    "\"urn:ietf:params:acme:error:dns\",\"detail\":\"no\"}}"),
                           &order, &err));
    assert_true(order.failed);
    assert_slice_equal(KV_SLICE("dns"), order.problem.type);
    assert_int_equal(order.problem.status, 0);
}

static void bad_orders_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{" ORDER "}",
        "{\"status\":\"happy\"," ORDER "}",
        "{\"status\":\"valid\"," ORDER "}",
        "{\"status\":\"pending\",\"finalize\":\"https://ca.test/f\"}",
        "{\"status\":\"pending\",\"finalize\":\"https://ca.test/f\",\"authorizations\":[]}",
        "{\"status\":\"pending\",\"finalize\":\"https://ca.test/f\",\"authorizations\":[7]}",
        "{\"status\":\"pending\",\"finalize\":\"https://ca.test/f\",\"authorizations\":[\"/1\"]}",
        "{\"status\":\"pending\",\"authorizations\":[\"https://ca.test/1\"]}",
    };

    assert_all_bad(state, read_order, bodies, KV_COUNT(bodies));
}

static void an_order_has_only_so_many_names(void **state)
{
    static char body[KV_ACME_NAMES_MOST * 32 + 128];

    for (unsigned count = KV_ACME_NAMES_MOST; count <= KV_ACME_NAMES_MOST + 1; count++) {
        size_t at = (size_t)snprintf(body, sizeof(body),
                                     "{\"status\":\"ready\",\"finalize\":"
                                     "\"https://ca.test/f\","
                                     "\"authorizations\":[");
        kv_acme_order order;
        kv_error err = { 0 };

        for (unsigned i = 0; i < count; i++)
            at += (size_t)snprintf(body + at, sizeof(body) - at, "%s\"https://ca.test/%u\"",
                                   i ? "," : "", i);
        (void)snprintf(body + at, sizeof(body) - at, "]}");
        assert_int_equal(kv_acme_order_read(*state, kv_slice_text(body), &order, &err),
                         count > KV_ACME_NAMES_MOST ? KV_UNAVAILABLE : KV_OK);
    }
}

static void an_authorization_has_challenges(void **state)
{
    kv_acme_authorization read;
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_authorization_read(
        *state,
        KV_SLICE("{\"status\":\"pending\",\"wildcard\":true,\"identifier\":{\"type\":\"dns\","
                 "\"value\":\"WWW.Example.test\"},\"challenges\":[{\"type\":\"dns-01\",\"url\":"
                 "\"https://ca.test/c\",\"token\":\"a-_9\",\"status\":\"invalid\",\"error\":{"
                 "\"detail\":\"no\"}},{\"type\":\"dns-persist-01\",\"url\":\"https://ca.test/p\","
                 "\"issuer-domain-names\":[\"CA.test\",\"other.test\"]}]}"),
        &read, &err));
    assert_slice_equal(KV_SLICE("www.example.test"), read.name);
    assert_true(read.wildcard);
    assert_false(read.address);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.challenges[0].state, KV_ACME_INVALID);
    assert_true(read.challenges[0].failed);
    assert_slice_equal(KV_SLICE("a-_9"), read.challenges[0].token);
    assert_int_equal(read.challenges[1].domains.count, 2);
    assert_slice_equal(KV_SLICE("ca.test"), read.challenges[1].domains.names[0]);
    assert_false(read.challenges[1].strict);
    assert_int_equal(read.challenges[1].account.len, 0);
    assert_int_equal(read.challenges[1].token.len, 0);
}

/* How authority and account are to be called in a record that stands, by challenge and directory.
 */
static void assert_called(kv_arena *arena, const char *meta, const char *challenge,
                          const char *domain, const char *account)
{
    kv_acme_authorization of;
    kv_acme_directory directory;
    kv_error err = { 0 };
    kv_slice text;

    assert_kv_ok(kv_arena_print(arena, &text, &err, "{" MUST ",\"meta\":{%s}}", meta));
    assert_kv_ok(kv_acme_directory_read(arena, text, &directory, &err));
    assert_kv_ok(kv_arena_print(arena, &text, &err,
                                "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\","
                                "\"value\":\"a.test\"},\"challenges\":[{\"url\":"
                                "\"https://ca.test/p\",\"type\":\"dns-persist-01\"%s}]}",
                                challenge));
    assert_kv_ok(kv_acme_authorization_read(arena, text, &of, &err));
    assert_slice_equal(kv_slice_text(domain),
                       kv_acme_authority_domain(&directory, &of.challenges[0]));
    assert_slice_equal(kv_slice_text(account), of.challenges[0].account);
}

static void who_is_called_how_in_a_standing_record(void **state)
{
    /* Before draft 02. */
    assert_called(*state, "", ",\"issuer-domain-names\":[\"CA.test\",\"b.test\"]", "ca.test", "");
    assert_called(*state, "\"caaIdentities\":[\"b.test\"]",
                  ",\"issuer-domain-names\":[\"ca.test\",\"b.test\"],"
                  "\"accounturi\":\"https://ca.test/acct/7\"",
                  "b.test", "https://ca.test/acct/7");
    assert_called(*state, "\"caaIdentities\":[\"b.test\"]",
                  ",\"issuer-domain-names\":[\"ca.test\"]", "ca.test", "");
    assert_called(*state, "", ",\"accounturi\":\"ftp://ca.test/acct/7\"", "", "");
    /* Since then the directory has to agree. */
    assert_called(*state, "\"issuerDomainNames\":[\"b.test\"]",
                  ",\"issuerDomainNames\":[\"ca.test\",\"b.test\"]", "b.test", "");
    assert_called(*state, "\"issuerDomainNames\":[\"b.test\",\"c.test\"]",
                  ",\"issuerDomainNames\":[\"ca.test\",\"b.test\"]", "", "");
    assert_called(*state, "\"caaIdentities\":[\"b.test\"]",
                  ",\"issuerDomainNames\":[\"ca.test\",\"b.test\"]", "", "");
    assert_called(*state, "\"caaIdentities\":[\"b.test\",\"CA.TEST\"]",
                  ",\"issuerDomainNames\":[\"ca.test\"]", "ca.test", "");
    assert_called(*state, "", ",\"issuerDomainNames\":[]", "", "");
    assert_called(*state, "", ",\"issuerDomainNames\":[\"a.test\",7]", "", "");
    assert_called(*state, "",
                  ",\"issuerDomainNames\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
                  "\"9\",\"10\"]",
                  "", "");
    /* What makes no sense in the directory is as if it were not there. */
    assert_called(*state, "\"caaIdentities\":7,\"issuerDomainNames\":[{}],\"accountHashPrefix\":1",
                  ",\"issuerDomainNames\":[\"a.test\"]", "a.test", "");
}

#define NAME "\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"}"

static void bad_authorizations_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{" NAME "}",
        "{\"status\":\"pending\"}",
        "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"\"}}",
        "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a\\nb\"}}",
        "{\"status\":\"pending\",\"identifier\":{\"type\":\"email\",\"value\":\"a@b.test\"}}",
        "{\"status\":\"pending\"," NAME ",\"challenges\":[7]}",
        "{\"status\":\"pending\"," NAME ",\"challenges\":[{\"type\":\"dns-01\"}]}",
        "{\"status\":\"pending\"," NAME ",\"challenges\":[{\"type\":\"dns-01\",\"url\":"
        "\"https://ca.test/c\",\"token\":\"../../etc\"}]}",
        "{\"status\":\"pending\"," NAME ",\"challenges\":[{\"type\":\"dns-01\",\"url\":"
        "\"http://ca.test/c\",\"token\":\"a\"}]}",
    };

    assert_all_bad(state, read_authorization, bodies, KV_COUNT(bodies));
}

static void a_window_begins_before_it_ends(void **state)
{
    static const char *const bodies[] = {
        "{}",
        "{\"suggestedWindow\":[]}",
        "{\"suggestedWindow\":{\"start\":\"2026-01-02T04:00:00Z\"}}",
        "{\"suggestedWindow\":{\"start\":\"2026-01-02T04Z\",\"end\":\"2026-01-02T04Z\"}}",
        ("{\"suggestedWindow\":{\"start\":\"2026-01-02T04:00:00Z\",\"end\":"
         "\"2026-01-02T04:00:00Z\"}}"),
        "{\"suggestedWindow\":{\"start\":\"tomorrow\",\"end\":\"2026-01-02T04:00:00Z\"}}",
    };
    kv_acme_window window;
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_window_read(
        *state,
        KV_SLICE("{\"suggestedWindow\":{\"start\":\"1970-01-01T00:00:01Z\",\"end\":"
                 "\"1970-01-01T00:00:02Z\"},\"explanationURL\":\"https://ca.test/why\"}"),
        &window, &err));
    assert_int_equal(window.start_ms, 1000);
    assert_int_equal(window.end_ms, 2000);
    assert_slice_equal(KV_SLICE("https://ca.test/why"), window.explanation);
    assert_all_bad(state, read_window, bodies, KV_COUNT(bodies));
}

static void links_to_other_chains_are_found(void **state)
{
    static const struct {
        const char *header;
        const char *first;
        const char *second;
    } cases[] = {
        { "<https://ca.test/1>;rel=\"alternate\"", "https://ca.test/1", NULL },
        { "<https://ca.test/1>; rel=alternate", "https://ca.test/1", NULL },
        { "<https://ca.test/1>; title=\"a, b; c\"; REL=\"up Alternate\"", "https://ca.test/1",
          NULL },
        { "<https://ca.test/0>;rel=\"index\", <https://ca.test/1>;rel=\"alternate\",  "
          "<https://ca.test/2>;rel=\"alternate\"",
          "https://ca.test/1", "https://ca.test/2" },
        { "<http://ca.test/1>;rel=\"alternate\",<https://ca.test/2>;rel=\"alternate\"",
          "https://ca.test/2", NULL },
        { "<https://ca.test/1>;rel=\"index\"", NULL, NULL },
        { "<https://ca.test/1>", NULL, NULL },
        { "</relative>;rel=\"alternate\"", NULL, NULL },
        { "https://ca.test/1;rel=\"alternate\"", NULL, NULL },
        { "<https://ca.test/1;rel=\"alternate\"", NULL, NULL },
        { "<https://ca.test/1>;rel=\"alternate", NULL, NULL },
        { ",,, ,", NULL, NULL },
        { "", NULL, NULL },
        { "<", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        const char *const wanted[] = { cases[i].first, cases[i].second, NULL };

        for (unsigned n = 0; n < KV_COUNT(wanted); n++) {
            kv_slice url = KV_SLICE_NONE;
            bool found = kv_acme_link_alternate(kv_slice_text(cases[i].header), n, &url);

            if (found != (wanted[n] != NULL) ||
                (found && !kv_slice_equal(url, kv_slice_text(wanted[n]))))
                fail_msg("%s: %u: %.*s", cases[i].header, n, KV_SLICE_ARG(url));
        }
    }
}

/* --- the name of a certificate --- */

/* A certificate with this serial number and, perhaps, authority key identifier. */
static kv_slice certificate(void **state, const uint8_t *serial, int len, bool names_authority)
{
    static const uint8_t key_id[] = { 0x30, 0x06, 0x80, 0x04, 0x01, 0x02, 0x03, 0x04 };
    X509 *made = X509_new();
    BIGNUM *number = BN_bin2bn(serial, len, NULL);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    unsigned char *der = NULL;
    kv_slice out;
    kv_error err = { 0 };
    soft_key key;
    int size;

    soft_key_make(&key, KV_KEY_P256, *state);
    X509_set_version(made, X509_VERSION_3);
    (void)BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made));
    X509_set_pubkey(made, key.pair);
    (void)X509_gmtime_adj(X509_getm_notBefore(made), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    assert_int_equal(ASN1_OCTET_STRING_set(value, key_id, sizeof(key_id)), 1);
    if (names_authority) {
        extension = X509_EXTENSION_create_by_NID(NULL, NID_authority_key_identifier, 0, value);
        X509_add_ext(made, extension, -1);
    }
    assert_true(X509_sign(made, key.pair, EVP_sha256()) > 0);
    size = i2d_X509(made, &der);
    assert_kv_ok(kv_arena_copy(*state, kv_slice_of(der, (size_t)size), &out, &err));
    OPENSSL_free(der);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    BN_free(number);
    X509_free(made);
    soft_key_cleanup(&key);
    return out;
}

static void a_certificates_name_keeps_the_sign_byte(void **state)
{
    static const uint8_t high[] = { 0x87, 0x65, 0x43, 0x21 }, low[] = { 0x07, 0x65, 0x43, 0x21 };
    kv_error err = { 0 };
    kv_slice name;

    assert_kv_ok(kv_acme_certificate_id(*state, certificate(state, high, 4, true), &name, &err));
    /* RFC 9773 section 4.1: the serial number of its example */
    assert_slice_equal(KV_SLICE("AQIDBA.AIdlQyE"), name);
    assert_kv_ok(kv_acme_certificate_id(*state, certificate(state, low, 4, true), &name, &err));
    assert_slice_equal(KV_SLICE("AQIDBA.B2VDIQ"), name);
    assert_kv_fails(KV_NOT_FOUND,
                    kv_acme_certificate_id(*state, certificate(state, low, 4, false), &name, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_acme_certificate_id(*state, KV_SLICE("no certificate"), &name, &err));
}

#define MESSAGE_TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESSAGE_TEST(urls_are_https_and_plain),
        MESSAGE_TEST(a_directory_says_where_everything_is),
        MESSAGE_TEST(bad_directories_are_refused),
        MESSAGE_TEST(an_order_has_its_state_and_its_error),
        MESSAGE_TEST(bad_orders_are_refused),
        MESSAGE_TEST(an_order_has_only_so_many_names),
        MESSAGE_TEST(an_authorization_has_challenges),
        MESSAGE_TEST(who_is_called_how_in_a_standing_record),
        MESSAGE_TEST(bad_authorizations_are_refused),
        MESSAGE_TEST(a_window_begins_before_it_ends),
        MESSAGE_TEST(links_to_other_chains_are_found),
        MESSAGE_TEST(a_certificates_name_keeps_the_sign_byte),
    };

    return cmocka_run_group_tests_name("acme_messages", tests, NULL, NULL);
}
