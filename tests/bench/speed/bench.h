/* bench.h - one measurement: so many operations in flight for so many seconds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* In the order of the words of --what. */
typedef enum bench_what {
    BENCH_P256,
    BENCH_P384,
    BENCH_RSA2048,
    BENCH_RSA4096,
    BENCH_ED25519,
    BENCH_GCM,         /* AES-256-GCM of 1 KiB */
    BENCH_SECRET,      /* 32 bytes */
    BENCH_CERTIFICATE, /* served only */
    BENCH_CREATE,      /* of a P-256 key */
    BENCH_WHAT_COUNT
} bench_what;

enum {
    BENCH_DIGEST_BYTES = 48, /* room for; P-384 signs so many, the others 32 */
    BENCH_GCM_BYTES = 1024,
    BENCH_SECRET_BYTES = 32
};

typedef struct bench_options {
    bench_what what;
    unsigned parallel; /* threads, or calls in flight */
    double seconds;
    const char *name; /* of the key, secret or certificate; on a token its label */
    /* token */
    const char *module;
    const char *label; /* of the token */
    const char *pin;
    unsigned processes; /* that share the threads */
    int copies;         /* session copies instead of the token's objects */
    /* server */
    const char *endpoint; /* HOST:PORT */
    const char *ca;
    const char *certificate;
    const char *key;
    const char *vault;
    unsigned connections;
    unsigned names; /* NAME-1 to NAME-names in turn instead of NAME */
    int server;     /* process whose processor time is told */
    int resume;     /* connections go on with the first one's session */
    /* folder */
    const char *folder;
} bench_options;

/* Latencies in microseconds. */
typedef struct bench_series {
    uint32_t *values;
    size_t count;
    size_t room;
    double seconds;   /* how long it really took */
    double cpu_us;    /* processor time of this program for it, in all */
    double server_us; /* and of the server */
} bench_series;

/* All end the program with a message when something fails: a benchmark has no second try. */
void bench_raw(const bench_options *options, bench_series *out);
/* Makes the key that bench_raw() uses, a token object labelled `name`. */
void bench_raw_prepare(const bench_options *options);
/* Prints how long C_Initialize and C_Login take in microseconds, and the resident memory then, in
 * KiB. */
void bench_raw_start(const bench_options *options);
void bench_software(const bench_options *options, bench_series *out);
void bench_served(const bench_options *options, bench_series *out);
/* Makes NAME-1 to NAME-names, P-256 keys, `parallel` at a time. */
void bench_fill(const bench_options *options, bench_series *out);
void bench_connect(const bench_options *options, bench_series *out);
/* Small appends to a file in `folder`, each made durable. */
void bench_sync(const bench_options *options, bench_series *out);

/* Of what is signed. */
size_t bench_digest_len(bench_what what);

void bench_add(bench_series *series, int64_t us);
void bench_merge(bench_series *to, bench_series *from);
/* One line: operations per second; p50, p99 and p99.9 in microseconds; processor time an operation
 * of this program and of the server, in microseconds. */
void bench_print(bench_series *series);
_Noreturn void bench_die(const char *what, const char *why);

/* Processor time of this program so far, and of another process (0: 0), in microseconds. */
double bench_cpu_us(void);
double bench_cpu_us_of(int process);
/* Resident memory of this program in KiB. */
unsigned long bench_resident_kib(void);

/* `count` threads, each with `work` and its own series, for the time the options say. */
typedef void bench_once(void *state);
typedef struct bench_worker {
    void *state;
    bench_once *once;
} bench_worker;
void bench_threads(const bench_options *options, bench_worker *workers, unsigned count,
                   bench_series *out);
