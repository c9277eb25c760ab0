/* verified.c - ranges compared in the background, and before their rows are used. */
#include "server/store/verified.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/store/encode.h"

enum { MOST_TABLES = 128, PAUSE_MS = 1000, STEP_MS = 50 };

/* A range that somebody asked for before the thread came to it. */
typedef struct asked {
    uint8_t id[KV_ENCODE_HASH_BYTES];
    UT_hash_handle hh;
} asked;

struct kv_verified {
    kv_store *store; /* borrowed */
    pthread_t thread;
    const kv_table *order[MOST_TABLES];
    unsigned count;
    unsigned first; /* how many of them are the first ones */

    atomic_bool whole; /* every range is as it was counted */
    atomic_bool stopping;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t moved;
    bool ended;            /* the thread is done, whatever it found */
    unsigned at;           /* the tables before this one are done */
    kv_sorted_key reached; /* and of this one all ranges that begin before here */
    asked *asked;
    kv_error err; /* what it found */
};

static kv_status stopped(const atomic_bool *stop, kv_error *err)
{
    return stop && atomic_load(stop) ? kv_fail(err, KV_CANCELLED, "the server stops") : KV_OK;
}

/* --- the thread --- */

static unsigned add_tables(kv_verified *verified, const kv_table *const *first)
{
    for (; *first && verified->count < MOST_TABLES; first++)
        if ((*first)->sealed)
            verified->order[verified->count++] = *first;
    return verified->count;
}

static bool is_first(const kv_verified *verified, const kv_table *table)
{
    for (unsigned i = 0; i < verified->first; i++)
        if (verified->order[i] == table)
            return true;
    return false;
}

static void add_others(kv_verified *verified)
{
    for (size_t i = 0; i < kv_tables_count && verified->count < MOST_TABLES; i++)
        if (kv_tables[i]->sealed && !is_first(verified, kv_tables[i]))
            verified->order[verified->count++] = kv_tables[i];
}

static void advance(kv_verified *verified, const kv_span *span)
{
    pthread_mutex_lock(&verified->mutex);
    if (span->last) {
        verified->at++;
        verified->reached.len = 0;
        pthread_cond_broadcast(&verified->moved);
    } else {
        verified->reached = span->next;
    }
    pthread_mutex_unlock(&verified->mutex);
}

/* Callers need the database too, and its disk may be away for a while. */
static bool may_try_again(kv_verified *verified, kv_error *err)
{
    if (err->status != KV_BUSY && err->status != KV_UNAVAILABLE)
        return false;
    for (int waited = 0; waited < PAUSE_MS && !atomic_load(&verified->stopping); waited += STEP_MS)
        (void)usleep(STEP_MS * 1000);
    *err = (kv_error){ 0 };
    return true;
}

/* A start ends with the first error there is; behind the doors only with one that stays. */
static kv_status compare_table(kv_verified *verified, const kv_table *table, kv_error *err)
{
    kv_store *store = verified->store;
    bool first = is_first(verified, table);
    kv_span span = { 0 };

    do {
        kv_sorted_key from = span.next;

        do
            KV_TRY(stopped(&verified->stopping, err));
        while (store->ops->range(store, table, &from, true, &span, err) != KV_OK && !first &&
               may_try_again(verified, err));
        if (err->status != KV_OK)
            return err->status;
        advance(verified, &span);
    } while (!span.last);
    return KV_OK;
}

static kv_status compare_all(kv_verified *verified, kv_error *err)
{
    KV_TRY(verified->store->ops->compare_ranges(verified->store, err));
    for (unsigned i = 0; i < verified->count; i++)
        KV_TRY(compare_table(verified, verified->order[i], err));
    return KV_OK;
}

static void forget_asked(kv_verified *verified)
{
    asked *one, *next;

    HASH_ITER (hh, verified->asked, one, next) {
        HASH_DEL(verified->asked, one);
        free(one);
    }
}

