/* walk.c - the rules of the chain, checked in one place for start-up and for verification. */
#include "server/audit/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/audit/record.h"
#include "server/base/text.h"

static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    return kv_slice_equal(kv_slice_of(a, len), kv_slice_of(b, len));
}

static void KV_PRINTF(4, 5)
    broken(kv_walk *walk, kv_audit_break why, uint64_t offset, const char *what, ...)
{
    kv_audit_report *report = walk->report;
    va_list list;

    report->broken = why;
    report->offset = offset;
    report->sequence = walk->next;
    va_start(list, what);
    (void)vsnprintf(report->what, sizeof(report->what), what, list);
    va_end(list);
}

static kv_status remember(kv_walk *walk, const uint8_t hash[32], kv_error *err)
{
    if (walk->hash_count == walk->hash_room) {
        size_t room = walk->hash_room ? 2 * walk->hash_room : 1024;
        uint8_t(*hashes)[32] = realloc(walk->hashes, room * sizeof(*hashes));

        if (!hashes)
            return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
        walk->hashes = hashes;
        walk->hash_room = room;
    }
    memcpy(walk->hashes[walk->hash_count++], hash, 32);
    return KV_OK;
}

/* Everything before `sequence` is proved and need not be remembered. */
static void forget_before(kv_walk *walk, uint64_t sequence)
{
    size_t gone = (size_t)(sequence - walk->hashes_from);

    memmove(walk->hashes, walk->hashes + gone, (walk->hash_count - gone) * sizeof(*walk->hashes));
    walk->hash_count -= gone;
    walk->hashes_from = sequence;
}

static void meet_expected(kv_walk *walk, uint64_t sequence, const uint8_t hash[32], uint64_t offset)
{
    if (!walk->has_expected || walk->expected.sequence != sequence)
        return;
    walk->expected_seen = true;
    if (!same(walk->expected.head, hash, 32))
        broken(walk, KV_AUDIT_BAD_CHECKPOINT, offset,
               "record %llu is not the one that the expected checkpoint covers",
               (unsigned long long)sequence);
}

static kv_status begin(kv_walk *walk, const kv_segment_header *header, kv_error *err)
{
    walk->begun = true;
    walk->next = header->first;
    walk->hashes_from = header->first - 1;
    walk->report->first = header->first;
    walk->report->last = header->first - 1;
    memcpy(walk->report->head, header->before, 32);
    memcpy(walk->report->node, header->node, sizeof(header->node));
    meet_expected(walk, header->first - 1, header->before, 0);
    return remember(walk, header->before, err);
}

/* Does this segment go on where the one before ended? */
static void join(kv_walk *walk, const kv_segment_header *header, const char *name)
{
    kv_audit_report *report = walk->report;

    if (header->first > walk->next && walk->closed) {
        kv_segment_name(walk->next, report->segment);
        broken(walk, KV_AUDIT_MISSING, 0, "the segment with record %llu is missing before %s",
               (unsigned long long)walk->next, name);
    } else if (header->first > walk->next) {
        broken(walk, KV_AUDIT_CUT, walk->end, "the segment ends before record %llu",
               (unsigned long long)walk->next);
    } else if (header->first < walk->next) {
        (void)snprintf(report->segment, sizeof(report->segment), "%s", name);
        broken(walk, KV_AUDIT_BAD_HEADER, 0, "the segment begins with a record that was there");
    } else if (!same(header->before, report->head, 32) ||
               !same(header->node, report->node, sizeof(header->node))) {
        (void)snprintf(report->segment, sizeof(report->segment), "%s", name);
        broken(walk, KV_AUDIT_BAD_HEADER, 0, "the segment does not follow on the one before");
    }
}

static kv_status open_segment(kv_walk *walk, kv_segment_reader *reader, const char *name,
                              kv_error *err)
{
    const kv_segment_header *header = &reader->header;
    kv_audit_report *report = walk->report;

    if (!reader->header_good || header->first == 0) {
        (void)snprintf(report->segment, sizeof(report->segment), "%s", name);
        broken(walk, KV_AUDIT_BAD_HEADER, 0, "the header of the segment is damaged");
        return KV_OK;
    }
    if (!walk->begun)
        KV_TRY(begin(walk, header, err));
    else
        join(walk, header, name);
    if (report->broken)
        return KV_OK;
    (void)snprintf(report->segment, sizeof(report->segment), "%s", name);
    report->segments++;
    walk->segment_first = header->first;
    walk->closed = false;
    kv_chain_hash(header->before, kv_slice_of(reader->header_bytes, sizeof(reader->header_bytes)),
                  walk->link);
    if (header->store_version > walk->store_version) {
        walk->store_version = header->store_version;
        memcpy(walk->store_digest, header->store_digest, sizeof(walk->store_digest));
    }
    return KV_OK;
}

