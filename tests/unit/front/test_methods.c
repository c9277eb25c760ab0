/* test_methods.c - paths to rows. */
#include "server/front/grpc/methods.h"

#include "tests/support/kv_cmocka.h"

#define ROW(path)                                                    \
    {                                                                \
        .name = path, .at = { [KV_DOOR_GRPC] = { .pattern = path } } \
    }

static void rows_are_found_by_their_path(void **state)
{
    static const kv_route rows[] = { ROW("/a.B/C"), ROW("/a.B/D"), { .name = "rest only" } };
    kv_methods *methods;
    kv_error err;

    (void)state;
    assert_kv_ok(kv_methods_new(rows, KV_COUNT(rows), &methods, &err));
    assert_ptr_equal(kv_methods_find(methods, KV_SLICE("/a.B/C")), &rows[0]);
    assert_ptr_equal(kv_methods_find(methods, KV_SLICE("/a.B/D")), &rows[1]);
    assert_null(kv_methods_find(methods, KV_SLICE("/a.B/E")));
    assert_null(kv_methods_find(methods, KV_SLICE("/a.B/C ")));
    assert_null(kv_methods_find(methods, KV_SLICE_NONE));
    assert_true(kv_methods_has_service(methods, KV_SLICE("a.B")));
    assert_false(kv_methods_has_service(methods, KV_SLICE("a")));
    assert_false(kv_methods_has_service(methods, KV_SLICE("a.BC")));
    assert_false(kv_methods_has_service(methods, KV_SLICE("a.B/C/and/much/more")));
    kv_methods_free(methods);
}

static void two_rows_cannot_share_a_path(void **state)
{
    static const kv_route rows[] = { ROW("/a.B/C"), ROW("/a.B/C") };
    kv_methods *methods;
    kv_error err;

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, kv_methods_new(rows, KV_COUNT(rows), &methods, &err));
}

static void a_path_has_a_service_and_a_method(void **state)
{
    static const kv_route no_slash[] = { ROW("a.B/C") }, no_method[] = { ROW("/a.B") };
    kv_methods *methods;
    kv_error err;

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, kv_methods_new(no_slash, 1, &methods, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_methods_new(no_method, 1, &methods, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_their_path),
        cmocka_unit_test(two_rows_cannot_share_a_path),
        cmocka_unit_test(a_path_has_a_service_and_a_method),
    };

    return cmocka_run_group_tests_name("methods", tests, NULL, NULL);
}
