/* house_disk.c - SQLite on a disk whose fsync() can fail, and what a kill leaves of it. */
#include "tests/contract/vault/house_disk.h"

#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

enum { COPY_BYTES = 65536 };

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    sqlite3_io_methods log; /* of the write-ahead log, but its fsync() can fail */
    const sqlite3_io_methods *real_log;
    atomic_bool fails;
} disk;

static const char *const endings[] = { "", "-wal" };

/* --- fsync() --- */

static int sync_log(sqlite3_file *file, int flags)
{
    if (atomic_exchange(&disk.fails, false))
        return SQLITE_IOERR_FSYNC;
    return disk.real_log->xSync(file, flags);
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    int code = disk.real->xOpen(vfs, name, file, flags, out);

    if (code != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
        return code;
    disk.real_log = file->pMethods;
    disk.log = *file->pMethods;
    disk.log.xSync = sync_log;
    file->pMethods = &disk.log;
    return code;
}

void house_disk_begin(void)
{
    if (disk.real)
        return;
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "house";
    disk.vfs.xOpen = open_file;
    assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

/* --- doubts --- */

void house_doubt_after(house *h, unsigned changes, house_doubt doubt)
{
    h->doubt = doubt;
    atomic_store(&h->doubts_in, (int)changes);
}

bool house_doubted(const house *h)
{
    return h->doubt != HOUSE_NO_DOUBT && atomic_load(&h->doubts_in) == 0;
}

kv_status house_disk_apply(house *h, kv_store *store, const kv_change *change,
                           kv_store_state *state, kv_error *err)
{
    kv_status status;

    if (atomic_load(&h->doubts_in) == 0 || atomic_fetch_sub(&h->doubts_in, 1) != 1)
        return h->real_ops->apply(store, change, state, err);
    if (h->doubt == HOUSE_UNTOLD) {
        KV_TRY(h->real_ops->apply(store, change, state, err));
        return kv_fail(err, KV_UNAVAILABLE, "the answer of the store was lost");
    }
    atomic_store(&disk.fails, true);
    status = h->real_ops->apply(store, change, state, err);
    assert_false(atomic_load(&disk.fails));
    assert_int_equal(status, KV_UNAVAILABLE);
    if (h->doubt == HOUSE_UNSYNCED_KILLED)
        atomic_store(&h->dead, true);
    return status;
}

/* --- kills --- */

static void copy(house *h, const char *from_ending, const char *to_ending, const char *kind)
{
    static char bytes[COPY_BYTES];
    char path[sizeof(h->database) + 16];
    FILE *from;
    FILE *to;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s%s%s", h->database, from_ending, kind);
    from = fopen(path, "re");
    (void)snprintf(path, sizeof(path), "%s%s%s", h->database, to_ending, kind);
    to = fopen(path, "we");
    assert_non_null(from);
    assert_non_null(to);
    while ((len = fread(bytes, 1, sizeof(bytes), from)) > 0)
        assert_int_equal(fwrite(bytes, 1, len, to), len);
    assert_int_equal(fclose(from), 0);
    assert_int_equal(fclose(to), 0);
}

static bool killed(const house *h)
{
    return h->doubt == HOUSE_UNSYNCED_KILLED && house_doubted(h);
}

void house_disk_keep(house *h)
{
    for (size_t i = 0; killed(h) && i < KV_COUNT(endings); i++)
        copy(h, "", ".killed", endings[i]);
}

void house_disk_put_back(house *h)
{
    for (size_t i = 0; killed(h) && i < KV_COUNT(endings); i++)
        copy(h, ".killed", "", endings[i]);
    h->doubt = HOUSE_NO_DOUBT;
    atomic_store(&h->doubts_in, 0);
}
