/* fuzz_webhook.c - what endpoints answer, and events as mail, from anybody. */
#include <stdlib.h>

#include "server/notify/letters.h"
#include "server/notify/webhook.h"

enum { MEMORY = 4 << 20, HEADERS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void answer_is_read(kv_arena *arena, const uint8_t *data, size_t size)
{
    static const char *const names[HEADERS] = { "WebHook-Allowed-Origin", "WebHook-Allowed-Rate",
                                                "Retry-After", "Webhook-Allowed-Rate" };
    kv_http_header headers[HEADERS];
    kv_http_answer answer = { .headers = headers };
    kv_webhook_consent consent;
    kv_webhook_result result;
    kv_error err = { 0 };
    size_t from = 0;

    answer.status = size ? data[0] * 3 : 0;
    for (size_t i = 0; i <= size && answer.header_count < HEADERS; i++) {
        if (i < size && data[i] != '\n')
            continue;
        headers[answer.header_count] = (kv_http_header){ kv_slice_text(names[answer.header_count]),
                                                         kv_slice_of(data + from, i - from) };
        answer.header_count++;
        from = i + 1;
    }
    kv_webhook_consent_of(&answer, "vault.example.org", &consent);
    must(consent.given || (consent.why && !consent.rate));
    must(consent.rate <= KV_WEBHOOK_RATE_MOST);
    if (kv_webhook_judge(&answer, INT64_C(1795176000000), arena, &result, &err) == KV_OK)
        must(result.wait_ms >= 0 &&
             (result.verdict == KV_WEBHOOK_TAKEN) == (answer.status / 100 == 2));
}

/* What is judged to be a URL has no way to another host or header. */
static void url_is_judged(kv_slice url)
{
    kv_error err = { 0 };

    if (kv_webhook_url_check(url, "url", &err) == KV_OK)
        must(kv_slice_starts_with(url, KV_SLICE("https://")) && !memchr(url.data, '\n', url.len) &&
             !memchr(url.data, '#', url.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(MEMORY);
    kv_slice event = kv_slice_of(data, size);
    kv_letter_text out;
    kv_error err = { 0 };

    if (kv_letter_of_one(&arena, event, event, &out, &err) == KV_OK)
        must(!memchr(out.subject.data, '\n', out.subject.len));
    answer_is_read(&arena, data, size);
    url_is_judged(event);
    return 0;
}
