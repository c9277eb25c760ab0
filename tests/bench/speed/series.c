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
    *from = (bench_series){ 0 };
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

void bench_print(bench_series *series)
{
    if (!series->count)
        bench_die("measurement", "nothing was done");
    qsort(series->values, series->count, sizeof(*series->values), by_value);
    (void)printf("%.1f %u %u\n", (double)series->count / series->seconds,
                 series->values[series->count / 2], series->values[series->count * 99 / 100]);
    free(series->values);
}
