/* init_again.c - the mark of an unfinished initialisation, and how its remains are cleared away. */
#include "server/init_again.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/token_anchor.h"
#include "pkcs11/token_files.h"
#include "pkcs11/token_key.h"
#include "server/credentials.h"
#include "server/init_tokens.h"
#include "server/pending_mac.h"

/* What the mark says about the TLS identity. */
#define TLS_OURS   KV_SLICE("tls=made-by-init\n")
#define TLS_THEIRS KV_SLICE("tls=was-there\n")

enum { KEYS_CLEARED = 64, MARK_BYTES = 64 };

static kv_status mark_path(const kv_settings *settings, char out[PATH_MAX], kv_error *err)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/init.unfinished", settings->home) >= PATH_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "[server] home is too long");
    return KV_OK;
}

/* The file of the database; "" when it is none. */
static const char *database_of(const kv_settings *settings)
{
    static const char scheme[] = "sqlite:";

    return strncmp(settings->store_url, scheme, strlen(scheme))
               ? ""
               : settings->store_url + strlen(scheme);
}

static bool there(const char *path)
{
    return *path && access(path, F_OK) == 0;
}

/* --- the audit folder --- */

typedef bool file_visitor(const char *path);

static bool is_there(const char *path)
{
    (void)path;
    return false;
}

static bool remove_file(const char *path)
{
    return unlink(path) == 0;
}

/* False when a visit was. A folder that is not there has no files. */
static bool each_file(const char *folder, file_visitor *visit)
{
    DIR *files = opendir(folder);
    const struct dirent *file;
    char path[PATH_MAX];
    bool good = true;

    while (files && good && (file = readdir(files))) {
        if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, ".."))
            continue;
        good = (size_t)snprintf(path, sizeof(path), "%s/%s", folder, file->d_name) < sizeof(path) &&
               visit(path);
    }
    if (files)
        (void)closedir(files);
    return good;
}

/* --- tokens in files --- */

/* A file of SoftHSM that has no attribute but its generation says nothing of any token. */
enum { EMPTY_OBJECT_BYTES = 8 };

static bool is_spare(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    struct stat info;

    if (!strcmp(name, "generation") || !strcmp(name, "token.lock"))
        return true;
    return !strcmp(name, "token.object") && stat(path, &info) == 0 &&
           info.st_size <= EMPTY_OBJECT_BYTES;
}

/* A token's folder with neither label nor PIN nor any object: what a kill in its creation leaves,
 * and other users of the module stumble over. What is in use has more files, and stays. */
static bool remove_half_token(const char *folder)
{
    struct stat info;

    if (lstat(folder, &info) == 0 && S_ISDIR(info.st_mode) && each_file(folder, is_spare) &&
        each_file(folder, remove_file))
        (void)rmdir(folder);
    return true;
}

kv_status kv_init_mend_tokens(const kv_settings *settings, kv_error *err)
{
    for (int i = 0; i < KV_SETTING_TOKENS; i++) {
        kv_token_files files = KV_TOKEN_FILES_NONE;
        kv_token_paths paths;
        unsigned restored = 0;
        kv_status status;

        KV_TRY(kv_token_paths_of(settings, (kv_setting_token)i, &paths, err));
        if (!paths.files[0])
            continue;
        KV_TRY(kv_token_files_open(paths.files, paths.backup, &files, err));
        status = kv_token_files_restore(&files, &restored, err);
        kv_token_files_cleanup(&files);
        KV_TRY(status);
        (void)each_file(paths.files, remove_half_token);
    }
    return KV_OK;
}

/* --- clearing --- */

typedef struct remains {
    const char *const *labels; /* ends with NULL */
    uint8_t ids[KEYS_CLEARED][KV_KEY_ID_BYTES];
    unsigned count;
} remains;

