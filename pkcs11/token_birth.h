/* token_birth.h - a key on its way to the token, for births and imports. Inside a job only. */
#pragma once

#include "pkcs11/token.h"
#include "pkcs11/token_key.h"

/* Whatever it still holds when it ends is destroyed. */
typedef struct kv_token_birth {
    kv_token_visit *visit; /* NULL: not begun */
    const kv_key_spec *spec;
    kv_arena *arena;
    bool imported;
    CK_OBJECT_HANDLE key, public;       /* session objects */
    CK_OBJECT_HANDLE kept, kept_public; /* on the token */
    kv_key_born born;                   /* an import knows its `spki` before */
} kv_token_birth;

void kv_token_birth_cleanup(kv_token_birth *b);

/* Destroys a session object and forgets its handle. */
void kv_token_discard(kv_token_visit *visit, CK_OBJECT_HANDLE *object);

/* A private key that is wrapped (AES-KWP) becomes `key`. */
CK_RV kv_token_birth_unwrap(kv_token_birth *b, CK_OBJECT_HANDLE with, kv_slice wrapped);
/* KV_EXISTS when the token has an object with the id. */
kv_status kv_token_birth_check_id(kv_token_birth *b, kv_error *err) KV_MUST_USE;
/* The SPKI of an RSA key object, into `born`. */
kv_status kv_token_birth_read_rsa(kv_token_birth *b, CK_OBJECT_HANDLE from,
                                  kv_error *err) KV_MUST_USE;
/* `key` (and `public`) are made: reads them back, tries the key, copies it to the token, reads
 * that back, syncs and indexes. KV_INTERNAL when the key is not what was asked for. */
kv_status kv_token_birth_settle(kv_token_birth *b, kv_error *err) KV_MUST_USE;
