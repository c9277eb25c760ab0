/* webhook.c - requests to endpoints, and their answers. */
#include "server/notify/webhook.h"

#include <openssl/evp.h>

#include "server/acme/when.h"
#include "server/base/text.h"

enum { HEADERS_MOST = 8, BASE64_MOST = 4 * ((KV_WEBHOOK_SIGNATURE + 2) / 3) + 1 };

static const char media_type[] = "application/cloudevents+json; charset=utf-8";

/* --- URLs --- */

static bool has_byte(kv_slice text, char byte)
{
    return text.len && memchr(text.data, byte, text.len);
}

kv_status kv_webhook_url_check(kv_slice url, const char *field, kv_error *err)
{
    static const kv_slice scheme = { (const uint8_t *)"https://", 8 };
    kv_slice rest;
    size_t host = 0;

    if (!url.len || url.len > KV_WEBHOOK_URL_MAX)
        return kv_fail_field(err, field, "must have 1 to %d bytes", KV_WEBHOOK_URL_MAX);
    for (size_t i = 0; i < url.len; i++)
        if (url.data[i] <= ' ' || url.data[i] > '~')
            return kv_fail_field(err, field, "must be of printable ASCII without blanks");
    if (!kv_slice_starts_with(url, scheme))
        return kv_fail_field(err, field, "must be an https URL");
    rest = kv_slice_of(url.data + scheme.len, url.len - scheme.len);
    while (host < rest.len && !strchr("/?#", rest.data[host]))
        host++;
    if (!host || has_byte(kv_slice_of(rest.data, host), '@') ||
        has_byte(kv_slice_of(rest.data, host), '\\') || has_byte(url, '#'))
        return kv_fail_field(err, field,
                             "must have a host, and neither user, password nor fragment");
    return KV_OK;
}

/* --- the handshake --- */

/* "*" is no limit, or everybody. */
static bool is_star(kv_slice text)
{
    return kv_slice_equal(text, KV_SLICE("*"));
}

static bool only_header(const kv_http_answer *answer, const char *name, kv_slice *out)
{
    kv_slice second;

    return kv_http_header_of(answer, name, 0, out) && !kv_http_header_of(answer, name, 1, &second);
}

void kv_webhook_consent_of(const kv_http_answer *answer, const char *origin,
                           kv_webhook_consent *out)
{
    kv_slice allowed, text;
    uint64_t rate = 0;

    *out = (kv_webhook_consent){ .why = "its answer has no WebHook-Allowed-Origin" };
    if (!only_header(answer, "WebHook-Allowed-Origin", &allowed))
        return;
    out->why = "it does not allow this origin";
    if (!is_star(allowed) && !kv_text_equal_nocase(allowed, kv_slice_text(origin)))
        return;
    /* It must be there, since a rate was asked for. */
    out->why = "its answer has no WebHook-Allowed-Rate, or one that is no number";
    if (!only_header(answer, "WebHook-Allowed-Rate", &text))
        return;
    if (!is_star(text) && (!kv_text_number(text, UINT32_MAX, &rate) || !rate))
        return;
    *out = (kv_webhook_consent){ .given = true,
                                 .rate = rate < KV_WEBHOOK_RATE_MOST ? (unsigned)rate
                                                                     : KV_WEBHOOK_RATE_MOST };
}

typedef struct headers {
    kv_http_header list[HEADERS_MOST];
    size_t count;
} headers;

static void add(headers *to, const char *name, kv_slice value)
{
    to->list[to->count++] = (kv_http_header){ kv_slice_text(name), value };
}

static void add_usual(headers *to, const kv_webhook_end *end)
{
    add(to, "WebHook-Request-Origin", kv_slice_text(end->origin));
    if (end->authorization.len)
        add(to, "Authorization", end->authorization);
}

static kv_http_request request_of(const kv_webhook_end *end, const headers *with,
                                  kv_deadline deadline)
{
    return (kv_http_request){ .url = end->url,
                              .headers = with->list,
                              .header_count = with->count,
                              .deadline = deadline,
                              .body_most = KV_WEBHOOK_ANSWER_MOST,
                              .stop = end->stop };
}

kv_status kv_webhook_ask(kv_http *http, const kv_webhook_end *end, kv_deadline deadline,
                         kv_arena *arena, kv_webhook_consent *out, kv_error *err)
{
    headers with = { .count = 0 };
    kv_http_request request;
    kv_http_answer answer;
    kv_slice rate;

    add_usual(&with, end);
    KV_TRY(kv_arena_print(arena, &rate, err, "%d", KV_WEBHOOK_RATE));
    add(&with, "WebHook-Request-Rate", rate);
    request = request_of(end, &with, deadline);
    request.method = KV_HTTP_OPTIONS;
    KV_TRY(kv_http_send(http, &request, arena, &answer, err));
    kv_webhook_consent_of(&answer, end->origin, out);
    return KV_OK;
}

