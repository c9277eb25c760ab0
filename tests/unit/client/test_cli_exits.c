/* test_cli_exits.c - exit codes and what is told on standard error. */
#include "client/cli/cli.h"

#include <stdlib.h>

#include "tests/support/kv_cmocka.h"

static void has_an_exit_code_for_every_status(void **state)
{
    static const int expected[17] = { 0, 7, 1, 2, 7, 3, 6, 4, 7, 6, 6, 2, 1, 1, 7, 1, 5 };

    (void)state;
    for (int code = 0; code < 17; code++)
        assert_int_equal(kv_cli_exit_of(code), expected[code]);
    assert_int_equal(kv_cli_exit_of(17), KV_EXIT_GENERAL);
    assert_int_equal(kv_cli_exit_of(-1), KV_EXIT_GENERAL);
}

static char *told(const keyvault_error *err, kv_exit expected)
{
    char *text = NULL;
    size_t len;
    kv_cli cli = { .err = open_memstream(&text, &len) };

    assert_int_equal(kv_cli_fail(&cli, err), expected);
    (void)fclose(cli.err);
    return text;
}

static void tells_message_field_reason_and_what_to_do(void **state)
{
    keyvault_error err = { .code = 3,
                           .name = "INVALID_ARGUMENT",
                           .field = "policy.key_props.key_size",
                           .message = "must be 2048, 3072 or 4096" };
    char *text = told(&err, KV_EXIT_USAGE);

    (void)state;
    assert_non_null(strstr(text, "kvctl: must be 2048, 3072 or 4096\n"));
    assert_non_null(strstr(text, "field:  policy.key_props.key_size\n"));
    assert_non_null(strstr(text, "code:   INVALID_ARGUMENT\n"));
    assert_non_null(strstr(text, "next:   "));
    free(text);
}

static void advises_by_the_reason_before_the_code(void **state)
{
    keyvault_error err = { .code = 9,
                           .name = "FAILED_PRECONDITION",
                           .reason = "MANAGED",
                           .message = "no",
                           .retry_ms = 500 };
    char *text = told(&err, KV_EXIT_CONFLICT);

    (void)state;
    assert_non_null(strstr(text, "FAILED_PRECONDITION (MANAGED)"));
    assert_non_null(strstr(text, "certificate of the same name"));
    assert_non_null(strstr(text, "retry:  in 500 ms"));
    free(text);
}

static void what_the_server_says_moves_no_cursor(void **state)
{
    keyvault_error err = { .code = 5,
                           .name = "NOT_FOUND",
                           .reason = "A\x1b[2J",
                           .field = "f\xc2\x9b"
                                    "1A",
                           .message = "no\r\nkvctl: done\x1b]0;t\x07\xe2\x80\xae\xff" };
    kv_error local = {
        .status = KV_UNAVAILABLE, .message = "a\nb", .detail = "\x1b[31mred", .field = "c\td"
    };
    char *text = told(&err, KV_EXIT_NOT_FOUND);
    kv_cli cli = { 0 };
    size_t len;

    (void)state;
    assert_non_null(strstr(text, "kvctl: no  kvctl: done ]0;t  ?\n"));
    assert_non_null(strstr(text, "  field:  f 1A\n"));
    assert_non_null(strstr(text, "  code:   NOT_FOUND (A [2J)\n"));
    free(text);
    cli.err = open_memstream(&text, &len);
    assert_int_equal(kv_cli_fail_local(&cli, &local), KV_EXIT_UNAVAILABLE);
    (void)fclose(cli.err);
    assert_string_equal(text, "kvctl: c d a b\n   [31mred\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_an_exit_code_for_every_status),
        cmocka_unit_test(tells_message_field_reason_and_what_to_do),
        cmocka_unit_test(advises_by_the_reason_before_the_code),
        cmocka_unit_test(what_the_server_says_moves_no_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
