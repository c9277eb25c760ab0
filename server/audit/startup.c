/* startup.c - may this log go on? It must fit its anchor and its store, or nothing starts. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/audit/pending.h"
#include "server/audit/state.h"
#include "server/audit/walk.h"
#include "server/store/schema.h"

enum { ARENA_BYTES = 256 * 1024 * 1024, CLOCK_SLACK_MS = 60 * 1000 };

/* Versions of the store that records were met of. */
typedef struct versions {
    int64_t *list;
    size_t count;
    size_t room;
} versions;

/* What is known before anything is written. */
typedef struct startup {
    kv_audit *audit;
    kv_arena arena;
    kv_segment_list segments;
    kv_unchained unchained;
    kv_store_state store; /* as it is */
    kv_store_state told;  /* as the newest change in chain and pending rows says */
    versions changes;     /* after the anchor */
    bool anchored;
    kv_checkpoint anchor;
    kv_slice anchor_bytes;
    kv_audit_key key;
    kv_walk walk;
    kv_audit_report report;
} startup;

static void startup_cleanup(startup *start)
{
    kv_arena_cleanup(&start->arena);
    free(start->changes.list);
    kv_segment_list_cleanup(&start->segments);
    kv_walk_cleanup(&start->walk);
}

static kv_status refuse(kv_error *err, const char *why)
{
    kv_fail(err, KV_INTERNAL, "%s", why);
    return kv_because(err, KV_REASON_INTEGRITY);
}

static void tell(startup *start, int64_t version, const uint8_t digest[32])
{
    if (version <= start->told.version)
        return;
    start->told.version = version;
    memcpy(start->told.digest, digest, sizeof(start->told.digest));
}

/* Of what is older than the anchor, the anchor itself is the proof. */
static kv_status note_change(startup *start, int64_t version, kv_error *err)
{
    versions *to = &start->changes;

    if (!start->anchored || version <= start->anchor.store_version)
        return KV_OK;
    if (to->count == to->room) {
        size_t room = to->room ? 2 * to->room : 1024;
        int64_t *list = realloc(to->list, room * sizeof(*list));

        if (!list)
            return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
        to->list = list;
        to->room = room;
    }
    to->list[to->count++] = version;
    return KV_OK;
}

/* Every record of the walk. */
static kv_status meet(void *context, uint64_t sequence, kv_slice message, kv_error *err)
{
    startup *start = context;
    int64_t version = (int64_t)kv_audit_record_number(message, KV_AUDIT_STORE_VERSION);
    KV_AUTO(kv_arena) arena = KV_ARENA(65536);
    kv_audit_record record;

    (void)sequence;
    if (version == 0)
        return KV_OK;
    kv_unchained_meet(&start->unchained, message);
    KV_TRY(note_change(start, version, err));
    if (version <= start->told.version)
        return KV_OK;
    KV_TRY(kv_audit_record_unpack(message, &arena, &record, err));
    tell(start, version, record.entry.store_digest);
    return KV_OK;
}

static kv_status read_anchor(startup *start, kv_error *err)
{
    const kv_audit_anchor *anchor = &start->audit->config.anchor;

    KV_TRY(anchor->read(anchor->context, &start->arena, &start->anchor_bytes, err));
    if (start->anchor_bytes.len == 0)
        return KV_OK;
    start->anchored = true;
    if (kv_checkpoint_unpack(start->anchor_bytes, &start->anchor, err) != KV_OK)
        return refuse(err, "the anchor of the audit log is damaged");
    if (kv_slice_equal(kv_slice_text(start->anchor.kid), start->key.kid) &&
        !kv_checkpoint_signed_by(&start->anchor, start->key.spki))
        return refuse(err, "the anchor of the audit log is not signed by its signer");
    return KV_OK;
}

static kv_status look(startup *start, kv_error *err)
{
    kv_audit *audit = start->audit;

    KV_TRY(kv_segment_list_read(audit->config.folder, &start->segments, err));
    KV_TRY(read_anchor(start, err));
    KV_TRY(audit->config.store->ops->state(audit->config.store, &start->store, err));
    return kv_unchained_read(audit, &start->arena, &start->unchained, err);
}

static kv_status open_reader(startup *start, size_t number, char name[KV_SEGMENT_NAME_BYTES],
                             kv_segment_reader *out, kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES];

    kv_segment_name(start->segments.firsts[number], name);
    KV_TRY(kv_segment_path(start->audit->config.folder, name, path, err));
    return kv_segment_reader_open(path, UINT64_MAX, out, err);
}

