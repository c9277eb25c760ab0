/* reader.h - segment files, read frame by frame.
 *
 * Threads:  one per reader. The file may grow meanwhile: `limit` says how far it may be read.
 * Lifetime: a frame's message until the next call.
 */
#pragma once

#include <stdint.h>

#include "server/audit/frame.h"

typedef struct kv_segment_reader {
    int fd;
    uint64_t limit;  /* bytes of the file that may be read */
    uint64_t offset; /* of the next frame */
    uint8_t *buffer;
    size_t start; /* of the unread bytes in the buffer */
    size_t filled;
    bool header_good;
    kv_segment_header header;
    uint8_t header_bytes[KV_SEGMENT_HEADER_BYTES];
} kv_segment_reader;

#define KV_SEGMENT_READER_NONE ((kv_segment_reader){ .fd = -1 })

/* Reads the header, too; a bad one is no error here. `limit` UINT64_MAX: the whole file.
 * KV_NOT_FOUND, KV_UNAVAILABLE. */
kv_status kv_segment_reader_open(const char *path, uint64_t limit, kv_segment_reader *out,
                                 kv_error *err) KV_MUST_USE;
/* Moves past the frame when it is good, stays where it is otherwise. KV_UNAVAILABLE. */
kv_status kv_segment_reader_next(kv_segment_reader *reader, kv_frame_state *state, kv_frame *out,
                                 kv_error *err) KV_MUST_USE;
/* Looks at the frame after the current one without moving. */
kv_status kv_segment_reader_peek(kv_segment_reader *reader, kv_frame_state *state, kv_frame *out,
                                 kv_error *err) KV_MUST_USE;
void kv_segment_reader_cleanup(kv_segment_reader *reader);

/* The segments of a folder by their first sequence number, ascending. */
typedef struct kv_segment_list {
    uint64_t *firsts;
    size_t count;
} kv_segment_list;

#define KV_SEGMENT_LIST_NONE ((kv_segment_list){ 0 })

/* KV_UNAVAILABLE when the folder cannot be read; a folder without segments gives none. */
kv_status kv_segment_list_read(const char *folder, kv_segment_list *out, kv_error *err) KV_MUST_USE;
/* The number of the last segment whose first is at most `sequence`; `count` when there is none. */
size_t kv_segment_list_find(const kv_segment_list *list, uint64_t sequence);
void kv_segment_list_cleanup(kv_segment_list *list);

enum { KV_SEGMENT_PATH_BYTES = 4096 };

/* KV_BAD_REQUEST for a folder whose name is too long. */
kv_status kv_segment_path(const char *folder, const char *name, char out[KV_SEGMENT_PATH_BYTES],
                          kv_error *err) KV_MUST_USE;
