/* event_outbox.c - a counter and the list of open changes, behind one mutex. */
#include "server/vault/events/event_outbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/store/schema.h"

struct kv_outbox {
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t settled;
    int64_t last;                      /* the largest number given out */
    kv_outbox_turn *oldest, *youngest; /* open changes, by number */
    uint64_t pokes;
    bool stopped;
};

kv_outbox *kv_outbox_new(int64_t last)
{
    kv_outbox *outbox = calloc(1, sizeof(*outbox));
    pthread_condattr_t monotonic;

    if (!outbox)
        return NULL;
    outbox->last = last;
    (void)pthread_mutex_init(&outbox->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&outbox->settled, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return outbox;
}

void kv_outbox_free(kv_outbox *outbox)
{
    if (!outbox)
        return;
    (void)pthread_cond_destroy(&outbox->settled);
    (void)pthread_mutex_destroy(&outbox->mutex);
    free(outbox);
}

/* The first number past `after`, if there is one. */
static kv_status next_number(kv_records *records, kv_arena *arena, int64_t after, int64_t *out,
                             bool *found, kv_error *err)
{
    kv_event_row from = { .sequence = after };
    kv_scan scan = { .table = &kv_table_events, .from = &from, .after = true, .limit = 1 };
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(records, &scan, arena, &rows, err));
    *found = rows.count > 0;
    if (*found)
        *out = ((const kv_event_row *)rows.rows)->sequence;
    return KV_OK;
}

/* Scans go upwards only, so the end is found by halving: at most 64 rows are read. */
kv_status kv_outbox_last(kv_records *records, kv_arena *arena, int64_t *out, kv_error *err)
{
    int64_t low = 0, high = INT64_MAX;
    bool found = false;

    KV_TRY(next_number(records, arena, 0, &low, &found, err));
    /* There is an event `low`, and none past `high`. */
    while (found && low < high) {
        int64_t middle = low + (high - low) / 2;
        bool beyond = false;

        KV_TRY(next_number(records, arena, middle, &low, &beyond, err));
        if (!beyond)
            high = middle;
    }
    *out = low;
    return KV_OK;
}

static void number(kv_outbox *outbox, kv_change *change, int64_t now_us, kv_outbox_turn *turn)
{
    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];
        kv_event_row *row = (kv_event_row *)op->row; /* kv_event_add made it */

        if (op->table != &kv_table_events || op->kind != KV_CHANGE_INSERT)
            continue;
        outbox->last = outbox->last < now_us ? now_us : outbox->last + 1;
        row->sequence = outbox->last;
        if (!turn->first)
            turn->first = outbox->last;
    }
}

void kv_outbox_open(kv_outbox *outbox, kv_change *change, int64_t now_ms, kv_outbox_turn *turn)
{
    *turn = (kv_outbox_turn){ 0 };
    pthread_mutex_lock(&outbox->mutex);
    number(outbox, change, now_ms * 1000, turn);
    if (turn->first) {
        turn->before = outbox->youngest;
        if (outbox->youngest)
            outbox->youngest->after = turn;
        else
            outbox->oldest = turn;
        outbox->youngest = turn;
    }
    pthread_mutex_unlock(&outbox->mutex);
}

void kv_outbox_close(kv_outbox *outbox, kv_outbox_turn *turn)
{
    if (!turn->first)
        return;
    pthread_mutex_lock(&outbox->mutex);
    *(turn->before ? &turn->before->after : &outbox->oldest) = turn->after;
    *(turn->after ? &turn->after->before : &outbox->youngest) = turn->before;
    pthread_cond_broadcast(&outbox->settled);
    pthread_mutex_unlock(&outbox->mutex);
}

/* With the mutex held. */
static int64_t settled(const kv_outbox *outbox)
{
    return outbox->oldest ? outbox->oldest->first - 1 : outbox->last;
}

int64_t kv_outbox_settled(kv_outbox *outbox)
{
    int64_t number;

    pthread_mutex_lock(&outbox->mutex);
    number = settled(outbox);
    pthread_mutex_unlock(&outbox->mutex);
    return number;
}

bool kv_outbox_wait(kv_outbox *outbox, int64_t after, uint64_t *pokes, kv_deadline deadline)
{
    bool more;
    int late = 0;

    pthread_mutex_lock(&outbox->mutex);
    while (!outbox->stopped && settled(outbox) <= after && !late &&
           !(pokes && *pokes != outbox->pokes))
        late = pthread_cond_timedwait(&outbox->settled, &outbox->mutex, &deadline.at);
    more = !outbox->stopped && settled(outbox) > after;
    if (pokes)
        *pokes = outbox->pokes;
    pthread_mutex_unlock(&outbox->mutex);
    return more;
}

void kv_outbox_poke(kv_outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->pokes++;
    pthread_cond_broadcast(&outbox->settled);
    pthread_mutex_unlock(&outbox->mutex);
}

void kv_outbox_stop(kv_outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->stopped = true;
    pthread_cond_broadcast(&outbox->settled);
    pthread_mutex_unlock(&outbox->mutex);
}