/* The walk begins where the anchor is and no pending row can be older. */
static kv_status first_segment(startup *start, size_t *out, kv_error *err)
{
    /* The hash before a segment is in its header, so the anchor may be one record before it. */
    uint64_t from = start->anchored ? start->anchor.sequence + 1 : UINT64_MAX;
    size_t number = kv_segment_list_find(&start->segments, from);

    if (number == start->segments.count)
        number = 0;
    for (; number > 0 && start->unchained.count > 0; number--) {
        KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
        char name[KV_SEGMENT_NAME_BYTES];

        KV_TRY(open_reader(start, number, name, &reader, err));
        if (reader.header_good &&
            reader.header.created_ms < start->unchained.earliest_ms - CLOCK_SLACK_MS)
            break;
    }
    *out = number;
    return KV_OK;
}

/* Did a crash leave half a write at the end, and nothing that was ever acknowledged? */
static bool is_torn(const startup *start)
{
    return start->report.broken && start->report.segments > 0 &&
           start->report.offset == start->walk.end &&
           (start->walk.ended == KV_FRAME_BAD || start->walk.ended == KV_FRAME_CUT);
}

/* A torn closing checkpoint of a segment that is not the last: the next one follows all the same.
 */
static kv_status forgive_closing(startup *start, size_t number, kv_error *err)
{
    KV_AUTO(kv_segment_reader) next = KV_SEGMENT_READER_NONE;
    char name[KV_SEGMENT_NAME_BYTES];

    KV_TRY(open_reader(start, number + 1, name, &next, err));
    if (next.header_good && next.header.first == start->walk.next &&
        kv_slice_equal(kv_slice_of(next.header.before, 32),
                       kv_slice_of(start->report.head, sizeof(start->report.head))))
        start->report.broken = KV_AUDIT_SOUND;
    return KV_OK;
}

static kv_status forgive_tail(startup *start, kv_error *err)
{
    const char *folder = start->audit->config.folder;
    uint64_t rest = 0;

    KV_TRY(kv_segment_rest(folder, start->walk.segment_first, start->walk.end, &rest, err));
    if (rest > KV_GROUP_BYTES)
        return KV_OK;
    kv_log_write(start->audit->config.log, KV_LOG_WARNING, "audit.torn_tail",
                 (kv_log_field[]){ { "segment", start->report.segment, 0 },
                                   { "offset", NULL, (int64_t)start->walk.end },
                                   { "bytes", NULL, (int64_t)rest },
                                   { 0 } });
    start->report.broken = KV_AUDIT_SOUND;
    return KV_OK;
}

static kv_status walk_segments(startup *start, kv_error *err)
{
    size_t number;

    KV_TRY(first_segment(start, &number, err));
    for (; number < start->segments.count && !start->report.broken; number++) {
        KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
        char name[KV_SEGMENT_NAME_BYTES];

        KV_TRY(open_reader(start, number, name, &reader, err));
        KV_TRY(kv_walk_segment(&start->walk, &reader, name, err));
        if (is_torn(start) && number + 1 < start->segments.count)
            KV_TRY(forgive_closing(start, number, err));
        else if (is_torn(start))
            KV_TRY(forgive_tail(start, err));
    }
    kv_walk_end(&start->walk);
    return KV_OK;
}

static kv_status walk(startup *start, kv_error *err)
{
    kv_walk_begin(&start->walk, &start->report);
    start->walk.keys = &start->key;
    start->walk.key_count = 1;
    start->walk.skip_unknown_keys = true;
    start->walk.has_expected = start->anchored;
    start->walk.expected = start->anchor;
    start->walk.record = meet;
    start->walk.context = start;
    KV_TRY(walk_segments(start, err));
    if (!start->report.broken)
        return KV_OK;
    if (start->report.broken == KV_AUDIT_CUT && start->anchored && !start->walk.expected_seen)
        refuse(err, "the audit log is older than its anchor");
    else
        refuse(err, "the audit log is damaged, or is not the one that its anchor knows");
    return kv_note(err, "%s at %llu: %s", start->report.segment,
                   (unsigned long long)start->report.offset, start->report.what);
}

