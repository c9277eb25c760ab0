/* reaper.c - runs a test; nothing that the test has started lives longer than it.
 *
 *   kv_reaper SECONDS COMMAND [ARGUMENT]...
 *
 * Ends as the command does, unless the command leaves processes behind that are still there so many
 * seconds later: these are named and ended, and the status is 1.
 *
 * ctest ends what takes too long by SIGKILL, to the process that it has started and all below that:
 * a server whose own parent has ended is not among them. Here it is, for the watcher, which runs
 * the command, inherits every such process (a subreaper). And where the first process alone is
 * ended, by ctest's own end or that of the terminal, the watcher is told by the kernel, and ends
 * them all.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { FAILED = 1, BAD_USAGE = 2, NOT_FOUND = 127, LOOK_MS = 10, LOOKS = 1000 };

static pid_t parent_of(pid_t pid)
{
    char path[64], line[512];
    const char *end;
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    len = fread(line, 1, sizeof(line) - 1, file);
    (void)fclose(file);
    line[len] = '\0';
    end = strrchr(line, ')'); /* of the name, which may hold anything; then state and parent */
    return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static void name(pid_t pid)
{
    char path[64], words[256];
    FILE *file;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    file = fopen(path, "re");
    if (file) {
        len = fread(words, 1, sizeof(words) - 1, file);
        (void)fclose(file);
    }
    if (!len)
        return; /* it has ended */
    for (size_t i = 0; i < len; i++)
        if (!words[i])
            words[i] = ' ';
    words[len] = '\0';
    (void)fprintf(stderr, "kv_reaper: left behind: %d %s\n", (int)pid, words);
}

/* Takes the children that have ended; false when there are no others. */
static bool reap(pid_t command, int *status)
{
    pid_t pid;
    int how;

    while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
        if (pid == command)
            *status = how;
    return pid == 0;
}

static void kill_children(bool naming)
{
    DIR *all = opendir("/proc");
    const struct dirent *entry;

    while (all && (entry = readdir(all))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0 || parent_of(pid) != getpid())
            continue;
        if (naming)
            name(pid);
        (void)kill(pid, SIGKILL);
    }
    if (all)
        (void)closedir(all);
}

/* Children, and what becomes a child when its parent has ended. */
static void end_all(bool naming)
{
    const struct timespec nap = { .tv_nsec = LOOK_MS * 1000000L };
    int ignored = 0;

    for (int look = 0; look < LOOKS && reap(0, &ignored); look++) {
        kill_children(naming);
        (void)nanosleep(&nap, NULL);
    }
}

static void set_signals(int how, const sigset_t *set, void (*on_interrupt)(int))
{
    (void)sigprocmask(how, set, NULL);
    (void)signal(SIGINT, on_interrupt);
    (void)signal(SIGQUIT, on_interrupt);
    (void)signal(SIGHUP, on_interrupt);
}

static pid_t run(char **command, const sigset_t *set)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    set_signals(SIG_UNBLOCK, set, SIG_DFL);
    execvp(command[0], command);
    (void)fprintf(stderr, "kv_reaper: %s: %s\n", command[0], strerror(errno));
    _exit(NOT_FOUND);
}

/* As the command has ended, so does this process: ctest tells a crash from a failure. */
static void end_like(int status)
{
    const struct rlimit none = { 0 };
    sigset_t set;

    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, WTERMSIG(status));
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* SIGTERM is waited for, not taken */
    (void)raise(WTERMSIG(status));
    _exit(FAILED);
}

static void watch(pid_t parent, long seconds, char **command)
{
    struct timespec patience = { .tv_sec = seconds };
    int status = -1, ignored = 0;
    sigset_t set;
    pid_t pid;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    set_signals(SIG_BLOCK, &set, SIG_IGN);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) || prctl(PR_SET_PDEATHSIG, SIGTERM) ||
        getppid() != parent || (pid = run(command, &set)) < 0)
        _exit(FAILED);
    while (status == -1) {
        if (sigwaitinfo(&set, NULL) == SIGTERM) {
            end_all(false);
            _exit(FAILED);
        }
        (void)reap(pid, &status);
    }
    /* What ends by itself is given the time, each time anew: they may wait for one another. */
    while (reap(0, &ignored)) {
        int got = sigtimedwait(&set, NULL, &patience);

        if (got == SIGCHLD || (got < 0 && errno == EINTR))
            continue;
        end_all(got != SIGTERM);
        if (!WIFSIGNALED(status) && !WEXITSTATUS(status))
            _exit(FAILED);
    }
    end_like(status);
}

int main(int argc, char **argv)
{
    pid_t self = getpid(), watcher;
    int status;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: kv_reaper SECONDS COMMAND [ARGUMENT]...\n");
        return BAD_USAGE;
    }
    watcher = fork();
    if (watcher < 0)
        return FAILED;
    if (!watcher)
        watch(self, strtol(argv[1], NULL, 10), argv + 2);
    (void)signal(SIGINT, SIG_IGN); /* the terminal's, for the command: it is waited for */
    (void)signal(SIGQUIT, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* ctest itself may be ended */
    while (waitpid(watcher, &status, 0) < 0)
        if (errno != EINTR)
            return FAILED;
    end_like(status);
}
