/* appender.c - the audit thread: takes all that waits, writes it once, tells everybody. */
#include <stdlib.h>

#include "server/audit/state.h"

enum { OWED_MOST = 4096, OWED_ARENA_BYTES = 65536 };

/* The record of a change that could not be written: the change is there, so its record must be. */
typedef struct owed_record {
    kv_audit_ticket ticket;
    kv_audit *audit;
    int64_t since_ms;
    kv_arena arena;
    kv_audit_record record;
} owed_record;

static void free_owed(owed_record *owed)
{
    kv_arena_cleanup(&owed->arena);
    free(owed);
}

static void owed_done(kv_audit_ticket *ticket, kv_status status)
{
    owed_record *owed = (owed_record *)ticket;
    kv_audit_ticket **end = &owed->audit->owed;

    if (status == KV_OK) {
        free_owed(owed);
        return;
    }
    while (*end)
        end = &(*end)->next;
    ticket->next = NULL;
    *end = ticket;
    owed->audit->owed_count++;
}

/* Copies the record, because its call ends now. Start-up finds its pending row when that fails. */
static void owe(kv_audit *audit, const kv_audit_ticket *ticket)
{
    kv_audit_record record = { .entry = *ticket->entry };
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    kv_error unused = { 0 };
    owed_record *owed;

    if (audit->owed_count >= OWED_MOST)
        return;
    owed = calloc(1, sizeof(*owed));
    if (!owed)
        return;
    owed->arena = KV_ARENA(OWED_ARENA_BYTES);
    owed->audit = audit;
    owed->since_ms = kv_clock_now_ms(audit->config.clock);
    if (kv_audit_record_unpack(kv_slice_of(bytes, kv_audit_record_pack(&record, bytes)),
                               &owed->arena, &owed->record, &unused) != KV_OK) {
        free_owed(owed);
        return;
    }
    owed->ticket =
        (kv_audit_ticket){ .entry = &owed->record.entry, .pending = true, .done = owed_done };
    owed_done(&owed->ticket, KV_UNAVAILABLE);
}

void kv_audit_drop_owed(kv_audit *audit)
{
    while (audit->owed) {
        owed_record *owed = (owed_record *)audit->owed;

        audit->owed = owed->ticket.next;
        free_owed(owed);
    }
}

static void log_change(kv_audit *audit, bool failed, const kv_error *err)
{
    if (failed)
        kv_log_write(audit->config.log, KV_LOG_ERROR, "audit.write_failed",
                     (kv_log_field[]){ { "detail", err->detail, 0 }, { 0 } });
    else
        kv_log_write(audit->config.log, KV_LOG_INFO, "audit.write_works_again", NULL);
}

/* Shows what is durable now to everybody else. */
static void publish(kv_audit *audit, kv_audit_ticket *from, const kv_audit_ticket *to,
                    kv_status status, const kv_error *err)
{
    const kv_chain *chain = &audit->chain;
    bool failed = status != KV_OK, was;

    pthread_mutex_lock(&audit->mutex);
    was = audit->status.failed;
    audit->status.failed = failed;
    audit->end = chain->durable;
    audit->status.records = chain->durable.sequence;
    audit->status.store_version = chain->durable.store.version;
    memcpy(audit->status.head, chain->durable.head, sizeof(audit->status.head));
    audit->status.active = chain->active.first;
    audit->status.durable = chain->active.end;
    for (; !failed && from != to; from = from->next)
        if (from->pending)
            kv_audit_forget(audit, from->entry->request_id);
    if (chain->durable.sequence - audit->status.checkpoint_records >=
        audit->config.checkpoint_records)
        pthread_cond_signal(&audit->due);
    pthread_mutex_unlock(&audit->mutex);
    if (was != failed)
        log_change(audit, failed, err);
}

/* Cuts off the first, with those after it that want to be told together; gives what follows. */
static kv_audit_ticket *cut(kv_audit_ticket *from, const kv_audit_ticket *to)
{
    kv_audit_ticket *last = from, *rest;

    while (from->done_together && last->next != to &&
           last->next->done_together == from->done_together)
        last = last->next;
    rest = last->next;
    last->next = NULL;
    return rest;
}

