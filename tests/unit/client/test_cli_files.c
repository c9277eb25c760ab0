/* test_cli_files.c - files for the owner alone, never overwritten unasked; times and durations. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/run.h"
#include "tests/support/kv_cmocka.h"

enum { PATH_BYTES = 128, ARENA_BYTES = 1 << 20 };

typedef struct world {
    kv_cli cli;
    char *told;
    size_t told_len;
    char folder[64];
    char file[PATH_BYTES];
} world;

static const kv_cli_verb no_verb = { .noun = "secret", .verb = "download" };
static const kv_cli_option overwrite = { .name = "overwrite" };

static int set_up(void **state)
{
    world *it = calloc(1, sizeof(*it));

    (void)snprintf(it->folder, sizeof(it->folder), "/tmp/kvctl-files-XXXXXX");
    assert_non_null(mkdtemp(it->folder));
    (void)snprintf(it->file, sizeof(it->file), "%s/file", it->folder);
    it->cli.arena = KV_ARENA(ARENA_BYTES);
    it->cli.args.verb = &no_verb;
    it->cli.err = open_memstream(&it->told, &it->told_len);
    it->cli.out = stdout;
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    world *it = *state;

    (void)fclose(it->cli.err);
    free(it->told);
    kv_arena_cleanup(&it->cli.arena);
    (void)unlink(it->file);
    assert_int_equal(rmdir(it->folder), 0); /* no temporary file was left */
    free(it);
    return 0;
}

static void assert_told(world *it, const char *text)
{
    (void)fflush(it->cli.err);
    if (!strstr(it->told, text))
        fail_msg("'%s' was not told: %s", text, it->told);
}

static void assert_holds(world *it, const char *text)
{
    kv_slice bytes;

    assert_int_equal(kv_cli_read(&it->cli, it->file, 1024, &bytes), KV_EXIT_OK);
    assert_slice_equal(kv_slice_text(text), bytes);
}

static void writes_for_the_owner_alone(void **state)
{
    world *it = *state;
    struct stat is;

    (void)umask(0);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("one")), KV_EXIT_OK);
    assert_int_equal(stat(it->file, &is), 0);
    assert_int_equal(is.st_mode & 0777, 0600);
    assert_holds(it, "one");
}

static void overwrites_only_when_asked(void **state)
{
    world *it = *state;
    struct stat is;

    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("one")), KV_EXIT_OK);
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_USAGE);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("two")), KV_EXIT_USAGE);
    assert_told(it, "--overwrite");
    assert_holds(it, "one");
    it->cli.args.values[it->cli.args.count++] = (kv_cli_value){ &overwrite, "true" };
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_OK);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("two")), KV_EXIT_OK);
    assert_holds(it, "two");
    assert_int_equal(stat(it->file, &is), 0);
    assert_int_equal(is.st_mode & 0777, 0600);
}

/* As root the new file would take the place of the device. */
static void what_is_no_ordinary_file_stays(void **state)
{
    world *it = *state;
    struct stat is;

    assert_int_equal(mkfifo(it->file, 0600), 0);
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_USAGE);
    assert_told(it, "no ordinary file; '-' is standard output");
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("x")), KV_EXIT_USAGE);
    it->cli.args.values[it->cli.args.count++] = (kv_cli_value){ &overwrite, "true" };
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_USAGE);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("x")), KV_EXIT_USAGE);
    assert_int_equal(lstat(it->file, &is), 0);
    assert_true(S_ISFIFO(is.st_mode));
    (void)fflush(it->cli.err);
    assert_null(strstr(it->told, "--overwrite"));
}

/* /dev/stdout is a link like this one, wherever the output goes. */
static void a_link_to_what_is_open_stays(void **state)
{
    world *it = *state;
    FILE *output = tmpfile();
    char target[64];
    struct stat is;

    (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fileno(output));
    assert_int_equal(symlink(target, it->file), 0);
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_USAGE);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("x")), KV_EXIT_USAGE);
    assert_told(it, "no ordinary file; '-' is standard output");
    assert_null(strstr(it->told, "--overwrite"));
    it->cli.args.values[it->cli.args.count++] = (kv_cli_value){ &overwrite, "true" };
    assert_int_equal(kv_cli_may_write(&it->cli, it->file), KV_EXIT_USAGE);
    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("x")), KV_EXIT_USAGE);
    assert_int_equal(lstat(it->file, &is), 0);
    assert_true(S_ISLNK(is.st_mode));
    (void)fclose(output);
}