/* A record with another number than the next: why? */
static kv_status misplaced(kv_walk *walk, kv_segment_reader *reader, uint64_t got, uint64_t offset,
                           kv_error *err)
{
    kv_frame_state state;
    kv_frame after;

    if (got < walk->next) {
        broken(walk, KV_AUDIT_REPEATED, offset, "record %llu stands here where %llu should",
               (unsigned long long)got, (unsigned long long)walk->next);
        return KV_OK;
    }
    KV_TRY(kv_segment_reader_peek(reader, &state, &after, err));
    if (state == KV_FRAME_GOOD && after.kind == KV_FRAME_RECORD &&
        kv_audit_record_number(after.message, KV_AUDIT_SEQUENCE) == walk->next)
        broken(walk, KV_AUDIT_SWAPPED, offset, "records %llu and %llu are in each other's place",
               (unsigned long long)walk->next, (unsigned long long)got);
    else
        broken(walk, KV_AUDIT_DROPPED, offset, "record %llu is missing: %llu stands in its place",
               (unsigned long long)walk->next, (unsigned long long)got);
    return KV_OK;
}

static kv_status take_record(kv_walk *walk, kv_segment_reader *reader, const kv_frame *frame,
                             uint64_t offset, kv_error *err)
{
    uint64_t sequence = kv_audit_record_number(frame->message, KV_AUDIT_SEQUENCE);
    uint8_t hash[32];

    if (sequence != walk->next)
        return misplaced(walk, reader, sequence, offset, err);
    kv_chain_hash(walk->link, frame->message, hash);
    if (!same(hash, frame->hash, sizeof(hash))) {
        broken(walk, KV_AUDIT_EDITED, offset,
               sequence == walk->segment_first
                   ? "record %llu or the header of its segment was edited"
                   : "record %llu or the one before it was edited",
               (unsigned long long)sequence);
        return KV_OK;
    }
    meet_expected(walk, sequence, hash, offset);
    if (walk->report->broken)
        return KV_OK;
    if (walk->record)
        KV_TRY(walk->record(walk->context, sequence, frame->message, err));
    KV_TRY(remember(walk, hash, err));
    memcpy(walk->link, hash, sizeof(hash));
    memcpy(walk->report->head, hash, sizeof(hash));
    walk->report->last = sequence;
    walk->next++;
    walk->closed = false;
    return KV_OK;
}

static const kv_audit_key *key_of(const kv_walk *walk, const kv_checkpoint *checkpoint)
{
    for (size_t i = 0; i < walk->key_count; i++)
        if (kv_text_equal_nocase(walk->keys[i].kid, kv_slice_text(checkpoint->kid)))
            return &walk->keys[i];
    return NULL;
}

/* Does it say what the chain says? One over records before the walk cannot be judged: false. */
static bool agrees(kv_walk *walk, const kv_checkpoint *checkpoint, uint64_t offset)
{
    if (!same(checkpoint->node, walk->report->node, sizeof(checkpoint->node)) ||
        checkpoint->sequence >= walk->next) {
        broken(walk, KV_AUDIT_BAD_CHECKPOINT, offset, "a checkpoint covers records not yet there");
        return false;
    }
    if (checkpoint->sequence < walk->hashes_from) {
        if (walk->report->checkpoints > 0)
            broken(walk, KV_AUDIT_BAD_CHECKPOINT, offset, "a checkpoint is older than the last");
        return false;
    }
    if (!same(checkpoint->head, walk->hashes[checkpoint->sequence - walk->hashes_from], 32)) {
        broken(walk, KV_AUDIT_BAD_CHECKPOINT, offset,
               "the checkpoint over record %llu has another hash than the chain",
               (unsigned long long)checkpoint->sequence);
        return false;
    }
    return true;
}

/* A closing checkpoint is written after its segment has ended, so the next one in the chain may be
 * over fewer records: hashes are forgotten only where the segment goes on. */