static kv_status note_key(void *context, const kv_key_seen *key, kv_error *err)
{
    remains *found = context;

    (void)err;
    for (const char *const *label = found->labels; *label; label++)
        if (key->has_id && !strcmp(key->label, *label) && found->count < KEYS_CLEARED)
            memcpy(found->ids[found->count++], key->id, KV_KEY_ID_BYTES);
    return KV_OK;
}

static kv_status clear_keys(kv_token *token, const char *const *labels, kv_error *err)
{
    remains found = { .labels = labels };

    if (!token)
        return KV_OK;
    KV_TRY(kv_token_key_list(token, note_key, &found, err));
    for (unsigned i = 0; i < found.count; i++)
        KV_TRY(kv_token_key_destroy(token, found.ids[i], err));
    return KV_OK;
}

static kv_status clear_files(const kv_settings *settings, kv_error *err)
{
    static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
    char path[PATH_MAX];

    for (size_t i = 0; i < KV_COUNT(endings); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", database_of(settings), endings[i]);
        if (there(database_of(settings)) || i)
            (void)unlink(path);
    }
    if (there(database_of(settings)) || !each_file(settings->audit_folder, remove_file))
        return kv_fail(err, KV_UNAVAILABLE,
                       "what an interrupted init left cannot be removed: database or audit log");
    return KV_OK;
}

static kv_status clear(const kv_settings *settings, kv_tokens *tokens, bool tls_ours, kv_error *err)
{
    static const char *const own[] = { KV_INIT_LABEL_SEAL, KV_INIT_LABEL_AUDIT, KV_INIT_LABEL_TOKEN,
                                       KV_PENDING_MAC_LABEL, NULL };
    static const char *const tls[] = { KV_INIT_LABEL_TLS, NULL };
    kv_token *system = kv_tokens_get(tokens, KV_DUTY_SYSTEM);

    KV_TRY(clear_files(settings, err));
    KV_TRY(clear_keys(system, own, err));
    KV_TRY(kv_token_anchor_destroy(system, kv_slice_text(KV_INIT_LABEL_AUDIT), err));
    if (!tls_ours)
        return KV_OK;
    if (unlink(settings->tls_certificate) != 0 && errno != ENOENT)
        return kv_fail(err, KV_UNAVAILABLE, "'%.120s' cannot be removed",
                       settings->tls_certificate);
    return clear_keys(kv_tokens_get(tokens, KV_DUTY_TLS), tls, err);
}

/* --- the mark --- */

static kv_status read_mark(const char *path, bool *marked, bool *tls_ours, kv_error *err)
{
    FILE *file = fopen(path, "re");
    char text[MARK_BYTES];
    size_t len;

    *marked = file != NULL;
    if (!file)
        return errno == ENOENT ? KV_OK
                               : kv_fail(err, KV_UNAVAILABLE, "'%.120s' cannot be read", path);
    len = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    *tls_ours = kv_slice_equal(kv_slice_of(text, len), TLS_OURS);
    return KV_OK;
}

kv_status kv_init_begin(const kv_settings *settings, kv_tokens *tokens, kv_error *err)
{
    char path[PATH_MAX];
    bool marked = false;
    bool tls_ours = false;

    KV_TRY(mark_path(settings, path, err));
    KV_TRY(read_mark(path, &marked, &tls_ours, err));
    if (marked)
        return clear(settings, tokens, tls_ours, err);
    if (there(database_of(settings)))
        return kv_fail(err, KV_EXISTS, "the database is there already; init needs a new one");
    if (!each_file(settings->audit_folder, is_there))
        return kv_fail(err, KV_EXISTS, "the audit folder is not empty; init needs a new one");
    return kv_init_write_file(path, there(settings->tls_certificate) ? TLS_THEIRS : TLS_OURS, err);
}

void kv_init_done(const kv_settings *settings)
{
    char path[PATH_MAX];
    kv_error ignored = { 0 };

    if (mark_path(settings, path, &ignored) == KV_OK)
        (void)unlink(path);
}