static void what_may_not_be_on_the_disk_is_no_success(void **state)
{
    world *it = *state;
    int fd = open(it->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    errno = EINTR;
    assert_true(kv_cli_keep(fd));
    assert_int_equal(errno, EINTR);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_false(kv_cli_keep(ends[1])); /* has no disk */
    assert_int_equal(errno, EINVAL);
    assert_int_equal(read(ends[0], &fd, 1), 0); /* and was closed all the same */
    (void)close(ends[0]);
}

static void says_when_a_file_cannot_be_written_or_read(void **state)
{
    world *it = *state;
    kv_slice bytes;

    assert_int_equal(kv_cli_write(&it->cli, "/nowhere/file", KV_SLICE("x")), KV_EXIT_GENERAL);
    assert_told(it, "/nowhere/file cannot be written");
    assert_int_equal(kv_cli_read(&it->cli, "/nowhere/file", 10, &bytes), KV_EXIT_GENERAL);
    assert_told(it, "/nowhere/file cannot be read");
}

static void refuses_more_than_the_limit(void **state)
{
    world *it = *state;
    kv_slice bytes;

    assert_int_equal(kv_cli_write(&it->cli, it->file, KV_SLICE("0123456789")), KV_EXIT_OK);
    assert_int_equal(kv_cli_read(&it->cli, it->file, 10, &bytes), KV_EXIT_OK);
    assert_int_equal(kv_cli_read(&it->cli, it->file, 9, &bytes), KV_EXIT_USAGE);
    assert_told(it, "longer than 9 bytes");
}

static void reads_standard_input_with_its_last_newline(void **state)
{
    world *it = *state;
    char text[] = "hunter2\n";
    kv_slice bytes;

    it->cli.in = fmemopen(text, strlen(text), "r");
    assert_int_equal(kv_cli_read(&it->cli, "-", 100, &bytes), KV_EXIT_OK);
    assert_slice_equal(KV_SLICE("hunter2\n"), bytes);
    (void)fclose(it->cli.in);
}

/* --- at a terminal --- */

typedef struct terminal {
    int far, near;
} terminal;

static terminal open_terminal(void)
{
    terminal at = { .far = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
    char name[64];

    assert_int_equal(grantpt(at.far) | unlockpt(at.far), 0);
    assert_int_equal(ptsname_r(at.far, name, sizeof(name)), 0);
    at.near = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(at.near >= 0);
    return at;
}

static bool echoes(const terminal *at)
{
    struct termios how;

    assert_int_equal(tcgetattr(at->near, &how), 0);
    return (how.c_lflag & ECHO) && (how.c_lflag & ISIG);
}

/* Somebody types the keys when nothing is shown any more; how the reader ends. */
static int type(world *it, const terminal *at, const char *keys)
{
    pid_t reader = fork();
    int status = 0;

    if (!reader) {
        kv_slice bytes = KV_SLICE_NONE;
        kv_exit told;

        it->cli.in = fdopen(at->near, "r");
        it->cli.err = fopen("/dev/null", "w");
        told = kv_cli_read(&it->cli, "-", 100, &bytes);
        if (told != KV_EXIT_OK)
            _exit(3);
        _exit(kv_slice_equal(bytes, KV_SLICE("hunter2")) ? 7 : 1);
    }
    assert_true(reader > 0);
    while (echoes(at))
        (void)usleep(1000);
    assert_int_equal(write(at->far, keys, strlen(keys)), strlen(keys));
    assert_int_equal(waitpid(reader, &status, 0), reader);
    return status;
}

static void what_is_typed_is_not_shown_and_read_to_the_end_of_the_line(void **state)
{
    terminal at = open_terminal();
    int status = type(*state, &at, "hunter2\n");

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(echoes(&at));
    (void)close(at.near);
    (void)close(at.far);
}

static void who_interrupts_gets_the_echo_back(void **state)
{
    static const struct {
        const char *keys;
        int signal;
    } rows[] = { { "hunt\x03", SIGINT }, { "\x1c", SIGQUIT } };

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        terminal at = open_terminal();
        int status = type(*state, &at, rows[i].keys);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), rows[i].signal);
        assert_true(echoes(&at));
        (void)close(at.near);
        (void)close(at.far);
    }
}

/* As in a script with trap '' INT: what was typed until then is no value. */
static void who_cannot_be_interrupted_gives_no_value(void **state)
{
    terminal at = open_terminal();
    int status;

    (void)signal(SIGINT, SIG_IGN);
    status = type(*state, &at, "hunt\x03");
    (void)signal(SIGINT, SIG_DFL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_true(echoes(&at));
    (void)close(at.near);
    (void)close(at.far);
}

static void reads_times(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = { { "1970-01-02", 86400 },
                 { "2026-11-21T00:23:11Z", 1795220591 },
                 { "2026-11-21 00:23:11", 1795220591 },
                 { "1795220591", 1795220591 },
                 { "none", 0 } };
    static const char *const wrong[] = {
        "", "tomorrow", "2026-13-01", "2026-11-21T00:23:11+01:00", "2026-11-21T", "-1"
    };
    int64_t seconds;
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        assert_kv_ok(kv_cli_time(rows[i].text, &seconds, &err));
        assert_int_equal(seconds, rows[i].seconds);
    }
    for (size_t i = 0; i < KV_COUNT(wrong); i++)
        assert_kv_fails(KV_BAD_REQUEST, kv_cli_time(wrong[i], &seconds, &err));
}

static void reads_durations(void **state)
{
    int64_t seconds;

    (void)state;
    assert_true(kv_cli_duration("15m", &seconds));
    assert_int_equal(seconds, 900);
    assert_true(kv_cli_duration("7d", &seconds));
    assert_int_equal(seconds, 604800);
    assert_false(kv_cli_duration("m", &seconds));
    assert_false(kv_cli_duration("15", &seconds));
    assert_false(kv_cli_duration("-5m", &seconds));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_for_the_owner_alone),
        TEST(overwrites_only_when_asked),
        TEST(says_when_a_file_cannot_be_written_or_read),
        TEST(refuses_more_than_the_limit),
        TEST(reads_standard_input_with_its_last_newline),
        TEST(what_may_not_be_on_the_disk_is_no_success),
        TEST(what_is_no_ordinary_file_stays),
        TEST(a_link_to_what_is_open_stays),
        TEST(what_is_typed_is_not_shown_and_read_to_the_end_of_the_line),
        TEST(who_interrupts_gets_the_echo_back),
        TEST(who_cannot_be_interrupted_gives_no_value),
        TEST(reads_times),
        TEST(reads_durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
