/* raw.c - the token itself: Cryptoki, directly, a session a thread, nothing around it.
 *
 * The keys are made as token objects like those of a server, on a copy of its token.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "tests/bench/speed/token.h"

enum { MOST_PROCESSES = 64, RSA_PREFIX_BYTES = 19, SIGNATURE_BYTES = 1024 };

typedef struct raw_thread {
    bench_token *token;
    CK_SESSION_HANDLE session;
    CK_BYTE iv[TOKEN_IV_BYTES];
    CK_BYTE sealed[BENCH_SECRET_BYTES + TOKEN_TAG_BYTES];
} raw_thread;

static CK_MECHANISM_TYPE signs_by(bench_what what)
{
    if (what == BENCH_RSA2048 || what == BENCH_RSA4096)
        return CKM_RSA_PKCS;
    return what == BENCH_ED25519 ? CKM_EDDSA : CKM_ECDSA;
}

static void sign_once(void *state)
{
    raw_thread *me = state;
    const bench_token *token = me->token;
    CK_MECHANISM mechanism = { signs_by(token->options->what), NULL, 0 };
    /* For RSA the DigestInfo goes before the digest. */
    CK_BYTE message[RSA_PREFIX_BYTES + BENCH_DIGEST_BYTES] = { 0x30, 0x31 };
    CK_ULONG size = bench_digest_len(token->options->what);
    CK_BYTE signature[SIGNATURE_BYTES];
    CK_ULONG len = sizeof(signature);

    if (mechanism.mechanism == CKM_RSA_PKCS)
        size += RSA_PREFIX_BYTES;
    bench_must(token->f->C_SignInit(me->session, &mechanism, token->key), "C_SignInit");
    bench_must(token->f->C_Sign(me->session, message, size, signature, &len), "C_Sign");
}

static CK_GCM_PARAMS gcm_of(raw_thread *me)
{
    return (CK_GCM_PARAMS){ .pIv = me->iv,
                            .ulIvLen = TOKEN_IV_BYTES,
                            .ulIvBits = 8 * TOKEN_IV_BYTES,
                            .ulTagBits = 8 * TOKEN_TAG_BYTES };
}

static void seal(raw_thread *me, CK_BYTE *plain, CK_ULONG size, CK_BYTE *sealed, CK_ULONG room)
{
    const bench_token *token = me->token;
    CK_GCM_PARAMS gcm = gcm_of(me);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };

    bench_must(token->f->C_EncryptInit(me->session, &mechanism, token->key), "C_EncryptInit");
    bench_must(token->f->C_Encrypt(me->session, plain, size, sealed, &room), "C_Encrypt");
}

static void seal_once(void *state)
{
    CK_BYTE plain[BENCH_GCM_BYTES] = { 0 }, sealed[BENCH_GCM_BYTES + TOKEN_TAG_BYTES];

    seal(state, plain, sizeof(plain), sealed, sizeof(sealed));
}

static void open_once(void *state)
{
    raw_thread *me = state;
    const bench_token *token = me->token;
    CK_GCM_PARAMS gcm = gcm_of(me);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
    CK_BYTE plain[sizeof(me->sealed)];
    CK_ULONG len = sizeof(plain);

    bench_must(token->f->C_DecryptInit(me->session, &mechanism, token->key), "C_DecryptInit");
    bench_must(token->f->C_Decrypt(me->session, me->sealed, sizeof(me->sealed), plain, &len),
               "C_Decrypt");
}

static void make_once(void *state)
{
    raw_thread *me = state;

    (void)bench_token_make(me->token, me->session);
}

static bench_once *once_of(bench_what what)
{
    switch (what) {
    case BENCH_GCM:
        return seal_once;
    case BENCH_SECRET:
        return open_once;
    case BENCH_CREATE:
        return make_once;
    case BENCH_P256:
    case BENCH_P384:
    case BENCH_RSA2048:
    case BENCH_RSA4096:
    case BENCH_ED25519:
    case BENCH_CERTIFICATE:
    case BENCH_WHAT_COUNT:
        break;
    }
    return sign_once;
}

static void open_all(bench_token *token, raw_thread *threads, bench_worker *workers, unsigned count)
{
    CK_BYTE plain[BENCH_SECRET_BYTES] = { 0 };

    for (unsigned i = 0; i < count; i++) {
        threads[i] = (raw_thread){ .token = token, .session = bench_token_session(token) };
        workers[i] = (bench_worker){ &threads[i], once_of(token->options->what) };
        if (token->options->what == BENCH_SECRET)
            seal(&threads[i], plain, sizeof(plain), threads[i].sealed, sizeof(threads[i].sealed));
    }
}

