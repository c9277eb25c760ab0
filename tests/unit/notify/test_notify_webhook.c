/* test_notify_webhook.c - what endpoints answer, and when they are tried again. */
#include "server/notify/webhook.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "tests/support/kv_cmocka.h"

enum { ROOM = 1 << 20 };

static const int64_t now_ms = INT64_C(1795176000000);
static kv_arena arena;
static kv_error err;

static int start(void **state)
{
    (void)state;
    arena = KV_ARENA(ROOM);
    err = (kv_error){ 0 };
    return 0;
}

static int stop(void **state)
{
    (void)state;
    kv_arena_cleanup(&arena);
    return 0;
}

/* shape: table */
static const struct {
    const char *origin, *second_origin, *rate;
    bool given;
    unsigned granted;
} consents[] = {
    { "*", NULL, "*", true, 0 },
    { "vault.example.org", NULL, "120", true, 120 },
    { "VAULT.example.ORG", NULL, "1", true, 1 },
    { "*", NULL, "4294967295", true, KV_WEBHOOK_RATE_MOST },
    { NULL, NULL, "*", false, 0 },
    { "*", NULL, NULL, false, 0 },
    { "*", NULL, "0", false, 0 },
    { "*", NULL, "-1", false, 0 },
    { "*", NULL, "1.5", false, 0 },
    { "*", NULL, "4294967296", false, 0 },
    { "*", NULL, "", false, 0 },
    { "", NULL, "*", false, 0 },
    { "example.org", NULL, "*", false, 0 },
    { "*.example.org", NULL, "*", false, 0 },
    { "vault.example.org, other.example.org", NULL, "*", false, 0 },
    { "*", "vault.example.org", "*", false, 0 },
};

static void consent_is_what_the_headers_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(consents); i++) {
        kv_http_header headers[3];
        kv_http_answer answer = { .status = i % 2 ? 200 : 500, .headers = headers };
        kv_webhook_consent consent;

        if (consents[i].origin)
            headers[answer.header_count++] = (kv_http_header){ KV_SLICE("webhook-allowed-origin"),
                                                               kv_slice_text(consents[i].origin) };
        if (consents[i].second_origin)
            headers[answer.header_count++] =
                (kv_http_header){ KV_SLICE("WebHook-Allowed-Origin"),
                                  kv_slice_text(consents[i].second_origin) };
        if (consents[i].rate)
            headers[answer.header_count++] = (kv_http_header){ KV_SLICE("WebHook-Allowed-Rate"),
                                                               kv_slice_text(consents[i].rate) };
        kv_webhook_consent_of(&answer, "vault.example.org", &consent);
        if (consent.given != consents[i].given || consent.rate != consents[i].granted)
            fail_msg("row %zu: %d, rate %u", i, consent.given, consent.rate);
        assert_true(consent.given ? !consent.why : consent.why[0] != '\0');
    }
}

/* shape: table */
static const struct {
    int status;
    const char *retry_after;
    kv_webhook_verdict verdict;
    int64_t wait_ms;
} verdicts[] = {
    { 200, NULL, KV_WEBHOOK_TAKEN, 0 },
    { 201, NULL, KV_WEBHOOK_TAKEN, 0 },
    { 202, "60", KV_WEBHOOK_TAKEN, 0 },
    { 204, NULL, KV_WEBHOOK_TAKEN, 0 },
    { 299, NULL, KV_WEBHOOK_TAKEN, 0 },
    { 301, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 304, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 400, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 404, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 410, NULL, KV_WEBHOOK_GONE, 0 },
    { 415, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 429, "120", KV_WEBHOOK_AGAIN, 120000 },
    { 503, "abc", KV_WEBHOOK_AGAIN, 0 },
    { 503, "0", KV_WEBHOOK_AGAIN, 0 },
    { 500, NULL, KV_WEBHOOK_AGAIN, 0 },
    { 503, "Fri, 20 Nov 2026 12:01:00 GMT", KV_WEBHOOK_AGAIN, 60000 },
};

