/* machine.c - processor time, memory, threads and the disk. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "tests/bench/speed/bench.h"

enum { SYNCS = 400, SYNC_BYTES = 400, FILE_BYTES = 1 << 20 };

static double us_of(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

double bench_cpu_us(void)
{
    struct rusage self, children;

    (void)getrusage(RUSAGE_SELF, &self);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    return us_of(self.ru_utime) + us_of(self.ru_stime) + us_of(children.ru_utime) +
           us_of(children.ru_stime);
}

/* The numbers after the name in parentheses, which may contain anything. */
static bool read_stat(int process, unsigned long long *user, unsigned long long *system)
{
    char path[64], text[1024];
    const char *at = NULL;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", process);
    file = fopen(path, "r");
    if (!file)
        return false;
    if (fgets(text, sizeof(text), file))
        at = strrchr(text, ')');
    (void)fclose(file);
    return at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", user,
                        system) == 2;
}

double bench_cpu_us_of(int process)
{
    unsigned long long user, system;

    if (!process)
        return 0;
    if (!read_stat(process, &user, &system))
        bench_die("--server", "there is no such process");
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

unsigned long bench_resident_kib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        bench_die("/proc/self/statm", strerror(errno));
    (void)fclose(file);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

typedef struct runner {
    bench_worker *worker;
    pthread_t thread;
    int64_t end;
    bench_series series;
} runner;

static void *run(void *argument)
{
    runner *me = argument;
    int64_t now = kv_monotonic_us();

    while (now < me->end) {
        int64_t before = now;

        me->worker->once(me->worker->state);
        now = kv_monotonic_us();
        bench_add(&me->series, now - before);
    }
    return NULL;
}

void bench_threads(const bench_options *options, bench_worker *workers, unsigned count,
                   bench_series *out)
{
    runner *runners = calloc(count, sizeof(*runners));
    int64_t start = kv_monotonic_us();
    double cpu = bench_cpu_us(), server = bench_cpu_us_of(options->server);

    if (!runners)
        bench_die("memory", "exhausted");
    for (unsigned i = 0; i < count; i++) {
        runners[i].worker = &workers[i];
        runners[i].end = start + (int64_t)(options->seconds * 1e6);
        if (pthread_create(&runners[i].thread, NULL, run, &runners[i]) != 0)
            bench_die("thread", "cannot be started");
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(runners[i].thread, NULL);
    out->seconds = (double)(kv_monotonic_us() - start) / 1e6;
    out->cpu_us = bench_cpu_us() - cpu;
    out->server_us = bench_cpu_us_of(options->server) - server;
    for (unsigned i = 0; i < count; i++)
        bench_merge(out, &runners[i].series);
    free(runners);
}

/* Into space that the file has already, as an audit log does. */
void bench_sync(const bench_options *options, bench_series *out)
{
    char path[4096], bytes[SYNC_BYTES] = { 1 };
    int64_t start;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/bench-sync", options->folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, FILE_BYTES) != 0 || fsync(fd) != 0)
        bench_die(path, strerror(errno));
    start = kv_monotonic_us();
    for (int i = 0; i < SYNCS; i++) {
        int64_t before;

        if (pwrite(fd, bytes, sizeof(bytes), (off_t)i * SYNC_BYTES) != SYNC_BYTES)
            bench_die(path, strerror(errno));
        before = kv_monotonic_us();
        if (fdatasync(fd) != 0)
            bench_die(path, strerror(errno));
        bench_add(out, kv_monotonic_us() - before);
    }
    out->seconds = (double)(kv_monotonic_us() - start) / 1e6;
    (void)close(fd);
    (void)unlink(path);
}
