/* segment.c - preallocation, appending, and putting right what a failed write left. */
#include "server/audit/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/audit/reader.h"

enum { COPY_BYTES = 16384, ZERO_BYTES = 65536, AHEAD_BYTES = 4 * ZERO_BYTES, FILE_MODE = 0600 };

static kv_status unwritable(kv_error *err, const char *what, int code)
{
    kv_fail(err, KV_UNAVAILABLE, "the audit log cannot be written");
    return kv_note(err, "%s: %s", what, strerror(code));
}

static kv_status sync_folder(const char *folder, kv_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        (void)close(fd);
    return code ? unwritable(err, folder, code) : KV_OK;
}

static kv_status write_at(int fd, kv_slice bytes, uint64_t offset, kv_error *err)
{
    while (bytes.len > 0) {
        ssize_t wrote = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return unwritable(err, "pwrite", wrote < 0 ? errno : ENOSPC);
        bytes = kv_slice_of(bytes.data + wrote, bytes.len - (size_t)wrote);
        offset += (uint64_t)wrote;
    }
    return KV_OK;
}

/* A new file of zeros whose blocks are taken. */
static kv_status make(const char *path, uint64_t size, int *out, kv_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    int code;

    if (fd < 0)
        return unwritable(err, path, errno);
    code = posix_fallocate(fd, 0, (off_t)size);
    if (code == 0 && fsync(fd) != 0)
        code = errno;
    if (code) {
        (void)close(fd);
        (void)unlink(path);
        return unwritable(err, "posix_fallocate", code);
    }
    *out = fd;
    return KV_OK;
}

kv_status kv_segment_spare(const char *folder, uint64_t size, kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES], made[KV_SEGMENT_PATH_BYTES];
    struct stat info;
    int fd;

    KV_TRY(kv_segment_path(folder, "spare", path, err));
    KV_TRY(kv_segment_path(folder, "spare.new", made, err));
    if (stat(path, &info) == 0 && (uint64_t)info.st_size == size)
        return KV_OK;
    KV_TRY(make(made, size, &fd, err));
    (void)close(fd);
    if (rename(made, path) != 0)
        return unwritable(err, path, errno);
    return KV_OK;
}

/* The spare under the name of `path`, or a new file there. */
static kv_status take_file(const char *folder, const char *path, uint64_t size, int *out,
                           kv_error *err)
{
    char spare[KV_SEGMENT_PATH_BYTES];
    struct stat info;
    int fd;

    KV_TRY(kv_segment_path(folder, "spare", spare, err));
    if (rename(spare, path) != 0)
        return make(path, size, out, err);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return unwritable(err, path, errno);
    if (fstat(fd, &info) == 0 && (uint64_t)info.st_size == size) {
        *out = fd;
        return KV_OK;
    }
    (void)close(fd);
    return make(path, size, out, err);
}

kv_status kv_segment_create(const char *folder, const kv_segment_header *header, uint64_t size,
                            kv_segment *out, kv_error *err)
{
    KV_AUTO(kv_segment) segment = KV_SEGMENT_NONE;
    char path[KV_SEGMENT_PATH_BYTES], made[KV_SEGMENT_PATH_BYTES], name[KV_SEGMENT_NAME_BYTES];
    uint8_t bytes[KV_SEGMENT_HEADER_BYTES];

    kv_segment_name(header->first, name);
    KV_TRY(kv_segment_path(folder, name, path, err));
    KV_TRY(kv_segment_path(folder, "segment.new", made, err));
    KV_TRY(take_file(folder, made, size, &segment.fd, err));
    kv_segment_header_pack(header, bytes);
    KV_TRY(write_at(segment.fd, kv_slice_of(bytes, sizeof(bytes)), 0, err));
    if (fdatasync(segment.fd) != 0 || rename(made, path) != 0)
        return unwritable(err, path, errno);
    if (sync_folder(folder, err) != KV_OK) {
        /* The segment before goes on: this one must not be found later. */
        (void)unlink(path);
        return err->status;
    }
    segment.first = header->first;
    segment.end = sizeof(bytes);
    segment.size = size;
    *out = segment;
    segment = KV_SEGMENT_NONE;
    return KV_OK;
}

static kv_status copy_rest(int from, uint64_t offset, uint64_t len, const char *path, kv_error *err)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    kv_status status = KV_OK;

    if (to < 0)
        return unwritable(err, path, errno);
    for (uint64_t done = 0; done < len && status == KV_OK;) {
        uint8_t bytes[COPY_BYTES];
        size_t want = len - done < sizeof(bytes) ? (size_t)(len - done) : sizeof(bytes);
        ssize_t got = pread(from, bytes, want, (off_t)(offset + done));

        if (got <= 0)
            status = unwritable(err, path, errno);
        else
            status = write_at(to, kv_slice_of(bytes, (size_t)got), done, err);
        done += got > 0 ? (uint64_t)got : 0;
    }
    if (status == KV_OK && fsync(to) != 0)
        status = unwritable(err, path, errno);
    (void)close(to);
    return status;
}

/* Cuts at the end and takes the space again, so that zeros follow. */
static kv_status repair(kv_segment *segment, kv_error *err)
{
    if (ftruncate(segment->fd, (off_t)segment->end) != 0)
        return unwritable(err, "ftruncate", errno);
    segment->dirty = false;
    segment->zeros = 0;
    /* Without room for the whole segment it grows as it is written. */
    if (segment->end < segment->size)
        (void)posix_fallocate(segment->fd, (off_t)segment->end,
                              (off_t)(segment->size - segment->end));
    return KV_OK;
}

