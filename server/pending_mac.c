/* pending_mac.c - HMAC-SHA256 over a pending record and the state of the store it claims. */
#include "server/pending_mac.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "pkcs11/token_cipher.h"
#include "pkcs11/token_key.h"
#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/store/encode.h"

#define PURPOSE KV_SLICE("pending")

enum { ARENA_BYTES = 64 * 1024, SIGNERS_READ = 64, NODE_BYTES = 16 };

kv_status kv_pending_key_create(kv_token *token, int64_t now_ms, kv_arena *arena,
                                kv_signer_row *row, kv_error *err)
{
    kv_key_spec spec = { .class = KV_CLASS_MAC,
                         .kind = KV_KEY_HMAC_256,
                         .label = KV_SLICE(KV_PENDING_MAC_LABEL) };
    char kid[2 * KV_KEY_ID_BYTES + 1];
    kv_key_born born;

    if (!kv_random_id(spec.id, sizeof(spec.id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_token_key_generate(token, &spec, arena, &born, err));
    kv_hex(kv_slice_of(spec.id, sizeof(spec.id)), kid);
    *row = (kv_signer_row){ .purpose = PURPOSE, .created = now_ms };
    KV_TRY(kv_arena_copy(arena, kv_slice_text(kid), &row->kid, err));
    return kv_arena_copy(arena, kv_slice_of(spec.id, sizeof(spec.id)), &row->key_id, err);
}

kv_status kv_pending_key_derive(kv_token *token, const kv_signer_row *row, kv_slice node,
                                kv_pending_key *out, kv_error *err)
{
    static const char label[] = "keyvault pending 1";
    uint8_t message[sizeof(label) + NODE_BYTES];
    kv_key_ref ref = { .class = KV_CLASS_MAC };

    if (row->key_id.len != sizeof(ref.id) || node.len != NODE_BYTES)
        return kv_fail(err, KV_INTERNAL, "the key of pending records has a wrong id");
    memcpy(ref.id, row->key_id.data, sizeof(ref.id));
    memcpy(message, label, sizeof(label));
    memcpy(message + sizeof(label), node.data, NODE_BYTES);
    KV_TRY(kv_secret_buf_new(KV_MAC_BYTES, &out->key, err));
    return kv_token_mac(token, &ref, kv_slice_of(message, sizeof(message)), out->key.data, err);
}

kv_status kv_pending_key_find(kv_records *records, kv_token *token, kv_slice node,
                              kv_pending_key *out, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_signer_row from = { 0 };
    kv_scan scan = { .table = &kv_table_signers, .from = &from, .limit = SIGNERS_READ };
    kv_rows rows = { 0 };

    KV_TRY(kv_records_scan(records, &scan, &arena, &rows, err));
    for (unsigned i = 0; i < rows.count; i++) {
        const kv_signer_row *row = (const kv_signer_row *)rows.rows + i;

        if (kv_slice_equal(row->purpose, PURPOSE))
            return kv_pending_key_derive(token, row, node, out, err);
    }
    kv_fail(err, KV_INTERNAL, "the key of pending audit records is not known");
    return kv_because(err, KV_REASON_INTEGRITY);
}

void kv_pending_key_cleanup(kv_pending_key *key)
{
    kv_secret_buf_cleanup(&key->key);
}

static bool make(const void *context, const kv_pending *pending, const kv_store_state *state,
                 uint8_t out[KV_PENDING_MAC_BYTES])
{
    const kv_pending_key *with = context;
    kv_encoder encoder = kv_encode_begin(EVP_sha256());
    uint8_t digest[KV_ENCODE_HASH_BYTES];
    unsigned len = 0;

    kv_encode_bytes(&encoder, pending->node);
    kv_encode_bytes(&encoder, pending->request_id);
    kv_encode_bytes(&encoder, pending->record);
    kv_encode_integer(&encoder, state->version);
    kv_encode_bytes(&encoder, kv_slice_of(state->digest, sizeof(state->digest)));
    return kv_encode_finish(&encoder, digest, sizeof(digest)) &&
           HMAC(EVP_sha256(), with->key.data, (int)with->key.len, digest, sizeof(digest), out,
                &len) &&
           len == KV_PENDING_MAC_BYTES;
}

kv_pending_mac kv_pending_mac_of(const kv_pending_key *key)
{
    return (kv_pending_mac){ .make = make, .context = key };
}
