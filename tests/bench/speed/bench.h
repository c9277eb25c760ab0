/* bench.h - one measurement: so many operations in flight for so many seconds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum bench_what { BENCH_P256, BENCH_RSA2048, BENCH_SECRET, BENCH_CERTIFICATE } bench_what;

typedef struct bench_options {
    bench_what what;
    unsigned parallel; /* threads (raw) or calls in flight (served) */
    double seconds;
    /* raw */
    const char *module;
    const char *label; /* of the token */
    const char *pin;
    /* served */
    const char *endpoint;
    const char *ca;
    const char *certificate;
    const char *key;
    const char *vault;
    const char *name; /* of the key, secret or certificate */
} bench_options;

/* Latencies in microseconds. */
typedef struct bench_series {
    uint32_t *values;
    size_t count;
    size_t room;
    double seconds; /* how long it really took */
} bench_series;

/* Both end the program with a message when something fails: a benchmark has no second try. */
void bench_raw(const bench_options *options, bench_series *out);
void bench_served(const bench_options *options, bench_series *out);

void bench_add(bench_series *series, int64_t us);
void bench_merge(bench_series *to, bench_series *from);
/* One line: operations per second, p50 and p99 in microseconds. */
void bench_print(bench_series *series);
_Noreturn void bench_die(const char *what, const char *why);
