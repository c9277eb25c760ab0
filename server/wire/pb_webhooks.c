/* pb_webhooks.c - WebhookService. */
#include "keyvault/v1/webhooks.pb-c.h"
#include "server/vault/messages/messages_webhooks.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_WEBHOOK_ACTIVE == KEYVAULT__V1__WEBHOOK_STATE__WEBHOOK_STATE_ACTIVE &&
                   (int)KV_WEBHOOK_STOPPED == KEYVAULT__V1__WEBHOOK_STATE__WEBHOOK_STATE_STOPPED,
               "the numbers of the .proto");

/* --- reading --- */

kv_status kv_pb_read_webhook_set(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_webhook_set_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SetWebhookRequest *m;
    kv_x509_list types;

    KV_TRY(kv_pb_open(&keyvault__v1__set_webhook_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_texts_in(m->n_event_types, m->event_types, arena, &types, err));
    read->url = kv_slice_text(m->url);
    read->types = types.items;
    read->type_count = types.count;
    read->has_enabled = m->has_enabled_case != 0;
    read->enabled = m->enabled;
    read->has_authorization = m->has_authorization_case != 0;
    if (read->has_authorization)
        read->authorization = kv_pb_slice(m->authorization);
    return KV_OK;
}

kv_status kv_pb_read_webhook_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_webhook_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_webhook_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_webhooks_request__descriptor, body,
                           KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_webhook_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_webhook_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_webhook_test(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__test_webhook_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_dead_letter_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_dead_letters_request__descriptor, body,
                           KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_redeliver(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_redeliver_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RedeliverDeadLettersRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__redeliver_dead_letters_request__descriptor, body,
                      KV_COLLECTION_NONE, arena, &read->target, &message, err));
    m = (const void *)message;
    read->id = kv_slice_text(m->id);
    return KV_OK;
}

/* --- writing --- */

static Keyvault__V1__Webhook *webhook(kv_pb_writer *writer, const kv_webhook_bundle *from)
{
    Keyvault__V1__Webhook *to = kv_pb_new(writer, &keyvault__v1__webhook__descriptor);

    if (!to)
        return NULL;
    to->vault = kv_pb_text(writer, from->vault);
    to->webhook = kv_pb_text(writer, from->name);
    to->url = kv_pb_text(writer, from->url);
    to->event_types = kv_pb_texts(writer, from->types, from->type_count, &to->n_event_types);
    to->enabled = from->enabled;
    to->state = (Keyvault__V1__WebhookState)from->state;
    to->why = kv_pb_text(writer, from->why);
    to->public_key = kv_pb_text(writer, from->public_key);
    to->has_authorization = from->has_authorization;
    to->rate = (uint32_t)from->rate;
    to->agreed = kv_pb_seconds(from->agreed);
    to->failing_since = kv_pb_seconds(from->failing_since);
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    return to;
}

kv_status kv_pb_write_webhook_bundle(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Webhook *to = webhook(&writer, out);

    return to ? kv_pb_pack(&writer, &to->base, body, err) : kv_arena_full(err);
}

kv_status kv_pb_write_webhook_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_webhook_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListWebhooksResponse to = KEYVAULT__V1__LIST_WEBHOOKS_RESPONSE__INIT;

    to.webhooks = kv_pb_array(&writer, from->count, sizeof(*to.webhooks), &to.n_webhooks);
    for (size_t i = 0; i < to.n_webhooks; i++)
        to.webhooks[i] = webhook(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_webhook_tested(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_webhook_tested *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__TestWebhookResponse to = KEYVAULT__V1__TEST_WEBHOOK_RESPONSE__INIT;

    to.agreed = from->agreed;
    to.taken = from->taken;
    to.status = (uint32_t)from->status;
    to.details = kv_pb_text(&writer, from->details);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__DeadLetter *dead_letter(kv_pb_writer *writer, const kv_dead_letter *from)
{
    Keyvault__V1__DeadLetter *to = kv_pb_new(writer, &keyvault__v1__dead_letter__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_text(writer, from->id);
    to->channel = kv_pb_text(writer, from->channel);
    to->to = kv_pb_text(writer, from->to);
    to->event_type = kv_pb_text(writer, from->type);
    to->sequence = from->sequence;
    to->attempts = (uint32_t)from->attempts;
    to->last_status = (uint32_t)from->last_status;
    to->last_error = kv_pb_text(writer, from->last_error);
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    to->event = kv_pb_text(writer, from->body);
    return to;
}

kv_status kv_pb_write_dead_letter_list(const void *out, kv_arena *arena, kv_slice *body,
                                       kv_error *err)
{
    const kv_dead_letter_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListDeadLettersResponse to = KEYVAULT__V1__LIST_DEAD_LETTERS_RESPONSE__INIT;

    to.dead_letters =
        kv_pb_array(&writer, from->count, sizeof(*to.dead_letters), &to.n_dead_letters);
    for (size_t i = 0; i < to.n_dead_letters; i++)
        to.dead_letters[i] = dead_letter(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_redelivered(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_redelivered *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__RedeliverDeadLettersResponse to =
        KEYVAULT__V1__REDELIVER_DEAD_LETTERS_RESPONSE__INIT;

    to.count = from->count;
    to.more = from->more;
    return kv_pb_pack(&writer, &to.base, body, err);
}
