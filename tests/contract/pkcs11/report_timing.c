/* report_timing.c - does the time of an answer tell which part of the data was wrong?
 *
 * Two kinds of wrong data take turns in random order, as dudect does it, and Welch's t is printed:
 * under about 4.5 the two cannot be told apart by this many measurements. A report, no verdict:
 * build without sanitizers, on a quiet machine.
 *
 *   report_timing [measurements of each kind, 2000]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pkcs11/token_rsa.h"
#include "tests/contract/pkcs11/bench.h"

enum { BLOCK = 256 };

typedef struct sums {
    double n, sum, squares;
} sums;

typedef struct question {
    const char *name;
    const char *algorithm;
    uint8_t one[BLOCK], other[BLOCK]; /* two wrong blocks, before encryption */
} question;

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void add(sums *s, double value)
{
    s->n += 1;
    s->sum += value;
    s->squares += value * value;
}

static double variance_of_mean(const sums *s)
{
    double mean = s->sum / s->n;

    return (s->squares / s->n - mean * mean) / s->n;
}

static void encrypt_block(kv_slice spki, const uint8_t *block, uint8_t *out)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t len = BLOCK;

    assert_true(EVP_PKEY_encrypt_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0 &&
                EVP_PKEY_encrypt(ctx, out, &len, block, BLOCK) > 0);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void ask(bench *b, const bench_key *key, const question *q, unsigned times)
{
    const kv_encryption *alg = kv_encryption_find(kv_slice_text(q->algorithm));
    uint8_t sealed[2][BLOCK], coin;
    sums kinds[2] = { 0 };
    double difference;

    encrypt_block(key->born.spki, q->one, sealed[0]);
    encrypt_block(key->born.spki, q->other, sealed[1]);
    while (kinds[0].n < times || kinds[1].n < times) {
        KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
        kv_error err = { 0 };
        double start;

        assert_true(RAND_bytes(&coin, 1) == 1);
        start = now_us();
        assert_int_equal(kv_token_rsa_decrypt(b->token, &key->ref, alg, true,
                                              kv_slice_of(sealed[coin & 1], BLOCK), &out, &err),
                         KV_BAD_REQUEST);
        add(&kinds[coin & 1], now_us() - start);
    }
    difference = kinds[0].sum / kinds[0].n - kinds[1].sum / kinds[1].n;
    printf("%-44s %9.1f us %9.1f us   t = %6.2f\n", q->name, kinds[0].sum / kinds[0].n,
           kinds[1].sum / kinds[1].n,
           difference / sqrt(variance_of_mean(&kinds[0]) + variance_of_mean(&kinds[1])));
}

int main(int argc, char **argv)
{
    unsigned times = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    static question questions[] = {
        { .name = "OAEP-256: first byte, hash of the label", .algorithm = "RSA-OAEP-256" },
        { .name = "OAEP-256: two blocks of noise", .algorithm = "RSA-OAEP-256" },
        { .name = "OAEP (token): first byte, hash of the label", .algorithm = "RSA-OAEP" },
        { .name = "RSA1_5: block type, no end of padding", .algorithm = "RSA1_5" },
    };
    void *state = NULL;
    bench_key key;
    bench *b;

    (void)bench_softhsm(&state);
    b = state;
    key = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    for (size_t i = 0; i < KV_COUNT(questions); i++) {
        question *q = &questions[i];

        assert_true(RAND_bytes(q->one, BLOCK) == 1 && RAND_bytes(q->other, BLOCK) == 1);
        for (size_t at = 0; at < BLOCK; at++) {
            q->one[at] |= 1;
            q->other[at] |= 1;
        }
        q->one[0] = i == 1 || i == 3 ? 0 : 1;
        q->other[0] = 0;
        q->one[1] = i == 3 ? 1 : q->one[1];
        q->other[1] = i == 3 ? 2 : q->other[1];
        ask(b, &key, q, times);
    }
    return bench_close(&state);
}
