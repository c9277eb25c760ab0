/* events.h - what happened, told to those who want to know: the transactional outbox.
 *
 * An event is a sealed row, written by the change that it tells of: there is one if and only if
 * the change is there. It never holds a secret. Whoever passes events on (webhooks, mail, the watch
 * stream) is a consumer: it reads past its cursor, does its work, and then moves its cursor, so
 * after a crash it meets some events again. Delivery is at least once.
 *
 *     kv_event_cursor(vault, work, "webhooks", &cursor, err)             where were we?
 *     kv_events_read(vault, arena, &query, &page, err)                   what happened since?
 *     ... pass page.events[] on ...
 *     kv_event_move_cursor(vault, work, "webhooks", page.next, err)      done
 *     kv_events_wait(vault, page.next, deadline)                         until there is more
 *
 * Order. `sequence` grows with every event of an installation and is about the time in
 * microseconds; it leaves gaps. Events are read in this order, and no event ever appears behind a
 * cursor: readers see nothing past the first number whose change is not decided yet. Two changes of
 * one object have the order in which they were made.
 *
 * Retention. Old events are swept, by age and by number, read or not: a consumer that fell behind
 * learns so by page.lost. The newest one always stays.
 *
 * Threads: any worker, or a thread of the server's own.
 */
#pragma once

#include "server/base/clock.h"
#include "server/vault/events/event_kinds.h"
#include "server/vault/vault.h"

enum { KV_EVENTS_PER_READ = 1000, KV_EVENT_CONSUMER_NAME_MAX = 64 };

/* --- telling --- */

/* What is new or altered. Everything is borrowed until the change is committed. */
typedef struct kv_event_version {
    const kv_vault_row *vault_row;
    const kv_object_row *object;
    kv_slice version;
    int64_t created;
    int64_t not_before; /* 0: none */
    int64_t expires;    /* 0: never */
    kv_slice sha256;    /* certificates */
    kv_slice issuer;    /* certificates: its name in the policy */
    int64_t asked;      /* certificates: when the policy wants the end announced; 0: never */
} kv_event_version;

/* From the rows; a certificate's are to be added. */
#define KV_EVENT_VERSION_OF(of_vault, of_object, row)     \
    ((kv_event_version){ .vault_row = (of_vault),         \
                         .object = (of_object),           \
                         .version = (row)->version,       \
                         .created = (row)->created,       \
                         .not_before = (row)->not_before, \
                         .expires = (row)->expires })

/* To every change that makes a version the current one of its object: tells that it is there, and
 * plans the announcements of its end. `cause`: "created" (the first one), "renewed" (a certificate
 * follows another), "rotated" (a key follows another), "imported", "set" (a secret), "restored". A
 * key or secret that belongs to a certificate tells nothing of its own here.
 * Needs two or three places in the change. Errors of kv_records_get() and kv_change_insert(). */
kv_status kv_event_new_version(kv_vault *vault, kv_work *work, const kv_event_version *about,
                               const char *cause, kv_change *change, kv_error *err) KV_MUST_USE;

/* To every change of a version that is there: its end may be another. Tells nothing by itself. */
kv_status kv_event_version_altered(kv_vault *vault, kv_work *work, const kv_event_version *about,
                                   kv_change *change, kv_error *err) KV_MUST_USE;

/* Adds any other event. `about` has the fields of its type; time and type are filled in, and the
 * row is copied to work's arena, so `about` itself need not live on; its slices must. Error texts
 * longer than 512 bytes are cut. */
kv_status kv_event_add(kv_work *work, kv_event_type type, const kv_event_row *about,
                       kv_change *change, kv_error *err) KV_MUST_USE;
/* Fills vault and object of `*out`; `object` may be NULL. */
void kv_event_place(const kv_vault_row *vault_row, const kv_object_row *object, kv_event_row *out);

/* --- reading --- */

typedef struct kv_event_query {
    int64_t after;      /* a cursor; 0: from the oldest */
    kv_slice vault_uid; /* empty: of all vaults, and of none */
    unsigned limit;     /* 1 to KV_EVENTS_PER_READ */
} kv_event_query;

typedef struct kv_event_page {
    const kv_event_row *events; /* `count` of them, oldest first, in the arena */
    unsigned count;
    int64_t next; /* the cursor past all that was read; never less than query.after */
    bool more;    /* there is more to be had at once */
    bool lost;    /* events between the cursor and the first one have been swept */
} kv_event_page;

kv_status kv_events_read(kv_vault *vault, kv_arena *arena, const kv_event_query *query,
                         kv_event_page *out, kv_error *err) KV_MUST_USE;

/* The cursor past everything that has happened: what comes is new. */
int64_t kv_events_now(kv_vault *vault);

/* Sleeps until something may have happened past the cursor (true), or until the deadline or the end
 * of the vault (false). May be true for nothing. */
bool kv_events_wait(kv_vault *vault, int64_t after, kv_deadline deadline);
/* The same, but a poke since the last return ends it too. `*pokes` starts at 0 and is the waiter's
 * own. */
bool kv_events_wait_or_poke(kv_vault *vault, int64_t after, uint64_t *pokes, kv_deadline deadline);
void kv_events_poke(kv_vault *vault);

/* --- consumers --- */

/* Where that consumer is. One that is new starts at kv_events_now(), and that is stored at once. */
kv_status kv_event_cursor(kv_vault *vault, kv_work *work, const char *name, int64_t *cursor,
                          kv_error *err) KV_MUST_USE;
/* Adds the move to a change of the consumer's own, so that what it stores about the events and how
 * far it is are one. Names: 1 to 64 of [a-z0-9-]. KV_CONFLICT at the commit: another process moved
 * it. */
kv_status kv_event_cursor_moves(kv_vault *vault, kv_work *work, const char *name, int64_t cursor,
                                kv_change *change, kv_error *err) KV_MUST_USE;
/* The same as a change of its own, recorded as "EventCursorMove". */
kv_status kv_event_move_cursor(kv_vault *vault, kv_work *work, const char *name, int64_t cursor,
                               kv_error *err) KV_MUST_USE;

/* --- keeping --- */

/* Removes what is too old or too much (kv_vault_config: events_keep_ms, events_keep). Reads every
 * event's number, so every few minutes is often enough. KV_CANCELLED after kv_vault_stop(). */
kv_status kv_events_sweep(kv_vault *vault, unsigned *removed, kv_error *err) KV_MUST_USE;