static void tell(kv_audit *audit, kv_audit_ticket *from, const kv_audit_ticket *to,
                 kv_status status)
{
    while (from != to) {
        kv_audit_ticket *next = cut(from, to);

        for (kv_audit_ticket *one = from; status != KV_OK && one; one = one->next)
            if (one->pending && one->done != owed_done)
                owe(audit, one);
        if (from->done_together)
            from->done_together(from, status);
        else
            from->done(from, status);
        from = next;
    }
}

/* Commits the group, which holds the tickets before `to`. */
static kv_status flush(kv_audit *audit, kv_audit_ticket *from, const kv_audit_ticket *to)
{
    kv_error err = { 0 };
    bool empty = audit->chain.used == 0;
    kv_status status = kv_chain_commit(&audit->chain, &err);

    /* An empty group says nothing about the disk. */
    if (!empty)
        publish(audit, from, to, status, &err);
    tell(audit, from, to, status);
    return status;
}

/* When a segment that begins with this record should have begun: a search goes by what the header
 * says. A record that is owed was to be written when it began to be; any other now, however long
 * ago its call began (a stream may last for a day), for the segment before was in use until now. */
static int64_t beginning_of(const kv_audit *audit, const kv_audit_ticket *first)
{
    int64_t now_ms = kv_clock_now_ms(audit->config.clock);
    int64_t since_ms = first->done == owed_done ? ((const owed_record *)first)->since_ms : now_ms;

    return since_ms < now_ms ? since_ms : now_ms;
}

static kv_status rotate(kv_audit *audit, const kv_audit_ticket *first)
{
    kv_closing *closing = NULL;
    kv_error err = { 0 };
    kv_status status = kv_chain_rotate(&audit->chain, beginning_of(audit, first), &closing, &err);

    publish(audit, NULL, NULL, status, &err);
    if (status != KV_OK)
        return status;
    kv_audit_close_later(audit, closing);
    return KV_OK;
}

static kv_chain_room add(kv_audit *audit, const kv_audit_ticket *ticket)
{
    const kv_own_ticket *own = (const kv_own_ticket *)ticket;
    kv_audit_record record;

    if (!ticket->entry && own->checkpoint.time_ms == 0)
        return KV_CHAIN_ADDED;
    if (!ticket->entry)
        return kv_chain_add_checkpoint(&audit->chain, &own->checkpoint);
    record.entry = *ticket->entry;
    return kv_chain_add(&audit->chain, &record);
}

static void append(kv_audit *audit, kv_audit_ticket *list)
{
    kv_audit_ticket *from = list, *at = list;
    kv_status status = KV_OK;

    while (at && status == KV_OK) {
        kv_chain_room room = add(audit, at);

        if (room == KV_CHAIN_ADDED) {
            at = at->next;
            continue;
        }
        status = flush(audit, from, at);
        from = at;
        if (status == KV_OK && room == KV_CHAIN_SEGMENT_FULL)
            status = rotate(audit, at);
    }
    if (status == KV_OK)
        (void)flush(audit, from, NULL);
    else
        tell(audit, from, NULL, status);
}

/* What is owed goes first. */
static kv_audit_ticket *with_owed(kv_audit *audit, kv_audit_ticket *list)
{
    kv_audit_ticket *first = audit->owed, **end = &first;

    while (*end)
        end = &(*end)->next;
    *end = list;
    audit->owed = NULL;
    audit->owed_count = 0;
    return first;
}

/* Everything that waits; sleeps until there is something. False when it is time to go. */
static bool take(kv_audit *audit, kv_audit_ticket **out)
{
    bool go_on;

    pthread_mutex_lock(&audit->mutex);
    while (!audit->first && !audit->retry && !audit->stop_appender)
        pthread_cond_wait(&audit->posted, &audit->mutex);
    *out = audit->first;
    audit->first = NULL;
    audit->last = &audit->first;
    audit->retry = false;
    go_on = *out || !audit->stop_appender;
    pthread_mutex_unlock(&audit->mutex);
    return go_on;
}

void *kv_audit_appender(void *context)
{
    kv_audit *audit = context;
    kv_audit_ticket *list;

    while (take(audit, &list)) {
        list = with_owed(audit, list);
        if (list)
            append(audit, list);
    }
    return NULL;
}
