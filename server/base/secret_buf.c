/* secret_buf.c - secret bytes on OpenSSL's locked heap. */
#include "server/base/secret_buf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

enum { SMALLEST_PIECE = 64, SMALLEST_HEAP = 4096, HEAP_LOCKED = 1 };

kv_status kv_secret_heap_open(size_t bytes, kv_error *err)
{
    if (CRYPTO_secure_malloc_initialized())
        return KV_OK;
    /* OpenSSL aborts the process instead. */
    if (bytes < SMALLEST_HEAP || (bytes & (bytes - 1)))
        return kv_fail(err, KV_BAD_REQUEST, "locked memory must be a power of two, at least %d",
                       SMALLEST_HEAP);
    /* 2 means: works, but pages could be swapped out. That is not what was promised. */
    if (CRYPTO_secure_malloc_init(bytes, SMALLEST_PIECE) == HEAP_LOCKED)
        return KV_OK;
    (void)CRYPTO_secure_malloc_done();
    kv_fail(err, KV_UNAVAILABLE, "%zu bytes of memory cannot be locked", bytes);
    return kv_note(err, "raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK)");
}

void kv_secret_heap_close(void)
{
    (void)CRYPTO_secure_malloc_done();
}

kv_status kv_secret_buf_new(size_t len, kv_secret_buf *out, kv_error *err)
{
    uint8_t *data = OPENSSL_secure_zalloc(len + 1);

    if (!data) {
        kv_fail(err, KV_BUSY, "no locked memory is free");
        return kv_because(err, KV_REASON_LIMIT_REACHED);
    }
    *out = (kv_secret_buf){ .data = data, .len = len };
    return KV_OK;
}

kv_status kv_secret_buf_copy(kv_slice from, kv_secret_buf *out, kv_error *err)
{
    KV_TRY(kv_secret_buf_new(from.len, out, err));
    if (from.len)
        memcpy(out->data, from.data, from.len);
    return KV_OK;
}

static kv_status read_all(int fd, size_t max, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    size_t len = 0;
    ssize_t got = 1;

    KV_TRY(kv_secret_buf_new(max + 1, &bytes, err));
    while (got != 0 && len <= max) {
        got = read(fd, bytes.data + len, max + 1 - len);
        if (got < 0 && errno != EINTR)
            return kv_fail(err, KV_UNAVAILABLE, "a secret file cannot be read");
        len += got > 0 ? (size_t)got : 0;
    }
    if (len > max)
        return kv_fail(err, KV_BAD_REQUEST, "a secret file is longer than %zu bytes", max);
    if (len && bytes.data[len - 1] == '\n')
        len--;
    return kv_secret_buf_copy(kv_slice_of(bytes.data, len), out, err);
}

kv_status kv_secret_buf_read_file(const char *path, size_t max, kv_secret_buf *out, kv_error *err)
{
    struct stat info;
    kv_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        kv_fail(err, KV_UNAVAILABLE, "a secret file cannot be opened");
        return kv_note(err, "%s: %s", path, strerror(errno));
    }
    if (fstat(fd, &info) != 0)
        status = kv_fail(err, KV_UNAVAILABLE, "a secret file cannot be examined");
    else if (S_ISREG(info.st_mode) && (info.st_mode & (S_IRWXG | S_IRWXO)))
        status = kv_fail(err, KV_PRECONDITION, "a secret file may be read by others: chmod 600");
    else
        status = read_all(fd, max, out, err);
    (void)close(fd);
    return status == KV_OK ? KV_OK : kv_note(err, "%s", path);
}

kv_secret_buf kv_secret_buf_move(kv_secret_buf *from)
{
    kv_secret_buf moved = *from;

    *from = KV_SECRET_NONE;
    return moved;
}

bool kv_secret_buf_equal(const kv_secret_buf *secret, kv_slice candidate)
{
    return secret->len == candidate.len &&
           CRYPTO_memcmp(secret->data, candidate.data, candidate.len) == 0;
}

void kv_wipe(void *data, size_t len)
{
    /* Not OPENSSL_cleanse(), which goes eight bytes at a time. */
    if (len)
        explicit_bzero(data, len);
}

void kv_secret_buf_cleanup(kv_secret_buf *secret)
{
    if (secret->data)
        OPENSSL_secure_clear_free(secret->data, secret->len + 1);
    *secret = KV_SECRET_NONE;
}
