/* system_keys.h - the server's own identity and keys on the `system` token.
 *
 * A data object on the token says which installation it belongs to and which key seals the
 * database: that much is trusted without the database. Everything else follows from sealed rows.
 *
 * Threads: open and create: main. Signing: any worker.
 */
#pragma once

#include "pkcs11/key.h"
#include "pkcs11/tokens.h"
#include "server/audit/audit.h"
#include "server/auth/role_token.h"
#include "server/store/records.h"

enum { KV_INSTANCE_BYTES = 16, KV_SPKI_MAX = 128, KV_KID_DIGITS = 32 };

/* A P-256 key of class seal. */
typedef struct kv_system_key {
    kv_token *token; /* borrowed */
    kv_key_ref ref;  /* spki points to the bytes below */
    uint8_t spki[KV_SPKI_MAX];
    char kid[KV_KID_DIGITS + 1]; /* its CKA_ID in hex */
} kv_system_key;

typedef struct kv_identity {
    uint8_t instance[KV_INSTANCE_BYTES];
    uint8_t node[KV_INSTANCE_BYTES];
    kv_system_key seal;
} kv_identity;

/* Generates a key of class seal with a random id. */
kv_status kv_system_key_create(kv_token *token, const char *label, kv_system_key *out,
                               kv_error *err) KV_MUST_USE;
/* Takes a key by its id and public key, and checks that the token has exactly that one. */
kv_status kv_system_key_take(kv_token *token, kv_slice key_id, kv_slice spki, kv_system_key *out,
                             kv_error *err) KV_MUST_USE;

/* Signs a SHA-256 digest, r || s. Fits kv_sealer, kv_audit_signer and kv_role_token_signer;
 * `context` is the kv_system_key. */
kv_status kv_system_key_sign(void *context, const uint8_t digest[32], uint8_t signature[64],
                             kv_error *err);

/* KV_NOT_FOUND when the token holds no identity: `keyvaultd init` has not run. */
kv_status kv_identity_read(kv_token *token, kv_identity *out, kv_error *err) KV_MUST_USE;
kv_status kv_identity_write(kv_token *token, const kv_identity *identity,
                            kv_error *err) KV_MUST_USE;

kv_sealer kv_identity_sealer(kv_identity *identity);

/* The anchor of the audit chain on this token; `context` is the token. */
kv_audit_anchor kv_system_anchor(kv_token *token);

/* The newest signer of a purpose ("audit", "role-token") that may sign now. KV_NOT_FOUND. */
kv_status kv_system_signer_find(kv_records *records, kv_token *token, const char *purpose,
                                int64_t now_ms, kv_system_key *out, kv_error *err) KV_MUST_USE;
