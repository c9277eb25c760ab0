/* test_wording.c - gRPC's small spellings. */
#include "server/front/grpc/wording.h"

#include "tests/support/kv_cmocka.h"

static int make(void **state)
{
    static kv_arena arena;

    arena = KV_ARENA(65536);
    *state = &arena;
    return 0;
}

static int drop(void **state)
{
    kv_arena_cleanup(*state);
    return 0;
}

static void a_prefix_holds_the_length(void **state)
{
    uint8_t prefix[KV_GRPC_PREFIX_BYTES];

    (void)state;
    kv_grpc_prefix(0x01020304, prefix);
    assert_memory_equal(prefix, "\0\1\2\3\4", 5);
    assert_int_equal(kv_grpc_prefix_length(prefix), 0x01020304);
}

static void timeouts_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        { "1H", 3600000 }, { "2M", 120000 }, { "3S", 3000 }, { "99999999m", 99999999 },
        { "1500u", 2 },    { "1n", 1 },      { "0m", 0 },
    };
    static const char *const bad[] = {
        "", "5", "S", "-5S", "5s", "100000000S", "1.5S", " 5S", "5SS"
    };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++) {
        assert_true(kv_grpc_timeout_parse(kv_slice_text(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_grpc_timeout_parse(kv_slice_text(bad[i]), &ms));
}

static void timeouts_are_written_so_that_they_can_be_read(void **state)
{
    static const int64_t all[] = { 1, 99999999, 100000000, 86400000000 };
    char text[KV_GRPC_TIMEOUT_TEXT_BYTES];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(all); i++) {
        kv_grpc_timeout_text(all[i], text);
        assert_true(kv_grpc_timeout_parse(kv_slice_text(text), &ms));
        assert_int_equal(ms, all[i]);
    }
    kv_grpc_timeout_text(-5, text);
    assert_string_equal(text, "1m");
}

static void percent_goes_there_and_back(void **state)
{
    kv_slice words = KV_SLICE("100% na\xc3\xafve\n~"), out;
    kv_error err;

    assert_kv_ok(kv_grpc_percent(*state, words, &out, &err));
    assert_slice_equal(KV_SLICE("100%25 na%C3%AFve%0A~"), out);
    assert_kv_ok(kv_grpc_unpercent(*state, out, &out, &err));
    assert_slice_equal(words, out);
}

static void broken_percent_stays(void **state)
{
    kv_slice out;
    kv_error err;

    assert_kv_ok(kv_grpc_unpercent(*state, KV_SLICE("a%zzb%4"), &out, &err));
    assert_slice_equal(KV_SLICE("a%zzb%4"), out);
}

static void base64_goes_there_and_back(void **state)
{
    static const char bytes[] = "\0\1\2\377\376abc";
    kv_error err;

    for (size_t len = 0; len < sizeof(bytes); len++) {
        kv_slice out;

        assert_kv_ok(kv_grpc_base64(*state, kv_slice_of(bytes, len), &out, &err));
        assert_null(out.len ? memchr(out.data, '=', out.len) : NULL);
        assert_kv_ok(kv_grpc_unbase64(*state, out, &out, &err));
        assert_slice_equal(kv_slice_of(bytes, len), out);
    }
}

static void padded_base64_is_read_and_broken_is_not(void **state)
{
    kv_slice out;
    kv_error err;

    assert_kv_ok(kv_grpc_unbase64(*state, KV_SLICE("YQ=="), &out, &err));
    assert_slice_equal(KV_SLICE("a"), out);
    assert_kv_fails(KV_BAD_REQUEST, kv_grpc_unbase64(*state, KV_SLICE("Y"), &out, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_grpc_unbase64(*state, KV_SLICE("Y*=="), &out, &err));
}

static void every_status_has_a_way_back(void **state)
{
    (void)state;
    for (kv_status status = KV_OK; status < KV_STATUS_COUNT; status++)
        assert_int_equal(kv_grpc_status_of(kv_status_spelling(status)->grpc), status);
    assert_int_equal(kv_grpc_status_of(2), KV_INTERNAL);
    assert_int_equal(kv_grpc_status_of(11), KV_BAD_REQUEST);
}

#define WITH_ARENA(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_holds_the_length),
        cmocka_unit_test(timeouts_are_read),
        cmocka_unit_test(timeouts_are_written_so_that_they_can_be_read),
        WITH_ARENA(percent_goes_there_and_back),
        WITH_ARENA(broken_percent_stays),
        WITH_ARENA(base64_goes_there_and_back),
        WITH_ARENA(padded_base64_is_read_and_broken_is_not),
        cmocka_unit_test(every_status_has_a_way_back),
    };

    return cmocka_run_group_tests_name("wording", tests, NULL, NULL);
}
