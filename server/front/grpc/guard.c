/* guard.c - a frame scanner of one state and a token bucket. */
#include "server/front/grpc/guard.h"

enum {
    UNIT = 100, /* hundredths of a glitch */
    PREFACE_BYTES = 24,
    HEADER_BYTES = 9,
    KNOWN_TYPES = 10
};

/* What a frame of each type costs by itself, in hundredths. DATA and HEADERS have their own limits,
 * an empty DATA frame is charged by the session; so is a reset, by HTTP/2's own rate limit. */
static const int64_t prices[KNOWN_TYPES] = {
    0,    /* DATA */
    0,    /* HEADERS */
    20,   /* PRIORITY */
    0,    /* RST_STREAM */
    UNIT, /* SETTINGS */
    UNIT, /* PUSH_PROMISE */
    UNIT, /* PING */
    UNIT, /* GOAWAY */
    1,    /* WINDOW_UPDATE */
    20    /* CONTINUATION */
};

void kv_guard_init(kv_guard *guard, unsigned burst, unsigned per_second, int64_t now_us)
{
    *guard = (kv_guard){
        .tokens = (int64_t)burst * UNIT,
        .most = (int64_t)burst * UNIT,
        .per_second = (int64_t)per_second * UNIT,
        .filled_us = now_us,
        .preface = PREFACE_BYTES,
    };
}

static void add(kv_guard *guard, int64_t tokens)
{
    guard->tokens += tokens;
    if (guard->tokens > guard->most)
        guard->tokens = guard->most;
}

void kv_guard_refill(kv_guard *guard, int64_t now_us)
{
    int64_t gained = (now_us - guard->filled_us) * guard->per_second / 1000000;

    if (gained <= 0)
        return;
    guard->filled_us = now_us;
    add(guard, gained);
}

/* Takes one whole header. */
static void take_header(kv_guard *guard)
{
    const uint8_t *header = guard->header;

    guard->skip = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
    guard->header_len = 0;
    guard->tokens -= header[3] < KNOWN_TYPES ? prices[header[3]] : UNIT;
}

bool kv_guard_scan(kv_guard *guard, kv_slice bytes, int64_t now_us)
{
    size_t at = 0;

    kv_guard_refill(guard, now_us);
    while (at < bytes.len && guard->tokens >= 0) {
        size_t left = bytes.len - at;

        if (guard->preface) {
            unsigned step = left < guard->preface ? (unsigned)left : guard->preface;

            guard->preface -= step;
            at += step;
        } else if (guard->skip) {
            uint32_t step = left < guard->skip ? (uint32_t)left : guard->skip;

            guard->skip -= step;
            at += step;
        } else {
            guard->header[guard->header_len++] = bytes.data[at++];
            if (guard->header_len == HEADER_BYTES)
                take_header(guard);
        }
    }
    return guard->tokens >= 0;
}

bool kv_guard_charge(kv_guard *guard, unsigned glitches)
{
    guard->tokens -= (int64_t)glitches * UNIT;
    return guard->tokens >= 0;
}

void kv_guard_credit(kv_guard *guard, unsigned glitches)
{
    add(guard, (int64_t)glitches * UNIT);
}