/* --- signatures --- */

kv_status kv_webhook_to_sign(kv_arena *arena, kv_slice id, int64_t seconds, kv_slice body,
                             kv_slice *out, kv_error *err)
{
    return kv_arena_print(arena, out, err, "%.*s.%lld.%.*s", KV_SLICE_ARG(id), (long long)seconds,
                          KV_SLICE_ARG(body));
}

static kv_status base64(kv_arena *arena, const char *before, const uint8_t *bytes, size_t len,
                        kv_slice *out, kv_error *err)
{
    unsigned char text[BASE64_MOST];

    (void)EVP_EncodeBlock(text, bytes, (int)len);
    return kv_arena_print(arena, out, err, "%s%s", before, (const char *)text);
}

kv_status kv_webhook_signature_text(kv_arena *arena, const uint8_t signature[KV_WEBHOOK_SIGNATURE],
                                    kv_slice *out, kv_error *err)
{
    return base64(arena, "v1a,", signature, KV_WEBHOOK_SIGNATURE, out, err);
}

kv_status kv_webhook_key_text(kv_arena *arena, const uint8_t key[KV_WEBHOOK_KEY], kv_slice *out,
                              kv_error *err)
{
    return base64(arena, "whpk_", key, KV_WEBHOOK_KEY, out, err);
}

/* --- deliveries --- */

kv_status kv_webhook_judge(const kv_http_answer *answer, int64_t now_ms, kv_arena *arena,
                           kv_webhook_result *out, kv_error *err)
{
    kv_webhook_result result = { .verdict = KV_WEBHOOK_AGAIN, .status = answer->status };
    kv_slice after;

    if (answer->status >= 200 && answer->status < 300) {
        result.verdict = KV_WEBHOOK_TAKEN;
        *out = result;
        return KV_OK;
    }
    if (answer->status == 410)
        result.verdict = KV_WEBHOOK_GONE;
    if (kv_http_header_of(answer, "Retry-After", 0, &after))
        result.wait_ms = kv_acme_retry_after(after, now_ms);
    if (result.wait_ms < 0)
        result.wait_ms = 0;
    KV_TRY(kv_arena_print(
        arena, &result.why, err, "it answers %d%s", answer->status,
        answer->status >= 300 && answer->status < 400 ? ", and redirects are not followed" : ""));
    *out = result;
    return KV_OK;
}

kv_status kv_webhook_send(kv_http *http, const kv_webhook_end *end, const kv_webhook_post *post,
                          int64_t now_ms, kv_arena *arena, kv_webhook_result *out, kv_error *err)
{
    headers with = { .count = 0 };
    kv_http_request request;
    kv_http_answer answer;
    kv_slice seconds;
    kv_status status;

    KV_TRY(kv_arena_print(arena, &seconds, err, "%lld", (long long)post->seconds));
    add_usual(&with, end);
    add(&with, "webhook-id", post->id);
    add(&with, "webhook-timestamp", seconds);
    add(&with, "webhook-signature", post->signature);
    request = request_of(end, &with, kv_deadline_in_ms(KV_WEBHOOK_MS));
    request.method = KV_HTTP_POST;
    request.content_type = media_type;
    request.body = post->body;
    status = kv_http_send(http, &request, arena, &answer, err);
    if (status == KV_OK)
        return kv_webhook_judge(&answer, now_ms, arena, out, err);
    if (status == KV_CANCELLED || status == KV_BUSY)
        return status;
    *out = (kv_webhook_result){ .verdict = KV_WEBHOOK_AGAIN };
    KV_TRY(kv_arena_copy(arena, kv_slice_text(err->message), &out->why, err));
    *err = (kv_error){ 0 };
    return KV_OK;
}

int64_t kv_webhook_wait_ms(unsigned attempts, uint64_t seed, unsigned percent)
{
    static const int64_t seconds[KV_WEBHOOK_TRIES - 1] = { 5,     300,   1800,  7200, 18000,
                                                           36000, 50400, 72000, 86400 };
    int64_t wait_ms;

    if (!attempts || attempts >= KV_WEBHOOK_TRIES)
        return 0;
    wait_ms = seconds[attempts - 1] * 10 * percent;
    /* Many that failed together do not come back together. */
    return wait_ms + (int64_t)((seed ^ seed >> 29) % (uint64_t)(wait_ms / 10 + 1));
}