static void *run(void *argument)
{
    kv_verified *verified = argument;
    kv_error err = { 0 };
    kv_status status;

    (void)pthread_setname_np(pthread_self(), "compare-rows");
    status = compare_all(verified, &err);
    pthread_mutex_lock(&verified->mutex);
    verified->err = err;
    verified->ended = true;
    if (status == KV_OK) {
        atomic_store(&verified->whole, true);
        forget_asked(verified);
    }
    pthread_cond_broadcast(&verified->moved);
    pthread_mutex_unlock(&verified->mutex);
    return NULL;
}

static void release(kv_verified *verified)
{
    forget_asked(verified);
    (void)pthread_cond_destroy(&verified->moved);
    (void)pthread_mutex_destroy(&verified->mutex);
    free(verified);
}

kv_verified *kv_verified_begin(kv_store *store, const kv_table *const *first)
{
    kv_verified *verified = calloc(1, sizeof(*verified));
    pthread_condattr_t monotonic;

    if (!verified)
        return NULL;
    verified->store = store;
    verified->first = add_tables(verified, first);
    add_others(verified);
    (void)pthread_mutex_init(&verified->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&verified->moved, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&verified->thread, NULL, run, verified) == 0)
        return verified;
    release(verified);
    return NULL;
}

kv_status kv_verified_wait(kv_verified *verified, int64_t rest_ms, kv_error *err)
{
    kv_deadline until;
    int waited = 0;

    pthread_mutex_lock(&verified->mutex);
    while (!verified->ended && verified->at < verified->first)
        (void)pthread_cond_wait(&verified->moved, &verified->mutex);
    until = kv_deadline_in_ms(rest_ms);
    while (!verified->ended && !waited)
        waited = pthread_cond_timedwait(&verified->moved, &verified->mutex, &until.at);
    *err = verified->err;
    pthread_mutex_unlock(&verified->mutex);
    return err->status;
}

kv_status kv_verified_finish(kv_verified *verified, kv_error *err)
{
    pthread_mutex_lock(&verified->mutex);
    while (!verified->ended)
        (void)pthread_cond_wait(&verified->moved, &verified->mutex);
    *err = verified->err;
    pthread_mutex_unlock(&verified->mutex);
    return err->status;
}

void kv_verified_stop(kv_verified *verified)
{
    atomic_store(&verified->stopping, true);
}

void kv_verified_free(kv_verified *verified)
{
    if (!verified)
        return;
    kv_verified_stop(verified);
    (void)pthread_join(verified->thread, NULL);
    release(verified);
}

/* --- asked for by who reads --- */

static kv_status no_key(const kv_table *table, kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "a key of %s is too long", table->name);
}

static unsigned place_of(const kv_verified *verified, const kv_table *table)
{
    unsigned i = 0;

    while (i < verified->count && verified->order[i] != table)
        i++;
    return i;
}

/* Has the thread been past this key, and all that begin with it? */
static bool passed(kv_verified *verified, const kv_table *table, const kv_sorted_key *key)
{
    unsigned place = place_of(verified, table);
    bool is;

    pthread_mutex_lock(&verified->mutex);
    is = place < verified->at || (place == verified->at && verified->reached.len &&
                                  !kv_sorted_key_until(&verified->reached, key));
    pthread_mutex_unlock(&verified->mutex);
    return is;
}

static bool name_range(const kv_table *table, const kv_span *span, asked *out)
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());

    kv_encode_bytes(&encoder, kv_slice_text(table->name));
    kv_encode_bytes(&encoder, kv_slice_of(span->first.bytes, span->first.len));
    return kv_encode_finish(&encoder, out->id, sizeof(out->id));
}

static bool was_asked(kv_verified *verified, const asked *range)
{
    asked *found;

    pthread_mutex_lock(&verified->mutex);
    HASH_FIND(hh, verified->asked, range->id, sizeof(range->id), found);
    pthread_mutex_unlock(&verified->mutex);
    return found != NULL;
}