static int by_version(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* Each change has its record, in the chain or with it in the store: who cuts the log behind the
 * anchor, and leaves the newest change its pending row, would hide those between. */
static kv_status check_changes(startup *start, kv_error *err)
{
    const kv_unchained *unchained = &start->unchained;
    versions *changes = &start->changes;
    int64_t next = start->anchor.store_version + 1;

    for (unsigned i = 0; i < unchained->count; i++)
        KV_TRY(note_change(start, unchained->rows[i].state.version, err));
    if (changes->count > 0)
        qsort(changes->list, changes->count, sizeof(*changes->list), by_version);
    for (size_t i = 0; i < changes->count && changes->list[i] <= next; i++)
        next += changes->list[i] == next;
    if (next > start->store.version)
        return KV_OK;
    refuse(err, "records of changes are missing in the audit log: it was cut");
    return kv_note(err, "store version %lld, no record of change %lld",
                   (long long)start->store.version, (long long)next);
}

/* The store must be what the newest change made of it. */
static kv_status compare_store(startup *start, kv_error *err)
{
    const kv_unchained *unchained = &start->unchained;
    int64_t is = start->store.version, told;

    tell(start, start->walk.store_version, start->walk.store_digest);
    if (start->anchored)
        tell(start, start->anchor.store_version, start->anchor.store_digest);
    for (unsigned i = 0; i < unchained->count; i++)
        tell(start, unchained->rows[i].state.version, unchained->rows[i].state.digest);
    told = start->told.version;
    if (is < told)
        refuse(err, "the store is older than the audit log says: it was put back");
    else if (is > told)
        refuse(err, "the store was changed and the audit log does not know of it");
    else if (!kv_slice_equal(kv_slice_of(start->told.digest, 32),
                             kv_slice_of(start->store.digest, 32)))
        refuse(err, "the store is not what the audit log says it is");
    else
        return KV_OK;
    return kv_note(err, "store version %lld, audit log %lld", (long long)is, (long long)told);
}

static void set_chain(startup *start)
{
    kv_chain *chain = &start->audit->chain;
    const kv_audit_config *config = &start->audit->config;

    chain->folder = config->folder;
    chain->segment_bytes = config->segment_bytes;
    memcpy(chain->node, config->node.data, sizeof(chain->node));
    memcpy(chain->kid, config->signer.kid.data, config->signer.kid.len);
}

static kv_status begin_chain(startup *start, kv_error *err)
{
    kv_audit *audit = start->audit;

    if (start->anchored && !audit->config.create)
        return refuse(err, "the audit log is gone: the folder is empty, the anchor is not");
    if (start->anchored && start->anchor.sequence > 0)
        return kv_fail(err, KV_EXISTS, "the token holds the anchor of an audit log");
    if (!audit->config.create && start->store.version > 0)
        return refuse(err, "the audit log is gone: the folder is empty, the store is not");
    audit->chain.durable.store = start->store;
    KV_TRY(kv_chain_begin_segment(&audit->chain, kv_clock_now_ms(audit->config.clock),
                                  &audit->chain.active, err));
    return kv_chain_open(&audit->chain, err);
}

/* Where the last segment's records and frames end. */
static kv_status open_active(startup *start, kv_error *err)
{
    kv_audit *audit = start->audit;
    kv_chain *chain = &audit->chain;
    const kv_walk *walk = &start->walk;

    chain->durable.sequence = start->report.last;
    chain->durable.store = start->told;
    memcpy(chain->durable.head, start->report.head, sizeof(chain->durable.head));
    memcpy(chain->durable.link, walk->link, sizeof(chain->durable.link));
    KV_TRY(kv_segment_open(audit->config.folder, walk->segment_first, walk->end,
                           audit->config.segment_bytes, &chain->active, err));
    return kv_chain_open(chain, err);
}

/* A full segment whose head a crash kept out of the store. */
static kv_status reopen(startup *start, size_t number, kv_error *err)
{
    kv_audit *audit = start->audit;
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
    KV_AUTO(kv_walk) walk = { .keys = &start->key, .key_count = 1, .skip_unknown_keys = true };
    kv_audit_report report;
    char name[KV_SEGMENT_NAME_BYTES];
    kv_closing *closing;

    KV_TRY(open_reader(start, number, name, &reader, err));
    kv_walk_begin(&walk, &report);
    KV_TRY(kv_walk_segment(&walk, &reader, name, err));
    if (report.last + 1 != start->segments.firsts[number + 1]) {
        refuse(err, "a full segment of the audit log is damaged");
        return kv_note(err, "%s at %llu: %s", name, (unsigned long long)report.offset, report.what);
    }
    closing = calloc(1, sizeof(*closing));
    if (!closing)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    closing->end.sequence = report.last;
    closing->end.store = (kv_store_state){ .version = walk.store_version };
    memcpy(closing->end.store.digest, walk.store_digest, sizeof(walk.store_digest));
    memcpy(closing->end.head, report.head, sizeof(report.head));
    memcpy(closing->end.link, walk.link, sizeof(walk.link));
    closing->written = walk.closed;
    closing->checkpoint = walk.checkpoint;
    closing->segment = KV_SEGMENT_NONE;
    if (kv_segment_open(audit->config.folder, walk.segment_first, walk.end, walk.end,
                        &closing->segment, err) != KV_OK) {
        free(closing);
        return err->status;
    }
    closing->full = closing->segment.end;
    kv_audit_close_later(audit, closing);
    return KV_OK;
}

static kv_status reopen_unclosed(startup *start, kv_error *err)
{
    kv_store *store = start->audit->config.store;

    /* The last one is active. */
    for (size_t number = start->segments.count - 1; number > 0; number--) {
        kv_segment_row row = { .id = (int64_t)start->segments.firsts[number - 1] };
        kv_status status = store->ops->get(store, &kv_table_segments, &row, &start->arena, err);

        if (status == KV_OK)
            return KV_OK;
        if (status != KV_NOT_FOUND)
            return status;
        *err = (kv_error){ 0 };
        KV_TRY(reopen(start, number - 1, err));
    }
    return KV_OK;
}

static void show(startup *start)
{
    kv_audit *audit = start->audit;
    const kv_chain *chain = &audit->chain;
    kv_audit_status *status = &audit->status;

    audit->end = chain->durable;
    status->records = chain->durable.sequence;
    memcpy(status->head, chain->durable.head, sizeof(status->head));
    status->store_version = chain->durable.store.version;
    status->first = start->segments.count ? start->segments.firsts[0] : 1;
    status->active = chain->active.first;
    status->durable = chain->active.end;
    if (!start->anchored || audit->config.create)
        return;
    status->checkpoint = start->anchor;
    status->checkpoint_records = start->anchor.sequence;
    status->checkpoint_ms = start->anchor.time_ms;
    status->anchored = true;
}

/* An initialisation that did not get as far as a record may be run again: nothing is lost. */
static kv_status start_over(startup *start, kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES], name[KV_SEGMENT_NAME_BYTES];

    if (start->report.last > 0 || start->segments.count != 1)
        return kv_fail(err, KV_EXISTS, "there is an audit log already");
    kv_segment_name(start->segments.firsts[0], name);
    KV_TRY(kv_segment_path(start->audit->config.folder, name, path, err));
    if (unlink(path) != 0) {
        kv_fail(err, KV_UNAVAILABLE, "the audit folder cannot be used");
        return kv_note(err, "%s: %s", path, strerror(errno));
    }
    start->segments.count = 0;
    return begin_chain(start, err);
}

