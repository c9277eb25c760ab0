/* pb_key_import.c - KeyService: imports and random bytes. */
#include "keyvault/v1/keys.pb-c.h"
#include "server/vault/messages/messages_keys.h"
#include "server/wire/pb_impl.h"

static kv_status jwk_in(const Keyvault__V1__PrivateJsonWebKey *from, kv_private_jwk *out,
                        kv_error *err)
{
    if (from->kty == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_UNSPECIFIED)
        return kv_fail_field(err, "key.kty", "is required");
    *out = (kv_private_jwk){
        .kty = (kv_key_type)from->kty,
        .crv = (kv_curve)from->crv,
        .n = kv_pb_slice(from->n),
        .e = kv_pb_slice(from->e),
        .d = kv_pb_slice(from->d),
        .p = kv_pb_slice(from->p),
        .q = kv_pb_slice(from->q),
        .dp = kv_pb_slice(from->dp),
        .dq = kv_pb_slice(from->dq),
        .qi = kv_pb_slice(from->qi),
        .x = kv_pb_slice(from->x),
        .y = kv_pb_slice(from->y),
        .k = kv_pb_slice(from->k),
    };
    return KV_OK;
}

static kv_status wrapped_in(const Keyvault__V1__WrappedKey *from, kv_key_import_in *read,
                            kv_error *err)
{
    if (!from->ciphertext.len)
        return kv_fail_field(err, "key_hsm.ciphertext", "is required");
    if (!from->spki.len)
        return kv_fail_field(err, "key_hsm.spki", "the public half of the wrapped key is required");
    if (!from->exchange_key[0])
        return kv_fail_field(err, "key_hsm.exchange_key", "is required");
    read->wrapped.exchange = (kv_target){
        .vault = read->target.vault,
        .collection = KV_COLLECTION_KEYS,
        .name = kv_slice_text(from->exchange_key),
        .version = kv_slice_text(from->exchange_key_version),
    };
    read->wrapped.ciphertext = kv_pb_slice(from->ciphertext);
    read->wrapped.spki = kv_pb_slice(from->spki);
    read->is_wrapped = true;
    return KV_OK;
}

kv_status kv_pb_read_key_import(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_import_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ImportKeyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__import_key_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    if (m->material_case == KEYVAULT__V1__IMPORT_KEY_REQUEST__MATERIAL__NOT_SET)
        return kv_fail_field(err, "key", "a key is required, as PKCS#8 or JSON Web Key");
    if (m->material_case == KEYVAULT__V1__IMPORT_KEY_REQUEST__MATERIAL_KEY_HSM)
        KV_TRY(wrapped_in(m->key_hsm, read, err));
    read->is_pkcs8 = m->material_case == KEYVAULT__V1__IMPORT_KEY_REQUEST__MATERIAL_PKCS8;
    if (read->is_pkcs8)
        read->pkcs8 = kv_pb_slice(m->pkcs8);
    else if (!read->is_wrapped)
        KV_TRY(jwk_in(m->key, &read->jwk, err));
    read->key_ops = kv_pb_mask(m->n_key_ops, (const int *)m->key_ops);
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_random_bytes_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_random_bytes_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetRandomBytesRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_random_bytes_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->count = m->count;
    return KV_OK;
}

kv_status kv_pb_write_random_bytes(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_random_bytes *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__GetRandomBytesResponse to = KEYVAULT__V1__GET_RANDOM_BYTES_RESPONSE__INIT;

    to.value = kv_pb_bytes(from->value);
    return kv_pb_pack(&writer, &to.base, body, err);
}
