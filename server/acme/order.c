/* order.c - orders, proofs and certificates (RFC 8555 section 7.4 to 7.6). */
#include "server/acme/exchange.h"
#include "server/acme/json.h"
#include "server/base/text.h"

static kv_status exchange(kv_acme_client *client, const char *url, kv_slice payload,
                          kv_arena *scratch, kv_http_answer *out, kv_error *err)
{
    return kv_acme_post(client, url, payload, KV_ACME_BY_ACCOUNT, scratch, out, err);
}

/* Of which only the status of the answer matters. */
static kv_status tell(kv_acme_client *client, const char *url, kv_slice payload, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;

    return exchange(client, url, payload, &scratch, &answer, err);
}

/* --- orders --- */

static json_t *text(kv_slice value)
{
    return json_stringn((const char *)value.data, value.len);
}

static json_t *identifiers(const kv_acme_order_in *in)
{
    json_t *list = json_array();

    for (size_t i = 0; i < in->count; i++) {
        json_t *one = json_object();

        (void)json_object_set_new(one, "type", json_string(in->names[i].address ? "ip" : "dns"));
        (void)json_object_set_new(one, "value", text(in->names[i].value));
        (void)json_array_append_new(list, one);
    }
    return list;
}

static kv_status order_payload(kv_arena *arena, const kv_acme_order_in *in, kv_slice *out,
                               kv_error *err)
{
    KV_AUTO(kv_acme_json) order = json_object();
    json_t *list = identifiers(in);
    bool whole = json_array_size(list) == in->count;

    if (json_object_set_new(order, "identifiers", list) != 0 || !whole ||
        (in->profile.len && json_object_set_new(order, "profile", text(in->profile)) != 0) ||
        (in->replaces.len && json_object_set_new(order, "replaces", text(in->replaces)) != 0))
        return kv_fail(err, KV_BAD_REQUEST, "an order cannot be written as JSON");
    return kv_acme_print(arena, order, out, err);
}

kv_status kv_acme_order_new(kv_acme_client *client, const kv_acme_order_in *in, const char **url,
                            kv_acme_order *out, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;
    kv_slice payload;

    KV_TRY(order_payload(client->arena, in, &payload, err));
    KV_TRY(exchange(client, client->directory.new_order, payload, &scratch, &answer, err));
    KV_TRY(kv_acme_location(client, &answer, url, err));
    if (!*url)
        return kv_fail(err, KV_UNAVAILABLE, "the authority did not name the order");
    return kv_acme_order_read(client->arena, answer.body, out, err);
}

kv_status kv_acme_order_get(kv_acme_client *client, const char *url, kv_acme_order *out,
                            kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;

    KV_TRY(exchange(client, url, KV_SLICE_NONE, &scratch, &answer, err));
    return kv_acme_order_read(client->arena, answer.body, out, err);
}

kv_status kv_acme_order_finalize(kv_acme_client *client, const char *url, kv_slice csr,
                                 kv_acme_order *out, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;
    kv_slice payload;

    KV_TRY(kv_base64url(client->arena, csr, &payload, err));
    KV_TRY(
        kv_arena_print(client->arena, &payload, err, "{\"csr\":\"%.*s\"}", KV_SLICE_ARG(payload)));
    KV_TRY(exchange(client, url, payload, &scratch, &answer, err));
    return kv_acme_order_read(client->arena, answer.body, out, err);
}

/* --- proofs --- */

kv_status kv_acme_authorization_get(kv_acme_client *client, const char *url,
                                    kv_acme_authorization *out, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;

    KV_TRY(exchange(client, url, KV_SLICE_NONE, &scratch, &answer, err));
    return kv_acme_authorization_read(client->arena, answer.body, out, err);
}

kv_status kv_acme_authorization_end(kv_acme_client *client, const char *url, kv_error *err)
{
    return tell(client, url, KV_SLICE("{\"status\":\"deactivated\"}"), err);
}

kv_status kv_acme_challenge_begin(kv_acme_client *client, const char *url, kv_error *err)
{
    return tell(client, url, KV_SLICE("{}"), err);
}

/* --- certificates --- */

static kv_status alternates_of(const kv_acme_client *client, const kv_http_answer *answer,
                               kv_acme_certificate *out, kv_error *err)
{
    kv_slice header, url;

    for (unsigned h = 0; kv_http_header_of(answer, "Link", h, &header); h++)
        for (unsigned i = 0;
             out->count < KV_ACME_ALTERNATES_MOST && kv_acme_link_alternate(header, i, &url); i++)
            KV_TRY(kv_arena_text(client->arena, url, &out->alternates[out->count++], err));
    return KV_OK;
}

kv_status kv_acme_certificate_get(kv_acme_client *client, const char *url, kv_acme_certificate *out,
                                  kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_acme_certificate read = { 0 };
    kv_http_answer answer;

    KV_TRY(exchange(client, url, KV_SLICE_NONE, &scratch, &answer, err));
    if (!kv_text_equal_nocase(kv_http_media_type(&answer),
                              KV_SLICE("application/pem-certificate-chain")))
        return kv_fail(err, KV_UNAVAILABLE,
                       "the authority's answer is not a chain of certificates");
    KV_TRY(kv_arena_copy(client->arena, answer.body, &read.pem, err));
    KV_TRY(alternates_of(client, &answer, &read, err));
    *out = read;
    return KV_OK;
}

kv_status kv_acme_certificate_revoke(kv_acme_client *client, kv_slice der, unsigned reason,
                                     kv_error *err)
{
    kv_slice payload;
    kv_status status;

    if (!client->directory.revoke_cert)
        return kv_acme_refuse(client, KV_ACME_FINAL, KV_SLICE("revokeCert"),
                              KV_SLICE("this authority does not revoke"), err);
    KV_TRY(kv_base64url(client->arena, der, &payload, err));
    KV_TRY(kv_arena_print(client->arena, &payload, err, "{\"certificate\":\"%.*s\",\"reason\":%u}",
                          KV_SLICE_ARG(payload), reason));
    status = tell(client, client->directory.revoke_cert, payload, err);
    if (status == KV_OK || client->refused != KV_ACME_IS_SO_ALREADY)
        return status;
    client->refused = KV_ACME_NOTHING;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_acme_window_get(kv_acme_client *client, kv_slice certificate_id, kv_acme_window *out,
                             kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;
    kv_slice url;

    if (!client->directory.renewal_info)
        return kv_fail(err, KV_NOT_FOUND, "this authority gives no renewal information");
    KV_TRY(kv_arena_print(client->arena, &url, err, "%s/%.*s%c", client->directory.renewal_info,
                          KV_SLICE_ARG(certificate_id), 0));
    KV_TRY(kv_acme_get(client, (const char *)url.data, &scratch, &answer, err));
    return kv_acme_window_read(client->arena, answer.body, out, err);
}
