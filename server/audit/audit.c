/* audit.c - the door of the audit log: starting, posting, asking, stopping. */
#include "server/audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/audit/reader.h"
#include "server/audit/state.h"

enum { THREADS = 3, KID_DIGITS = 32, FOLDER_MODE = 0700 };

static const uint64_t default_segment_bytes = 256ull * 1024 * 1024;
static const uint64_t default_checkpoint_records = 100000;
static const int64_t default_checkpoint_ms = 10000;

void kv_audit_wait(kv_audit *audit, pthread_cond_t *condition, int64_t ms)
{
    kv_deadline deadline = kv_deadline_in_ms(ms);

    (void)pthread_cond_timedwait(condition, &audit->mutex, &deadline.at);
}

void kv_audit_forget(kv_audit *audit, const uint8_t id[KV_REQUEST_ID_BYTES])
{
    kv_forgets *forgets = &audit->forgets;

    if (forgets->count == forgets->room) {
        size_t room = forgets->room ? 2 * forgets->room : KV_FORGET_BATCH;
        uint8_t(*ids)[KV_REQUEST_ID_BYTES];

        if (room > KV_FORGET_MOST)
            return;
        ids = realloc(forgets->ids, room * sizeof(*ids));
        if (!ids)
            return;
        forgets->ids = ids;
        forgets->room = room;
    }
    memcpy(forgets->ids[forgets->count++], id, KV_REQUEST_ID_BYTES);
}

void kv_audit_close_later(kv_audit *audit, kv_closing *closing)
{
    kv_closing **end = &audit->closings;

    pthread_mutex_lock(&audit->mutex);
    while (*end)
        end = &(*end)->next;
    *end = closing;
    pthread_cond_signal(&audit->due);
    pthread_cond_signal(&audit->tick);
    pthread_mutex_unlock(&audit->mutex);
}

static void own_ticket_done(kv_audit_ticket *ticket, kv_status status)
{
    kv_own_ticket *own = (kv_own_ticket *)ticket;
    kv_audit *audit = own->audit;

    pthread_mutex_lock(&audit->mutex);
    own->finished = true;
    own->status = status;
    pthread_cond_broadcast(&audit->made);
    pthread_mutex_unlock(&audit->mutex);
}

kv_status kv_audit_post_and_wait(kv_audit *audit, kv_own_ticket *ticket)
{
    kv_status status;

    ticket->audit = audit;
    ticket->finished = false;
    ticket->ticket.next = NULL;
    ticket->ticket.done = own_ticket_done;
    kv_audit_post(audit, &ticket->ticket);
    pthread_mutex_lock(&audit->mutex);
    while (!ticket->finished)
        pthread_cond_wait(&audit->made, &audit->mutex);
    status = ticket->status;
    pthread_mutex_unlock(&audit->mutex);
    return status;
}

static kv_status check(const kv_audit_config *config, kv_error *err)
{
    if (config->node.len != sizeof(((kv_audit_record *)0)->node))
        return kv_fail(err, KV_BAD_REQUEST, "a node is 16 bytes");
    if (config->signer.kid.len != KID_DIGITS)
        return kv_fail(err, KV_BAD_REQUEST, "the audit signer's kid is 32 hexadecimal digits");
    if (config->segment_bytes && config->segment_bytes < KV_SEGMENT_LEAST_BYTES)
        return kv_fail_field(err, "audit.segment_bytes", "must be at least %d",
                             KV_SEGMENT_LEAST_BYTES);
    return KV_OK;
}