/* The bytes that were written next, at or after *begin: a hole, and space that was only taken, is
 * zeros. Where the file system does not say, all of it was written. */
static bool find_written(int fd, uint64_t *begin, uint64_t *end)
{
    off_t data = lseek(fd, (off_t)*begin, SEEK_DATA), hole;

    if (data < 0 && errno == ENXIO)
        return false;
    hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    *begin = data < 0 ? *begin : (uint64_t)data;
    *end = hole < 0 ? UINT64_MAX : (uint64_t)hole;
    return true;
}

static kv_status find_rest(int fd, uint64_t end, uint64_t *out, kv_error *err)
{
    uint64_t offset = end, until = 0, rest = 0;
    uint8_t bytes[COPY_BYTES];

    /* What is read ahead counts as written. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    while (offset < until || find_written(fd, &offset, &until)) {
        size_t want = until - offset < sizeof(bytes) ? (size_t)(until - offset) : sizeof(bytes);
        ssize_t got = pread(fd, bytes, want, (off_t)offset);

        if (got < 0)
            return unwritable(err, "pread", errno);
        if (got == 0)
            break;
        for (size_t i = (size_t)got; i > 0 && rest < offset + i - end; i--)
            if (bytes[i - 1] != 0)
                rest = offset + i - end;
        offset += (uint64_t)got;
    }
    *out = rest;
    return KV_OK;
}

kv_status kv_segment_open(const char *folder, uint64_t first, uint64_t end, uint64_t size,
                          kv_segment *out, kv_error *err)
{
    KV_AUTO(kv_segment) segment = { .fd = -1, .first = first, .end = end, .size = size };
    char path[KV_SEGMENT_PATH_BYTES], torn[KV_SEGMENT_PATH_BYTES], name[KV_SEGMENT_NAME_BYTES];
    uint64_t rest = 0;

    kv_segment_name(first, name);
    KV_TRY(kv_segment_path(folder, name, path, err));
    segment.fd = open(path, O_RDWR | O_CLOEXEC);
    if (segment.fd < 0)
        return unwritable(err, path, errno);
    KV_TRY(find_rest(segment.fd, end, &rest, err));
    if (rest > 0) {
        memcpy(name + strlen(name) - 4, ".torn", sizeof(".torn"));
        KV_TRY(kv_segment_path(folder, name, torn, err));
        KV_TRY(copy_rest(segment.fd, end, rest, torn, err));
        KV_TRY(repair(&segment, err));
    }
    if (fsync(segment.fd) != 0)
        return unwritable(err, path, errno);
    *out = segment;
    segment = KV_SEGMENT_NONE;
    return KV_OK;
}

/* Blocks that are taken and were never written make every sync write the file system's journal,
 * too; so zeros are written some way ahead, now and then. A failure is left to the write itself. */
static void write_ahead(kv_segment *segment, uint64_t end)
{
    static const uint8_t zeros[ZERO_BYTES];
    kv_error unused = { 0 };

    if (end <= segment->zeros)
        return;
    if (segment->zeros < segment->end)
        segment->zeros = segment->end;
    for (uint64_t most = end + AHEAD_BYTES; segment->zeros < most;) {
        uint64_t room = segment->size > segment->zeros ? segment->size - segment->zeros : 0;
        size_t len = room < sizeof(zeros) ? (size_t)room : sizeof(zeros);

        if (!len ||
            write_at(segment->fd, kv_slice_of(zeros, len), segment->zeros, &unused) != KV_OK)
            break;
        segment->zeros += len;
    }
    if (segment->zeros < end)
        segment->zeros = end; /* there was no room: not tried again for these */
}

kv_status kv_segment_append(kv_segment *segment, kv_slice bytes, kv_error *err)
{
    kv_error unused = { 0 };
    kv_status status;

    if (segment->dirty)
        KV_TRY(repair(segment, err));
    write_ahead(segment, segment->end + bytes.len);
    status = write_at(segment->fd, bytes, segment->end, err);
    if (status == KV_OK && fdatasync(segment->fd) != 0)
        status = unwritable(err, "fdatasync", errno);
    if (status == KV_OK) {
        segment->end += bytes.len;
        return KV_OK;
    }
    segment->dirty = true;
    (void)repair(segment, &unused);
    return status;
}

kv_status kv_segment_finish(kv_segment *segment, kv_error *err)
{
    if (ftruncate(segment->fd, (off_t)segment->end) != 0 || fsync(segment->fd) != 0)
        return unwritable(err, "ftruncate", errno);
    return KV_OK;
}

void kv_segment_cleanup(kv_segment *segment)
{
    if (segment->fd >= 0)
        (void)close(segment->fd);
    *segment = KV_SEGMENT_NONE;
}

kv_status kv_segment_rest(const char *folder, uint64_t first, uint64_t end, uint64_t *out,
                          kv_error *err)
{
    char path[KV_SEGMENT_PATH_BYTES], name[KV_SEGMENT_NAME_BYTES];
    kv_status status;
    int fd;

    kv_segment_name(first, name);
    KV_TRY(kv_segment_path(folder, name, path, err));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return unwritable(err, path, errno);
    status = find_rest(fd, end, out, err);
    (void)close(fd);
    return status;
}
