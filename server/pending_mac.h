/* pending_mac.h - the key that tells our pending audit records from those somebody else wrote.
 *
 * A key of class MAC on the `system` token; a row of `signers` names it. Every server derives from
 * it, and from its own node, a key for its memory, because no token is used inside a transaction.
 *
 * Threads: make: main. Use: any.
 */
#pragma once

#include "pkcs11/tokens.h"
#include "server/base/secret_buf.h"
#include "server/store/records.h"
#include "server/store/schema.h"

#define KV_PENDING_MAC_LABEL "keyvault pending"

typedef struct kv_pending_key {
    kv_secret_buf key; /* of this node; lives as long as records and audit */
} kv_pending_key;

/* A new key on the token, and the row for it; the row's texts are in the arena. */
kv_status kv_pending_key_create(kv_token *token, int64_t now_ms, kv_arena *arena,
                                kv_signer_row *row, kv_error *err) KV_MUST_USE;
kv_status kv_pending_key_derive(kv_token *token, const kv_signer_row *row, kv_slice node,
                                kv_pending_key *out, kv_error *err) KV_MUST_USE;
/* Finds the row first. KV_INTERNAL with KV_REASON_INTEGRITY when there is none. */
kv_status kv_pending_key_find(kv_records *records, kv_token *token, kv_slice node,
                              kv_pending_key *out, kv_error *err) KV_MUST_USE;
void kv_pending_key_cleanup(kv_pending_key *key);

/* Borrows the key. */
kv_pending_mac kv_pending_mac_of(const kv_pending_key *key);
