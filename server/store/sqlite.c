/* sqlite.c - opening and closing the embedded store. */
#include "server/store/sqlite.h"
#include "server/store/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static kv_status out_of_reach(const char *what, const char *path, kv_error *err)
{
    int reason = errno;

    kv_fail(err, KV_UNAVAILABLE, "%s", what);
    return kv_note(err, "%s: %s", path, strerrordesc_np(reason));
}

/* One server at a time, for as long as the descriptor is open. Programs that only look (and follow
 * SQLite's own locks) are not kept out. */
static kv_status lock_file(const char *path, int *out, kv_error *err)
{
    char name[PATH_MAX];
    int len = snprintf(name, sizeof(name), "%s.lock", path);
    int fd;

    if (len < 0 || (size_t)len >= sizeof(name))
        return kv_fail(err, KV_BAD_REQUEST, "the path of the store is too long");
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return out_of_reach("the store's lock file cannot be opened", name, err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;

        if (taken)
            kv_fail(err, KV_PRECONDITION, "another server has this store open");
        else
            out_of_reach("the store cannot be locked", name, err);
        (void)close(fd);
        return taken ? kv_note(err, "%s is locked", name) : err->status;
    }
    *out = fd;
    return KV_OK;
}

/* SQLite would create the file with the mode the umask leaves; the files beside it take after it.
 */
static kv_status create_file(const char *path, bool create, kv_error *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), S_IRUSR | S_IWUSR);

    if (fd < 0)
        return out_of_reach("the store's database cannot be opened", path, err);
    (void)close(fd);
    return KV_OK;
}

static kv_status open_connections(kv_sqlite *store, const char *path, kv_error *err)
{
    KV_TRY(kv_sqlite_db_open(path, &store->writer, err));
    KV_TRY(kv_sqlite_migrate(&store->writer, err));
    for (unsigned i = 0; i < KV_SQLITE_READERS; i++) {
        KV_TRY(kv_sqlite_db_open(path, &store->readers[i], err));
        store->idle[store->idle_count++] = &store->readers[i];
    }
    return KV_OK;
}

static void free_store(kv_sqlite *store)
{
    for (unsigned i = 0; i < KV_SQLITE_READERS; i++)
        kv_sqlite_db_cleanup(&store->readers[i]);
    kv_sqlite_db_cleanup(&store->writer);
    kv_turn_destroy(&store->writer_turn);
    kv_turn_destroy(&store->reader_turn);
    pthread_mutex_destroy(&store->idle_mutex);
    pthread_mutex_destroy(&store->done_mutex);
    if (store->lock >= 0)
        (void)close(store->lock);
    free(store);
}

static kv_sqlite *new_store(void)
{
    kv_sqlite *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->base.ops = &kv_sqlite_ops;
    store->lock = -1;
    kv_turn_init(&store->writer_turn, 1);
    kv_turn_init(&store->reader_turn, KV_SQLITE_READERS);
    pthread_mutex_init(&store->idle_mutex, NULL);
    pthread_mutex_init(&store->done_mutex, NULL);
    return store;
}

/* The lock comes after the database is seen, so a wrong path leaves nothing behind. */
static kv_status open_files(kv_sqlite *store, const char *path, bool create, kv_error *err)
{
    struct stat seen;

    if (!create && stat(path, &seen) != 0)
        return out_of_reach("the store's database is not there", path, err);
    KV_TRY(lock_file(path, &store->lock, err));
    KV_TRY(create_file(path, create, err));
    return open_connections(store, path, err);
}

static kv_status open_store(const char *url, bool create, kv_store **out, kv_error *err)
{
    const char *path = strchr(url, ':') + 1;
    kv_sqlite *store;
    kv_status status;

    if (path[0] == '\0' || path[0] == ':')
        return kv_fail(err, KV_BAD_REQUEST, "the URL of the store names no file");
    store = new_store();
    if (!store)
        return kv_fail(err, KV_BUSY, "out of memory");
    status = open_files(store, path, create, err);
    if (status != KV_OK)
        free_store(store);
    else
        *out = &store->base;
    return status;
}

static void close_store(kv_store *base)
{
    kv_sqlite *store = (kv_sqlite *)base;
    kv_error ignored = { 0 };

    /* What stays is found and matched at the next start. */
    if (store->done_count)
        (void)!kv_sqlite_flush_done(store, &ignored);
    free_store(store);
}

/* Opening brings it to the newest. */
static unsigned sqlite_schema(kv_store *store)
{
    (void)store;
    return (unsigned)kv_sqlite_migrations_count;
}

const kv_store_ops kv_sqlite_ops = {
    .scheme = "sqlite",
    .open = open_store,
    .close = close_store,
    .get = kv_sqlite_get,
    .scan = kv_sqlite_scan,
    .apply = kv_sqlite_apply,
    .state = kv_sqlite_state,
    .compare_ranges = kv_sqlite_compare_ranges,
    .compare_count = kv_sqlite_compare_count,
    .range = kv_sqlite_range,
    .schema = sqlite_schema,
    .pending = kv_sqlite_pending,
    .pending_done = kv_sqlite_pending_done,
};