static kv_status prove(kv_walk *walk, kv_segment_reader *reader, const kv_checkpoint *checkpoint,
                       kv_error *err)
{
    kv_audit_report *report = walk->report;
    kv_frame_state state;
    kv_frame after;

    report->checkpoints++;
    walk->closed = checkpoint->sequence + 1 == walk->next;
    if (checkpoint->sequence >= report->proved) {
        report->proved = checkpoint->sequence;
        report->proved_ms = checkpoint->time_ms;
        memcpy(report->proved_kid, checkpoint->kid, sizeof(report->proved_kid));
        walk->checkpoint = *checkpoint;
    }
    if (checkpoint->store_version > walk->store_version) {
        walk->store_version = checkpoint->store_version;
        memcpy(walk->store_digest, checkpoint->store_digest, sizeof(walk->store_digest));
    }
    KV_TRY(kv_segment_reader_peek(reader, &state, &after, err));
    if (state == KV_FRAME_GOOD)
        forget_before(walk, checkpoint->sequence);
    return KV_OK;
}

static kv_status take_checkpoint(kv_walk *walk, kv_segment_reader *reader, const kv_frame *frame,
                                 uint64_t offset, kv_error *err)
{
    const kv_audit_key *key;
    kv_checkpoint checkpoint;
    uint8_t hash[32];
    kv_error unused = { 0 };

    kv_chain_hash(walk->link, frame->message, hash);
    if (kv_checkpoint_unpack(frame->message, &checkpoint, &unused) != KV_OK ||
        !same(hash, frame->hash, sizeof(hash))) {
        broken(walk, KV_AUDIT_BAD_CHECKPOINT, offset, "a checkpoint was edited or moved");
        return KV_OK;
    }
    key = key_of(walk, &checkpoint);
    if (!key && walk->skip_unknown_keys)
        return KV_OK;
    if (!key)
        broken(walk, KV_AUDIT_UNKNOWN_KEY, offset,
               "a checkpoint is signed by %s, which is not known", checkpoint.kid);
    else if (!kv_checkpoint_signed_by(&checkpoint, key->spki))
        broken(walk, KV_AUDIT_BAD_SIGNATURE, offset,
               "the signature of the checkpoint over record %llu is wrong",
               (unsigned long long)checkpoint.sequence);
    else if (agrees(walk, &checkpoint, offset))
        return prove(walk, reader, &checkpoint, err);
    return KV_OK;
}

static kv_status walk_frames(kv_walk *walk, kv_segment_reader *reader, kv_error *err)
{
    do {
        kv_frame frame;

        walk->end = reader->offset;
        KV_TRY(kv_segment_reader_next(reader, &walk->ended, &frame, err));
        if (walk->ended == KV_FRAME_GOOD && frame.kind == KV_FRAME_RECORD)
            KV_TRY(take_record(walk, reader, &frame, walk->end, err));
        else if (walk->ended == KV_FRAME_GOOD)
            KV_TRY(take_checkpoint(walk, reader, &frame, walk->end, err));
    } while (walk->ended == KV_FRAME_GOOD && !walk->report->broken);
    return KV_OK;
}

void kv_walk_begin(kv_walk *walk, kv_audit_report *report)
{
    *report = (kv_audit_report){ 0 };
    walk->report = report;
    walk->store_version = -1; /* even an untouched store has a state */
}

kv_status kv_walk_segment(kv_walk *walk, kv_segment_reader *reader, const char *name, kv_error *err)
{
    KV_TRY(open_segment(walk, reader, name, err));
    if (walk->report->broken)
        return KV_OK;
    KV_TRY(walk_frames(walk, reader, err));
    if (walk->ended == KV_FRAME_BAD)
        broken(walk, KV_AUDIT_EDITED, walk->end, "the frame of record %llu is damaged",
               (unsigned long long)walk->next);
    if (walk->ended == KV_FRAME_CUT)
        broken(walk, KV_AUDIT_CUT, walk->end, "the file ends inside the frame of record %llu",
               (unsigned long long)walk->next);
    return KV_OK;
}

void kv_walk_end(kv_walk *walk)
{
    if (walk->report->broken || !walk->has_expected || walk->expected_seen)
        return;
    broken(walk, KV_AUDIT_CUT, walk->end,
           "the log ends before record %llu, which the expected checkpoint covers",
           (unsigned long long)walk->expected.sequence);
}

void kv_walk_cleanup(kv_walk *walk)
{
    free(walk->hashes);
    *walk = (kv_walk){ 0 };
}
