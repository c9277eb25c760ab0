/* policy_json.c - a certificate policy as JSON, with Azure's member names. */
#include <stdlib.h>

#include <jansson.h>

#include "server/vault/certificates/certificate_rules.h"

/* --- writing --- */

static json_t *text(kv_slice value)
{
    return json_stringn(value.len ? (const char *)value.data : "", value.len);
}

static json_t *texts(const kv_x509_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++)
        if (json_array_append_new(array, text(list->items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *usages(uint32_t bits)
{
    json_t *array = json_array();

    for (unsigned i = 0; array && i < KV_X509_KEY_USAGE_COUNT; i++)
        if (bits & (1U << i) &&
            json_array_append_new(array, json_string(kv_x509_key_usage_name(i))) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *action(const kv_x509_lifetime_action *from)
{
    const char *type = from->action == KV_X509_AUTO_RENEW ? "AutoRenew" : "EmailContacts";
    const char *trigger = from->lifetime_percentage ? "lifetime_percentage" : "days_before_expiry";
    uint32_t value =
        from->lifetime_percentage ? from->lifetime_percentage : from->days_before_expiry;

    return json_pack("{s:{s:s},s:{s:i}}", "action", "action_type", type, "trigger", trigger,
                     (int)value);
}

static json_t *actions(const kv_x509_policy *policy)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < policy->lifetime_action_count; i++)
        if (json_array_append_new(array, action(&policy->lifetime_actions[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *x509_props(const kv_x509_props *props)
{
    return json_pack("{s:o,s:{s:o,s:o,s:o,s:o,s:o},s:o,s:o,s:i,s:{s:b}}", "subject",
                     text(props->subject), "sans", "emails", texts(&props->sans.emails),
                     "dns_names", texts(&props->sans.dns_names), "upns", texts(&props->sans.upns),
                     "uris", texts(&props->sans.uris), "ipAddresses",
                     texts(&props->sans.ip_addresses), "ekus", texts(&props->ekus), "key_usage",
                     usages(props->key_usage), "validity_months", (int)props->validity_months,
                     "basic_constraints", "ca", (int)props->ca);
}

static json_t *whole(const kv_x509_policy *policy)
{
    return json_pack(
        "{s:{s:o,s:i,s:o,s:b,s:b},s:{s:o},s:o,s:o,s:{s:o,s:o,s:b}}", "key_props", "kty",
        text(policy->key_props.kty), "key_size", (int)policy->key_props.key_size, "crv",
        text(policy->key_props.crv), "exportable", (int)policy->key_props.exportable, "reuse_key",
        (int)policy->key_props.reuse_key, "secret_props", "contentType", text(policy->content_type),
        "x509_props", x509_props(&policy->x509_props), "lifetime_actions", actions(policy),
        "issuer", "name", text(policy->issuer.name), "cty", text(policy->issuer.cty),
        "cert_transparency", (int)policy->issuer.cert_transparency);
}

kv_status kv_policy_store(kv_work *work, const kv_x509_policy *policy, kv_slice *out, kv_error *err)
{
    json_t *object = whole(policy);
    char *dumped = object ? json_dumps(object, JSON_COMPACT) : NULL;
    kv_status status;

    status = dumped ? kv_arena_copy(work->arena, kv_slice_text(dumped), out, err)
                    : kv_fail(err, KV_BUSY, "out of memory");
    free(dumped);
    json_decref(object);
    return status;
}

/* --- reading: only what was written above, so anything odd is our fault --- */

typedef struct reader {
    kv_work *work;
    kv_error *err;
    bool failed;
} reader;

static kv_slice read_text(reader *in, json_t *value)
{
    kv_slice copy = KV_SLICE_NONE;

    if (!json_is_string(value))
        in->failed = true;
    else if (kv_arena_copy(in->work->arena,
                           kv_slice_of(json_string_value(value), json_string_length(value)), &copy,
                           in->err) != KV_OK)
        in->failed = true;
    return copy;
}

static kv_x509_list read_texts(reader *in, json_t *array)
{
    size_t count = json_array_size(array);
    kv_slice *items = kv_arena_array(in->work->arena, count, sizeof(*items));

    if (!json_is_array(array) || !items) {
        in->failed = true;
        return (kv_x509_list){ 0 };
    }
    for (size_t i = 0; i < count; i++)
        items[i] = read_text(in, json_array_get(array, i));
    return (kv_x509_list){ .items = items, .count = count };
}

static uint32_t read_number(reader *in, json_t *value)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || number > INT32_MAX)
        in->failed = true;
    return (uint32_t)number;
}

static bool read_flag(reader *in, json_t *value)
{
    if (!json_is_boolean(value))
        in->failed = true;
    return json_is_true(value);
}

static uint32_t read_usages(reader *in, json_t *array)
{
    kv_x509_list names = read_texts(in, array);
    uint32_t bits = 0;

    for (size_t i = 0; i < names.count; i++)
        bits |= kv_x509_key_usage_bit(names.items[i]);
    return bits;
}

static void read_actions(reader *in, json_t *array, kv_x509_policy *out)
{
    size_t count = json_array_size(array);
    kv_x509_lifetime_action *items = kv_arena_array(in->work->arena, count, sizeof(*items));

    if (!json_is_array(array) || !items) {
        in->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(array, i);
        json_t *trigger = json_object_get(item, "trigger");
        json_t *percentage = json_object_get(trigger, "lifetime_percentage");
        json_t *days = json_object_get(trigger, "days_before_expiry");
        kv_slice type =
            read_text(in, json_object_get(json_object_get(item, "action"), "action_type"));

        items[i].action = kv_slice_equal(type, KV_SLICE("AutoRenew")) ? KV_X509_AUTO_RENEW
                                                                      : KV_X509_EMAIL_CONTACTS;
        if (percentage)
            items[i].lifetime_percentage = read_number(in, percentage);
        else
            items[i].days_before_expiry = read_number(in, days);
    }
    out->lifetime_actions = items;
    out->lifetime_action_count = count;
}

static void read_key_props(reader *in, json_t *from, kv_x509_key_props *out)
{
    out->kty = read_text(in, json_object_get(from, "kty"));
    out->key_size = read_number(in, json_object_get(from, "key_size"));
    out->crv = read_text(in, json_object_get(from, "crv"));
    out->exportable = read_flag(in, json_object_get(from, "exportable"));
    out->exportable_given = true;
    out->reuse_key = read_flag(in, json_object_get(from, "reuse_key"));
    out->reuse_key_given = true;
}

static void read_x509_props(reader *in, json_t *from, kv_x509_props *out)
{
    json_t *sans = json_object_get(from, "sans");

    out->subject = read_text(in, json_object_get(from, "subject"));
    out->sans.emails = read_texts(in, json_object_get(sans, "emails"));
    out->sans.dns_names = read_texts(in, json_object_get(sans, "dns_names"));
    out->sans.upns = read_texts(in, json_object_get(sans, "upns"));
    out->sans.uris = read_texts(in, json_object_get(sans, "uris"));
    out->sans.ip_addresses = read_texts(in, json_object_get(sans, "ipAddresses"));
    out->ekus = read_texts(in, json_object_get(from, "ekus"));
    out->key_usage = read_usages(in, json_object_get(from, "key_usage"));
    out->validity_months = read_number(in, json_object_get(from, "validity_months"));
    out->validity_months_given = true;
    out->ca = read_flag(in, json_object_get(json_object_get(from, "basic_constraints"), "ca"));
    out->ca_given = true;
}

kv_status kv_policy_load(kv_work *work, kv_slice stored, kv_x509_policy *out, kv_error *err)
{
    json_t *root = json_loadb((const char *)stored.data, stored.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *issuer = json_object_get(root, "issuer");
    kv_x509_policy policy = { 0 };
    reader in = { .work = work, .err = err };

    read_key_props(&in, json_object_get(root, "key_props"), &policy.key_props);
    policy.content_type =
        read_text(&in, json_object_get(json_object_get(root, "secret_props"), "contentType"));
    read_x509_props(&in, json_object_get(root, "x509_props"), &policy.x509_props);
    read_actions(&in, json_object_get(root, "lifetime_actions"), &policy);
    policy.issuer.name = read_text(&in, json_object_get(issuer, "name"));
    policy.issuer.cty = read_text(&in, json_object_get(issuer, "cty"));
    policy.issuer.cert_transparency = read_flag(&in, json_object_get(issuer, "cert_transparency"));
    policy.issuer.cert_transparency_given = true;
    json_decref(root);
    if (in.failed)
        return kv_fail(err, KV_INTERNAL, "a stored policy is not well formed");
    *out = policy;
    return KV_OK;
}
