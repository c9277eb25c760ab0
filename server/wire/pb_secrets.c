/* pb_secrets.c - SecretService. */
#include "keyvault/v1/secrets.pb-c.h"
#include "server/base/text.h"
#include "server/vault/messages/messages_secrets.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_SECRET_FORMAT_PFX == KEYVAULT__V1__SECRET_FORMAT__SECRET_FORMAT_PFX &&
                   (int)KV_SECRET_FORMAT_PEM == KEYVAULT__V1__SECRET_FORMAT__SECRET_FORMAT_PEM,
               "the numbers of the .proto");

enum { PASSWORD_MAX = 200 };

kv_status kv_pb_read_secret_set(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_secret_set_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SetSecretRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__set_secret_request__descriptor, body, KV_COLLECTION_SECRETS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->value = kv_pb_slice(m->value);
    read->content_type = kv_slice_text(m->content_type);
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tags_in(m->n_tags, m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_secret_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_secret_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetSecretRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_secret_request__descriptor, body, KV_COLLECTION_SECRETS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->format = (kv_secret_format)m->format;
    read->pfx_for_old_clients = m->pfx_for_old_clients;
    if (m->has_pfx_password_case == KEYVAULT__V1__GET_SECRET_REQUEST__HAS_PFX_PASSWORD__NOT_SET)
        return KV_OK;
    if (m->pfx_password.len > PASSWORD_MAX || !kv_text_printable(kv_pb_slice(m->pfx_password)))
        return kv_fail_field(err, "pfx_password",
                             "must be at most %d bytes of UTF-8 without control characters",
                             PASSWORD_MAX);
    read->has_pfx_password = true;
    read->pfx_password = kv_pb_slice(m->pfx_password);
    return KV_OK;
}

kv_status kv_pb_read_secret_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_secret_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateSecretRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_secret_request__descriptor, body, KV_COLLECTION_SECRETS,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    read->has_content_type = m->has_content_type_case != 0;
    if (read->has_content_type)
        read->content_type = kv_slice_text(m->content_type);
    KV_TRY(kv_pb_attributes_in(m->attributes, &read->attributes, err));
    return kv_pb_tag_list_in(m->tags, arena, &read->tags, err);
}

kv_status kv_pb_read_secret_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_secrets_request__descriptor, body,
                           KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_list_versions(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_secret_versions_request__descriptor, body,
                           KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_secret_request__descriptor, body,
                             KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_get_deleted(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_deleted_secret_request__descriptor, body,
                             KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_list_deleted(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_deleted_secrets_request__descriptor, body,
                           KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_recover(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__recover_deleted_secret_request__descriptor, body,
                             KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_read_secret_purge(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__purge_deleted_secret_request__descriptor, body,
                             KV_COLLECTION_SECRETS, arena, in, err);
}

kv_status kv_pb_write_secret_bundle(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_secret_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__SecretBundle to = KEYVAULT__V1__SECRET_BUNDLE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.value = kv_pb_bytes(from->value);
    to.content_type = kv_pb_text(&writer, from->content_type);
    to.attributes = kv_pb_attributes(&writer, &from->attributes);
    to.tags = kv_pb_tags(&writer, &from->tags, &to.n_tags);
    to.managed = from->managed;
    to.kid = kv_pb_object_id(&writer, &from->kid);
    to.deletion = kv_pb_deletion(&writer, &from->deletion);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__SecretItem *item(kv_pb_writer *writer, const kv_object_item *from)
{
    Keyvault__V1__SecretItem *to = kv_pb_new(writer, &keyvault__v1__secret_item__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_object_id(writer, &from->id);
    to->content_type = kv_pb_text(writer, from->content_type);
    to->attributes = kv_pb_attributes(writer, &from->attributes);
    to->tags = kv_pb_tags(writer, &from->tags, &to->n_tags);
    to->managed = from->managed;
    to->deletion = kv_pb_deletion(writer, &from->deletion);
    return to;
}

kv_status kv_pb_write_secret_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_object_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListSecretsResponse to = KEYVAULT__V1__LIST_SECRETS_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = item(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}
