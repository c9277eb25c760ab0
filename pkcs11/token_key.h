/* token_key.h - keys are born, listed, exported once where allowed, and destroyed.
 *
 * All of these are slow (milliseconds, RSA up to seconds) and belong on the slow lane.
 *
 * Errors of every function: KV_UNAVAILABLE with KV_REASON_TOKEN_UNAVAILABLE when the token does
 * not answer; KV_UNSUPPORTED with KV_REASON_NOT_SUPPORTED_BY_TOKEN.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/key.h"
#include "pkcs11/tokens.h"
#include "server/base/arena.h"

typedef struct kv_key_spec {
    kv_key_class class;
    kv_key_kind kind;
    uint8_t id[KV_KEY_ID_BYTES]; /* random, stored by the caller before the birth */
    kv_slice label;              /* for humans; at most KV_KEY_LABEL_MAX bytes of UTF-8 */
    bool exportable;             /* KV_CLASS_SIGN only, and never Ed25519 */
    bool keep_public;            /* leave a public object on the token too (TLS identity) */
} kv_key_spec;

/* What the token said about the key when asked. */
typedef struct kv_key_born {
    kv_slice spki; /* SubjectPublicKeyInfo, DER, in the caller's arena; empty for secret keys */
    bool local;    /* generated on the token; false for what was imported */
    bool sensitive;
    bool always_sensitive;
    bool extractable;
    bool never_extractable;
} kv_key_born;

/* KV_OK when the token can make and use keys of this class and kind: by its list of mechanisms and,
 * for curves, by making one for a moment. KV_UNSUPPORTED with KV_REASON_NOT_SUPPORTED_BY_TOKEN
 * names what is missing; KV_BAD_REQUEST when the kind never fits the class. */
kv_status kv_token_key_can(kv_token *token, kv_key_class class, kv_key_kind kind,
                           kv_error *err) KV_MUST_USE;

/* Generates the key as a session object, reads it back, tries an operation of its class, copies it
 * to the token, syncs, and only then returns. After any failure nothing is left on the token
 * (except when the token itself is gone: kv_token_key_destroy the id when it is back).
 * Errors: KV_BAD_REQUEST (kind does not fit the class), KV_EXISTS (the id is taken), KV_INTERNAL
 * (the token made a key that is not what was asked for; it has been destroyed). */
kv_status kv_token_key_generate(kv_token *token, const kv_key_spec *spec, kv_arena *arena,
                                kv_key_born *out, kv_error *err) KV_MUST_USE;

/* Destroys every object with this id and checks that none is left; KV_OK too when there was none.
 */
kv_status kv_token_key_destroy(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES],
                               kv_error *err) KV_MUST_USE;

/* What a token said when a key was destroyed. */
typedef struct kv_key_gone {
    unsigned private_keys; /* objects that C_DestroyObject took, by their CKA_CLASS */
    unsigned secret_keys;
    unsigned public_keys;
    unsigned others;
    unsigned copies; /* session objects: what was used instead of the key */
    char label[33];  /* of the token that was asked */
    char serial[17];
} kv_key_gone;

/* As kv_token_key_destroy, and tells what there was. After KV_OK a search for the id has found
 * nothing on a token that was proved to work in the same session. */
kv_status kv_token_key_destroy_told(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES],
                                    kv_key_gone *out, kv_error *err) KV_MUST_USE;

/* The private key as PKCS#8 (DER, not encrypted) of a key born exportable; may be called again
 * until the key is sealed. The caller stores it (encrypted) and then seals the key.
 * KV_NOT_FOUND; KV_PRECONDITION with KV_REASON_NOT_EXPORTABLE. */
kv_status kv_token_key_export(kv_token *token, const kv_key_ref *key, kv_secret_buf *pkcs8,
                              kv_error *err) KV_MUST_USE;
/* Makes the key non-extractable for good and reads that back; KV_OK too when it already is. */
kv_status kv_token_key_seal_export(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES],
                                   kv_error *err) KV_MUST_USE;

/* One private or secret key object on the token, as the token describes it. */
typedef struct kv_key_seen {
    bool has_id; /* false: half an object, or not ours */
    uint8_t id[KV_KEY_ID_BYTES];
    char label[KV_KEY_LABEL_MAX + 1]; /* NUL-terminated, cut if longer */
    kv_key_class class;               /* by its mechanisms; SEAL keys look like SIGN */
    kv_key_kind kind;                 /* KV_KEY_NONE when unknown */
    bool local;
    bool sensitive;
    bool extractable;
    bool never_extractable;
    /* The first attribute in which the object differs from the one template of `class`
     * ("CKA_DECRYPT"); "" when it obeys. "CKA_ALLOWED_MECHANISMS" when it is of no class. A key
     * that is still extractable obeys if its class allows that: compare with the record. */
    const char *differs;
} kv_key_seen;

/* Asks the token (not the index) and calls `visit` once per key; it may call operations. Stops at
 * the first status that is not KV_OK and returns it. */
typedef kv_status kv_key_visit(void *context, const kv_key_seen *key, kv_error *err);
kv_status kv_token_key_list(kv_token *token, kv_key_visit *visit, void *context,
                            kv_error *err) KV_MUST_USE;

/* Did the token's last start see a key object without an id of 16 bytes? */
bool kv_token_key_saw_halves(const kv_token *token);
/* Destroys private, secret and public key objects without an id of 16 bytes: what a kill during a
 * birth can leave. KV_PRECONDITION unless the token is `exclusive`. */
kv_status kv_token_key_destroy_halves(kv_token *token, size_t *destroyed,
                                      kv_error *err) KV_MUST_USE;

/* KV_OK when the key is there and (for asymmetric classes) has proved to be the one of `key->spki`.
 * KV_NOT_FOUND when it is missing; KV_INTERNAL with KV_REASON_INTEGRITY when it is another key. */
kv_status kv_token_key_check(kv_token *token, const kv_key_ref *key, kv_error *err) KV_MUST_USE;
