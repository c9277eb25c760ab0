/* isolated_child.c - sockets, descriptors and environment of the process of an isolated module. */
#include "pkcs11/isolated_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pkcs11/isolated_host.h"

enum {
    BACKLOG = 64,
    PID_CHARS = 16,
    MOST_VARIABLES = 32,
    NAMES_BYTES = 4096,
    VALUES_BYTES = 16384
};

void kv_child_address(const kv_child_config *config, char *out, size_t size)
{
    (void)snprintf(out, size, "/proc/self/fd/%d/%s", config->folder, config->name);
}

static int listen_at(const kv_child_config *config)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    kv_child_address(config, where.sun_path, sizeof(where.sun_path));
    (void)unlinkat(config->folder, config->name, 0);
    if (bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* The variables that are named and set; `text` is the copy of their names that is cut up. */
static void pick_environment(char *text, char *memory, size_t size, char *out[MOST_VARIABLES + 1])
{
    unsigned count = 0;
    char *rest = NULL;

    for (char *name = strtok_r(text, " ,", &rest); name && count < MOST_VARIABLES;
         name = strtok_r(NULL, " ,", &rest)) {
        const char *value = getenv(name);
        int len = value ? snprintf(memory, size, "%s=%s", name, value) : -1;

        if (len < 0 || (size_t)len >= size)
            continue;
        out[count++] = memory;
        memory += len + 1;
        size -= (size_t)len + 1;
    }
    out[count] = NULL;
}

/* Both descriptors are out of the way of those that they become. */
static int give_descriptors(posix_spawn_file_actions_t *files, int listener, int lifeline)
{
    int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (!rc)
        rc = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(files, listener, KV_HOST_LISTENER);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(files, lifeline, KV_HOST_LIFELINE);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(files, KV_HOST_DESCRIPTORS);
    return rc;
}

static int spawn(const kv_child_config *config, int listener, int lifeline, pid_t *pid)
{
    char parent[PID_CHARS], command[] = "host-module";
    char *const argv[] = { config->program, command, config->module, parent, NULL };
    char names[NAMES_BYTES], values[VALUES_BYTES];
    char *environment[MOST_VARIABLES + 1];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    (void)snprintf(parent, sizeof(parent), "%ld", (long)getpid());
    (void)snprintf(names, sizeof(names), "%s", config->environment);
    pick_environment(names, values, sizeof(values), environment);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&how);
    (void)posix_spawnattr_setpgroup(&how, 0);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)posix_spawnattr_setsigdefault(&how, &all);
    rc = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSIGDEF);
    if (!rc)
        rc = give_descriptors(&files, listener, lifeline);
    if (!rc)
        rc = posix_spawn(pid, config->program, &files, &how, argv, environment);
    (void)posix_spawnattr_destroy(&how);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* A copy that no dup2 of give_descriptors() falls on. */
static int moved_away(int fd)
{
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, KV_HOST_DESCRIPTORS);

    if (fd >= 0)
        (void)close(fd);
    return moved;
}

bool kv_child_begin(const kv_child_config *config, kv_child *out)
{
    int listener = moved_away(listen_at(config)), ends[2] = { -1, -1 };
    int rc = 0;

    if (listener < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        rc = errno;
    ends[1] = moved_away(ends[1]);
    if (!rc && ends[1] < 0)
        rc = errno;
    if (!rc)
        rc = spawn(config, listener, ends[1], &out->pid);
    out->lifeline = ends[0];
    /* The child has its own; when it ends, who connects must be told so. */
    if (listener >= 0)
        (void)close(listener);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (rc && ends[0] >= 0)
        (void)close(ends[0]);
    errno = rc;
    return rc == 0;
}

/* --- its connections --- */

/* A connection to the socket that is bound there. */
static bool leads_to(int fd, const struct sockaddr_un *where)
{
    struct sockaddr_un peer = { 0 };
    socklen_t len = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sun_family == AF_UNIX &&
           !strncmp(peer.sun_path, where->sun_path, sizeof(peer.sun_path));
}

/* By a descriptor of our own: the one that was seen may be closed at any time, and its number be
 * somebody else's. */
static void hang_up(int fd, const struct sockaddr_un *where)
{
    int own = leads_to(fd, where) ? fcntl(fd, F_DUPFD_CLOEXEC, KV_HOST_DESCRIPTORS) : -1;

    if (own < 0)
        return;
    if (leads_to(own, where))
        (void)shutdown(own, SHUT_RDWR);
    (void)close(own);
}

void kv_child_hang_up(const kv_child_config *config)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    DIR *all = opendir("/proc/self/fd");
    const struct dirent *entry;

    kv_child_address(config, where.sun_path, sizeof(where.sun_path));
    while (all && (entry = readdir(all)))
        if (entry->d_name[0] != '.')
            hang_up((int)strtol(entry->d_name, NULL, 10), &where);
    if (all)
        (void)closedir(all);
}