/* One process's share of the threads. `ready` and `go` keep several apart while they start. */
static void measure(const bench_options *options, unsigned count, int ready, int go,
                    bench_series *out)
{
    raw_thread *threads = calloc(count, sizeof(*threads));
    bench_worker *workers = calloc(count, sizeof(*workers));
    bench_token token;
    char byte = 0;

    if (!threads || !workers)
        bench_die("memory", "exhausted");
    bench_token_open(&token, options);
    if (options->what != BENCH_CREATE)
        bench_token_find(&token);
    open_all(&token, threads, workers, count);
    if (ready >= 0 && (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1))
        bench_die("pipe", strerror(errno));
    bench_threads(options, workers, count, out);
    (void)token.f->C_Finalize(NULL);
    free(workers);
    free(threads);
}

static void write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t wrote = write(fd, at, len);

        if (wrote <= 0)
            bench_die("pipe", strerror(errno));
        at += wrote;
        len -= (size_t)wrote;
    }
}

static void read_all(int fd, void *data, size_t len)
{
    for (char *at = data; len > 0;) {
        ssize_t got = read(fd, at, len);

        if (got <= 0)
            bench_die("a process", "has failed");
        at += got;
        len -= (size_t)got;
    }
}

typedef struct member {
    pid_t process;
    int results; /* from it */
    int go;      /* to it */
} member;

static _Noreturn void be_member(const bench_options *options, unsigned count, int results, int go)
{
    bench_series series = { 0 };

    measure(options, count, results, go, &series);
    write_all(results, &series, sizeof(series));
    write_all(results, series.values, series.count * sizeof(*series.values));
    exit(0);
}

/* One after the other: each login writes the token's file. */
static member start_member(const bench_options *options, unsigned count)
{
    member it;
    int results[2], go[2];
    char byte;

    if (pipe(results) != 0 || pipe(go) != 0)
        bench_die("pipe", strerror(errno));
    it = (member){ .process = fork(), .results = results[0], .go = go[1] };
    if (it.process < 0)
        bench_die("fork", strerror(errno));
    if (it.process == 0)
        be_member(options, count, results[1], go[0]);
    (void)close(results[1]);
    (void)close(go[0]);
    read_all(it.results, &byte, 1);
    return it;
}

static void take_results(const member *it, bench_series *out)
{
    bench_series theirs;

    read_all(it->results, &theirs, sizeof(theirs));
    theirs.values = malloc((theirs.count + 1) * sizeof(*theirs.values));
    if (!theirs.values)
        bench_die("memory", "exhausted");
    read_all(it->results, theirs.values, theirs.count * sizeof(*theirs.values));
    if (theirs.seconds > out->seconds)
        out->seconds = theirs.seconds;
    out->cpu_us += theirs.cpu_us;
    bench_merge(out, &theirs);
    (void)waitpid(it->process, NULL, 0);
}

static void measure_processes(const bench_options *options, bench_series *out)
{
    member members[MOST_PROCESSES];
    unsigned count = options->processes < MOST_PROCESSES ? options->processes : MOST_PROCESSES;

    for (unsigned i = 0; i < count; i++)
        members[i] = start_member(options, (options->parallel + i) / count);
    for (unsigned i = 0; i < count; i++)
        write_all(members[i].go, "", 1);
    for (unsigned i = 0; i < count; i++)
        take_results(&members[i], out);
}

void bench_raw(const bench_options *options, bench_series *out)
{
    if (options->processes > 1)
        measure_processes(options, out);
    else
        measure(options, options->parallel, -1, -1, out);
}

void bench_raw_prepare(const bench_options *options)
{
    bench_token token;

    bench_token_open(&token, options);
    (void)bench_token_make(&token, token.owner);
    (void)token.f->C_Finalize(NULL);
}

void bench_raw_start(const bench_options *options)
{
    int64_t start = kv_monotonic_us(), loaded;
    bench_token token;

    bench_token_load(&token, options);
    loaded = kv_monotonic_us();
    bench_token_login(&token);
    (void)printf("%lld %lld %lu\n", (long long)(loaded - start),
                 (long long)(kv_monotonic_us() - loaded), bench_resident_kib());
    (void)token.f->C_Finalize(NULL);
}
