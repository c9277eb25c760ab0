/* account.c - accounts at an authority, and their keys (RFC 8555 section 7.3). */
#include "server/acme/exchange.h"
#include "server/acme/json.h"

static kv_status post_account(kv_acme_client *client, kv_slice payload, const char **out,
                              kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;

    KV_TRY(kv_acme_post(client, client->directory.new_account, payload, KV_ACME_BY_KEY, &scratch,
                        &answer, err));
    KV_TRY(kv_acme_location(client, &answer, out, err));
    if (!*out)
        return kv_fail(err, KV_UNAVAILABLE, "the authority did not name the account");
    return KV_OK;
}

kv_status kv_acme_account_find(kv_acme_client *client, const char **out, kv_error *err)
{
    kv_status status = post_account(client, KV_SLICE("{\"onlyReturnExisting\":true}"), out, err);

    if (status == KV_OK || client->refused != KV_ACME_ACCOUNT ||
        !kv_slice_equal(client->problem.type, KV_SLICE("accountDoesNotExist")))
        return status;
    client->refused = KV_ACME_NOTHING;
    *err = (kv_error){ 0 };
    *out = NULL;
    return KV_OK;
}

static int add_contacts(json_t *account, const kv_slice *contacts, size_t count)
{
    json_t *list = json_array();
    int bad = 0;

    for (size_t i = 0; i < count; i++)
        bad |= json_array_append_new(list,
                                     json_stringn((const char *)contacts[i].data, contacts[i].len));
    return bad | json_object_set_new(account, "contact", list);
}

kv_status kv_acme_account_new(kv_acme_client *client, const kv_slice *contacts, size_t count,
                              const kv_acme_binding *binding, const char **out, kv_error *err)
{
    KV_AUTO(kv_acme_json) account = json_object();
    kv_slice payload, bound;
    int bad = !account || json_object_set_new(account, "termsOfServiceAgreed", json_true());

    if (count)
        bad = bad || add_contacts(account, contacts, count);
    if (binding->kid.len) {
        KV_TRY(kv_acme_bind(client->arena, binding, kv_slice_text(client->directory.new_account),
                            client->key.spki, &bound, err));
        bad = bad || json_object_set_new(account, "externalAccountBinding", kv_acme_parse(bound));
    }
    if (bad)
        return kv_fail(err, KV_BAD_REQUEST, "an account cannot be written as JSON");
    KV_TRY(kv_acme_print(client->arena, account, &payload, err));
    return post_account(client, payload, out, err);
}

/* Posts to the account; KV_PRECONDITION with KV_ACME_ACCOUNT when it is not `wanted` after that. */
static kv_status expect_state(kv_acme_client *client, kv_slice payload, kv_acme_state wanted,
                              kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;
    kv_slice state;

    KV_TRY(
        kv_acme_post(client, client->account, payload, KV_ACME_BY_ACCOUNT, &scratch, &answer, err));
    {
        KV_AUTO(kv_acme_json) json = kv_acme_parse(answer.body);

        if (kv_acme_state_of(kv_acme_text_of(json, "status")) == wanted)
            return KV_OK;
        KV_TRY(kv_acme_words_of(client->arena, json, "status", KV_ACME_TYPE_MOST, &state, err));
    }
    KV_TRY(kv_arena_print(client->arena, &state, err, "the account is not %s but \"%.*s\"",
                          kv_acme_state_name(wanted), KV_SLICE_ARG(state)));
    return kv_acme_refuse(client, KV_ACME_ACCOUNT, KV_SLICE("unauthorized"), state, err);
}

kv_status kv_acme_account_check(kv_acme_client *client, kv_error *err)
{
    return expect_state(client, KV_SLICE_NONE, KV_ACME_VALID, err);
}

kv_status kv_acme_account_deactivate(kv_acme_client *client, kv_error *err)
{
    return expect_state(client, KV_SLICE("{\"status\":\"deactivated\"}"), KV_ACME_DEACTIVATED, err);
}

/* --- another key --- */

/* {"account":...,"oldKey":...} by the new key, without a nonce. */
static kv_status key_change_of(kv_acme_client *client, const kv_acme_key *next, kv_slice *out,
                               kv_error *err)
{
    KV_AUTO(kv_acme_json) change = json_object();
    kv_acme_signed inner = { .key = next, .url = kv_slice_text(client->directory.key_change) };
    kv_slice old;

    KV_TRY(kv_acme_jwk(client->arena, client->key.spki, &old, err));
    if (!change || json_object_set_new(change, "account", json_string(client->account)) != 0 ||
        json_object_set_new(change, "oldKey", kv_acme_parse(old)) != 0)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(kv_acme_print(client->arena, change, &inner.payload, err));
    return kv_acme_sign(client->arena, &inner, out, err);
}

kv_status kv_acme_account_new_key(kv_acme_client *client, const kv_acme_key *next, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer = { 0 };
    const char *url = NULL;
    kv_error ignored = { 0 };
    kv_slice payload;
    kv_status status;

    if (!client->directory.key_change)
        return kv_acme_refuse(client, KV_ACME_FINAL, KV_SLICE("keyChange"),
                              KV_SLICE("this authority does not change keys of accounts"), err);
    KV_TRY(key_change_of(client, next, &payload, err));
    status = kv_acme_post(client, client->directory.key_change, payload, KV_ACME_BY_ACCOUNT,
                          &scratch, &answer, err);
    if (status == KV_OK || answer.status != 409)
        return status;
    /* The key has an account: perhaps this one, and an answer was lost. */
    if (kv_acme_location(client, &answer, &url, &ignored) != KV_OK || !url ||
        strcmp(url, client->account) != 0)
        return status;
    client->refused = KV_ACME_NOTHING;
    *err = (kv_error){ 0 };
    return KV_OK;
}
