/* test_cli_run.c - whole command lines, as far as they go without a server. */
#include <stdlib.h>

#include "client/cli/cli.h"
#include "tests/support/kv_cmocka.h"

enum { WORDS_MAX = 24 };

typedef struct ran {
    kv_exit code;
    char *out, *err;
} ran;

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static ran run(const char *const *words)
{
    char *argv[WORDS_MAX] = { (char *)(uintptr_t) "kvctl" };
    int argc = 1;
    ran it = { 0 };
    size_t out_len, err_len;
    FILE *out = open_memstream(&it.out, &out_len), *err = open_memstream(&it.err, &err_len);

    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    it.code = kv_cli_main(argc, argv, no_environment, stdin, out, err);
    (void)fclose(out);
    (void)fclose(err);
    return it;
}

static void end(ran *it)
{
    free(it->out);
    free(it->err);
}

static void expect(const char *const *words, kv_exit code, const char *says)
{
    ran it = run(words);

    if (it.code != code || !strstr(it.err, says))
        fail_msg("%s %s: exit %d, '%s'", words[0], words[1] ? words[1] : "", it.code, it.err);
    assert_string_equal(it.out, "");
    end(&it);
}

#define LINE(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static void prints_the_files_of_an_installation(void **state)
{
    static const char *const shells[] = { "bash", "zsh" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(shells); i++) {
        ran it = run(LINE("completion", shells[i]));

        assert_int_equal(it.code, KV_EXIT_OK);
        assert_non_null(strstr(it.out, "'certificate policy'"));
        assert_non_null(strstr(it.out, "--purge-protection"));
        end(&it);
    }
    expect(LINE("completion", "fish"), KV_EXIT_USAGE, "completion");
    expect(LINE("manual", "key"), KV_EXIT_USAGE, "manual");
}

static void the_manual_has_every_verb(void **state)
{
    ran it = run(LINE("manual"));
    size_t count = kv_cli_verb_count(), found = 0;

    (void)state;
    assert_int_equal(strncmp(it.out, ".TH KVCTL 1 ", 12), 0);
    for (const char *at = it.out; (at = strstr(at, "\n.SS \"kvctl ")); at++)
        found++;
    assert_int_equal(found, count);
    end(&it);
}

static void gives_help_on_standard_output(void **state)
{
    ran it = run(LINE("--help"));

    (void)state;
    assert_int_equal(it.code, KV_EXIT_OK);
    assert_non_null(strstr(it.out, "Exit codes:"));
    assert_string_equal(it.err, "");
    end(&it);
}

static void tells_mistakes_on_standard_error(void **state)
{
    (void)state;
    expect((const char *const[]){ NULL, NULL }, KV_EXIT_USAGE, "Exit codes:");
    expect(LINE("key"), KV_EXIT_USAGE, "kvctl key VERB");
    expect(LINE("key", "sgn"), KV_EXIT_USAGE, "key sign");
    expect(LINE("key", "show", "--vault", "v"), KV_EXIT_USAGE, "--name");
    expect(LINE("vault", "list", "--output", "xml"), KV_EXIT_USAGE, "json, table, tsv or csv");
    expect(LINE("vault", "list"), KV_EXIT_USAGE, "KVCTL_ENDPOINT");
    expect(LINE("vault", "list", "--endpoint", "h"), KV_EXIT_USAGE, "KVCTL_CA");
    expect(LINE("vault", "list", "--endpoint", "h", "--ca", "/nowhere"), KV_EXIT_UNAVAILABLE,
           "/nowhere");
    expect(LINE("vault", "list", "--endpoint", "h", "--ca", "x", "--roles", "king"), KV_EXIT_USAGE,
           "king");
    expect(LINE("vault", "list", "--config", "/nowhere"), KV_EXIT_USAGE, "/nowhere");
}

static void checks_values_before_it_calls(void **state)
{
    (void)state;
    expect(LINE("key", "create", "--vault", "v", "--name", "k", "--key-type", "DSA"), KV_EXIT_USAGE,
           "ec, rsa");
    expect(LINE("key", "create", "--vault", "v", "--name", "k", "--key-type", "EC", "--expires",
                "soon"),
           KV_EXIT_USAGE, "2030-01-31");
    expect(LINE("certificate", "create", "--vault", "v", "--name", "c", "--policy", "{\"a\": 1}"),
           KV_EXIT_USAGE, "no such field");
    expect(LINE("certificate", "create", "--vault", "v", "--name", "c", "--policy", "{"),
           KV_EXIT_USAGE, "line 1");
    expect(LINE("certificate", "create", "--vault", "v", "--name", "c", "--policy", "@/nowhere"),
           KV_EXIT_GENERAL, "/nowhere");
    expect(LINE("certificate", "show", "--vault", "v"), KV_EXIT_USAGE, "--thumbprint");
    expect(LINE("key", "sign", "--vault", "v", "--name", "k", "--algorithm", "ES256"),
           KV_EXIT_USAGE, "--message-file");
    expect(LINE("token", "revoke"), KV_EXIT_USAGE, "--jti");
    expect(LINE("principal", "credential", "add", "--principal", "p"), KV_EXIT_USAGE,
           "--certificate-file");
    expect(LINE("audit", "verify"), KV_EXIT_USAGE, "--live");
    expect(LINE("audit", "verify", "--folder", "/nowhere"), KV_EXIT_USAGE, "--public-key");
    expect(LINE("audit", "search", "--since", "long"), KV_EXIT_USAGE, "15m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_files_of_an_installation),
        cmocka_unit_test(the_manual_has_every_verb),
        cmocka_unit_test(gives_help_on_standard_output),
        cmocka_unit_test(tells_mistakes_on_standard_error),
        cmocka_unit_test(checks_values_before_it_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
