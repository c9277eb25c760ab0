/* client.c - requests to an ACME server: nonces, signatures, refusals. */
#include "server/acme/exchange.h"

#include "server/acme/when.h"

enum { SLACK_MS = 500 };

static kv_deadline soon(const kv_acme_client *client)
{
    int64_t left = kv_deadline_left_ms(client->deadline);

    return kv_deadline_in_ms(left < KV_ACME_REQUEST_MS ? left : KV_ACME_REQUEST_MS);
}

static kv_slice server_of(const kv_acme_client *client)
{
    return kv_slice_text(client->directory_url);
}

static int64_t spent(const kv_acme_client *client)
{
    return (kv_monotonic_us() - client->began_us + 999) / 1000;
}

/* What it asks for begins now, not when the visit did, nor what led to the visit. */
static int64_t wait_of(const kv_acme_client *client, kv_slice wish)
{
    int64_t spent_ms = spent(client);
    int64_t wait = kv_acme_retry_after(wish, client->now_ms + spent_ms);

    return wait < 0 ? wait : wait + spent_ms + SLACK_MS;
}

/* Somebody was told to wait, perhaps while this visit was on its way: nobody else asks before. */
static kv_status respect_pause(kv_acme_client *client, kv_error *err)
{
    kv_slice words;
    int64_t left = kv_acme_paused(client->memory, server_of(client), client->key.spki,
                                  client->now_ms, client->arena, &words);

    if (left <= spent(client))
        return KV_OK;
    if (!words.len)
        words = KV_SLICE("the authority asked not to be asked before some time has passed");
    client->retry_ms = left;
    return kv_acme_refuse(client, KV_ACME_WAIT, KV_SLICE("rateLimited"), words, err);
}

/* Whatever was answered: its nonce and its wish are noted. */
static kv_status deliver(kv_acme_client *client, kv_http_request *request, kv_arena *scratch,
                         kv_http_answer *out, kv_error *err)
{
    kv_slice value;

    request->deadline = soon(client);
    request->body_most = KV_ACME_ANSWER_MOST;
    client->refused = KV_ACME_NOTHING;
    client->retry_ms = -1;
    client->created = false;
    KV_TRY(respect_pause(client, err));
    KV_TRY(kv_http_send(client->http, request, scratch, out, err));
    if (kv_http_header_of(out, "Replay-Nonce", 0, &value))
        kv_acme_nonce_put(client->memory, server_of(client), value);
    if (kv_http_header_of(out, "Retry-After", 0, &value))
        client->retry_ms = wait_of(client, value);
    client->created = out->status == 201;
    return KV_OK;
}

kv_status kv_acme_refuse(kv_acme_client *client, kv_acme_action action, kv_slice type,
                         kv_slice words, kv_error *err)
{
    client->refused = action;
    client->problem = (kv_acme_problem){ .type = type, .detail = words };
    return kv_fail(err, KV_PRECONDITION, "%.*s", KV_SLICE_ARG(words));
}

static kv_status judge(kv_acme_client *client, const kv_http_answer *answer, kv_error *err)
{
    kv_slice words;

    if (answer->status >= 200 && answer->status < 300)
        return KV_OK;
    KV_TRY(
        kv_acme_problem_read(client->arena, answer->body, answer->status, &client->problem, err));
    KV_TRY(kv_acme_problem_say(client->arena, &client->problem, &words, err));
    client->refused = kv_acme_problem_action(&client->problem);
    if (client->refused == KV_ACME_WAIT) {
        if (client->retry_ms < 0)
            client->retry_ms = KV_ACME_WAIT_DEFAULT_MS;
        kv_acme_pause(client->memory, server_of(client), client->key.spki,
                      client->now_ms + client->retry_ms, words);
    }
    kv_fail(err, KV_PRECONDITION, "%.*s", KV_SLICE_ARG(words));
    return kv_note(err, "%.*s, HTTP status %d", KV_SLICE_ARG(client->problem.type), answer->status);
}