static void answers_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(verdicts); i++) {
        kv_http_header header = { KV_SLICE("Retry-After"), kv_slice_text(verdicts[i].retry_after) };
        kv_http_answer answer = { .status = verdicts[i].status,
                                  .headers = &header,
                                  .header_count = verdicts[i].retry_after != NULL };
        kv_webhook_result result;

        assert_kv_ok(kv_webhook_judge(&answer, now_ms, &arena, &result, &err));
        assert_int_equal(result.verdict, verdicts[i].verdict);
        assert_int_equal(result.wait_ms, verdicts[i].wait_ms);
        assert_int_equal(result.why.len > 0, result.verdict != KV_WEBHOOK_TAKEN);
    }
}

static void waits_are_those_of_the_specification(void **state)
{
    static const int64_t seconds[] = { 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400 };

    (void)state;
    assert_int_equal(kv_webhook_wait_ms(0, 1, 100), 0);
    for (unsigned i = 0; i < KV_COUNT(seconds); i++) {
        int64_t most = 0;

        for (uint64_t seed = 0; seed < 200; seed++) {
            int64_t wait = kv_webhook_wait_ms(i + 1, seed * UINT64_C(0x9e3779b97f4a7c15), 100);

            assert_true(wait >= seconds[i] * 1000 && wait <= seconds[i] * 1100);
            most = wait > most ? wait : most;
        }
        assert_true(most > seconds[i] * 1050); /* they do not all come back at once */
    }
    assert_int_equal(kv_webhook_wait_ms(KV_WEBHOOK_TRIES, 1, 100), 0);
    assert_int_equal(kv_webhook_wait_ms(2, 0, 1), 3000);
}

/* shape: table */
static const struct {
    const char *url;
    bool good;
} urls[] = {
    { "https://example.org", true },
    { "https://example.org:8443/a?b=c", true },
    { "https://[::1]/", true },
    { "", false },
    { "http://example.org/", false },
    { "HTTPS://example.org/", false },
    { "https:///path", false },
    { "https://?q", false },
    { "https://user@example.org/", false },
    { "https://user:pw@example.org/", false },
    { "https://example.org/#part", false },
    { "https://example.org\\@evil.example/", false },
    { "https://example.org/a b", false },
    { "https://example.org/\r\nX: y", false },
    { "https://ex\xc3\xa4mple.org/", false },
};

static void urls_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(urls); i++) {
        kv_status status = kv_webhook_url_check(kv_slice_text(urls[i].url), "url", &err);

        if ((status == KV_OK) != urls[i].good)
            fail_msg("'%s' is judged %d", urls[i].url, (int)status);
    }
}

/* RFC 8032, test 2: the key, and what it signs is checked with OpenSSL. */
static void signatures_verify(void **state)
{
    static const uint8_t seed[] = { 0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda,
                                    0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
                                    0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24,
                                    0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb };
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t public_key[KV_WEBHOOK_KEY], signature[KV_WEBHOOK_SIGNATURE];
    size_t len = sizeof(public_key), signature_len = sizeof(signature);
    kv_slice bytes, text;

    (void)state;
    assert_true(key && context);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, public_key, &len), 1);
    assert_kv_ok(kv_webhook_key_text(&arena, public_key, &text, &err));
    assert_slice_equal(KV_SLICE("whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="), text);
    assert_kv_ok(kv_webhook_to_sign(&arena, KV_SLICE("evt_1"), 1795176000, KV_SLICE("{\"a\":1}"),
                                    &bytes, &err));
    assert_slice_equal(KV_SLICE("evt_1.1795176000.{\"a\":1}"), bytes);
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &signature_len, bytes.data, bytes.len), 1);
    assert_kv_ok(kv_webhook_signature_text(&arena, signature, &text, &err));
    assert_true(kv_slice_starts_with(text, KV_SLICE("v1a,")));
    assert_int_equal(text.len, 4 + 88);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

#define WEBHOOK_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WEBHOOK_TEST(consent_is_what_the_headers_say),
        WEBHOOK_TEST(answers_are_judged),
        WEBHOOK_TEST(waits_are_those_of_the_specification),
        WEBHOOK_TEST(urls_are_judged),
        WEBHOOK_TEST(signatures_verify),
    };

    return cmocka_run_group_tests_name("notify_webhook", tests, NULL, NULL);
}
