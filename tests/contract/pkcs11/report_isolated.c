/* report_isolated.c - what a module in a process of its own costs: signatures a second, both ways.
 *
 * Not a test. Runs alternate; the medians of the rounds and their ratio are printed. The program is
 * its own module's host.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/isolated_host.h"
#include "pkcs11/token_key.h"
#include "pkcs11/token_sign.h"
#include "server/base/clock.h"
#include "server/base/text.h"
#include "tests/support/softhsm.h"

enum { ROUNDS = 5, MOST_THREADS = 4, RUN_MS = 600, MEMORY = 1 << 20 };

typedef struct run {
    kv_token *token;
    const kv_key_ref *key;
    const kv_mechanism *alg;
    kv_deadline end;
    unsigned long done;
} run;

static void must(kv_status status, const kv_error *err)
{
    if (status == KV_OK)
        return;
    (void)fprintf(stderr, "%s (%s)\n", err->message, err->detail);
    exit(EXIT_FAILURE);
}

static void *sign(void *context)
{
    run *r = context;
    uint8_t digest[32] = { 1 }, signature[KV_SIGNATURE_MAX];
    kv_error err = { 0 };

    while (!kv_deadline_passed(r->end)) {
        size_t len = sizeof(signature);

        must(kv_token_sign(r->token, r->key, r->alg, kv_slice_of(digest, sizeof(digest)), signature,
                           &len, &err),
             &err);
        r->done++;
    }
    kv_token_thread_end(r->token);
    return NULL;
}

static double rate(kv_token *token, const kv_key_ref *key, const char *alg, unsigned threads)
{
    run runs[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    unsigned long done = 0;

    for (unsigned i = 0; i < threads; i++) {
        runs[i] = (run){ token, key, kv_mechanism_find(kv_slice_text(alg)),
                         kv_deadline_in_ms(RUN_MS), 0 };
        if (pthread_create(&ids[i], NULL, sign, &runs[i]) != 0)
            exit(EXIT_FAILURE);
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        done += runs[i].done;
    }
    return (double)done * 1000 / RUN_MS;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), by_size);
    return values[ROUNDS / 2];
}

static kv_key_ref bear(kv_token *token, kv_key_kind kind, kv_arena *arena)
{
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = kind };
    kv_key_born born;
    kv_error err = { 0 };
    kv_key_ref key = { .class = KV_CLASS_SIGN };

    if (!kv_random_id(spec.id, sizeof(spec.id)))
        exit(EXIT_FAILURE);
    must(kv_token_key_generate(token, &spec, arena, &born, &err), &err);
    key.spki = born.spki;
    memcpy(key.id, spec.id, sizeof(key.id));
    return key;
}

static const struct {
    const char *alg;
    kv_key_kind kind;
} kinds[] = { { "ES256", KV_KEY_P256 }, { "RS256", KV_KEY_RSA_2048 } };
static const unsigned threads[] = { 1, 2, 4 };

enum { KINDS = KV_COUNT(kinds), COUNTS = KV_COUNT(threads) };

typedef struct report {
    kv_softhsm *hsm;
    kv_arena arena;
    kv_key_ref keys[KINDS];
    double rates[2][KINDS][COUNTS][ROUNDS]; /* in process, isolated */
} report;

/* Round -1 makes the keys. */
static void measure(report *r, int round, bool isolated)
{
    kv_token_config config = kv_softhsm_config(r->hsm, KV_DUTY_KEYS, "keys");
    kv_tokens *tokens = NULL;
    kv_token *token;
    kv_error err = { 0 };

    config.isolated = isolated ? "/proc/self/exe" : NULL;
    must(kv_tokens_open(&config, 1, NULL, &tokens, &err), &err);
    token = kv_tokens_get(tokens, KV_DUTY_KEYS);
    for (size_t k = 0; k < KINDS; k++) {
        if (round < 0 && !isolated)
            r->keys[k] = bear(token, kinds[k].kind, &r->arena);
        for (size_t t = 0; round >= 0 && t < COUNTS; t++)
            r->rates[isolated][k][t][round] = rate(token, &r->keys[k], kinds[k].alg, threads[t]);
    }
    kv_tokens_close(tokens);
}

int main(int argc, char **argv)
{
    static report r;

    if (argc > 1 && !strcmp(argv[1], "host-module"))
        return kv_isolated_host(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    r.arena = KV_ARENA(MEMORY);
    r.hsm = kv_softhsm_new((const char *[]){ "keys", NULL });
    for (int round = -1; round < ROUNDS; round++)
        for (int isolated = 0; isolated < 2; isolated++)
            measure(&r, round, isolated);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t t = 0; t < COUNTS; t++) {
            double in = median(r.rates[0][k][t]), out = median(r.rates[1][k][t]);

            (void)printf("%s, %u threads: isolated/in process = %.2f (%.0f / %.0f a second)\n",
                         kinds[k].alg, threads[t], out / in, out, in);
        }
    kv_softhsm_free(r.hsm);
    kv_arena_cleanup(&r.arena);
    return 0;
}
