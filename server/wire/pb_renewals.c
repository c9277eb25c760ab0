/* pb_renewals.c - RenewalService. */
#include "keyvault/v1/renewals.pb-c.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/wire/pb_impl.h"

kv_status kv_pb_read_inventory_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_inventory_request__descriptor, body,
                           KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_forecast_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_forecast_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetForecastRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__get_forecast_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    read->hours = m->hours;
    read->token = kv_pb_slice(m->page_token);
    return KV_OK;
}

kv_status kv_pb_read_renew_all(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_renew_all_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RenewAllRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__renew_all_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    read->spread_seconds = m->spread_seconds;
    return KV_OK;
}

static Keyvault__V1__InventoryItem *item(kv_pb_writer *writer, const kv_inventory_item *from)
{
    Keyvault__V1__InventoryItem *to = kv_pb_new(writer, &keyvault__v1__inventory_item__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_object_id(writer, &from->id);
    to->enabled = from->enabled;
    to->expires = kv_pb_seconds(from->expires);
    to->subject = kv_pb_text(writer, from->subject);
    to->authority = kv_pb_text(writer, from->authority);
    to->issuer = kv_pb_text(writer, from->issuer);
    to->next_renewal = kv_pb_seconds(from->next_renewal);
    to->waiting = (Keyvault__V1__RenewalWait)from->waiting;
    to->attempts = (uint32_t)from->attempts;
    to->status = kv_pb_text(writer, from->status);
    to->error = kv_pb_text(writer, from->error);
    to->updated = kv_pb_seconds(from->updated);
    to->tags = kv_pb_tags(writer, &from->tags, &to->n_tags);
    to->key_known_outside = from->key_known_outside;
    to->suggested_from = kv_pb_seconds(from->suggested_from);
    to->suggested_until = kv_pb_seconds(from->suggested_until);
    to->explanation_url = kv_pb_text(writer, from->explanation);
    return to;
}

kv_status kv_pb_write_inventory_page(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_inventory_page *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListInventoryResponse to = KEYVAULT__V1__LIST_INVENTORY_RESPONSE__INIT;

    to.items = kv_pb_array(&writer, from->count, sizeof(*to.items), &to.n_items);
    for (size_t i = 0; i < to.n_items; i++)
        to.items[i] = item(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_forecast(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_forecast *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__GetForecastResponse to = KEYVAULT__V1__GET_FORECAST_RESPONSE__INIT;

    to.from = kv_pb_seconds(from->from);
    to.renewals = kv_pb_array(&writer, from->hours, sizeof(*to.renewals), &to.n_renewals);
    for (size_t i = 0; i < to.n_renewals; i++)
        to.renewals[i] = from->renewals[i];
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_renewed_all(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_renewed_all *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__RenewAllResponse to = KEYVAULT__V1__RENEW_ALL_RESPONSE__INIT;

    to.count = from->count;
    return kv_pb_pack(&writer, &to.base, body, err);
}
