/* pb_events.c - EventService. */
#include "keyvault/v1/events.pb-c.h"
#include "server/vault/messages/messages_events.h"
#include "server/wire/pb_impl.h"

/* 9999-12-31T23:59:59Z */
#define LAST_MS INT64_C(253402300799000)

static kv_status types_in(size_t count, char *const *names, uint32_t *out, kv_error *err)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        kv_event_type type = KV_EVENT_CERTIFICATE_NEW_VERSION;

        if (!kv_event_type_named(kv_slice_text(names[i]), &type))
            return kv_fail_field(err, "types", "there is no type of that name");
        *out |= 1U << type;
    }
    return KV_OK;
}

kv_status kv_pb_read_event_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_event_list_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ListEventsRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__list_events_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_collection(m->collection, &read->target.collection, err));
    KV_TRY(types_in(m->n_types, m->types, &read->types, err));
    if (m->from_ms < 0 || m->from_ms > LAST_MS)
        return kv_fail_field(err, "from_ms", "is not a time before the year 10000");
    read->from_ms = m->from_ms;
    read->page = kv_pb_page(m->page_size, m->page_token);
    return KV_OK;
}

kv_status kv_pb_read_event_watch(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_event_watch_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__WatchEventsRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__watch_events_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_collection(m->collection, &read->target.collection, err));
    KV_TRY(types_in(m->n_types, m->types, &read->types, err));
    read->has_after = m->has_after_case != 0;
    read->after = read->has_after ? m->after : 0;
    read->heartbeat_seconds = m->heartbeat_seconds;
    return KV_OK;
}

static Keyvault__V1__Event *event_out(kv_pb_writer *writer, const kv_event_row *from)
{
    Keyvault__V1__Event *to = kv_pb_new(writer, &keyvault__v1__event__descriptor);
    kv_event_type type = KV_EVENT_CERTIFICATE_NEW_VERSION;

    if (!to)
        return NULL;
    to->sequence = from->sequence;
    to->time_ms = from->time;
    to->type = kv_pb_text(writer, from->type);
    if (kv_event_type_named(from->type, &type))
        to->severity = kv_pb_text(
            writer, kv_slice_text(kv_event_severity_name(kv_event_kind_of(type)->severity)));
    to->vault = kv_pb_text(writer, from->vault);
    to->collection =
        kv_pb_text(writer, kv_slice_text(kv_pb_collection_name((kv_collection)from->collection)));
    to->name = kv_pb_text(writer, from->name);
    to->version = kv_pb_text(writer, from->version);
    to->not_before = kv_pb_seconds(from->not_before);
    to->expires = kv_pb_seconds(from->expires);
    to->sha256 = kv_pb_bytes(from->sha256);
    to->issuer = kv_pb_text(writer, from->issuer);
    to->cause = kv_pb_text(writer, from->cause);
    to->error_code = kv_pb_text(writer, from->error_code);
    to->error_message = kv_pb_text(writer, from->error_message);
    to->principal = kv_pb_text(writer, from->principal);
    to->operation = kv_pb_text(writer, from->operation);
    return to;
}

kv_status kv_pb_write_event_list(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_event_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListEventsResponse to = KEYVAULT__V1__LIST_EVENTS_RESPONSE__INIT;

    to.events = kv_pb_array(&writer, from->count, sizeof(*to.events), &to.n_events);
    for (size_t i = 0; i < to.n_events; i++)
        to.events[i] = event_out(&writer, from->events[i]);
    to.next_page_token = kv_pb_bytes(from->next_page_token);
    to.cursor = from->cursor;
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_event_message(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_event_message *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__WatchEventsResponse to = KEYVAULT__V1__WATCH_EVENTS_RESPONSE__INIT;

    to.cursor = from->cursor;
    if (from->event)
        to.event = event_out(&writer, from->event);
    return kv_pb_pack(&writer, &to.base, body, err);
}
