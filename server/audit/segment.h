/* segment.h - the file that is being appended to.
 *
 * Space is taken before it is needed: a segment is a preallocated file of zeros, and a spare for
 * the next one stands ready under the name "spare". A failed write leaves nothing behind: the file
 * is cut back to its last good byte, now or before the next write.
 *
 * Threads: one per segment; kv_segment_spare() may run beside the thread that creates segments.
 */
#pragma once

#include "server/audit/frame.h"

typedef struct kv_segment {
    int fd;
    uint64_t first;
    uint64_t end;   /* of what is durable */
    uint64_t size;  /* to preallocate */
    uint64_t zeros; /* written ahead up to here */
    bool dirty;     /* there may be something past the end */
} kv_segment;

#define KV_SEGMENT_NONE ((kv_segment){ .fd = -1 })

/* Makes sure that a spare of `size` bytes is there. KV_UNAVAILABLE. */
kv_status kv_segment_spare(const char *folder, uint64_t size, kv_error *err) KV_MUST_USE;

/* Turns the spare (or a new file) into a segment; durable when it returns. KV_UNAVAILABLE. */
kv_status kv_segment_create(const char *folder, const kv_segment_header *header, uint64_t size,
                            kv_segment *out, kv_error *err) KV_MUST_USE;
/* Opens one to append at `end`. What stands past it is kept in a file beside it (".torn") and cut
 * off. KV_UNAVAILABLE. */
kv_status kv_segment_open(const char *folder, uint64_t first, uint64_t end, uint64_t size,
                          kv_segment *out, kv_error *err) KV_MUST_USE;

/* Writes and syncs. KV_UNAVAILABLE: then nothing of it is in the file. */
kv_status kv_segment_append(kv_segment *segment, kv_slice bytes, kv_error *err) KV_MUST_USE;
/* Gives back the space that is not used and syncs; nothing is appended afterwards. */
kv_status kv_segment_finish(kv_segment *segment, kv_error *err) KV_MUST_USE;
void kv_segment_cleanup(kv_segment *segment);

/* How many bytes past `end` the last one that is not zero stands; 0 when there is none. */
kv_status kv_segment_rest(const char *folder, uint64_t first, uint64_t end, uint64_t *out,
                          kv_error *err) KV_MUST_USE;
