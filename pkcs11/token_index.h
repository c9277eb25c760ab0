/* token_index.h - CKA_ID to handle, filled by one pass at start and never searched per request.
 *
 * An entry becomes usable for a class and a public key once the token's object has proved to be
 * that key. Keys that cannot be extracted are then used through a session copy, which is faster
 * and does not depend on files.
 *
 * Threads: any; a lock of its own, never held across Cryptoki.
 */
#pragma once

#include <pthread.h>

#include <p11-kit/pkcs11.h>

#include "pkcs11/key.h"
#include "server/base/error.h"

struct kv_token;
struct kv_token_visit;
struct kv_index_entry;

typedef struct kv_token_index {
    pthread_rwlock_t lock; /* guards all that follows */
    struct kv_index_entry *entries;
    unsigned copies; /* session copies in use */
} kv_token_index;

typedef struct kv_found_key {
    CK_OBJECT_HANDLE use;    /* for operations: the session copy if there is one */
    CK_OBJECT_HANDLE object; /* on the token */
    kv_key_kind kind;
} kv_found_key;

void kv_token_index_init(kv_token_index *index);
/* Forgets everything; session copies are gone with their session. */
void kv_token_index_clear(kv_token_index *index);
void kv_token_index_free(kv_token_index *index);

/* The handle of a key that has proved to be `ref`; both handles stay good until the visit ends or
 * looks for another key. KV_NOT_FOUND; KV_INTERNAL with KV_REASON_INTEGRITY; KV_UNAVAILABLE. */
kv_status kv_token_index_find(struct kv_token_visit *visit, const kv_key_ref *ref,
                              kv_found_key *out, kv_error *err) KV_MUST_USE;

/* Adds a key that was seen on the token, or was just born here. */
kv_status kv_token_index_add(struct kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                             CK_OBJECT_HANDLE object, kv_error *err) KV_MUST_USE;
/* Was an object of that id there when it was last looked for? */
bool kv_token_index_has(struct kv_token *token, const uint8_t id[KV_KEY_ID_BYTES]);
/* Drops the entry. Its session copy is destroyed when the last visit that found it ends. */
void kv_token_index_drop(struct kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES]);
/* The same for the entry that this visit has found, unless there is a newer one already. */
void kv_token_index_drop_held(struct kv_token_visit *visit);
/* The visit uses no key any more; while its session is open. */
void kv_token_index_let_go(struct kv_token_visit *visit);
