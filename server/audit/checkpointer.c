/* checkpointer.c - signs how far the chain goes, anchors it, and closes full segments.
 *
 * Signing may be slow or fail: then the chain goes on, and the status says that proof is late.
 */
#include <stdlib.h>

#include "server/audit/state.h"
#include "server/base/text.h"
#include "server/store/schema.h"

enum { RETRY_MS = 1000, US_PER_MS = 1000 };

static kv_status sign(kv_audit *audit, const kv_chain_end *end, kv_checkpoint *out, kv_error *err)
{
    const kv_audit_signer *signer = &audit->config.signer;
    kv_checkpoint checkpoint = { .sequence = end->sequence,
                                 .time_ms = kv_clock_now_ms(audit->config.clock),
                                 .store_version = end->store.version };
    uint8_t digest[32];

    memcpy(checkpoint.head, end->head, sizeof(checkpoint.head));
    memcpy(checkpoint.store_digest, end->store.digest, sizeof(checkpoint.store_digest));
    memcpy(checkpoint.node, audit->config.node.data, sizeof(checkpoint.node));
    memcpy(checkpoint.kid, signer->kid.data, signer->kid.len);
    kv_checkpoint_digest(&checkpoint, digest);
    KV_TRY(signer->sign(signer->context, digest, checkpoint.signature, err));
    *out = checkpoint;
    return KV_OK;
}

static kv_status anchor(kv_audit *audit, const kv_checkpoint *checkpoint, kv_error *err)
{
    const kv_audit_anchor *to = &audit->config.anchor;
    uint8_t bytes[KV_CHECKPOINT_BYTES];

    return to->write(to->context, kv_slice_of(bytes, kv_checkpoint_pack(checkpoint, bytes)), err);
}

static void publish(kv_audit *audit, const kv_checkpoint *checkpoint, bool anchored)
{
    pthread_mutex_lock(&audit->mutex);
    audit->status.checkpoint = *checkpoint;
    audit->status.checkpoint_records = checkpoint->sequence;
    audit->status.checkpoint_ms = checkpoint->time_ms;
    audit->status.anchored = anchored;
    audit->proved_us = kv_monotonic_us();
    pthread_mutex_unlock(&audit->mutex);
}

/* Signs the end of the chain, puts that into the chain, and only then on the token. */
static kv_status make_checkpoint(kv_audit *audit, const kv_chain_end *end, kv_error *err)
{
    kv_own_ticket ticket = { 0 };

    KV_TRY(sign(audit, end, &ticket.checkpoint, err));
    if (kv_audit_post_and_wait(audit, &ticket) != KV_OK)
        return kv_fail(err, KV_UNAVAILABLE, "the checkpoint cannot be written");
    publish(audit, &ticket.checkpoint, false);
    KV_TRY(anchor(audit, &ticket.checkpoint, err));
    publish(audit, &ticket.checkpoint, true);
    return KV_OK;
}

/* The audit thread has no more to do with this segment: its last frame is written here. */
static kv_status write_closing(kv_audit *audit, kv_closing *closing, kv_error *err)
{
    uint8_t message[KV_CHECKPOINT_BYTES], hash[32];
    uint8_t frame[KV_CHECKPOINT_BYTES + KV_FRAME_HEAD_BYTES + 1 + KV_FRAME_HASH_BYTES];
    size_t len;

    if (closing->written)
        return KV_OK;
    KV_TRY(sign(audit, &closing->end, &closing->checkpoint, err));
    len = kv_checkpoint_pack(&closing->checkpoint, message);
    kv_frame_pack(KV_FRAME_CHECKPOINT, kv_slice_of(message, len), closing->end.link, frame, hash);
    KV_TRY(kv_segment_append(&closing->segment, kv_slice_of(frame, kv_frame_bytes(len)), err));
    KV_TRY(kv_segment_finish(&closing->segment, err));
    closing->written = true;
    return KV_OK;
}

static kv_status note_of(const kv_closing *closing, kv_arena *arena, kv_slice *out, kv_error *err)
{
    return kv_arena_print(arena, out, err, "records=%llu-%llu",
                          (unsigned long long)closing->segment.first,
                          (unsigned long long)closing->end.sequence);
}

/* The signed head goes to the store with a pending record, like every change. */
static kv_status store_head(kv_audit *audit, const kv_closing *closing, kv_arena *arena,
                            kv_audit_entry *entry, kv_error *err)
{
    kv_store *store = audit->config.store;
    uint8_t message[KV_CHECKPOINT_BYTES];
    kv_segment_row row = { .id = (int64_t)closing->segment.first,
                           .first = (int64_t)closing->segment.first,
                           .last = (int64_t)closing->end.sequence,
                           .hash = kv_slice_of(closing->end.head, 32),
                           .signer = audit->config.signer.kid,
                           .closed = closing->checkpoint.time_ms };
    kv_change change = { .count = 1 };
    kv_store_state state;

    row.head.generation = kv_clock_now_ms(audit->config.clock) * US_PER_MS;
    row.signature = kv_slice_of(message, kv_checkpoint_pack(&closing->checkpoint, message));
    change.few[0] =
        (kv_change_op){ .kind = KV_CHANGE_INSERT, .table = &kv_table_segments, .row = &row };
    change.pending.node = audit->config.node;
    change.pending.request_id = kv_slice_of(entry->request_id, sizeof(entry->request_id));
    KV_TRY(kv_audit_encode(entry, arena, &change.pending.record, err));
    /* A start after a crash here believes its own records alone. */
    change.pending_mac = audit->config.pending_mac;
    KV_TRY(store->ops->apply(store, &change, &state, err));
    entry->store_version = state.version;
    memcpy(entry->store_digest, state.digest, sizeof(entry->store_digest));
    return KV_OK;
}

