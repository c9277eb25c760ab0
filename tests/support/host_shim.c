/* host_shim.c - preloaded into a server: disks that are full or slow and a clock that steps, on
 * demand.
 *
 * KV_HOST_CONTROL names a file that is mapped: a test writes there, see host_control. KV_HOST_PATHS
 * has beginnings of paths, with colons between: bit 0 of `full` is about files below the first one.
 * A full disk takes what overwrites bytes that a file has already, and nothing else, as real ones
 * do with room that was allocated before.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PATHS = 8, PATH_BYTES = 4096, NAME_BYTES = 16 };

#define HELD UINT32_MAX

/* As the machine has them; the test writes them. */
typedef struct host_control {
    _Atomic int64_t clock_ms; /* added to the time of day */
    _Atomic uint32_t full;
    /* Before each read by the thread that compares rows; HELD: until it is something else. */
    _Atomic uint32_t read_ms;
} host_control;

static host_control nowhere;
static host_control *control = &nowhere;
static char paths[PATH_BYTES];

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("KV_HOST_CONTROL");
    const char *list = getenv("KV_HOST_PATHS");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    void *mapped;

    if (list)
        (void)strncpy(paths, list, sizeof(paths) - 1);
    if (fd < 0)
        return;
    mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    (void)close(fd);
}

/* --- the clock --- */

static bool is_time_of_day(clockid_t id)
{
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int status = (int)syscall(SYS_clock_gettime, id, out);
    int64_t ms = atomic_load(&control->clock_ms);

    if (status == 0 && ms && is_time_of_day(id)) {
        int64_t ns = out->tv_nsec + ms % 1000 * 1000000;
        int64_t carry = ns < 0 ? -1 : ns / 1000000000;

        out->tv_sec += ms / 1000 + carry;
        out->tv_nsec = ns - carry * 1000000000;
    }
    return status;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
    return 0;
}

/* --- disks --- */

/* Is the disk of this path full? */
static bool is_full(const char *path)
{
    uint32_t full = atomic_load(&control->full);
    const char *at = paths;

    for (unsigned i = 0; i < PATHS && *at; i++) {
        size_t len = strcspn(at, ":");

        if (full & 1U << i && strncmp(path, at, len) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static bool is_full_of(int fd)
{
    char link[64], path[PATH_BYTES];
    ssize_t len;

    if (!atomic_load(&control->full))
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    return is_full(path);
}

/* Would the file grow to `end` bytes, and has it no room? */
static bool no_room(int fd, off_t end)
{
    struct stat info;

    if (!is_full_of(fd) || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || end <= info.st_size)
        return false;
    errno = ENOSPC;
    return true;
}

static bool no_room_for_new(const char *path)
{
    char whole[PATH_BYTES];
    struct stat info;

    if (!atomic_load(&control->full))
        return false;
    if (path[0] != '/') {
        char here[PATH_BYTES / 2] = "";

        (void)snprintf(whole, sizeof(whole), "%s/%s", getcwd(here, sizeof(here)) ? here : "", path);
        path = whole;
    }
    if (!is_full(path) || stat(path, &info) == 0)
        return false;
    errno = ENOSPC;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    off_t at = atomic_load(&control->full) ? lseek(fd, 0, SEEK_CUR) : -1;

    if (at >= 0 && no_room(fd, at + (off_t)len))
        return -1;
    return syscall(SYS_write, fd, bytes, len);
}

static bool compares_rows(void)
{
    char name[NAME_BYTES] = "";

    return prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "compare-rows") == 0;
}

static void wait_to_read(void)
{
    uint32_t ms = atomic_load(&control->read_ms);

    if (!ms || !compares_rows())
        return;
    if (ms != HELD)
        (void)usleep(ms * 1000);
    while (atomic_load(&control->read_ms) == HELD)
        (void)usleep(1000);
}

ssize_t pread64(int fd, void *bytes, size_t len, off_t at)
{
    wait_to_read();
    return syscall(SYS_pread64, fd, bytes, len, at);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    return pread64(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    return no_room(fd, at + (off_t)len) ? -1 : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

int ftruncate64(int fd, off_t len)
{
    return no_room(fd, len) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate(int fd, off_t len)
{
    return ftruncate64(fd, len);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return no_room(fd, at + len) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

int mkdir(const char *path, mode_t mode)
{
    return no_room_for_new(path) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

static int open_file(const char *path, int flags, mode_t mode)
{
    if (flags & O_CREAT && no_room_for_new(path))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* The third argument is there only when a file may be made; reading it does no harm here. */
int open(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
    return open_file(path, flags, mode);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    size_t (*next)(const void *, size_t, size_t, FILE *) = NULL;

    *(void **)&next = dlsym(RTLD_NEXT, "fwrite");
    if (atomic_load(&control->full) && no_room(fileno(stream), INT64_MAX))
        return 0;
    return next(bytes, size, count, stream);
}

int statvfs(const char *path, struct statvfs *out)
{
    int (*next)(const char *, struct statvfs *) = NULL;
    int status;

    *(void **)&next = dlsym(RTLD_NEXT, "statvfs");
    status = next(path, out);
    if (status == 0 && is_full(path))
        out->f_bavail = out->f_bfree = 0;
    return status;
}
