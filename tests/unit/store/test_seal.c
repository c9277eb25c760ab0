/* test_seal.c - what a seal covers, without a store. */
#include "server/store/seal.h"

#include <stdlib.h>

#include "tests/contract/store/software_sealer.h"
#include "tests/unit/store/sample_rows.h"

static const uint8_t instance[16] = { 7 };

typedef struct desk {
    kv_software_sealer *software;
    kv_sealer sealer;
    kv_seal_checker *checker;
    uint8_t seal[KV_SEAL_BYTES];
    sample_row row;
} desk;

static void seal(desk *at)
{
    uint8_t digest[KV_SEAL_DIGEST_BYTES];
    kv_error err = { 0 };

    assert_kv_ok(kv_seal_digest(kv_slice_of(instance, 16), &sample_table, &at->row, digest, &err));
    assert_kv_ok(at->sealer.sign(at->sealer.context, digest, at->seal, &err));
    at->row.head.seal = kv_slice_of(at->seal, sizeof(at->seal));
    at->row.head.seal_key = kv_slice_of(at->sealer.key_id, sizeof(at->sealer.key_id));
}

static int open_desk(void **state)
{
    desk *at = calloc(1, sizeof(*at));
    kv_error err = { 0 };

    assert_non_null(at);
    at->software = kv_software_sealer_new();
    at->row = (sample_row){ .head.generation = 5, .name = KV_SLICE("k"), .number = 3 };
    at->sealer = kv_software_sealer_lend(at->software);
    at->checker = kv_seal_checker_new(kv_slice_of(instance, 16));
    assert_non_null(at->checker);
    assert_kv_ok(kv_seal_checker_add(at->checker, at->sealer.key_id, at->sealer.spki, &err));
    seal(at);
    *state = at;
    return 0;
}

static int close_desk(void **state)
{
    desk *at = *state;

    kv_seal_checker_free(at->checker);
    kv_software_sealer_free(at->software);
    free(at);
    return 0;
}

static kv_status check(desk *at, kv_error *err)
{
    return kv_seal_check(at->checker, &sample_table, &at->row, err);
}

static void accepts_a_good_seal_again_and_again(void **state)
{
    kv_error err = { 0 };

    assert_kv_ok(check(*state, &err));
    assert_kv_ok(check(*state, &err));
}

static void assert_broken(desk *at, const char *why)
{
    kv_error err = { 0 };

    assert_kv_fails(KV_INTERNAL, check(at, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_non_null(strstr(err.detail, "samples"));
    assert_non_null(strstr(err.detail, why));
}

/* Seen good before, so the memory of good rows must not know them either. */
static void refuses_every_flipped_bit_of_a_seal(void **state)
{
    desk *at = *state;
    kv_error err = { 0 };

    assert_kv_ok(check(at, &err));
    for (size_t i = 0; i < sizeof(at->seal); i++) {
        at->seal[i] ^= (uint8_t)(1U << (i % 8));
        assert_broken(at, "verify");
        at->seal[i] ^= (uint8_t)(1U << (i % 8));
    }
    assert_kv_ok(check(at, &err));
}

static void refuses_another_generation_or_table(void **state)
{
    desk *at = *state;
    kv_table other = sample_table;
    kv_error err = { 0 };

    at->row.head.generation++;
    assert_broken(at, "verify");
    at->row.head.generation--;
    other.name = "others";
    assert_kv_fails(KV_INTERNAL, kv_seal_check(at->checker, &other, &at->row, &err));
}

static void refuses_seals_of_the_wrong_size(void **state)
{
    desk *at = *state;

    at->row.head.seal.len--;
    assert_broken(at, "no seal");
    at->row.head.seal = KV_SLICE_NONE;
    assert_broken(at, "no seal");
    memset(at->seal, 0, sizeof(at->seal));
    at->row.head.seal = kv_slice_of(at->seal, sizeof(at->seal));
    assert_broken(at, "verify");
}

static void refuses_unknown_keys(void **state)
{
    desk *at = *state;

    at->row.head.seal_key = KV_SLICE("0123456789abcdef");
    assert_broken(at, "unknown key");
    at->row.head.seal_key = KV_SLICE_NONE;
    assert_broken(at, "unknown key");
}

/* More good rows than are remembered. */
static void forgets_without_harm(void **state)
{
    desk *at = *state;
    kv_error err = { 0 };

    for (int64_t i = 0; i < 200; i++) {
        at->row.number = i;
        seal(at);
        assert_kv_ok(check(at, &err));
        at->row.number = i + 1;
        assert_broken(at, "verify");
    }
}

#define SEAL_TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEAL_TEST(accepts_a_good_seal_again_and_again),
        SEAL_TEST(refuses_every_flipped_bit_of_a_seal),
        SEAL_TEST(refuses_another_generation_or_table),
        SEAL_TEST(refuses_seals_of_the_wrong_size),
        SEAL_TEST(refuses_unknown_keys),
        SEAL_TEST(forgets_without_harm),
    };

    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
