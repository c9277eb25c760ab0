/* event_outbox.h - the numbers of events, and who waits for new ones. Inner to vault.
 *
 * A row is sealed before its transaction begins, so its number is given then; two changes may be
 * applied in the other order, or one not at all. A change that has numbers is "open" until it is
 * applied or has failed, and readers stop short of the first open one: what they have not seen can
 * then never appear behind them.
 *
 * Threads: any. The mutex is held for a few instructions, never across the store.
 */
#pragma once

#include "server/vault/vault_impl.h"

typedef struct kv_outbox kv_outbox;

/* A change with events on its way; on the stack of who makes it. */
typedef struct kv_outbox_turn kv_outbox_turn;
struct kv_outbox_turn {
    kv_outbox_turn *before, *after;
    int64_t first; /* its lowest number; 0: it has no events */
};

/* NULL when out of memory. Numbers go on after `last`. */
kv_outbox *kv_outbox_new(int64_t last);
void kv_outbox_free(kv_outbox *outbox);
/* The number of the last event in the store; 0 when there is none. */
kv_status kv_outbox_last(kv_records *records, kv_arena *arena, int64_t *out,
                         kv_error *err) KV_MUST_USE;

/* Gives the events of a change their numbers, before it is sealed. */
void kv_outbox_open(kv_outbox *outbox, kv_change *change, int64_t now_ms, kv_outbox_turn *turn);
/* The change is applied, or never will be. Wakes who waits. */
void kv_outbox_close(kv_outbox *outbox, kv_outbox_turn *turn);

/* Every event up to this number is in the store or will never be. */
int64_t kv_outbox_settled(kv_outbox *outbox);
/* `pokes` may be NULL; see kv_events_wait_or_poke(). */
bool kv_outbox_wait(kv_outbox *outbox, int64_t after, uint64_t *pokes, kv_deadline deadline);
void kv_outbox_poke(kv_outbox *outbox);
/* Nobody waits any more. */
void kv_outbox_stop(kv_outbox *outbox);
