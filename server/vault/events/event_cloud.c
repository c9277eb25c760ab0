/* event_cloud.c - an event as CloudEvents 1.0 in JSON.
 *
 * `data` has Azure's members with Azure's names where Azure's event has them, and beside them ours.
 * Numbers are numbers: seconds since 1970.
 */
#include <stdlib.h>

#include <jansson.h>

#include "server/base/text.h"
#include "server/vault/notices/delivery_rules.h"

static const char *object_type(int64_t collection)
{
    static const char *const names[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_CERTIFICATES] = "Certificate",
        [KV_COLLECTION_KEYS] = "Key",
        [KV_COLLECTION_SECRETS] = "Secret",
    };

    return collection > 0 && collection < KV_COLLECTION_COUNT ? names[collection] : NULL;
}

static void set(json_t *to, const char *name, kv_slice text)
{
    if (text.len)
        (void)json_object_set_new(to, name, json_stringn((const char *)text.data, text.len));
}

static void set_seconds(json_t *to, const char *name, int64_t ms)
{
    if (ms)
        (void)json_object_set_new(to, name, json_integer(ms / 1000));
}

/* "https://vault.example.org/certificates/www/0123...": as in Azure, the object's identifier. */
static kv_status set_id(kv_vault *vault, kv_arena *arena, const kv_event_row *event, json_t *to,
                        kv_error *err)
{
    kv_slice id;

    if (!event->collection || !event->name.len)
        return KV_OK;
    KV_TRY(kv_arena_print(
        arena, &id, err, "https://%s/vaults/%.*s/%s/%.*s%s%.*s", vault->config.notify.origin,
        KV_SLICE_ARG(event->vault), kv_collection_name((kv_collection)event->collection),
        KV_SLICE_ARG(event->name), event->version.len ? "/" : "", KV_SLICE_ARG(event->version)));
    set(to, "Id", id);
    return KV_OK;
}

static kv_status fill_data(kv_vault *vault, kv_arena *arena, const kv_event_row *event, json_t *to,
                           kv_error *err)
{
    char digits[2 * KV_THUMBPRINT_SHA256 + 1];
    kv_event_type type;

    KV_TRY(set_id(vault, arena, event, to, err));
    set(to, "VaultName", event->vault);
    set(to, "ObjectType", kv_slice_text(object_type(event->collection)));
    set(to, "ObjectName", event->name);
    set(to, "Version", event->version);
    set_seconds(to, "NBF", event->not_before);
    set_seconds(to, "EXP", event->expires);
    if (event->sha256.len == KV_THUMBPRINT_SHA256) {
        kv_hex(event->sha256, digits);
        set(to, "ThumbprintSha256", kv_slice_text(digits));
    }
    set(to, "Issuer", event->issuer);
    set(to, "Cause", event->cause);
    set(to, "ErrorCode", event->error_code);
    set(to, "ErrorMessage", event->error_message);
    set(to, "Principal", event->principal);
    set(to, "Operation", event->operation);
    if (kv_event_type_named(event->type, &type))
        set(to, "Severity",
            kv_slice_text(kv_event_severity_name(kv_event_kind_of(type)->severity)));
    return KV_OK;
}

static kv_status fill(kv_vault *vault, kv_arena *arena, const kv_event_row *event, kv_slice id,
                      json_t *to, kv_error *err)
{
    char time[KV_TIME_TEXT_BYTES];
    json_t *data = json_object();
    kv_slice source;

    if (json_object_set_new(to, "data", data) != 0)
        return kv_fail(err, KV_BUSY, "out of memory");
    kv_time_text(event->time, time);
    KV_TRY(kv_arena_print(arena, &source, err, "//%s/vaults/%.*s", vault->config.notify.origin,
                          KV_SLICE_ARG(event->vault)));
    set(to, "specversion", KV_SLICE("1.0"));
    set(to, "id", id);
    set(to, "source", source);
    set(to, "type", event->type);
    set(to, "subject", event->name);
    set(to, "time", kv_slice_text(time));
    set(to, "datacontenttype", KV_SLICE("application/json"));
    return fill_data(vault, arena, event, data, err);
}

kv_status kv_event_cloud(kv_vault *vault, kv_arena *arena, const kv_event_row *event, kv_slice id,
                         kv_slice *out, kv_error *err)
{
    json_t *root = json_object();
    kv_status status =
        root ? fill(vault, arena, event, id, root, err) : kv_fail(err, KV_BUSY, "out of memory");
    char *text = status == KV_OK ? json_dumps(root, JSON_COMPACT) : NULL;

    if (status == KV_OK)
        status = text ? kv_arena_copy(arena, kv_slice_text(text), out, err)
                      : kv_fail(err, KV_BUSY, "out of memory");
    free(text);
    json_decref(root);
    return status;
}