static kv_status go_on(startup *start, kv_error *err)
{
    kv_audit *audit = start->audit;

    KV_TRY(walk(start, err));
    if (audit->config.create)
        return start_over(start, err);
    if (!start->anchored)
        return refuse(err, "the token does not hold the anchor of the audit log");
    if (!kv_slice_equal(kv_slice_of(start->report.node, sizeof(start->report.node)),
                        audit->config.node))
        return refuse(err, "the audit log is that of another server");
    KV_TRY(compare_store(start, err));
    KV_TRY(check_changes(start, err));
    KV_TRY(reopen_unclosed(start, err));
    KV_TRY(open_active(start, err));
    return kv_unchained_append(audit, &start->unchained, err);
}

kv_status kv_audit_open_chain(kv_audit *audit, kv_error *err)
{
    KV_AUTO(startup) start = { .audit = audit, .arena = KV_ARENA(ARENA_BYTES), .told.version = -1 };

    start.key =
        (kv_audit_key){ .kid = audit->config.signer.kid, .spki = audit->config.signer.spki };
    KV_TRY(look(&start, err));
    set_chain(&start);
    if (start.segments.count > 0)
        KV_TRY(go_on(&start, err));
    else
        KV_TRY(begin_chain(&start, err));
    show(&start);
    return KV_OK;
}
