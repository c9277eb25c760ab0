/* test_cli_config.c - flags before variables before the file. */
#include "client/cli/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

enum { PATH_BYTES = 256, ARENA_BYTES = 65536 };

typedef struct world {
    char folder[64];
    char file[PATH_BYTES];
    kv_arena arena;
    kv_cli_config config;
    kv_error err;
} world;

/* "NAME=value" lists that the lookups read; one test at a time. */
static const char *const *flags;
static const char *const *variables;

static const char *look_up(const char *const *list, const char *name)
{
    size_t len = strlen(name);

    for (; list && *list; list++)
        if (!strncmp(*list, name, len) && (*list)[len] == '=')
            return *list + len + 1;
    return NULL;
}

static const char *flag(void *context, const char *name)
{
    (void)context;
    return look_up(flags, name);
}

static const char *variable(const char *name)
{
    return look_up(variables, name);
}

static int set_up(void **state)
{
    world *it = calloc(1, sizeof(*it));

    (void)snprintf(it->folder, sizeof(it->folder), "/tmp/kvctl-config-XXXXXX");
    assert_non_null(mkdtemp(it->folder));
    (void)snprintf(it->file, sizeof(it->file), "%s/kvctl.conf", it->folder);
    it->arena = KV_ARENA(ARENA_BYTES);
    flags = variables = NULL;
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    world *it = *state;

    kv_arena_cleanup(&it->arena);
    (void)unlink(it->file);
    (void)rmdir(it->folder);
    free(it);
    return 0;
}

static void write_file(const world *it, const char *text)
{
    FILE *file = fopen(it->file, "we");

    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static kv_status read_config(world *it)
{
    const kv_cli_sources sources = { flag, NULL, variable };

    return kv_cli_config_read(&sources, &it->arena, &it->config, &it->err);
}

#define READ(it) assert_kv_ok_with(read_config(it), &(it)->err)

static void flags_win_over_variables_and_those_over_the_file(void **state)
{
    world *it = *state;
    char config[PATH_BYTES + 16];
    const char *const given[] = { "endpoint=flag:1", NULL };
    const char *const set[] = { config, "KVCTL_ENDPOINT=variable:1", "KVCTL_VAULT=variable", NULL };

    (void)snprintf(config, sizeof(config), "KVCTL_CONFIG=%s", it->file);
    write_file(it, "endpoint = file:1\nvault = file\noutput = table\ntimeout = 7\n");
    flags = given;
    variables = set;
    READ(it);
    assert_string_equal(it->config.endpoint, "flag:1");
    assert_string_equal(it->config.vault, "variable");
    assert_int_equal(it->config.output, KV_OUTPUT_TABLE);
    assert_int_equal(it->config.timeout_ms, 7000);
}

static void finds_the_usual_file(void **state)
{
    world *it = *state;
    char home[PATH_BYTES];
    const char *const set[] = { home, NULL };

    (void)snprintf(home, sizeof(home), "HOME=%s", it->folder);
    variables = set;
    READ(it); /* there is none, and that is fine */
    assert_null(it->config.endpoint);
}

static void paths_are_beside_the_file(void **state)
{
    world *it = *state;
    char expected[PATH_BYTES + 16], config[PATH_BYTES + 16];
    const char *const given[] = { config, NULL };

    (void)snprintf(config, sizeof(config), "config=%s", it->file);
    (void)snprintf(expected, sizeof(expected), "%s/ca.pem", it->folder);
    write_file(it, "ca = ca.pem\nkey = /etc/key.pem\nserver_name = a\n");
    flags = given;
    READ(it);
    assert_string_equal(it->config.ca, expected);
    assert_string_equal(it->config.key, "/etc/key.pem");
    assert_string_equal(it->config.server_name, "a");
}

static void a_profile_wins_over_what_stands_above(void **state)
{
    world *it = *state;
    char config[PATH_BYTES + 16];
    const char *const officer[] = { config, "profile=officer", NULL };
    const char *const nobody[] = { config, "profile=nobody", NULL };

    (void)snprintf(config, sizeof(config), "config=%s", it->file);
    write_file(it, "endpoint = all:1\nvault = v\n[officer]\nvault = o\n[app]\nvault = a\n");
    flags = officer;
    READ(it);
    assert_string_equal(it->config.vault, "o");
    assert_string_equal(it->config.endpoint, "all:1");
    flags = nobody;
    assert_int_equal(read_config(it), KV_BAD_REQUEST);
    assert_non_null(strstr(it->err.message, "[nobody]"));
}

static void refuse(world *it, const char *text, kv_status why, const char *says)
{
    char config[PATH_BYTES + 16];
    const char *const given[] = { config, NULL };

    (void)snprintf(config, sizeof(config), "config=%s", it->file);
    if (text)
        write_file(it, text);
    flags = given;
    assert_int_equal(read_config(it), why);
    if (!strstr(it->err.message, says))
        fail_msg("'%s' is not in '%s'", says, it->err.message);
}

static void says_what_is_wrong_in_the_file(void **state)
{
    world *it = *state;

    refuse(it, NULL, KV_UNAVAILABLE, "cannot be read");
    refuse(it, "endpint = x\n", KV_BAD_REQUEST, "'endpint'");
    refuse(it, "[officer]\nendpint = x\n", KV_BAD_REQUEST, "'endpint'");
    refuse(it, "nonsense\n", KV_BAD_REQUEST, "line 1");
    refuse(it, "output = xml\n", KV_BAD_REQUEST, "json, table, tsv or csv");
    refuse(it, "timeout = soon\n", KV_BAD_REQUEST, "seconds");
    refuse(it, "timeout = 0\n", KV_BAD_REQUEST, "seconds");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(flags_win_over_variables_and_those_over_the_file),
        TEST(finds_the_usual_file),
        TEST(paths_are_beside_the_file),
        TEST(a_profile_wins_over_what_stands_above),
        TEST(says_what_is_wrong_in_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
