/* search.c - filters over the chain, and the raw bytes of it. */
#include "server/audit/search.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/audit/reader.h"
#include "server/audit/state.h"
#include "server/base/text.h"

enum { CLOCK_SLACK_MS = 600 * 1000, RECORD_ARENA_BYTES = 65536, LOOK_EVERY = 1024 };

/* One search: what is durable when it begins, and where it is. */
typedef struct search_run {
    const char *folder;
    const kv_audit_filter *filter;
    kv_audit_found *found;
    void *context;
    kv_audit_status end; /* nothing later is looked at */
    kv_segment_list segments;
    int64_t now_ms;
    bool enough;
    unsigned looked; /* since the deadline was */
} search_run;

static void search_run_cleanup(search_run *search)
{
    kv_segment_list_cleanup(&search->segments);
}

static kv_status damaged(kv_error *err, const char *name, uint64_t offset)
{
    kv_fail(err, KV_INTERNAL, "the audit log is damaged");
    kv_note(err, "%s at %llu", name, (unsigned long long)offset);
    return kv_because(err, KV_REASON_INTEGRITY);
}

static bool has_deadline(const kv_audit_filter *filter)
{
    return filter->deadline.at.tv_sec != 0 || filter->deadline.at.tv_nsec != 0;
}

static bool same_if_asked(kv_slice asked, kv_slice is)
{
    return asked.len == 0 || kv_text_equal_nocase(asked, is);
}

static bool matches(const kv_audit_filter *filter, const kv_audit_entry *entry)
{
    if (filter->has_principal &&
        (!entry->has_principal || !kv_slice_equal(kv_slice_of(filter->principal_id, 16),
                                                  kv_slice_of(entry->principal_id, 16))))
        return false;
    if (filter->operation.len > 0 &&
        !kv_slice_equal(filter->operation, kv_slice_text(entry->operation)))
        return false;
    if (filter->has_status && filter->status != entry->status)
        return false;
    if (filter->has_succeeded && filter->succeeded != (entry->status == KV_OK))
        return false;
    return same_if_asked(filter->vault, entry->vault) &&
           same_if_asked(filter->collection, entry->collection) &&
           same_if_asked(filter->name, entry->name);
}

static kv_status look(search_run *search, kv_slice message, kv_error *err)
{
    const kv_audit_filter *filter = search->filter;
    int64_t time_ms = (int64_t)kv_audit_record_number(message, KV_AUDIT_TIME_MS);
    KV_AUTO(kv_arena) arena = KV_ARENA(RECORD_ARENA_BYTES);
    kv_audit_record record;

    if (++search->looked % LOOK_EVERY == 0 && has_deadline(filter) &&
        kv_deadline_passed(filter->deadline))
        return kv_fail(err, KV_TIMEOUT, "the search took too long: ask for less time");
    if (time_ms < filter->from_ms || time_ms >= filter->to_ms)
        return KV_OK;
    KV_TRY(kv_audit_record_unpack(message, &arena, &record, err));
    if (record.sequence > filter->after && matches(filter, &record.entry))
        search->enough = !search->found(search->context, &record);
    return KV_OK;
}

static kv_status open_at(const char *folder, uint64_t first, uint64_t limit,
                         char name[KV_SEGMENT_NAME_BYTES], kv_segment_reader *out, kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES];

    kv_segment_name(first, name);
    KV_TRY(kv_segment_path(folder, name, path, err));
    return kv_segment_reader_open(path, limit, out, err);
}

/* Reads up to the record `last` of a segment: a closing checkpoint may be in the making after it.
 */
static kv_status search_segment(search_run *search, uint64_t first, uint64_t last, kv_error *err)
{
    uint64_t limit = first == search->end.active ? search->end.durable : UINT64_MAX;
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
    char name[KV_SEGMENT_NAME_BYTES];
    uint64_t next = first;

    KV_TRY(open_at(search->folder, first, limit, name, &reader, err));
    if (!reader.header_good)
        return damaged(err, name, 0);
    while (next <= last && !search->enough) {
        kv_frame_state state;
        kv_frame frame;

        KV_TRY(kv_segment_reader_next(&reader, &state, &frame, err));
        if (state != KV_FRAME_GOOD)
            return damaged(err, name, reader.offset);
        if (frame.kind != KV_FRAME_RECORD)
            continue;
        KV_TRY(look(search, frame.message, err));
        next++;
    }
    return KV_OK;
}

static kv_status created_ms(const search_run *search, size_t number, int64_t *out, kv_error *err)
{
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
    char name[KV_SEGMENT_NAME_BYTES];

    KV_TRY(open_at(search->folder, search->segments.firsts[number], KV_SEGMENT_HEADER_BYTES, name,
                   &reader, err));
    if (!reader.header_good)
        return damaged(err, name, 0);
    *out = reader.header.created_ms;
    return KV_OK;
}

/* What times a segment may hold: from when it was begun until the next one was, and a little, for a
 * record has the time at which its call began. If the clock was set back meanwhile, any; but a
 * clock that was wrong only between two segments' beginnings does not show in them. */
static kv_status may_match(const search_run *search, size_t number, bool *out, kv_error *err)
{
    bool last = number + 1 == search->segments.count;
    int64_t from, until = search->now_ms;

    KV_TRY(created_ms(search, number, &from, err));
    if (!last)
        KV_TRY(created_ms(search, number + 1, &until, err));
    *out = until < from || (from - CLOCK_SLACK_MS < search->filter->to_ms &&
                            (last || until + CLOCK_SLACK_MS >= search->filter->from_ms));
    return KV_OK;
}

