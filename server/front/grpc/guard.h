/* guard.h - looks at every frame header before HTTP/2 does, and charges for the useless ones.
 *
 * HTTP/2 lets a peer send frames that cost us work and it nothing. Each such frame costs a token;
 * time and finished calls give tokens back. Frames of unknown types are never shown to us by the
 * HTTP/2 library, hence the scan of our own.
 *
 * Threads: the session's owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"

typedef struct kv_guard {
    int64_t tokens; /* hundredths of a glitch */
    int64_t most;
    int64_t per_second;
    int64_t filled_us;   /* CLOCK_MONOTONIC */
    unsigned preface;    /* bytes of the client's preface still to come */
    unsigned header_len; /* bytes of the frame header seen */
    uint8_t header[9];
    uint32_t skip; /* payload bytes still to come */
} kv_guard;

void kv_guard_init(kv_guard *guard, unsigned burst, unsigned per_second, int64_t now_us);
/* Charges for the frames in the next bytes of the connection. False: too many, end it. */
bool kv_guard_scan(kv_guard *guard, kv_slice bytes, int64_t now_us);
/* Charges for what only a library can see: HTTP/2's after a scan at that time, or TLS. In glitches.
 * False: too many. */
bool kv_guard_charge(kv_guard *guard, unsigned glitches);
/* Time has passed; a scan does it too. */
void kv_guard_refill(kv_guard *guard, int64_t now_us);
/* A call was finished: an honest peer may send more. */
void kv_guard_credit(kv_guard *guard, unsigned glitches);
