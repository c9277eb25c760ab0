/* pb_certificates.c - the requests of CertificateService. */
#include "server/vault/messages/messages_certificates.h"
#include "server/wire/pb_policy.h"

_Static_assert((int)KV_CHAIN_DER == KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_DER &&
                   (int)KV_CHAIN_PEM == KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_PEM &&
                   (int)KV_CHAIN_PKCS7 == KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_PKCS7,
               "the numbers of the .proto");

kv_status kv_pb_read_certificate_create(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_create_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__CreateCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__create_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    read->has_policy = m->policy != NULL;
    if (m->policy)
        KV_TRY(kv_pb_policy_in(m->policy, arena, &read->policy, err));
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_certificate_merge(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_merge_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__MergeCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__merge_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_x5c_in(m->n_x5c, m->x5c, arena, &read->x5c, err));
    read->preserve_cert_order = m->preserve_cert_order;
    read->require_complete_chain = m->require_complete_chain;
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_certificate_import(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_import_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ImportCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__import_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    if (!m->value.len)
        return kv_fail_field(err, "value", "is required");
    read->value = kv_pb_slice(m->value);
    read->password = kv_pb_slice(m->password);
    read->has_policy = m->policy != NULL;
    if (m->policy)
        KV_TRY(kv_pb_policy_in(m->policy, arena, &read->policy, err));
    read->preserve_cert_order = m->preserve_cert_order;
    read->require_complete_chain = m->require_complete_chain;
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_certificate_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    if (m->by_case == KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY__NOT_SET)
        return kv_fail_field(err, "name", "a name or a thumbprint is required");
    if (m->by_case == KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME)
        return KV_OK;
    if (read->target.version.len)
        return kv_fail_field(err, "version", "is for a name; a thumbprint names a version already");
    if (m->by_case == KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_X5T)
        return kv_pb_fixed(m->x5t, KV_THUMBPRINT_SHA1, "x5t", &read->x5t, err);
    return kv_pb_fixed(m->x5t_s256, KV_THUMBPRINT_SHA256, "x5t_s256", &read->x5t_s256, err);
}

kv_status kv_pb_read_certificate_chain_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_chain_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetCertificateChainRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_certificate_chain_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    read->format = (kv_chain_format)m->format;
    return KV_OK;
}

kv_status kv_pb_read_certificate_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_certificate_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateCertificateRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_certificate_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tag_list_in(m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_certificate_policy_update(kv_slice body, kv_arena *arena, void *in,
                                               kv_error *err)
{
    kv_certificate_policy_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateCertificatePolicyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_certificate_policy_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    if (!m->policy)
        return kv_fail_field(err, "policy", "is required");
    return kv_pb_policy_in(m->policy, arena, &read->policy, err);
}

kv_status kv_pb_read_certificate_pending_get(kv_slice body, kv_arena *arena, void *in,
                                             kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_certificate_operation_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_pending_delete(kv_slice body, kv_arena *arena, void *in,
                                                kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_certificate_operation_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_pending_update(kv_slice body, kv_arena *arena, void *in,
                                                kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__cancel_certificate_operation_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_certificates_request__descriptor, body,
                           KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_list_versions(kv_slice body, kv_arena *arena, void *in,
                                               kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_certificate_versions_request__descriptor, body,
                           KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_policy_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_certificate_policy_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_certificate_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_get_deleted(kv_slice body, kv_arena *arena, void *in,
                                             kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_deleted_certificate_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_list_deleted(kv_slice body, kv_arena *arena, void *in,
                                              kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_deleted_certificates_request__descriptor, body,
                           KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_recover(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__recover_deleted_certificate_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_certificate_purge(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__purge_deleted_certificate_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}
