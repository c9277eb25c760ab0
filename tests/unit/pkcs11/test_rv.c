/* test_rv.c - every code has one row, and its class decides what the caller hears. */
#include "pkcs11/rv.h"

#include "tests/support/kv_cmocka.h"

static void codes_are_there_once(void **state)
{
    const kv_rv_row *row, *other;

    (void)state;
    for (size_t i = 0; (row = kv_rv_at(i)); i++) {
        assert_ptr_equal(kv_rv_of(row->rv), row);
        assert_true(strncmp(row->name, "CKR_", 4) == 0);
        for (size_t j = 0; j < i && (other = kv_rv_at(j)); j++)
            assert_int_not_equal(row->rv, other->rv);
    }
    assert_string_equal(kv_rv_of(0x7fffffff)->name, "CKR_(unknown)");
    assert_int_equal(kv_rv_of(0x7fffffff)->class, KV_RV_TOKEN_DOWN);
}

static void the_class_decides_the_status(void **state)
{
    static const kv_status expected[] = {
        [KV_RV_OK] = KV_UNAVAILABLE,          [KV_RV_CALLER] = KV_BAD_REQUEST,
        [KV_RV_NEW_SESSION] = KV_UNAVAILABLE, [KV_RV_REINITIALISE] = KV_UNAVAILABLE,
        [KV_RV_BAD_KEY] = KV_UNAVAILABLE,     [KV_RV_CONFIGURATION] = KV_PRECONDITION,
        [KV_RV_TOKEN_DOWN] = KV_UNAVAILABLE,
    };
    const kv_rv_row *row;
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; (row = kv_rv_at(i)); i++) {
        assert_kv_fails(expected[row->class], kv_rv_fail(&err, row->rv, "C_Sign"));
        assert_non_null(strstr(err.detail, row->name));
        assert_non_null(strstr(err.detail, "C_Sign"));
        /* What the caller hears names no code. */
        assert_null(strstr(err.message, "CKR"));
        if (err.status == KV_UNAVAILABLE) {
            assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
            assert_true(err.retry_ms > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_there_once),
        cmocka_unit_test(the_class_decides_the_status),
    };

    return cmocka_run_group_tests_name("rv", tests, NULL, NULL);
}
