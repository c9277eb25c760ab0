/* test_dns.c - records of names, and a hook that puts them: what it gets, and how it may fail. */
#include "server/challenge/dns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

enum { LONG_MS = 30000 };

typedef struct bench {
    char folder[32];
    char path[64];
    kv_arena arena;
    kv_challenge_task task;
    kv_dns_hook hook;
} bench;

static int set_up(void **state)
{
    bench *at = calloc(1, sizeof(*at));

    assert_non_null(at);
    (void)snprintf(at->folder, sizeof(at->folder), "/tmp/kv-dns-XXXXXX");
    assert_non_null(mkdtemp(at->folder));
    (void)snprintf(at->path, sizeof(at->path), "%s/hook", at->folder);
    at->arena = KV_ARENA(64 * 1024);
    at->task = (kv_challenge_task){
        .name = KV_SLICE("www.example.org"),
        .token = KV_SLICE("abc"),
        .key_authorization = KV_SLICE("abc.def"),
        .deadline = kv_deadline_in_ms(LONG_MS),
        .arena = &at->arena,
    };
    at->hook.path = at->path;
    at->hook.run.seconds = 20;
    at->hook.run.settle_ms = 30000;
    kv_dns_hook_open(&at->hook);
    *state = at;
    return 0;
}

static char *said_path(const bench *at, char out[64])
{
    (void)snprintf(out, 64, "%s/said", at->folder);
    return out;
}

static int take_down(void **state)
{
    bench *at = *state;
    char path[64];

    (void)unlink(at->path);
    (void)unlink(said_path(at, path));
    (void)rmdir(at->folder);
    kv_dns_hook_close(&at->hook);
    kv_arena_cleanup(&at->arena);
    free(at);
    return 0;
}

/* The hook may use $SAID, a file beside it. */
static void write_hook(const bench *at, const char *script)
{
    FILE *file = fopen(at->path, "we");
    char said[64];

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\nSAID=%s\n%s\n", said_path(at, said), script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(at->path, 0700), 0);
}

static void assert_said(const bench *at, const char *expected)
{
    char path[64], text[2048] = "";
    FILE *file = fopen(said_path(at, path), "re");

    assert_non_null(file);
    (void)!fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    assert_string_equal(text, expected);
}

/* --- records --- */

static void names_are_of_dns(void **state)
{
    static const char label[] = "a23456789012345678901234567890123456789012345678901234567890123";
    static const char *const good[] = { "a",    "www.example.org", "xn--bcher-kva.example",
                                        "_x.y", "1.2.3",           label };
    static const char *const bad[] = { "",     ".",    "a.",   ".a",   "a..b",
                                       "-a.b", "a-.b", "a.b-", "A.b",  "a b",
                                       "a\nb", "*.a",  "a;b",  "a\"b", "\xc3\xa4" };
    char longer[80], long_name[300] = "";

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        assert_true(kv_dns_name_good(kv_slice_text(good[i])));
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_dns_name_good(kv_slice_text(bad[i])));
    (void)snprintf(longer, sizeof(longer), "%s4", label);
    assert_false(kv_dns_name_good(kv_slice_text(longer)));
    (void)snprintf(long_name, sizeof(long_name), "%s.%s.%s.%s", label, label, label, label);
    assert_false(kv_dns_name_good(kv_slice_text(long_name)));
    assert_true(kv_dns_name_good(kv_slice_of(long_name, KV_CHALLENGE_NAME_MAX)));
}

static void a_record_is_made_of_name_and_key_authorization(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };
    kv_dns_record record;
    char name[KV_CHALLENGE_NAME_MAX + 1];

    assert_kv_ok(kv_dns_record_of(&at->task, &record, &err));
    assert_string_equal(record.name, "_acme-challenge.www.example.org.");
    assert_string_equal(record.value, "67MSe_XHxLTkK1FxD0lGwcHQWzMdI3ndFeOlQx7ZNBY");

    at->task.name = KV_SLICE("a\nupdate delete example.org");
    assert_kv_fails(KV_BAD_REQUEST, kv_dns_record_of(&at->task, &record, &err));
    at->task.name = KV_SLICE("192.0.2.1");
    at->task.address = true;
    assert_kv_fails(KV_BAD_REQUEST, kv_dns_record_of(&at->task, &record, &err));
    at->task.address = false;
    memset(name, 'a', sizeof(name));
    for (int i = 50; i < KV_CHALLENGE_NAME_MAX; i += 50)
        name[i] = '.';
    at->task.name = kv_slice_of(name, KV_CHALLENGE_NAME_MAX - 16);
    assert_kv_ok(kv_dns_record_of(&at->task, &record, &err));
    at->task.name = kv_slice_of(name, KV_CHALLENGE_NAME_MAX - 15);
    assert_kv_fails(KV_BAD_REQUEST, kv_dns_record_of(&at->task, &record, &err));
}

/* --- the hook --- */

