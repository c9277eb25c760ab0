/* token_files.h - the files around a token: the owner's lock and the raw copy of token.object.
 *
 * SoftHSM rewrites token.object at every login, in place; a kill in that instant leaves it empty
 * and the token lost. So a copy of those few hundred bytes stands elsewhere before every login,
 * its length and SHA-256 in its name, and an empty file is restored from it at start.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"

typedef struct kv_token_files {
    char *root;       /* SoftHSM's tokendir; NULL: nothing to look after */
    char *backup_dir; /* NULL: no copies */
    char folder[64];  /* of this token below root; "" until it is known */
    int folder_fd;    /* -1 until it is known */
} kv_token_files;

#define KV_TOKEN_FILES_NONE ((kv_token_files){ .folder_fd = -1 })

/* Creates the file if needed and locks it for as long as `*fd` is open.
 * KV_PRECONDITION when another process holds it. */
kv_status kv_token_lock(const char *path, int *fd, kv_error *err) KV_MUST_USE;

/* Both may be NULL. Makes `backup_dir`, mode 0700. */
kv_status kv_token_files_open(const char *root, const char *backup_dir, kv_token_files *out,
                              kv_error *err) KV_MUST_USE;
void kv_token_files_cleanup(kv_token_files *files);

/* Puts every empty token.object back of which there is a good copy; writes how many. Before
 * C_Initialize. */
kv_status kv_token_files_restore(kv_token_files *files, unsigned *restored,
                                 kv_error *err) KV_MUST_USE;
/* Finds the token's folder by its serial number, and locks it while it is open.
 * KV_PRECONDITION when another process has it. */
kv_status kv_token_files_find(kv_token_files *files, const char *serial, kv_error *err) KV_MUST_USE;
/* False when the token's file was seen before and is away now: without it nothing can help. A look
 * at the file's name alone. */
bool kv_token_files_there(const kv_token_files *files);
/* Is there space for a login, which rewrites token.object? KV_PRECONDITION when not. */
kv_status kv_token_files_have_room(const kv_token_files *files, kv_error *err) KV_MUST_USE;
/* Before a login: there is space, and a good copy. */
kv_status kv_token_files_before_login(kv_token_files *files, kv_error *err) KV_MUST_USE;
/* After a successful login: the copy is the file that this PIN opened. A file that the login left
 * empty, its disk being full, is put back from the copy. */
kv_status kv_token_files_after_login(kv_token_files *files, kv_error *err) KV_MUST_USE;
/* Makes what the token has written durable (syncfs). */
kv_status kv_token_files_sync(const kv_token_files *files, kv_error *err) KV_MUST_USE;