kv_status kv_acme_get(kv_acme_client *client, const char *url, kv_arena *scratch,
                      kv_http_answer *out, kv_error *err)
{
    kv_http_request request = { .method = KV_HTTP_GET, .url = url };

    KV_TRY(deliver(client, &request, scratch, out, err));
    return judge(client, out, err);
}

kv_status kv_acme_open(kv_acme_client *client, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_answer answer;

    KV_TRY(kv_acme_get(client, client->directory_url, &scratch, &answer, err));
    return kv_acme_directory_read(client->arena, answer.body, &client->directory, err);
}

/* --- nonces --- */

static kv_status nonce_of(const kv_http_answer *answer, char nonce[KV_ACME_NONCE_ROOM],
                          kv_error *err)
{
    kv_slice value;

    if (!kv_http_header_of(answer, "Replay-Nonce", 0, &value) || !kv_acme_nonce_good(value))
        return kv_fail(err, KV_UNAVAILABLE, "the authority gave no nonce");
    memcpy(nonce, value.data, value.len);
    nonce[value.len] = 0;
    return KV_OK;
}

static kv_status find_nonce(kv_acme_client *client, char nonce[KV_ACME_NONCE_ROOM], kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_ACME_SCRATCH_BYTES);
    kv_http_request request = { .method = KV_HTTP_HEAD, .url = client->directory.new_nonce };
    kv_slice server = server_of(client);
    kv_http_answer answer;

    if (kv_acme_nonce_take(client->memory, server, nonce))
        return KV_OK;
    KV_TRY(deliver(client, &request, &scratch, &answer, err));
    KV_TRY(judge(client, &answer, err));
    /* deliver() has put it into the memory, if there is one. */
    if (kv_acme_nonce_take(client->memory, server, nonce))
        return KV_OK;
    return nonce_of(&answer, nonce, err);
}

/* --- signed requests --- */

static kv_status post_once(kv_acme_client *client, kv_acme_signed *message, kv_arena *scratch,
                           kv_http_answer *out, kv_error *err)
{
    kv_http_request request = { .method = KV_HTTP_POST,
                                .url = (const char *)message->url.data,
                                .content_type = "application/jose+json" };

    KV_TRY(kv_acme_sign(scratch, message, &request.body, err));
    KV_TRY(deliver(client, &request, scratch, out, err));
    return judge(client, out, err);
}

kv_status kv_acme_post(kv_acme_client *client, const char *url, kv_slice payload, kv_acme_signer by,
                       kv_arena *scratch, kv_http_answer *out, kv_error *err)
{
    char nonce[KV_ACME_NONCE_ROOM];
    kv_acme_signed message = { .key = &client->key,
                               .kid = by == KV_ACME_BY_ACCOUNT ? kv_slice_text(client->account)
                                                               : KV_SLICE_NONE,
                               .url = kv_slice_text(url),
                               .payload = payload };
    kv_status status = KV_PRECONDITION;

    if (by == KV_ACME_BY_ACCOUNT && !client->account)
        return kv_fail(err, KV_INTERNAL, "an account at the authority is not known");
    KV_TRY(find_nonce(client, nonce, err));
    for (unsigned tries = 0; tries < KV_ACME_NONCE_TRIES; tries++) {
        kv_error ignored = { 0 };

        kv_arena_cleanup(scratch);
        message.nonce = kv_slice_text(nonce);
        status = post_once(client, &message, scratch, out, err);
        if (status == KV_OK || client->refused != KV_ACME_AGAIN)
            return status;
        if (!kv_acme_nonce_take(client->memory, server_of(client), nonce) &&
            nonce_of(out, nonce, &ignored) != KV_OK)
            KV_TRY(find_nonce(client, nonce, err));
    }
    return status;
}

kv_status kv_acme_location(const kv_acme_client *client, const kv_http_answer *answer,
                           const char **out, kv_error *err)
{
    kv_slice value;

    *out = NULL;
    if (!kv_http_header_of(answer, "Location", 0, &value))
        return KV_OK;
    if (!kv_acme_url_good(value))
        return kv_fail(err, KV_UNAVAILABLE, "the authority's Location is not to be followed");
    return kv_arena_text(client->arena, value, out, err);
}
