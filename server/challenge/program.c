/* program.c - runs a program of the operator's and waits for its end. */
#include "server/challenge/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, GRACE_MS = 500, CHUNK = 4096, FIRST_CLOSED = 3, SIGNALLED = 128 };

/* --- who may have written it --- */

static bool ours(const struct stat *info)
{
    return (info->st_uid == 0 || info->st_uid == geteuid()) &&
           !(info->st_mode & (S_IWGRP | S_IWOTH));
}

/* Each folder above: whoever may write one can put another program in its place. */
static kv_status check_folders(char *path, kv_error *err)
{
    char *slash = strrchr(path, '/');

    for (; slash; slash = strrchr(path, '/')) {
        struct stat info;
        bool last = slash == path;

        slash[last] = '\0';
        if (stat(path, &info) != 0)
            return kv_fail(err, KV_PRECONDITION, "the folder '%.100s' cannot be looked at", path);
        if (!ours(&info) && !((info.st_mode & S_ISVTX) && info.st_uid == 0))
            return kv_fail(err, KV_PRECONDITION,
                           "others than root and the server may write the folder '%.100s'", path);
        if (last)
            break;
    }
    return KV_OK;
}

static kv_status check_file(const char *path, const char *real, kv_error *err)
{
    struct stat info;

    if (stat(real, &info) != 0)
        return kv_fail(err, KV_PRECONDITION, "there is no program '%.120s'", path);
    if (!S_ISREG(info.st_mode) || faccessat(AT_FDCWD, real, X_OK, AT_EACCESS) != 0)
        return kv_fail(err, KV_PRECONDITION, "'%.120s' cannot be executed", path);
    if (!ours(&info))
        return kv_fail(err, KV_PRECONDITION,
                       "others than root and the server own or may write '%.100s'", path);
    return KV_OK;
}

kv_status kv_program_check(const char *path, kv_arena *arena, const char **out, kv_error *err)
{
    char *real = path[0] == '/' ? realpath(path, NULL) : NULL;
    kv_status status;

    if (!real)
        return kv_fail(err, KV_PRECONDITION, "there is no program '%.120s'", path);
    status = check_file(path, real, err);
    if (status == KV_OK)
        status = kv_arena_text(arena, kv_slice_text(real), out, err);
    if (status == KV_OK)
        status = check_folders(real, err);
    free(real);
    return status;
}

/* --- running --- */

typedef struct process {
    pid_t pid;
    int fd;     /* of the process */
    int output; /* what it prints */
    size_t len; /* of what is kept: the last bytes */
    uint8_t kept[KV_PROGRAM_SAID - 1];
} process;

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Standard input is a pipe that holds everything already, so nobody has to feed it. */
static kv_status make_input(kv_slice input, int *fd, kv_error *err)
{
    int ends[2];

    if (input.len > KV_PROGRAM_INPUT)
        return kv_fail(err, KV_INTERNAL, "too much input for a program");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "a program cannot be run: no descriptor is left");
    *fd = ends[0];
    if (input.len && write(ends[1], input.data, input.len) != (ssize_t)input.len) {
        close_one(&ends[1]);
        return kv_fail(err, KV_UNAVAILABLE, "a program's input cannot be written");
    }
    close_one(&ends[1]);
    return KV_OK;
}

/* All signals as they are by default, none blocked; no descriptor but the three. */
static int spawn(const kv_program *program, int input, int output, pid_t *pid)
{
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char language[] = "LANG=C.UTF-8";
    char *const environment[] = { path, language, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&how);
    rc = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, FIRST_CLOSED);
    if (!rc)
        rc = posix_spawn_file_actions_addchdir_np(&files, "/");
    if (!rc)
        rc = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setpgroup(&how, 0);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)posix_spawnattr_setsigdefault(&how, &all);
    if (!rc)
        rc = posix_spawn(pid, program->argv[0], &files, &how, (char *const *)program->argv,
                         environment);
    (void)posix_spawnattr_destroy(&how);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

static void keep(process *it, const uint8_t *data, size_t len)
{
    size_t room = sizeof(it->kept);

    if (len >= room) {
        memcpy(it->kept, data + len - room, room);
        it->len = room;
        return;
    }
    if (it->len + len > room) {
        size_t gone = it->len + len - room;

        memmove(it->kept, it->kept + gone, it->len - gone);
        it->len -= gone;
    }
    memcpy(it->kept + it->len, data, len);
    it->len += len;
}

