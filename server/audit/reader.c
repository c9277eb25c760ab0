/* reader.c - buffered reading of segments. */
#include "server/audit/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, FIRST_ROOM = 16 };

static kv_status unreadable(kv_error *err, const char *what)
{
    int code = errno;

    kv_fail(err, code == ENOENT ? KV_NOT_FOUND : KV_UNAVAILABLE, "the audit log cannot be read");
    return kv_note(err, "%s: %s", what, strerror(code));
}

/* Fills the buffer as far as limit and file allow. */
static kv_status fill(kv_segment_reader *reader, kv_error *err)
{
    memmove(reader->buffer, reader->buffer + reader->start, reader->filled - reader->start);
    reader->filled -= reader->start;
    reader->start = 0;
    while (reader->filled < BUFFER_BYTES) {
        uint64_t at = reader->offset + reader->filled;
        uint64_t left = at < reader->limit ? reader->limit - at : 0;
        size_t room = BUFFER_BYTES - reader->filled;
        ssize_t got;

        if (left == 0)
            return KV_OK;
        got = pread(reader->fd, reader->buffer + reader->filled, left < room ? left : room,
                    (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return unreadable(err, "pread");
        if (got == 0)
            return KV_OK;
        reader->filled += (size_t)got;
    }
    return KV_OK;
}

static kv_slice unread(const kv_segment_reader *reader)
{
    return kv_slice_of(reader->buffer + reader->start, reader->filled - reader->start);
}

static void skip(kv_segment_reader *reader, size_t bytes)
{
    reader->start += bytes;
    reader->offset += bytes;
}

kv_status kv_segment_reader_open(const char *path, uint64_t limit, kv_segment_reader *out,
                                 kv_error *err)
{
    kv_segment_reader reader = { .limit = limit };
    kv_status status;

    reader.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader.fd < 0)
        return unreadable(err, path);
    reader.buffer = malloc(BUFFER_BYTES);
    status = reader.buffer ? fill(&reader, err)
                           : kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    if (status != KV_OK) {
        kv_segment_reader_cleanup(&reader);
        return status;
    }
    reader.header_good = kv_segment_header_parse(unread(&reader), &reader.header);
    if (reader.header_good) {
        memcpy(reader.header_bytes, reader.buffer, KV_SEGMENT_HEADER_BYTES);
        skip(&reader, KV_SEGMENT_HEADER_BYTES);
    }
    *out = reader;
    return KV_OK;
}

kv_status kv_segment_reader_peek(kv_segment_reader *reader, kv_frame_state *state, kv_frame *out,
                                 kv_error *err)
{
    if (reader->filled - reader->start < KV_FRAME_BYTES)
        KV_TRY(fill(reader, err));
    *state = kv_frame_parse(unread(reader), out);
    return KV_OK;
}

kv_status kv_segment_reader_next(kv_segment_reader *reader, kv_frame_state *state, kv_frame *out,
                                 kv_error *err)
{
    KV_TRY(kv_segment_reader_peek(reader, state, out, err));
    if (*state == KV_FRAME_GOOD)
        skip(reader, out->bytes);
    return KV_OK;
}

void kv_segment_reader_cleanup(kv_segment_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    free(reader->buffer);
    *reader = KV_SEGMENT_READER_NONE;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static bool add(kv_segment_list *list, size_t *room, uint64_t first)
{
    if (list->count == *room) {
        size_t larger = *room ? 2 * *room : FIRST_ROOM;
        uint64_t *firsts = realloc(list->firsts, larger * sizeof(*firsts));

        if (!firsts)
            return false;
        list->firsts = firsts;
        *room = larger;
    }
    list->firsts[list->count++] = first;
    return true;
}

kv_status kv_segment_list_read(const char *folder, kv_segment_list *out, kv_error *err)
{
    DIR *dir = opendir(folder);
    kv_segment_list list = KV_SEGMENT_LIST_NONE;
    struct dirent *entry;
    size_t room = 0;
    bool good = true;

    if (!dir)
        return unreadable(err, folder);
    while (good && (entry = readdir(dir))) {
        uint64_t first;

        if (kv_segment_name_parse(entry->d_name, &first))
            good = add(&list, &room, first);
    }
    (void)closedir(dir);
    if (!good) {
        kv_segment_list_cleanup(&list);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    }
    if (list.count > 0)
        qsort(list.firsts, list.count, sizeof(*list.firsts), by_number);
    *out = list;
    return KV_OK;
}

size_t kv_segment_list_find(const kv_segment_list *list, uint64_t sequence)
{
    size_t found = list->count;

    for (size_t i = 0; i < list->count && list->firsts[i] <= sequence; i++)
        found = i;
    return found;
}

void kv_segment_list_cleanup(kv_segment_list *list)
{
    free(list->firsts);
    *list = KV_SEGMENT_LIST_NONE;
}

kv_status kv_segment_path(const char *folder, const char *name, char out[KV_SEGMENT_PATH_BYTES],
                          kv_error *err)
{
    int len = snprintf(out, KV_SEGMENT_PATH_BYTES, "%s/%s", folder, name);

    if (len < 0 || len >= KV_SEGMENT_PATH_BYTES)
        return kv_fail(err, KV_BAD_REQUEST, "the name of the audit folder is too long");
    return KV_OK;
}
