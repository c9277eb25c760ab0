/* test_program.c - programs that end, hang, crash, flood, leave others behind, or may not be run.
 */
#include "server/challenge/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

enum { LONG_MS = 30000, SHORT_MS = 300 };

static kv_status run(const char *script, kv_slice input, int64_t ms, kv_program_end *end,
                     kv_error *err)
{
    kv_program program = { .argv = (const char *const[]){ "/bin/sh", "-c", script, "sh", NULL },
                           .input = input,
                           .deadline = kv_deadline_in_ms(ms) };

    *err = (kv_error){ 0 };
    return kv_program_run(&program, end, err);
}

static void it_tells_how_a_program_ended(void **state)
{
    static const struct {
        const char *script;
        int status;
        const char *said;
    } cases[] = {
        { "exit 0", 0, "" },
        { "echo out; echo err >&2; exit 7", 7, "out err" },
        { "printf 'a\\033[31mb\\n\\n'", 0, "a?[31mb" },
        { "printf '\\303\\244'", 0, "??" },
        { "kill -KILL $$", 128 + SIGKILL, "" },
        { "kill -SEGV $$", 128 + SIGSEGV, "" },
        { "pwd", 0, "/" },
        { "cat", 0, "the input" },
        { "i=0; for f in /proc/self/fd/*; do i=$((i+1)); done; echo $i", 0, "4" },
        { "env | sort | cut -d= -f1 | tr '\\n' ' '", 0, "LANG PATH PWD" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        kv_program_end end;
        kv_error err;

        assert_kv_ok(run(cases[i].script, KV_SLICE("the input"), LONG_MS, &end, &err));
        assert_int_equal(end.status, cases[i].status);
        assert_string_equal(end.said, cases[i].said);
    }
}

/* Descriptors of this process that were left open on exec must not be seen by a program. */
static void open_files_stay_here(void **state)
{
    int fd = open("/etc/passwd", O_RDONLY);
    kv_program_end end;
    kv_error err;
    char script[64];

    (void)state;
    assert_true(fd > 2);
    (void)snprintf(script, sizeof(script), "test -e /proc/self/fd/%d && echo leaked", fd);
    assert_kv_ok(run(script, KV_SLICE_NONE, LONG_MS, &end, &err));
    assert_string_equal(end.said, "");
    (void)close(fd);
}

static void of_a_flood_the_end_is_kept(void **state)
{
    kv_program_end end;
    kv_error err;

    (void)state;
    assert_kv_ok(run("head -c 1000000 /dev/zero | tr '\\0' x; echo the end", KV_SLICE_NONE, LONG_MS,
                     &end, &err));
    assert_int_equal(strlen(end.said), KV_PROGRAM_SAID - 2); /* without the newline */
    assert_string_equal(end.said + KV_PROGRAM_SAID - 2 - 10, "xxxthe end");
}

static void one_that_hangs_is_killed_with_its_children(void **state)
{
    static const char *const scripts[] = {
        "echo waiting; sleep 1000",
        "echo waiting; trap '' TERM; sleep 1000 & wait; while :; do sleep 1000; done",
        "echo waiting; while :; do :; done",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(scripts); i++) {
        kv_program_end end = { 0 };
        kv_error err;

        /* Longer, where it did not even come to say so. */
        for (int64_t ms = SHORT_MS; ms < LONG_MS && !*end.said; ms *= 4)
            assert_kv_fails(KV_TIMEOUT, run(scripts[i], KV_SLICE_NONE, ms, &end, &err));
        assert_string_equal(end.said, "waiting");
        assert_true(end.status == 128 + SIGTERM || end.status == 128 + SIGKILL);
    }
}

/* Whoever holds the pipe open does not make us wait, and does not live on. */
static void what_it_leaves_behind_goes_too(void **state)
{
    char name[] = "/tmp/kv-program-XXXXXX";
    int fd = mkstemp(name);
    char script[256];
    kv_program_end end;
    kv_error err;
    pid_t left = 0;
    FILE *file;

    (void)state;
    assert_true(fd >= 0);
    (void)snprintf(script, sizeof(script), "sleep 1000 & echo $! > %s", name);
    assert_kv_ok(run(script, KV_SLICE_NONE, LONG_MS, &end, &err));
    file = fopen(name, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &left), 1);
    for (int i = 0; i < 6000 && kill(left, 0) == 0; i++) {
        char path[64], line[128] = "";
        FILE *stat_file;

        /* Nobody may have waited for it: then it is there, but dead. */
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", left);
        stat_file = fopen(path, "re");
        if (stat_file) {
            (void)fgets(line, sizeof(line), stat_file);
            (void)fclose(stat_file);
        }
        if (strstr(line, ") Z "))
            break;
        (void)usleep(10000);
        assert_true(i < 5999);
    }
    (void)fclose(file);
    (void)close(fd);
    (void)unlink(name);
}

