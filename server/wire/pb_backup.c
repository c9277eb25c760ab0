/* pb_backup.c - backups and restorations of the three services. */
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "server/vault/messages/messages_backup.h"
#include "server/wire/pb_impl.h"

kv_status kv_pb_read_key_backup(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__backup_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_secret_backup(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__backup_secret_request__descriptor, body,
                             KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_certificate_backup(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__backup_certificate_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_key_restore(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_restore_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__restore_key_request__descriptor, body, KV_COLLECTION_KEYS,
                      arena, &read->target, &message, err));
    read->value = kv_pb_slice(((const Keyvault__V1__RestoreKeyRequest *)message)->value);
    return KV_OK;
}

kv_status kv_pb_read_secret_restore(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_restore_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__restore_secret_request__descriptor, body,
                      KV_COLLECTION_SECRETS, arena, &read->target, &message, err));
    read->value = kv_pb_slice(((const Keyvault__V1__RestoreSecretRequest *)message)->value);
    return KV_OK;
}

kv_status kv_pb_read_certificate_restore(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_restore_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(&keyvault__v1__restore_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    read->value = kv_pb_slice(((const Keyvault__V1__RestoreCertificateRequest *)message)->value);
    return KV_OK;
}

kv_status kv_pb_write_backup(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_backup *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__BackupBundle to = KEYVAULT__V1__BACKUP_BUNDLE__INIT;

    to.value = kv_pb_bytes(from->value);
    return kv_pb_pack(&writer, &to.base, body, err);
}
