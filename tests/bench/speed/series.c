/* series.c - latencies gathered and summed up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/speed/bench.h"

void bench_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "kv_bench: %s: %s\n", what, why);
    exit(1);
}

size_t bench_digest_len(bench_what what)
{
    return what == BENCH_P384 ? BENCH_DIGEST_BYTES : 32;
}

void bench_add(bench_series *series, int64_t us)
{
    if (series->count == series->room) {
        size_t room = series->room ? 2 * series->room : 65536;
        uint32_t *values = realloc(series->values, room * sizeof(*values));

        if (!values)
            bench_die("memory", "exhausted");
        series->values = values;
        series->room = room;
    }
    series->values[series->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void bench_merge(bench_series *to, bench_series *from)
{
    for (size_t i = 0; i < from->count; i++)
        bench_add(to, from->values[i]);
    free(from->values);
    from->values = NULL;
    from->count = from->room = 0;
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static uint32_t at(const bench_series *series, size_t thousandths)
{
    return series->values[series->count * thousandths / 1000];
}

void bench_print(bench_series *series)
{
    double count = (double)series->count;

    if (!series->count)
        bench_die("measurement", "nothing was done");
    qsort(series->values, series->count, sizeof(*series->values), by_value);
    (void)printf("%.1f %u %u %u %.1f %.1f\n", count / series->seconds, at(series, 500),
                 at(series, 990), at(series, 999), series->cpu_us / count,
                 series->server_us / count);
    free(series->values);
}
