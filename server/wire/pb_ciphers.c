/* pb_ciphers.c - KeyService: encryption and wrapping. */
#include "keyvault/v1/keys.pb-c.h"
#include "server/vault/messages/messages_keys.h"
#include "server/wire/pb_impl.h"

/* By the number of keyvault.v1.EncryptionAlgorithm. */
static const char *const algorithms[] = {
    NULL,         "RSA-OAEP", "RSA-OAEP-256", "RSA1_5",  "A128GCM",          "A192GCM",
    "A256GCM",    "A128CBC",  "A192CBC",      "A256CBC", "A128CBCPAD",       "A192CBCPAD",
    "A256CBCPAD", "A128KW",   "A192KW",       "A256KW",  "CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD",
};
_Static_assert(KV_COUNT(algorithms) ==
                   KEYVAULT__V1__ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_AES_KEY_WRAP_PAD + 1,
               "a name for each");

static kv_status algorithm_in(Keyvault__V1__EncryptionAlgorithm number, const char **out,
                              kv_error *err)
{
    if (number <= 0 || (size_t)number >= KV_COUNT(algorithms))
        return kv_fail_field(err, "algorithm", "is required");
    *out = algorithms[number];
    return KV_OK;
}

static Keyvault__V1__EncryptionAlgorithm algorithm_out(const char *name)
{
    for (size_t i = 1; i < KV_COUNT(algorithms); i++)
        if (name && !strcmp(name, algorithms[i]))
            return (Keyvault__V1__EncryptionAlgorithm)i;
    return KEYVAULT__V1__ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_UNSPECIFIED;
}

kv_status kv_pb_read_key_encrypt(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_cipher_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__EncryptRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__encrypt_request__descriptor, body, KV_COLLECTION_KEYS, arena,
                      &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    read->data = kv_pb_slice(m->plaintext);
    read->iv = kv_pb_slice(m->iv);
    read->aad = kv_pb_slice(m->aad);
    return KV_OK;
}

kv_status kv_pb_read_key_decrypt(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_cipher_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__DecryptRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__decrypt_request__descriptor, body, KV_COLLECTION_KEYS, arena,
                      &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    read->data = kv_pb_slice(m->ciphertext);
    read->iv = kv_pb_slice(m->iv);
    read->tag = kv_pb_slice(m->tag);
    read->aad = kv_pb_slice(m->aad);
    return KV_OK;
}

kv_status kv_pb_read_key_wrap(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_cipher_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__WrapKeyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__wrap_key_request__descriptor, body, KV_COLLECTION_KEYS, arena,
                      &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    read->data = kv_pb_slice(m->plaintext);
    return KV_OK;
}

kv_status kv_pb_read_key_unwrap(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_key_cipher_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UnwrapKeyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__unwrap_key_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(algorithm_in(m->algorithm, &read->algorithm, err));
    read->data = kv_pb_slice(m->ciphertext);
    return KV_OK;
}

kv_status kv_pb_write_encrypted(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_key_ciphered *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__EncryptResponse to = KEYVAULT__V1__ENCRYPT_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.algorithm = algorithm_out(from->algorithm);
    to.ciphertext = kv_pb_bytes(from->data);
    to.iv = kv_pb_bytes(from->iv);
    to.tag = kv_pb_bytes(from->tag);
    to.aad = kv_pb_bytes(from->aad);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_decrypted(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_key_ciphered *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__DecryptResponse to = KEYVAULT__V1__DECRYPT_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.algorithm = algorithm_out(from->algorithm);
    to.plaintext = kv_pb_bytes(from->data);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_wrapped(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_key_ciphered *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__WrapKeyResponse to = KEYVAULT__V1__WRAP_KEY_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.algorithm = algorithm_out(from->algorithm);
    to.ciphertext = kv_pb_bytes(from->data);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_unwrapped(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_key_ciphered *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__UnwrapKeyResponse to = KEYVAULT__V1__UNWRAP_KEY_RESPONSE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.algorithm = algorithm_out(from->algorithm);
    to.plaintext = kv_pb_bytes(from->data);
    return kv_pb_pack(&writer, &to.base, body, err);
}