/* When there is no memory for it, it is compared again the next time. */
static void keep_asked(kv_verified *verified, const asked *range)
{
    asked *found, *added;

    pthread_mutex_lock(&verified->mutex);
    HASH_FIND(hh, verified->asked, range->id, sizeof(range->id), found);
    added = found || verified->ended ? NULL : malloc(sizeof(*added));
    if (added) {
        memcpy(added->id, range->id, sizeof(added->id));
        HASH_ADD(hh, verified->asked, id, sizeof(added->id), added);
        if (!KV_HASH_HAS(added))
            free(added);
    }
    pthread_mutex_unlock(&verified->mutex);
}

/* The range of `key`; `out` says where it ends. */
static kv_status compare_range(kv_verified *verified, const kv_table *table,
                               const kv_sorted_key *key, kv_span *out, kv_error *err)
{
    kv_store *store = verified->store;
    asked range;

    KV_TRY(store->ops->range(store, table, key, false, out, err));
    if (!name_range(table, out, &range))
        return kv_fail(err, KV_INTERNAL, "a range could not be hashed");
    if (was_asked(verified, &range))
        return KV_OK;
    KV_TRY(store->ops->range(store, table, key, true, out, err));
    keep_asked(verified, &range);
    return KV_OK;
}

static bool nothing_to_do(kv_verified *verified, const kv_table *table)
{
    return !verified || !table->sealed || atomic_load(&verified->whole);
}

kv_status kv_verified_row(kv_verified *verified, const kv_table *table, const void *row,
                          kv_error *err)
{
    kv_sorted_key key;
    kv_span span;

    if (nothing_to_do(verified, table))
        return KV_OK;
    if (!kv_sort_key(table, table->key_count, row, &key))
        return no_key(table, err);
    return passed(verified, table, &key) ? KV_OK : compare_range(verified, table, &key, &span, err);
}

/* What a scan that found these rows has looked at: from which key, and until which. */
static bool bounds_of(const kv_scan *scan, const kv_rows *rows, kv_sorted_key *from,
                      kv_sorted_key *until)
{
    const kv_table *table = scan->table;
    unsigned begun = scan->after ? table->key_count : scan->prefix;
    const char *last = rows->rows;

    if (!kv_sort_key(table, begun, scan->from, from))
        return false;
    if (!rows->more || !rows->count)
        return kv_sort_key(table, scan->prefix, scan->from, until);
    last += (rows->count - 1) * table->row_size;
    return kv_sort_key(table, table->key_count, last, until);
}

kv_status kv_verified_scan(kv_verified *verified, const kv_scan *scan, const kv_rows *rows,
                           kv_error *err)
{
    const kv_table *table = scan->table;
    kv_sorted_key from, until;
    kv_span span;

    if (nothing_to_do(verified, table))
        return KV_OK;
    if (!bounds_of(scan, rows, &from, &until))
        return no_key(table, err);
    if (passed(verified, table, &until))
        return KV_OK;
    do {
        KV_TRY(compare_range(verified, table, &from, &span, err));
        from = span.next;
    } while (!span.last && kv_sorted_key_until(&span.next, &until));
    return KV_OK;
}

kv_status kv_verified_table(kv_verified *verified, const kv_table *table, kv_error *err)
{
    const kv_sorted_key all = { 0 };

    if (nothing_to_do(verified, table) || passed(verified, table, &all))
        return KV_OK;
    kv_fail(err, KV_UNAVAILABLE, "the database is still compared with the audit log: try again");
    return kv_note(err, "table %s", table->name);
}

/* --- at once --- */

static kv_status compare_whole(kv_store *store, const kv_table *table, const atomic_bool *stop,
                               kv_error *err)
{
    kv_span span = { 0 };

    do {
        kv_sorted_key from = span.next;

        KV_TRY(stopped(stop, err));
        KV_TRY(store->ops->range(store, table, &from, true, &span, err));
    } while (!span.last);
    return store->ops->compare_count(store, table, err);
}

kv_status kv_store_compare(kv_store *store, const atomic_bool *stop, kv_error *err)
{
    KV_TRY(store->ops->compare_ranges(store, err));
    for (size_t i = 0; i < kv_tables_count; i++)
        if (kv_tables[i]->sealed)
            KV_TRY(compare_whole(store, kv_tables[i], stop, err));
    return KV_OK;
}
