/* token_files.c - the owner's lock and the raw copy of token.object. */
#include "pkcs11/token_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "server/base/text.h"

enum {
    OBJECT_MAX = 64 * 1024, /* token.object has some 320 bytes */
    SPARE_BYTES = 1024 * 1024,
    HASH_BYTES = 32,
    NAME_BYTES = 192,
    UUID_CHARS = 36,
    SERIAL_CHARS = 16
};

static const char object_name[] = "token.object";

typedef struct bytes {
    uint8_t data[OBJECT_MAX];
    size_t len;
} bytes;

static kv_status file_failed(kv_error *err, const char *what, const char *path)
{
    int reason = errno;

    kv_fail(err, KV_UNAVAILABLE, "%s", what);
    kv_because(err, KV_REASON_TOKEN_UNAVAILABLE);
    return kv_note(err, "%s: %s", path, strerror(reason));
}

kv_status kv_token_lock(const char *path, int *fd, kv_error *err)
{
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (lock < 0)
        return file_failed(err, "the token's lock file cannot be opened", path);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        (void)close(lock);
        kv_fail(err, KV_PRECONDITION, "the token is in use: one process owns a token");
        return kv_note(err, "%s is locked", path);
    }
    *fd = lock;
    return KV_OK;
}

kv_status kv_token_files_open(const char *root, const char *backup_dir, kv_token_files *out,
                              kv_error *err)
{
    kv_token_files files = KV_TOKEN_FILES_NONE;

    if (root && backup_dir && mkdir(backup_dir, 0700) != 0 && errno != EEXIST)
        return file_failed(err, "the folder for copies cannot be made", backup_dir);
    files.root = root ? strdup(root) : NULL;
    files.backup_dir = root && backup_dir ? strdup(backup_dir) : NULL;
    if ((root && !files.root) || (root && backup_dir && !files.backup_dir)) {
        kv_token_files_cleanup(&files);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    *out = files;
    return KV_OK;
}

void kv_token_files_cleanup(kv_token_files *files)
{
    if (files->folder_fd >= 0)
        (void)close(files->folder_fd);
    free(files->root);
    free(files->backup_dir);
    *files = KV_TOKEN_FILES_NONE;
}

static bool read_file(const char *path, bytes *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;

    out->len = 0;
    if (fd < 0)
        return false;
    while (out->len < OBJECT_MAX &&
           (got = read(fd, out->data + out->len, OBJECT_MAX - out->len)) > 0)
        out->len += (size_t)got;
    (void)close(fd);
    return got == 0;
}

/* Complete and durable under its final name, or not there at all. */
static bool write_file(const char *path, const bytes *in)
{
    char temporary[PATH_MAX];
    bool good;
    int fd;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    good = write(fd, in->data, in->len) == (ssize_t)in->len && fsync(fd) == 0;
    good = close(fd) == 0 && good && rename(temporary, path) == 0;
    if (!good)
        (void)unlink(temporary);
    return good;
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

/* "<folder>.<length>.<sha-256>.token.object" */
static void copy_name(const char *folder, const bytes *in, char out[NAME_BYTES])
{
    uint8_t hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];

    (void)EVP_Digest(in->data, in->len, hash, NULL, EVP_sha256(), NULL);
    kv_hex(kv_slice_of(hash, sizeof(hash)), hex);
    (void)snprintf(out, NAME_BYTES, "%.*s.%zu.%s.%s", UUID_CHARS, folder, in->len, hex,
                   object_name);
}

static bool is_copy_of(const char *folder, const char *name)
{
    size_t len = strlen(folder), all = strlen(name), tail = sizeof(object_name) - 1;

    return all > len + tail && !strncmp(name, folder, len) && name[len] == '.' &&
           !strcmp(name + all - tail, object_name);
}

/* A copy whose length and hash are those of its name. */
static bool read_copy(const kv_token_files *files, const char *folder, const char *name, bytes *out)
{
    char path[PATH_MAX], expected[NAME_BYTES];

    if (!is_copy_of(folder, name))
        return false;
    (void)snprintf(path, sizeof(path), "%s/%s", files->backup_dir, name);
    if (!read_file(path, out) || out->len == 0)
        return false;
    copy_name(folder, out, expected);
    return !strcmp(expected, name);
}

/* Any good copy of the folder's token.object (there are two only after a kill while replacing). */
static bool find_copy(const kv_token_files *files, const char *folder, bytes *out)
{
    DIR *dir = opendir(files->backup_dir);
    struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)))
        found = read_copy(files, folder, entry->d_name, out);
    if (dir)
        (void)closedir(dir);
    return found;
}

static void remove_other_copies(const kv_token_files *files, const char *keep)
{
    DIR *dir = opendir(files->backup_dir);
    char path[PATH_MAX];
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (!is_copy_of(files->folder, entry->d_name) || !strcmp(entry->d_name, keep))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", files->backup_dir, entry->d_name);
        (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
}

static bool is_empty_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0;
}

static kv_status restore_one(kv_token_files *files, const char *folder, bytes *copy,
                             unsigned *restored, kv_error *err)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s/%s", files->root, folder, object_name);
    if (!is_empty_file(path) || !find_copy(files, folder, copy))
        return KV_OK;
    if (!write_file(path, copy))
        return file_failed(err, "token.object cannot be restored", path);
    ++*restored;
    return KV_OK;
}