static kv_status search_segments(search_run *search, kv_error *err)
{
    const kv_segment_list *segments = &search->segments;
    size_t number = kv_segment_list_find(segments, search->filter->after + 1);

    if (number == segments->count)
        number = 0;
    for (; number < segments->count && !search->enough; number++) {
        uint64_t last =
            number + 1 < segments->count ? segments->firsts[number + 1] - 1 : search->end.records;
        bool may;

        KV_TRY(may_match(search, number, &may, err));
        if (may)
            KV_TRY(search_segment(search, segments->firsts[number], last, err));
    }
    return KV_OK;
}

/* The folder as it was when `end` was taken. */
static kv_status list_until(kv_audit *audit, const kv_audit_status *end, kv_segment_list *out,
                            kv_error *err)
{
    KV_TRY(kv_segment_list_read(audit->config.folder, out, err));
    while (out->count > 0 && out->firsts[out->count - 1] > end->active)
        out->count--;
    return KV_OK;
}

kv_status kv_audit_search(kv_audit *audit, const kv_audit_filter *filter, kv_audit_found *found,
                          void *context, kv_error *err)
{
    KV_AUTO(search_run)
    search = {
        .folder = audit->config.folder, .filter = filter, .found = found, .context = context
    };

    if (filter->from_ms <= 0)
        return kv_fail_field(err, "from_ms", "a search needs a time range");
    if (filter->to_ms <= filter->from_ms)
        return kv_fail_field(err, "to_ms", "must be after from_ms");
    kv_audit_get_status(audit, &search.end);
    search.now_ms = kv_clock_now_ms(audit->config.clock);
    KV_TRY(list_until(audit, &search.end, &search.segments, err));
    return search_segments(&search, err);
}

kv_status kv_audit_locate(kv_audit *audit, uint64_t sequence, kv_audit_cursor *out, kv_error *err)
{
    KV_AUTO(kv_segment_list) segments = KV_SEGMENT_LIST_NONE;
    kv_audit_status end;
    size_t number;

    kv_audit_get_status(audit, &end);
    KV_TRY(list_until(audit, &end, &segments, err));
    number = sequence ? kv_segment_list_find(&segments, sequence) : 0;
    if (number >= segments.count || sequence > end.records)
        return kv_fail(err, KV_NOT_FOUND, "the audit log does not hold that record");
    *out = (kv_audit_cursor){ .segment = segments.firsts[number] };
    return KV_OK;
}

/* How many bytes of a segment are there to be read. */
static kv_status limit_of(kv_audit *audit, const kv_audit_status *end, uint64_t first, int fd,
                          uint64_t *out, kv_error *err)
{
    struct stat info;
    bool closing = false;

    if (first == end->active) {
        *out = end->durable;
        return KV_OK;
    }
    if (fstat(fd, &info) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "the audit log cannot be read");
    *out = (uint64_t)info.st_size;
    pthread_mutex_lock(&audit->mutex);
    for (const kv_closing *at = audit->closings; at && !closing; at = at->next)
        if (at->segment.first == first) {
            *out = at->full;
            closing = true;
        }
    pthread_mutex_unlock(&audit->mutex);
    return KV_OK;
}

static kv_status read_chunk(kv_audit *audit, const kv_audit_status *end,
                            const kv_audit_cursor *cursor, size_t max_bytes, kv_arena *arena,
                            kv_audit_chunk *out, kv_error *err)
{
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
    uint8_t *bytes;
    uint64_t limit = 0;
    ssize_t got;

    *out = (kv_audit_chunk){ .segment = cursor->segment, .offset = cursor->offset };
    KV_TRY(open_at(audit->config.folder, cursor->segment, KV_SEGMENT_HEADER_BYTES, out->name,
                   &reader, err));
    KV_TRY(limit_of(audit, end, cursor->segment, reader.fd, &limit, err));
    if (cursor->offset >= limit)
        return KV_OK;
    if (limit - cursor->offset < max_bytes)
        max_bytes = (size_t)(limit - cursor->offset);
    bytes = kv_arena_alloc(arena, max_bytes);
    if (!bytes)
        return kv_arena_full(err);
    got = pread(reader.fd, bytes, max_bytes, (off_t)cursor->offset);
    if (got < 0)
        return kv_fail(err, KV_UNAVAILABLE, "the audit log cannot be read");
    out->bytes = kv_slice_of(bytes, (size_t)got);
    return KV_OK;
}

kv_status kv_audit_export(kv_audit *audit, kv_audit_cursor *cursor, size_t max_bytes,
                          kv_arena *arena, kv_audit_chunk *out, kv_error *err)
{
    KV_AUTO(kv_segment_list) segments = KV_SEGMENT_LIST_NONE;
    kv_audit_status end;
    size_t number;

    kv_audit_get_status(audit, &end);
    KV_TRY(list_until(audit, &end, &segments, err));
    if (cursor->segment == 0 && segments.count > 0)
        *cursor = (kv_audit_cursor){ .segment = segments.firsts[0] };
    number = kv_segment_list_find(&segments, cursor->segment);
    if (number == segments.count || segments.firsts[number] != cursor->segment)
        return kv_fail(err, KV_NOT_FOUND, "the audit log does not hold that segment");
    for (;; number++) {
        KV_TRY(read_chunk(audit, &end, cursor, max_bytes, arena, out, err));
        if (out->bytes.len > 0 || number + 1 == segments.count)
            break;
        *cursor = (kv_audit_cursor){ .segment = segments.firsts[number + 1] };
    }
    cursor->offset += out->bytes.len;
    return KV_OK;
}
