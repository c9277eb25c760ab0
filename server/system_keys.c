/* system_keys.c - keys of the server itself, and the object on the token that names them. */
#include "server/system_keys.h"

#include "pkcs11/mechanism.h"
#include "pkcs11/token_anchor.h"
#include "pkcs11/token_key.h"
#include "pkcs11/token_sign.h"
#include "server/base/text.h"
#include "server/store/schema.h"

#define IDENTITY_NAME KV_SLICE("keyvault identity")
#define AUDIT_NAME    KV_SLICE("keyvault audit")

enum { ARENA_BYTES = 64 * 1024, IDENTITY_FIXED = 4 + 3 * 16 + 2, SIGNERS_READ = 64 };

static const uint8_t identity_magic[4] = { 'k', 'v', 'i', '1' };

static kv_status take_spki(kv_slice spki, kv_system_key *key, kv_error *err)
{
    if (spki.len > sizeof(key->spki))
        return kv_fail(err, KV_INTERNAL, "a system key has a public key of %zu bytes", spki.len);
    memcpy(key->spki, spki.data, spki.len);
    key->ref.spki = kv_slice_of(key->spki, spki.len);
    kv_hex(kv_slice_of(key->ref.id, sizeof(key->ref.id)), key->kid);
    return KV_OK;
}

