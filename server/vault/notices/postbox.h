/* postbox.h - whose turn it is: endpoints and contacts that something waits for. Inner to vault.
 *
 * One delivery at a time goes to a target, so that order holds and one slow endpoint takes one
 * thread. Those that failed, or were slow, take at most half of the threads together. Only what is
 * in the store counts: this is memory, filled anew at each start.
 *
 * Threads: any. The mutex is held for a few instructions, never across the store or the network.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"

typedef struct kv_postbox kv_postbox;

enum { KV_TARGET_BYTES = 16 };

typedef enum kv_channel { KV_CHANNEL_WEBHOOK, KV_CHANNEL_MAIL, KV_CHANNEL_COUNT } kv_channel;

/* `threads` send to webhooks. NULL when out of memory. */
kv_postbox *kv_postbox_new(unsigned threads);
void kv_postbox_free(kv_postbox *box);

/* Something is due for a target at that time (wall, ms), or earlier. Out of memory, it waits until
 * the next start. */
void kv_postbox_add(kv_postbox *box, kv_slice target, kv_channel channel, int64_t due_at);

/* Takes the target that is due longest; it is the caller's until it is given back. False: none is,
 * and `*next_at` says when one will be (0: nothing waits). */
bool kv_postbox_take(kv_postbox *box, kv_channel channel, int64_t now_ms,
                     uint8_t out[KV_TARGET_BYTES], int64_t *next_at);

typedef struct kv_turn_end {
    int64_t due_at;     /* what waits next; 0: nothing does */
    int64_t not_before; /* even if something is added earlier; 0: at any time */
    bool tried;         /* something was sent: `trouble` says how that went */
    bool trouble;       /* it failed or was slow */
} kv_turn_end;

void kv_postbox_give_back(kv_postbox *box, const uint8_t target[KV_TARGET_BYTES],
                          const kv_turn_end *end);
/* How often in a row the turns of a target ended in trouble. */
unsigned kv_postbox_troubles(kv_postbox *box, const uint8_t target[KV_TARGET_BYTES]);

/* Sleeps until that time (0: a minute at most), or until something is added. False: the box is
 * stopped. */
bool kv_postbox_wait(kv_postbox *box, int64_t now_ms, int64_t until_ms);
void kv_postbox_stop(kv_postbox *box);
