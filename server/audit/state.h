/* state.h - what the threads of the audit log share. Only for the sources of this folder.
 *
 * Three threads: the appender owns the chain; the checkpointer signs, anchors and closes segments;
 * the housekeeper forgets pending rows, posts counted refusals, prepares the next segment and looks
 * at the free space. None of the latter two can hold up the first.
 */
#pragma once

#include <pthread.h>

#include "server/audit/audit.h"
#include "server/audit/chain.h"
#include "server/audit/refusals.h"

enum { KV_REQUEST_ID_BYTES = 16, KV_FORGET_BATCH = 256, KV_FORGET_MOST = 65536 };

/* Request ids of pending rows that are in the chain and synced. */
typedef struct kv_forgets {
    uint8_t (*ids)[KV_REQUEST_ID_BYTES];
    size_t count;
    size_t room;
} kv_forgets;

struct kv_audit {
    kv_audit_config config;
    int lock_fd;

    /* The appender's. */
    kv_chain chain;
    kv_audit_ticket *owed; /* records of changes whose group could not be written */
    unsigned owed_count;

    pthread_t appender;
    pthread_t checkpointer;
    pthread_t housekeeper;
    unsigned started; /* how many of the three */

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t posted; /* wakes the appender */
    pthread_cond_t due;    /* wakes the checkpointer */
    pthread_cond_t made;   /* a checkpoint, or a ticket somebody waits for */
    pthread_cond_t tick;   /* wakes the housekeeper */
    kv_audit_ticket *first;
    kv_audit_ticket **last;
    bool retry; /* the appender tries what it owes again */
    bool stop_appender;
    bool stop_checkpointer;
    bool stop_housekeeper;
    kv_audit_status status;
    kv_chain_end end; /* of what is durable */
    kv_closing *closings;
    uint64_t asked;    /* checkpoints by number */
    uint64_t answered; /* `answer` is for all up to this one */
    kv_error answer;
    bool checkpoint_failed;
    int64_t proved_us; /* monotonic time of the last checkpoint */
    kv_forgets forgets;
    kv_refusals *refusals;
    kv_refusals *spare_refusals; /* the housekeeper's, while it posts them */
    bool low_space;
};

/* A ticket of the log's own threads, which sleep until it is done. Without an entry it is the
 * checkpoint that is appended; without that either, it says that all before it was. */
typedef struct kv_own_ticket {
    kv_audit_ticket ticket;
    kv_checkpoint checkpoint;
    kv_audit *audit;
    bool finished;
    kv_status status;
} kv_own_ticket;

/* audit.c */
/* Posts and waits: KV_OK or KV_UNAVAILABLE. Not from the audit thread. */
kv_status kv_audit_post_and_wait(kv_audit *audit, kv_own_ticket *ticket);
/* With the mutex held. Past KV_FORGET_MOST the row is left to the next start. */
void kv_audit_forget(kv_audit *audit, const uint8_t id[KV_REQUEST_ID_BYTES]);
/* Gives a full segment to the checkpointer; takes the mutex. */
void kv_audit_close_later(kv_audit *audit, KV_TAKES kv_closing *closing);
/* Waits on a condition with the mutex held, at most `ms`. */
void kv_audit_wait(kv_audit *audit, pthread_cond_t *condition, int64_t ms);

/* appender.c */
void *kv_audit_appender(void *audit);
void kv_audit_drop_owed(kv_audit *audit);

/* checkpointer.c */
void *kv_audit_checkpointer(void *audit);

/* housekeeper.c */
void *kv_audit_housekeeper(void *audit);
/* Posts what was counted since the last time. */
void kv_audit_flush_refusals(kv_audit *audit);
void kv_audit_forget_pending(kv_audit *audit);

/* startup.c: everything before the threads. */
kv_status kv_audit_open_chain(kv_audit *audit, kv_error *err) KV_MUST_USE;