kv_status kv_system_key_create(kv_token *token, const char *label, kv_system_key *out,
                               kv_error *err)
{
    kv_arena arena = KV_ARENA(ARENA_BYTES);
    kv_key_spec spec = { .class = KV_CLASS_SEAL,
                         .kind = KV_KEY_P256,
                         .label = kv_slice_text(label) };
    kv_key_born born;
    kv_status status;

    if (!kv_random_id(spec.id, sizeof(spec.id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    status = kv_token_key_generate(token, &spec, &arena, &born, err);
    if (status == KV_OK) {
        *out = (kv_system_key){ .token = token, .ref = { .class = KV_CLASS_SEAL } };
        memcpy(out->ref.id, spec.id, sizeof(out->ref.id));
        status = take_spki(born.spki, out, err);
    }
    kv_arena_cleanup(&arena);
    return status;
}

kv_status kv_system_key_take(kv_token *token, kv_slice key_id, kv_slice spki, kv_system_key *out,
                             kv_error *err)
{
    if (key_id.len != KV_KEY_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "a system key's id has %zu bytes", key_id.len);
    *out = (kv_system_key){ .token = token, .ref = { .class = KV_CLASS_SEAL } };
    memcpy(out->ref.id, key_id.data, key_id.len);
    KV_TRY(take_spki(spki, out, err));
    return kv_token_key_check(token, &out->ref, err);
}

kv_status kv_system_key_sign(void *context, const uint8_t digest[32], uint8_t signature[64],
                             kv_error *err)
{
    const kv_system_key *key = context;
    kv_key_ref ref = key->ref;
    size_t len = 64;

    /* The struct may have been copied since it was filled. */
    ref.spki.data = key->spki;
    return kv_token_sign(key->token, &ref, kv_mechanism_find(KV_SLICE("ES256")),
                         kv_slice_of(digest, 32), signature, &len, err);
}

/* magic, instance, node, key id, length and bytes of the public key */
kv_status kv_identity_write(kv_token *token, const kv_identity *identity, kv_error *err)
{
    uint8_t bytes[IDENTITY_FIXED + KV_SPKI_MAX];
    size_t spki_len = identity->seal.ref.spki.len;
    uint8_t *at = bytes;

    memcpy(at, identity_magic, sizeof(identity_magic));
    at += sizeof(identity_magic);
    memcpy(at, identity->instance, KV_INSTANCE_BYTES);
    at += KV_INSTANCE_BYTES;
    memcpy(at, identity->node, KV_INSTANCE_BYTES);
    at += KV_INSTANCE_BYTES;
    memcpy(at, identity->seal.ref.id, KV_KEY_ID_BYTES);
    at += KV_KEY_ID_BYTES;
    *at++ = (uint8_t)(spki_len >> 8);
    *at++ = (uint8_t)spki_len;
    memcpy(at, identity->seal.spki, spki_len);
    return kv_token_anchor_write(token, IDENTITY_NAME,
                                 kv_slice_of(bytes, IDENTITY_FIXED + spki_len), err);
}

static kv_status parse_identity(kv_token *token, kv_slice bytes, kv_identity *out, kv_error *err)
{
    const uint8_t *at = bytes.data;
    size_t spki_len;

    if (bytes.len < IDENTITY_FIXED || memcmp(at, identity_magic, sizeof(identity_magic)) != 0)
        return kv_fail(err, KV_INTERNAL, "the identity on the system token is not well formed");
    spki_len = (size_t)at[IDENTITY_FIXED - 2] << 8 | at[IDENTITY_FIXED - 1];
    if (bytes.len != IDENTITY_FIXED + spki_len)
        return kv_fail(err, KV_INTERNAL, "the identity on the system token is not well formed");
    at += sizeof(identity_magic);
    memcpy(out->instance, at, KV_INSTANCE_BYTES);
    memcpy(out->node, at + KV_INSTANCE_BYTES, KV_INSTANCE_BYTES);
    return kv_system_key_take(token, kv_slice_of(at + 2 * KV_INSTANCE_BYTES, KV_KEY_ID_BYTES),
                              kv_slice_of(bytes.data + IDENTITY_FIXED, spki_len), &out->seal, err);
}

kv_status kv_identity_read(kv_token *token, kv_identity *out, kv_error *err)
{
    kv_arena arena = KV_ARENA(ARENA_BYTES);
    kv_anchor anchor;
    kv_status status = kv_token_anchor_read(token, IDENTITY_NAME, &arena, &anchor, err);

    if (status == KV_OK)
        status = parse_identity(token, anchor.value, out, err);
    kv_arena_cleanup(&arena);
    return status;
}

kv_sealer kv_identity_sealer(kv_identity *identity)
{
    kv_sealer sealer = { .sign = kv_system_key_sign,
                         .context = &identity->seal,
                         .spki = kv_slice_of(identity->seal.spki, identity->seal.ref.spki.len) };

    memcpy(sealer.key_id, identity->seal.ref.id, sizeof(sealer.key_id));
    return sealer;
}

static kv_status read_anchor(void *context, kv_arena *arena, kv_slice *out, kv_error *err)
{
    kv_anchor anchor;
    kv_status status = kv_token_anchor_read(context, AUDIT_NAME, arena, &anchor, err);

    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        *out = KV_SLICE_NONE;
        return KV_OK;
    }
    KV_TRY(status);
    *out = anchor.value;
    return KV_OK;
}

static kv_status write_anchor(void *context, kv_slice value, kv_error *err)
{
    return kv_token_anchor_write(context, AUDIT_NAME, value, err);
}

kv_audit_anchor kv_system_anchor(kv_token *token)
{
    return (kv_audit_anchor){ .read = read_anchor, .write = write_anchor, .context = token };
}

kv_status kv_system_signer_find(kv_records *records, kv_token *token, const char *purpose,
                                int64_t now_ms, kv_system_key *out, kv_error *err)
{
    kv_arena arena = KV_ARENA(ARENA_BYTES);
    kv_signer_row from = { 0 };
    kv_scan scan = { .table = &kv_table_signers, .from = &from, .limit = SIGNERS_READ };
    const kv_signer_row *best = NULL;
    kv_rows rows = { 0 };
    kv_status status = kv_records_scan(records, &scan, &arena, &rows, err);

    for (unsigned i = 0; status == KV_OK && i < rows.count; i++) {
        const kv_signer_row *row = (const kv_signer_row *)rows.rows + i;

        if (kv_slice_equal(row->purpose, kv_slice_text(purpose)) &&
            (!row->sign_until || now_ms < row->sign_until) &&
            (!best || row->created > best->created))
            best = row;
    }
    if (status == KV_OK)
        status = best ? kv_system_key_take(token, best->key_id, best->spki, out, err)
                      : kv_fail(err, KV_NOT_FOUND, "there is no %s signer", purpose);
    kv_arena_cleanup(&arena);
    return status;
}