static kv_status close_segment(kv_audit *audit, kv_closing *closing, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(65536);
    kv_audit_entry entry = { .operation = "AuditSegmentClose",
                             .time_ms = kv_clock_now_ms(audit->config.clock) };
    kv_own_ticket ticket = { .ticket = { .entry = &entry, .pending = true } };
    kv_status status;

    KV_TRY(write_closing(audit, closing, err));
    KV_TRY(note_of(closing, &arena, &entry.note, err));
    if (!kv_random_id(entry.request_id, sizeof(entry.request_id)))
        return kv_fail(err, KV_UNAVAILABLE, "no random bytes");
    status = store_head(audit, closing, &arena, &entry, err);
    if (status == KV_EXISTS)
        return KV_OK;
    KV_TRY(status);
    /* When this cannot be written, the audit thread owes it. */
    (void)kv_audit_post_and_wait(audit, &ticket);
    return KV_OK;
}

static kv_status close_segments(kv_audit *audit, kv_error *err)
{
    for (;;) {
        kv_closing *closing;

        pthread_mutex_lock(&audit->mutex);
        closing = audit->closings;
        pthread_mutex_unlock(&audit->mutex);
        if (!closing)
            return KV_OK;
        KV_TRY(close_segment(audit, closing, err));
        pthread_mutex_lock(&audit->mutex);
        audit->closings = closing->next;
        pthread_mutex_unlock(&audit->mutex);
        kv_segment_cleanup(&closing->segment);
        free(closing);
    }
}

static bool wants_checkpoint(const kv_audit *audit)
{
    const kv_audit_status *status = &audit->status;

    return status->checkpoint_ms == 0 || status->records > status->checkpoint_records ||
           !status->anchored;
}

/* One round: everything that is due. */
static kv_status work(kv_audit *audit, kv_error *err)
{
    kv_chain_end end;
    bool wanted;

    KV_TRY(close_segments(audit, err));
    pthread_mutex_lock(&audit->mutex);
    end = audit->end;
    wanted = wants_checkpoint(audit);
    pthread_mutex_unlock(&audit->mutex);
    return wanted ? make_checkpoint(audit, &end, err) : KV_OK;
}

/* With the mutex held: how long nothing is due; 0 when something is. */
static int64_t idle_ms(const kv_audit *audit)
{
    const kv_audit_config *config = &audit->config;
    int64_t past_ms = (kv_monotonic_us() - audit->proved_us) / US_PER_MS;

    if (audit->stop_checkpointer || audit->asked != audit->answered || audit->closings)
        return 0;
    if (!wants_checkpoint(audit))
        return config->checkpoint_ms;
    if (audit->status.records - audit->status.checkpoint_records >= config->checkpoint_records ||
        past_ms >= config->checkpoint_ms)
        return 0;
    return config->checkpoint_ms - past_ms;
}

/* Sleeps until something is due. Tells which requests this round answers, and if it is the last. */
static bool wait_for_work(kv_audit *audit, bool failed, uint64_t *asked)
{
    bool last;

    pthread_mutex_lock(&audit->mutex);
    if (failed && !audit->stop_checkpointer && audit->asked == audit->answered)
        kv_audit_wait(audit, &audit->due, RETRY_MS);
    for (int64_t ms; (ms = idle_ms(audit)) > 0;)
        kv_audit_wait(audit, &audit->due, ms);
    *asked = audit->asked;
    last = audit->stop_checkpointer;
    pthread_mutex_unlock(&audit->mutex);
    return last;
}

static void answer(kv_audit *audit, uint64_t asked, const kv_error *err)
{
    bool failed = err->status != KV_OK, was;

    pthread_mutex_lock(&audit->mutex);
    was = audit->checkpoint_failed;
    audit->checkpoint_failed = failed;
    audit->answered = asked;
    audit->answer = *err;
    pthread_cond_broadcast(&audit->made);
    pthread_mutex_unlock(&audit->mutex);
    if (failed && !was)
        kv_log_write(audit->config.log, KV_LOG_ERROR, "audit.checkpoint_failed",
                     (kv_log_field[]){
                         { "message", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    if (was && !failed)
        kv_log_write(audit->config.log, KV_LOG_INFO, "audit.checkpoint_works_again", NULL);
}

void *kv_audit_checkpointer(void *context)
{
    kv_audit *audit = context;
    bool last, failed = false;

    do {
        kv_error err = { 0 };
        uint64_t asked;

        last = wait_for_work(audit, failed, &asked);
        failed = work(audit, &err) != KV_OK;
        answer(audit, asked, &err);
    } while (!last);
    return NULL;
}