static void a_hook_gets_verb_name_and_value(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };

    write_hook(at, "echo \"$# $*\" >> \"$SAID\"");
    at->task.wildcard = true;
    assert_kv_ok(kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    assert_kv_ok(kv_challenge_dns_hook.clean(&at->hook, &at->task, &err));
    assert_said(
        at,
        "3 present _acme-challenge.www.example.org. 67MSe_XHxLTkK1FxD0lGwcHQWzMdI3ndFeOlQx7ZNBY\n"
        "3 clean _acme-challenge.www.example.org. 67MSe_XHxLTkK1FxD0lGwcHQWzMdI3ndFeOlQx7ZNBY\n");
    assert_int_equal(kv_challenge_dns_hook.settle_ms(&at->hook), 30000);
}

static void a_hook_that_fails_is_quoted(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };

    write_hook(at, "echo no such zone >&2; exit 3");
    assert_kv_fails(KV_UNAVAILABLE, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    assert_string_equal(err.message, "the DNS hook ended with status 3: 'no such zone'");
    write_hook(at, "kill -ABRT $$");
    assert_kv_fails(KV_UNAVAILABLE, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    assert_non_null(strstr(err.message, "status 134"));
    write_hook(at, "head -c 1000000 /dev/zero | tr '\\0' y; exit 1");
    assert_kv_fails(KV_UNAVAILABLE, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    assert_non_null(strstr(err.message, "yyyy"));
}

static void a_hook_that_hangs_is_killed(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };
    char message[128];

    write_hook(at, "echo waiting for the zone; sleep 1000");
    /* Longer, where it did not even come to say so. */
    for (unsigned s = 1; s < 20 && !strstr(err.message, "waiting"); s *= 4) {
        at->hook.run.seconds = s;
        assert_kv_fails(KV_UNAVAILABLE, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    }
    (void)snprintf(message, sizeof(message),
                   "the DNS hook did not end in %u s and was killed: 'waiting for the zone'",
                   (unsigned)at->hook.run.seconds);
    assert_string_equal(err.message, message);
    /* The order's own deadline counts as well. */
    at->hook.run.seconds = 1000;
    at->task.deadline = kv_deadline_in_ms(100);
    assert_kv_fails(KV_UNAVAILABLE, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
}

static void a_hook_that_others_may_write_is_not_run(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };
    char path[64];

    write_hook(at, "touch \"$SAID\"");
    assert_int_equal(chmod(at->path, 0702), 0);
    assert_kv_fails(KV_PRECONDITION, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    (void)unlink(at->path);
    assert_kv_fails(KV_PRECONDITION, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
    assert_non_null(strstr(err.message, at->path));
    assert_int_not_equal(access(said_path(at, path), F_OK), 0);
}

static void *present(void *context)
{
    bench *at = context;
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_challenge_task task = at->task;
    kv_error err = { 0 };
    kv_status status;

    task.arena = &arena;
    status = kv_challenge_dns_hook.present(&at->hook, &task, &err);
    kv_arena_cleanup(&arena);
    return (void *)(uintptr_t)status;
}

/* A second one that ran beside the first would find its folder there. */
static void hooks_run_one_after_the_other(void **state)
{
    enum { MANY = 6 };
    bench *at = *state;
    pthread_t threads[MANY];

    write_hook(at, "mkdir \"$SAID.busy\" || exit 1\nsleep 0.05\nrmdir \"$SAID.busy\"\n"
                   "echo done >> \"$SAID\"");
    for (int i = 0; i < MANY; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, present, at), 0);
    for (int i = 0; i < MANY; i++) {
        void *status = NULL;

        assert_int_equal(pthread_join(threads[i], &status), 0);
        assert_int_equal((uintptr_t)status, KV_OK);
    }
    assert_said(at, "done\ndone\ndone\ndone\ndone\ndone\n");
}

static void whoever_waits_too_long_is_told_so(void **state)
{
    bench *at = *state;
    kv_challenge_task second;
    kv_error err = { 0 };
    pthread_t first;
    char path[64];

    write_hook(at, "echo begun > \"$SAID\"; sleep 1000");
    assert_int_equal(pthread_create(&first, NULL, present, at), 0);
    while (access(said_path(at, path), F_OK) != 0)
        (void)usleep(10000);
    second = at->task;
    second.deadline = kv_deadline_in_ms(100);
    assert_kv_fails(KV_BUSY, kv_challenge_dns_hook.present(&at->hook, &second, &err));
    atomic_store(&at->hook.run.stopping, true);
    assert_int_equal(pthread_join(first, NULL), 0);
}

static void nothing_runs_when_the_server_stops(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };

    write_hook(at, "sleep 1000");
    atomic_store(&at->hook.run.stopping, true);
    assert_kv_fails(KV_CANCELLED, kv_challenge_dns_hook.present(&at->hook, &at->task, &err));
}

#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(names_are_of_dns),
        ON_A_BENCH(a_record_is_made_of_name_and_key_authorization),
        ON_A_BENCH(a_hook_gets_verb_name_and_value),
        ON_A_BENCH(a_hook_that_fails_is_quoted),
        ON_A_BENCH(a_hook_that_hangs_is_killed),
        ON_A_BENCH(a_hook_that_others_may_write_is_not_run),
        ON_A_BENCH(hooks_run_one_after_the_other),
        ON_A_BENCH(whoever_waits_too_long_is_told_so),
        ON_A_BENCH(nothing_runs_when_the_server_stops),
    };

    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
