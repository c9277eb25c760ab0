/* fuzz_token.c - a hostile token: what is asked of it, and about what it lies.
 *
 * The first byte is the number of steps (modulo 32), a byte each; the second, which comes first of
 * all, says whether opening the token is lied to as well. What follows are lies of six bytes each:
 * function, first call, how many calls (0: all), kind, and two bytes for the value.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "pkcs11/rv.h"
#include "tests/support/token_tour.h"

enum { HEAD = 2, STEPS_MAX = 32, LIE_BYTES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lengths, counts and handles at which something may go wrong. */
static const unsigned long edges[] = { 0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       8,
                                       9,
                                       11,
                                       12,
                                       13,
                                       15,
                                       16,
                                       17,
                                       24,
                                       31,
                                       32,
                                       33,
                                       48,
                                       63,
                                       64,
                                       65,
                                       66,
                                       67,
                                       100,
                                       128,
                                       132,
                                       133,
                                       136,
                                       255,
                                       256,
                                       257,
                                       383,
                                       384,
                                       511,
                                       512,
                                       513,
                                       1024,
                                       4095,
                                       4096,
                                       4097,
                                       4104,
                                       4105,
                                       65535,
                                       65536,
                                       1ul << 20,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       1ul << 32,
                                       1ul << 61,
                                       1ul << 63,
                                       CK_UNAVAILABLE_INFORMATION - 8,
                                       CK_UNAVAILABLE_INFORMATION - 1,
                                       CK_UNAVAILABLE_INFORMATION };

static unsigned long value_of(kv_lie_kind kind, const uint8_t *bytes)
{
    unsigned long raw = (unsigned long)bytes[0] << 8 | bytes[1];
    const kv_rv_row *row = kv_rv_at(bytes[1]);

    if (kind == KV_LIE_REFUSE || kind == KV_LIE_DISOWN)
        return row ? row->rv : CKR_VENDOR_DEFINED + raw;
    if (kind == KV_LIE_FLIP || kind == KV_LIE_BYTES || bytes[0] & 1)
        return raw;
    return edges[bytes[1] % (sizeof(edges) / sizeof(edges[0]))];
}

static kv_lie lie_of(const uint8_t *bytes)
{
    size_t functions = 0;
    kv_lie lie = { .first = bytes[1] + 1u,
                   .times = bytes[2],
                   .kind = (kv_lie_kind)(bytes[3] % KV_LIE_KINDS) };

    while (kv_liar_function(functions))
        functions++;
    lie.function = kv_liar_function(bytes[0] % (functions + 1));
    lie.value = value_of(lie.kind, bytes + 4);
    return lie;
}

/* libFuzzer calls nothing before the first input in every build, and a token is made once. */
static bool prepared;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kv_lie lies[KV_LIES_MAX];
    size_t count = 0, steps, all = 0;
    kv_error err = { 0 };
    kv_status opened;

    if (size < HEAD || size < HEAD + (size_t)data[1] % STEPS_MAX)
        return 0;
    if (!prepared)
        kv_tour_prepare();
    prepared = true;
    steps = data[1] % STEPS_MAX;
    for (size_t at = HEAD + steps; at + LIE_BYTES <= size && count < KV_LIES_MAX; at += LIE_BYTES)
        lies[count++] = lie_of(data + at);
    while (kv_tour_name(all))
        all++;

    opened = kv_tour_begin(lies, data[0] & 1 ? count : 0, &err);
    if (opened == KV_OK && !(data[0] & 1))
        kv_tour_lie(lies, count);
    /* Whether a step succeeds is the token's business. */
    for (size_t i = 0; opened == KV_OK && i < steps; i++)
        (void)!kv_tour_step(data[HEAD + i] % all, &err);
    kv_tour_end();
    return 0;
}
