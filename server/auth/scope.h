/* scope.h - where a grant counts: "/", "/vaults/v", "/vaults/v/keys", "/vaults/v/keys/k".
 *
 * Names are 1 to 127 of [0-9A-Za-z-] and compared without case; a normalised scope is lower case.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include "server/auth/permission.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum { KV_SCOPE_NAME_MAX = 127, KV_SCOPE_TEXT_MAX = 288 };

/* What a call wants to touch. Empty parts mean that the operation has no such part: an operation on
 * the whole server has none, one on a vault only `vault`. Spelled in any case. */
typedef struct kv_resource {
    kv_slice vault;
    kv_collection collection;
    kv_slice name;
    /* A key or secret that belongs to the certificate of the same name: a grant on
     * certificates/{name}, or on all certificates of the vault, covers it too. */
    bool managed;
} kv_resource;

/* Borrowed views into the normalised text. */
typedef struct kv_scope {
    kv_slice vault; /* empty: the server */
    kv_collection collection;
    kv_slice name;
} kv_scope;

/* Reads a normalised (lower case) scope, allocating nothing. False if it is not one. */
bool kv_scope_read(kv_slice text, kv_scope *out);
/* Any case in, lower case out (arena). KV_BAD_REQUEST naming `field`. */
kv_status kv_scope_parse(kv_arena *arena, kv_slice text, const char *field, kv_slice *out,
                         kv_error *err) KV_MUST_USE;

/* Does a grant on `scope` reach the resource? */
bool kv_scope_covers(const kv_scope *scope, const kv_resource *resource);
/* For separation of duty: vault and name overlap; the collection is ignored. */
bool kv_scopes_overlap(const kv_scope *a, const kv_scope *b);

/* The scope as a resource, to ask whether another scope covers it. `managed` as given. */
kv_resource kv_scope_resource(const kv_scope *scope, bool managed);
/* "/vaults/v/keys/k" for messages; cut at `size` - 1 bytes. Unprintable names become "?". */
void kv_resource_text(const kv_resource *resource, char *out, size_t size);
/* "certificates", "keys", "secrets", or "". */
const char *kv_collection_text(kv_collection collection);