kv_status kv_token_files_restore(kv_token_files *files, unsigned *restored, kv_error *err)
{
    kv_status status = KV_OK;
    struct dirent *entry;
    bytes *copy;
    DIR *dir;

    *restored = 0;
    if (!files->backup_dir)
        return KV_OK;
    copy = malloc(sizeof(*copy));
    dir = opendir(files->root);
    while (copy && dir && status == KV_OK && (entry = readdir(dir)))
        if (strlen(entry->d_name) == UUID_CHARS)
            status = restore_one(files, entry->d_name, copy, restored, err);
    if (dir)
        (void)closedir(dir);
    free(copy);
    return status;
}

bool kv_token_files_there(const kv_token_files *files)
{
    char path[PATH_MAX];

    if (!files->root || !files->folder[0])
        return true;
    (void)snprintf(path, sizeof(path), "%s/%s/%s", files->root, files->folder, object_name);
    return access(path, F_OK) == 0;
}

/* SoftHSM makes the serial number of the last sixteen digits of its folder's UUID. */
static bool folder_has_serial(const char *folder, const char *serial)
{
    return strlen(folder) == UUID_CHARS && strlen(serial) == SERIAL_CHARS &&
           !strncmp(folder + 19, serial, 4) && !strcmp(folder + 24, serial + 4);
}

/* The lock file is the home's; this one is the token's, whatever home its user has. */
static kv_status own_folder(kv_token_files *files, const char *path, kv_error *err)
{
    if (flock(files->folder_fd, LOCK_EX | LOCK_NB) == 0)
        return KV_OK;
    (void)close(files->folder_fd);
    files->folder_fd = -1;
    kv_fail(err, KV_PRECONDITION, "the token is in use: one process owns a token");
    return kv_note(err, "%s is locked", path);
}

kv_status kv_token_files_find(kv_token_files *files, const char *serial, kv_error *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    if (!files->root)
        return KV_OK;
    if (files->folder_fd >= 0)
        (void)close(files->folder_fd);
    files->folder_fd = -1;
    files->folder[0] = '\0';
    dir = opendir(files->root);
    if (!dir)
        return file_failed(err, "the folder of token files cannot be read", files->root);
    while (!files->folder[0] && (entry = readdir(dir)))
        if (folder_has_serial(entry->d_name, serial))
            memcpy(files->folder, entry->d_name, UUID_CHARS + 1);
    (void)closedir(dir);
    if (!files->folder[0])
        return kv_fail(err, KV_PRECONDITION, "the files of the token are not where they should be");
    (void)snprintf(path, sizeof(path), "%s/%s", files->root, files->folder);
    files->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->folder_fd < 0)
        return file_failed(err, "the folder of the token cannot be opened", path);
    return own_folder(files, path, err);
}

static kv_status make_copy(kv_token_files *files, bytes *current, kv_error *err)
{
    char from[PATH_MAX], to[PATH_MAX], name[NAME_BYTES];

    (void)snprintf(from, sizeof(from), "%s/%s/%s", files->root, files->folder, object_name);
    if (!read_file(from, current) || current->len == 0)
        return file_failed(err, "token.object cannot be read", from);
    copy_name(files->folder, current, name);
    (void)snprintf(to, sizeof(to), "%s/%s", files->backup_dir, name);
    if (!write_file(to, current))
        return file_failed(err, "the copy of token.object cannot be written", to);
    sync_folder(files->backup_dir);
    remove_other_copies(files, name);
    return KV_OK;
}

static kv_status with_buffer(kv_token_files *files, bool keep_old, kv_error *err)
{
    kv_status status = KV_OK;
    bytes *buffer = malloc(sizeof(*buffer));
    unsigned restored = 0;

    if (!buffer)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (!keep_old)
        status = restore_one(files, files->folder, buffer, &restored, err);
    if (status == KV_OK && (!keep_old || !find_copy(files, files->folder, buffer)))
        status = make_copy(files, buffer, err);
    free(buffer);
    return status;
}

kv_status kv_token_files_have_room(const kv_token_files *files, kv_error *err)
{
    struct statvfs space;

    if (!files->root)
        return KV_OK;
    if (statvfs(files->root, &space) != 0)
        return file_failed(err, "the space left for the token is not known", files->root);
    if ((uint64_t)space.f_bavail * space.f_frsize < SPARE_BYTES)
        return kv_fail(err, KV_PRECONDITION, "too little disk space to log in to the token safely");
    return KV_OK;
}

kv_status kv_token_files_before_login(kv_token_files *files, kv_error *err)
{
    KV_TRY(kv_token_files_have_room(files, err));
    return files->backup_dir ? with_buffer(files, true, err) : KV_OK;
}

kv_status kv_token_files_after_login(kv_token_files *files, kv_error *err)
{
    return files->backup_dir ? with_buffer(files, false, err) : KV_OK;
}

kv_status kv_token_files_sync(const kv_token_files *files, kv_error *err)
{
    if (files->folder_fd < 0 || syncfs(files->folder_fd) == 0)
        return KV_OK;
    return file_failed(err, "the token's files cannot be synced", files->root);
}