static kv_status lock_folder(kv_audit *audit, kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES];

    if (mkdir(audit->config.folder, FOLDER_MODE) != 0 && errno != EEXIST) {
        kv_fail(err, KV_UNAVAILABLE, "the audit folder cannot be made");
        return kv_note(err, "%s: %s", audit->config.folder, strerror(errno));
    }
    KV_TRY(kv_segment_path(audit->config.folder, "lock", path, err));
    audit->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (audit->lock_fd < 0) {
        kv_fail(err, KV_UNAVAILABLE, "the audit folder cannot be used");
        return kv_note(err, "%s: %s", path, strerror(errno));
    }
    if (flock(audit->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return kv_fail(err, KV_PRECONDITION, "another process has the audit folder");
    return KV_OK;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static kv_audit *make(const kv_audit_config *config)
{
    kv_audit *audit = calloc(1, sizeof(*audit));

    if (!audit)
        return NULL;
    audit->config = *config;
    if (!audit->config.segment_bytes)
        audit->config.segment_bytes = default_segment_bytes;
    if (!audit->config.checkpoint_records)
        audit->config.checkpoint_records = default_checkpoint_records;
    if (audit->config.checkpoint_ms <= 0)
        audit->config.checkpoint_ms = default_checkpoint_ms;
    audit->lock_fd = -1;
    audit->chain.active = KV_SEGMENT_NONE;
    audit->last = &audit->first;
    audit->proved_us = kv_monotonic_us();
    audit->refusals = calloc(1, sizeof(*audit->refusals));
    audit->spare_refusals = calloc(1, sizeof(*audit->spare_refusals));
    pthread_mutex_init(&audit->mutex, NULL);
    init_condition(&audit->posted);
    init_condition(&audit->due);
    init_condition(&audit->made);
    init_condition(&audit->tick);
    return audit;
}

static void free_audit(kv_audit *audit)
{
    while (audit->closings) {
        kv_closing *closing = audit->closings;

        audit->closings = closing->next;
        kv_segment_cleanup(&closing->segment);
        free(closing);
    }
    kv_audit_drop_owed(audit);
    kv_chain_cleanup(&audit->chain);
    if (audit->lock_fd >= 0)
        (void)close(audit->lock_fd);
    free(audit->forgets.ids);
    free(audit->refusals);
    free(audit->spare_refusals);
    pthread_cond_destroy(&audit->posted);
    pthread_cond_destroy(&audit->due);
    pthread_cond_destroy(&audit->made);
    pthread_cond_destroy(&audit->tick);
    pthread_mutex_destroy(&audit->mutex);
    free(audit);
}

static kv_status start_threads(kv_audit *audit, kv_error *err)
{
    struct {
        pthread_t *thread;
        void *(*run)(void *);
    } const threads[THREADS] = { { &audit->appender, kv_audit_appender },
                                 { &audit->checkpointer, kv_audit_checkpointer },
                                 { &audit->housekeeper, kv_audit_housekeeper } };

    for (; audit->started < THREADS; audit->started++)
        if (pthread_create(threads[audit->started].thread, NULL, threads[audit->started].run,
                           audit) != 0)
            return kv_fail(err, KV_UNAVAILABLE, "no thread for the audit log");
    return KV_OK;
}

static void stop_thread(kv_audit *audit, bool *stop, pthread_cond_t *wake, pthread_t thread)
{
    pthread_mutex_lock(&audit->mutex);
    *stop = true;
    pthread_cond_broadcast(wake);
    pthread_mutex_unlock(&audit->mutex);
    pthread_join(thread, NULL);
}

static kv_status open_audit(kv_audit *audit, kv_error *err)
{
    if (!audit->refusals || !audit->spare_refusals)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    KV_TRY(lock_folder(audit, err));
    KV_TRY(kv_audit_open_chain(audit, err));
    KV_TRY(start_threads(audit, err));
    return kv_audit_checkpoint(audit, err);
}

kv_status kv_audit_start(const kv_audit_config *config, kv_audit **out, kv_error *err)
{
    kv_audit *audit;

    KV_TRY(check(config, err));
    audit = make(config);
    if (!audit)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    if (open_audit(audit, err) != KV_OK) {
        kv_audit_stop(audit);
        return err->status;
    }
    *out = audit;
    return KV_OK;
}

void kv_audit_stop(kv_audit *audit)
{
    kv_own_ticket all_before = { 0 };

    if (!audit)
        return;
    if (audit->started > 2)
        stop_thread(audit, &audit->stop_housekeeper, &audit->tick, audit->housekeeper);
    if (audit->started > 0) {
        kv_audit_flush_refusals(audit);
        /* The last checkpoint is over everything that was posted. */
        (void)kv_audit_post_and_wait(audit, &all_before);
    }
    if (audit->started > 1)
        stop_thread(audit, &audit->stop_checkpointer, &audit->due, audit->checkpointer);
    if (audit->started > 0) {
        stop_thread(audit, &audit->stop_appender, &audit->posted, audit->appender);
        kv_audit_forget_pending(audit);
    }
    free_audit(audit);
}

void kv_audit_post(kv_audit *audit, kv_audit_ticket *tickets)
{
    kv_audit_ticket *last = tickets;

    while (last->next)
        last = last->next;
    pthread_mutex_lock(&audit->mutex);
    *audit->last = tickets;
    audit->last = &last->next;
    pthread_cond_signal(&audit->posted);
    pthread_mutex_unlock(&audit->mutex);
}

void kv_audit_refused(kv_audit *audit, const kv_audit_entry *entry)
{
    pthread_mutex_lock(&audit->mutex);
    kv_refusals_add(audit->refusals, entry);
    pthread_mutex_unlock(&audit->mutex);
}

kv_status kv_audit_encode(const kv_audit_entry *entry, kv_arena *arena, kv_slice *out,
                          kv_error *err)
{
    kv_audit_record record = { .entry = *entry };
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];

    return kv_arena_copy(arena, kv_slice_of(bytes, kv_audit_record_pack(&record, bytes)), out, err);
}

void kv_audit_get_status(kv_audit *audit, kv_audit_status *out)
{
    pthread_mutex_lock(&audit->mutex);
    *out = audit->status;
    pthread_mutex_unlock(&audit->mutex);
}

bool kv_audit_low_space(kv_audit *audit)
{
    bool low;

    pthread_mutex_lock(&audit->mutex);
    low = audit->low_space;
    pthread_mutex_unlock(&audit->mutex);
    return low;
}

kv_status kv_audit_checkpoint(kv_audit *audit, kv_error *err)
{
    kv_error answer;
    uint64_t number;

    pthread_mutex_lock(&audit->mutex);
    number = ++audit->asked;
    pthread_cond_signal(&audit->due);
    while (audit->answered < number)
        pthread_cond_wait(&audit->made, &audit->mutex);
    answer = audit->answer;
    pthread_mutex_unlock(&audit->mutex);
    if (answer.status != KV_OK)
        *err = answer;
    return answer.status;
}