static void it_is_stopped(void **state)
{
    atomic_bool stopping = true;
    kv_program program = { .argv = (const char *const[]){ "/bin/sleep", "1000", NULL },
                           .deadline = kv_deadline_in_ms(LONG_MS),
                           .stopping = &stopping };
    kv_program_end end;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_CANCELLED, kv_program_run(&program, &end, &err));
}

static void what_is_none_is_not_started(void **state)
{
    kv_program program = { .argv = (const char *const[]){ "/nonexistent/program", NULL },
                           .deadline = kv_deadline_in_ms(LONG_MS) };
    kv_program_end end;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_PRECONDITION, kv_program_run(&program, &end, &err));
}

/* --- who may have written it --- */

typedef struct place {
    char folder[32];
    char path[64];
} place;

static void make(place *at)
{
    int fd;

    (void)snprintf(at->folder, sizeof(at->folder), "/tmp/kv-hook-XXXXXX");
    assert_non_null(mkdtemp(at->folder));
    (void)snprintf(at->path, sizeof(at->path), "%s/hook", at->folder);
    fd = open(at->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
    (void)close(fd);
    assert_int_equal(chmod(at->path, 0755), 0);
}

static void clear(place *at)
{
    (void)unlink(at->path);
    (void)rmdir(at->folder);
}

static kv_status check(const char *path, kv_error *err)
{
    kv_arena arena = KV_ARENA(16 * 1024);
    const char *real;
    kv_status status;

    *err = (kv_error){ 0 };
    status = kv_program_check(path, &arena, &real, err);
    kv_arena_cleanup(&arena);
    return status;
}

static void nobody_else_may_write_it(void **state)
{
    kv_error err;
    place at;

    (void)state;
    make(&at);
    assert_kv_ok_with(check(at.path, &err), &err);
    assert_int_equal(chmod(at.path, 0757), 0);
    assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    assert_int_equal(chmod(at.path, 0775), 0);
    assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    assert_int_equal(chmod(at.path, 0644), 0);
    assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    assert_int_equal(chmod(at.path, 0755), 0);
    assert_int_equal(chmod(at.folder, 0777), 0);
    assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    assert_non_null(strstr(err.message, at.folder));
    assert_int_equal(chmod(at.folder, 0755), 0);
    assert_kv_ok_with(check(at.path, &err), &err);
    if (geteuid() == 0) {
        assert_int_equal(chown(at.path, 65534, 0), 0);
        assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    }
    clear(&at);
    assert_kv_fails(KV_PRECONDITION, check(at.path, &err));
    assert_kv_fails(KV_PRECONDITION, check("hook", &err));
    assert_kv_fails(KV_PRECONDITION, check("/tmp", &err));
    assert_kv_fails(KV_PRECONDITION, check("/dev/null", &err));
    assert_kv_fails(KV_PRECONDITION, check("", &err));
}

/* A link is followed first; what counts is what it leads to. */
static void a_link_does_not_hide_it(void **state)
{
    char link[80];
    kv_error err;
    place at;

    (void)state;
    make(&at);
    (void)snprintf(link, sizeof(link), "%s/link", at.folder);
    assert_int_equal(symlink(at.path, link), 0);
    assert_kv_ok_with(check(link, &err), &err);
    assert_int_equal(chmod(at.path, 0777), 0);
    assert_kv_fails(KV_PRECONDITION, check(link, &err));
    (void)unlink(link);
    clear(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_tells_how_a_program_ended),
        cmocka_unit_test(open_files_stay_here),
        cmocka_unit_test(of_a_flood_the_end_is_kept),
        cmocka_unit_test(one_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(what_it_leaves_behind_goes_too),
        cmocka_unit_test(it_is_stopped),
        cmocka_unit_test(what_is_none_is_not_started),
        cmocka_unit_test(nobody_else_may_write_it),
        cmocka_unit_test(a_link_does_not_hide_it),
    };

    return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
