/* housekeeper.c - what must happen, but not on anybody's way. */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "server/audit/state.h"

enum { TICK_MS = 200, TICKS_PER_SECOND = 5, US_PER_MS = 1000 };

/* A record that belongs to nobody's call. */
typedef struct counted {
    kv_audit_ticket ticket;
    kv_audit *audit;
    kv_audit_entry entry;
    kv_refusal refusal;
} counted;

/* Nothing is lost when it cannot be written: it is counted again. */
static void counted_done(kv_audit_ticket *ticket, kv_status status)
{
    counted *counted_record = (counted *)ticket;
    kv_audit *audit = counted_record->audit;
    bool stopping;

    pthread_mutex_lock(&audit->mutex);
    stopping = audit->stop_housekeeper;
    pthread_mutex_unlock(&audit->mutex);
    if (status != KV_OK && !stopping)
        kv_audit_refused(audit, &counted_record->entry);
    free(counted_record);
}

static void post_counted(kv_audit *audit, const kv_refusal *refusal)
{
    counted *record = calloc(1, sizeof(*record));

    if (!record)
        return;
    record->audit = audit;
    record->refusal = *refusal;
    record->entry = (kv_audit_entry){ .time_ms = refusal->time_ms,
                                      .operation = refusal->operation,
                                      .status = refusal->status,
                                      .reason = refusal->reason,
                                      .count = refusal->count,
                                      .peer = kv_slice_text(record->refusal.peer) };
    record->entry.has_principal = refusal->has_principal;
    memcpy(record->entry.principal_id, refusal->principal_id, sizeof(refusal->principal_id));
    memcpy(record->entry.request_id, refusal->request_id, sizeof(refusal->request_id));
    record->ticket = (kv_audit_ticket){ .entry = &record->entry, .done = counted_done };
    kv_audit_post(audit, &record->ticket);
}

void kv_audit_flush_refusals(kv_audit *audit)
{
    kv_refusals *full;

    pthread_mutex_lock(&audit->mutex);
    full = audit->refusals;
    audit->refusals = audit->spare_refusals;
    audit->spare_refusals = full;
    pthread_mutex_unlock(&audit->mutex);
    if (full->count == 0)
        return;
    for (unsigned i = 0; i < full->count; i++)
        post_counted(audit, &full->list[i]);
    if (full->overflowed)
        post_counted(audit, &full->list[KV_REFUSALS]);
    *full = (kv_refusals){ 0 };
}

static kv_status forget_batch(kv_audit *audit, const uint8_t (*ids)[KV_REQUEST_ID_BYTES],
                              size_t count)
{
    kv_store *store = audit->config.store;
    kv_slice slices[KV_FORGET_BATCH];
    kv_error err = { 0 };

    for (size_t i = 0; i < count; i++)
        slices[i] = kv_slice_of(ids[i], KV_REQUEST_ID_BYTES);
    return store->ops->pending_done(store, audit->config.node, slices, (unsigned)count, &err);
}

/* Puts back what the store did not take. */
static void remember_again(kv_audit *audit, const kv_forgets *forgets, size_t from)
{
    pthread_mutex_lock(&audit->mutex);
    for (size_t i = from; i < forgets->count; i++)
        kv_audit_forget(audit, forgets->ids[i]);
    pthread_mutex_unlock(&audit->mutex);
}

void kv_audit_forget_pending(kv_audit *audit)
{
    kv_forgets forgets;
    kv_status status = KV_OK;
    size_t done = 0;

    pthread_mutex_lock(&audit->mutex);
    forgets = audit->forgets;
    audit->forgets = (kv_forgets){ 0 };
    pthread_mutex_unlock(&audit->mutex);
    while (done < forgets.count && status == KV_OK) {
        size_t left = forgets.count - done;
        size_t count = left < KV_FORGET_BATCH ? left : KV_FORGET_BATCH;

        status = forget_batch(audit, forgets.ids + done, count);
        done += status == KV_OK ? count : 0;
    }
    if (status != KV_OK)
        remember_again(audit, &forgets, done);
    free(forgets.ids);
}

static void look_at_space(kv_audit *audit)
{
    struct statvfs info;
    bool low, was;

    if (statvfs(audit->config.folder, &info) != 0)
        return;
    low = (uint64_t)info.f_bavail * info.f_frsize < audit->config.low_water_bytes;
    pthread_mutex_lock(&audit->mutex);
    was = audit->low_space;
    audit->low_space = low;
    pthread_mutex_unlock(&audit->mutex);
    if (low && !was)
        kv_log_write(audit->config.log, KV_LOG_ERROR, "audit.low_space", NULL);
}

static void look_at_checkpoint(kv_audit *audit)
{
    const kv_audit_status *status = &audit->status;
    int64_t late_us = 3 * audit->config.checkpoint_ms * US_PER_MS;
    bool late, was;

    pthread_mutex_lock(&audit->mutex);
    was = status->late;
    late = audit->checkpoint_failed || (status->records > status->checkpoint_records &&
                                        kv_monotonic_us() - audit->proved_us > late_us);
    audit->status.late = late;
    pthread_mutex_unlock(&audit->mutex);
    if (late && !was)
        kv_log_write(audit->config.log, KV_LOG_ERROR, "audit.checkpoint_late", NULL);
}

static void once_a_second(kv_audit *audit, bool *no_spare)
{
    kv_error err = { 0 };
    bool failed;

    kv_audit_flush_refusals(audit);
    look_at_space(audit);
    look_at_checkpoint(audit);
    failed = kv_segment_spare(audit->config.folder, audit->config.segment_bytes, &err) != KV_OK;
    if (failed && !*no_spare)
        kv_log_write(audit->config.log, KV_LOG_ERROR, "audit.no_next_segment",
                     (kv_log_field[]){ { "detail", err.detail, 0 }, { 0 } });
    *no_spare = failed;
    pthread_mutex_lock(&audit->mutex);
    if (audit->status.failed) {
        audit->retry = true;
        pthread_cond_signal(&audit->posted);
    }
    pthread_mutex_unlock(&audit->mutex);
}

void *kv_audit_housekeeper(void *context)
{
    kv_audit *audit = context;
    bool stop, no_spare = false;
    unsigned ticks = TICKS_PER_SECOND - 1;

    do {
        pthread_mutex_lock(&audit->mutex);
        if (!audit->stop_housekeeper)
            kv_audit_wait(audit, &audit->tick, TICK_MS);
        stop = audit->stop_housekeeper;
        pthread_mutex_unlock(&audit->mutex);
        kv_audit_forget_pending(audit);
        if (++ticks % TICKS_PER_SECOND == 0 && !stop)
            once_a_second(audit, &no_spare);
    } while (!stop);
    return NULL;
}
