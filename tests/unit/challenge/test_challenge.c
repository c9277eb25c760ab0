/* test_challenge.c - what all solvers share: finding one, tokens, digests, settings. */
#include "server/challenge/challenge.h"

#include "tests/support/kv_cmocka.h"

static const kv_challenge quick = { .type = "http-01" };

static unsigned half_a_minute(const void *context)
{
    (void)context;
    return 30000;
}

static const kv_challenge slow = { .type = "dns-01", .settle_ms = half_a_minute };

static void a_solver_is_found_by_its_type(void **state)
{
    const kv_challenge_solver solvers[] = { { &quick, NULL }, { &slow, NULL } };

    (void)state;
    assert_ptr_equal(kv_challenge_find(solvers, 2, KV_SLICE("dns-01")), &solvers[1]);
    assert_null(kv_challenge_find(solvers, 1, KV_SLICE("dns-01")));
    assert_null(kv_challenge_find(solvers, 2, KV_SLICE("dns-0")));
    assert_null(kv_challenge_find(NULL, 0, KV_SLICE("dns-01")));
    assert_int_equal(kv_challenge_settle_ms(&solvers[0]), 0);
    assert_int_equal(kv_challenge_settle_ms(&solvers[1]), 30000);
}

static void a_token_is_base64url(void **state)
{
    static const char longest[] =
        "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const kv_slice bad[] = { KV_SLICE(""),    KV_SLICE("a.b"),  KV_SLICE("../x"),
                                    KV_SLICE("a=="), KV_SLICE("a%41"), KV_SLICE("a b"),
                                    KV_SLICE("a/b"), KV_SLICE("a\0b"), KV_SLICE("\xc3\xa4"),
                                    KV_SLICE("a?b"), KV_SLICE(longest) };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_challenge_token_good(bad[i]));
    assert_true(kv_challenge_token_good(kv_slice_of(longest, KV_CHALLENGE_TOKEN_MAX)));
    assert_true(kv_challenge_token_good(KV_SLICE("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")));
}

static void a_key_authorization_is_of_its_token(void **state)
{
    kv_challenge_task task = { .token = KV_SLICE("abc"), .key_authorization = KV_SLICE("abc.x") };
    static const kv_slice bad[] = { KV_SLICE(""), KV_SLICE("abc"), KV_SLICE("abc."),
                                    KV_SLICE("abd.x"), KV_SLICE("abcx.x") };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_challenge_check_token(&task, &err));
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        task.key_authorization = bad[i];
        assert_kv_fails(KV_INTERNAL, kv_challenge_check_token(&task, &err));
    }
}

/* Computed with openssl dgst -sha256 -binary | basenc --base64url. */
static void the_digest_is_the_one_of_rfc_8555(void **state)
{
    kv_arena arena = KV_ARENA(4096);
    kv_challenge_task task = { .key_authorization = KV_SLICE("token.thumbprint"), .arena = &arena };
    kv_error err = { 0 };
    kv_slice digest;

    (void)state;
    assert_kv_ok(kv_challenge_digest(&task, &digest, &err));
    assert_int_equal(digest.len, 43);
    assert_memory_equal(digest.data, "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I", 43);
    kv_arena_cleanup(&arena);
}

static void plain_settings_say_the_type_alone(void **state)
{
    static const kv_slice good[] = { KV_SLICE(""), KV_SLICE("{}"),
                                     KV_SLICE("{\"type\":\"http-01\"}") };
    static const kv_slice bad[] = { KV_SLICE("["),
                                    KV_SLICE("[]"),
                                    KV_SLICE("{\"type\":1}"),
                                    KV_SLICE("{\"type\":\"a\",\"type\":\"b\"}"),
                                    KV_SLICE("{\"type\":\"http-01\",\"port\":80}"),
                                    KV_SLICE("\"http-01\"") };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        assert_kv_ok(kv_challenge_check_plain(good[i], NULL, &err));
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        err = (kv_error){ 0 };
        assert_kv_fails(KV_BAD_REQUEST, kv_challenge_check_plain(bad[i], NULL, &err));
        assert_string_equal(err.field, "settings");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_solver_is_found_by_its_type),
        cmocka_unit_test(a_token_is_base64url),
        cmocka_unit_test(a_key_authorization_is_of_its_token),
        cmocka_unit_test(the_digest_is_the_one_of_rfc_8555),
        cmocka_unit_test(plain_settings_say_the_type_alone),
    };

    return cmocka_run_group_tests_name("challenge", tests, NULL, NULL);
}