/* One piece of what it printed; false when there is none now. */
static bool hear(process *it)
{
    uint8_t chunk[CHUNK];
    ssize_t got = it->output >= 0 ? read(it->output, chunk, sizeof(chunk)) : 0;

    if (got > 0)
        keep(it, chunk, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        close_one(&it->output);
    return got > 0;
}

/* True when it has ended. */
static bool wait_a_moment(process *it, int64_t ms)
{
    struct pollfd fds[] = { { .fd = it->fd, .events = POLLIN },
                            { .fd = it->output, .events = POLLIN } };

    if (poll(fds, 2, (int)ms) < 0)
        return false;
    if (fds[1].revents)
        (void)hear(it);
    return fds[0].revents != 0;
}

static kv_status wait_for_end(const kv_program *program, process *it, kv_error *err)
{
    for (;;) {
        int64_t left = kv_deadline_left_ms(program->deadline);

        if (wait_a_moment(it, left < LOOK_MS ? left : LOOK_MS))
            return KV_OK;
        if (program->stopping && atomic_load(program->stopping))
            return kv_fail(err, KV_CANCELLED, "the server stops");
        if (left <= 0)
            return kv_fail(err, KV_TIMEOUT, "the program did not end in its time");
    }
}

/* First asks, then does not. The process is not waited for before, so its group's number is its
 * own. */
static void end_all(process *it, bool ended)
{
    kv_deadline grace = kv_deadline_in_ms(GRACE_MS);

    if (!ended)
        (void)kill(-it->pid, SIGTERM);
    while (!ended && !kv_deadline_passed(grace))
        ended = wait_a_moment(it, LOOK_MS);
    (void)kill(-it->pid, SIGKILL);
}

static int reap(const process *it)
{
    int status = 0;

    while (waitpid(it->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static void quote(const process *it, char out[KV_PROGRAM_SAID])
{
    size_t len = it->len;

    while (len && it->kept[len - 1] <= ' ')
        len--;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = it->kept[i];

        out[i] = (char)(c == '\n' || c == '\t' || c == '\r' ? ' ' : c < ' ' || c > '~' ? '?' : c);
    }
    out[len] = '\0';
}

static kv_status attend(const kv_program *program, process *it, kv_program_end *out, kv_error *err)
{
    kv_status status = wait_for_end(program, it, err);

    end_all(it, status == KV_OK);
    out->status = reap(it);
    for (int i = 0; i < CHUNK && hear(it); i++)
        continue;
    quote(it, out->said);
    return status;
}

static kv_status start(const kv_program *program, process *it, kv_error *err)
{
    int input = -1;
    int output[2] = { -1, -1 };
    kv_status status = make_input(program->input, &input, err);
    int rc;

    if (status == KV_OK && pipe2(output, O_CLOEXEC) != 0)
        status = kv_fail(err, KV_UNAVAILABLE, "a program cannot be run: no descriptor is left");
    if (status == KV_OK) {
        rc = spawn(program, input, output[1], &it->pid);
        if (rc)
            status = kv_fail(err, rc == EAGAIN || rc == ENOMEM ? KV_UNAVAILABLE : KV_PRECONDITION,
                             "'%.100s' cannot be started: %s", program->argv[0], strerror(rc));
    }
    close_one(&input);
    close_one(&output[1]);
    it->output = output[0];
    if (status != KV_OK)
        return status;
    (void)fcntl(it->output, F_SETFL, O_NONBLOCK);
    it->fd = pidfd_open(it->pid, 0);
    if (it->fd >= 0)
        return KV_OK;
    (void)kill(-it->pid, SIGKILL);
    (void)reap(it);
    return kv_fail(err, KV_UNAVAILABLE, "a program cannot be watched: %s", strerror(errno));
}

kv_status kv_program_run(const kv_program *program, kv_program_end *out, kv_error *err)
{
    process it = { .fd = -1, .output = -1 };
    kv_status status = start(program, &it, err);

    *out = (kv_program_end){ 0 };
    if (status == KV_OK)
        status = attend(program, &it, out, err);
    close_one(&it.output);
    close_one(&it.fd);
    return status;
}
