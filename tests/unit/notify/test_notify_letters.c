/* test_notify_letters.c - events in words: which are mailed, and that nothing in them breaks out.
 */
#include "server/notify/letters.h"

#include <stdlib.h>

#include "server/notify/message.h"
#include "tests/support/kv_cmocka.h"

enum { ROOM = 1 << 20 };

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

#define EVENT(type, rest)                                                       \
    KV_SLICE("{\"type\":\"" type "\",\"time\":\"2026-11-20T12:00:00.000Z\","    \
             "\"data\":{\"VaultName\":\"shop\",\"ObjectType\":\"Certificate\"," \
             "\"ObjectName\":\"www\"" rest "}}")

static void what_somebody_did_himself_is_not_mailed(void **state)
{
    (void)state;
    assert_true(kv_letter_wanted(KV_SLICE("Microsoft.KeyVault.CertificateNewVersionCreated"),
                                 KV_SLICE("renewed")));
    assert_false(kv_letter_wanted(KV_SLICE("Microsoft.KeyVault.CertificateNewVersionCreated"),
                                  KV_SLICE("created")));
    assert_true(
        kv_letter_wanted(KV_SLICE("Microsoft.KeyVault.SecretNearExpiry"), KV_SLICE("7-days")));
    assert_false(kv_letter_wanted(KV_SLICE("KeyVault.AccessDenied"), KV_SLICE_NONE));
    assert_true(
        kv_letter_wanted(KV_SLICE("KeyVault.CertificateRenewalFailed"), KV_SLICE("renewal")));
    assert_false(
        kv_letter_wanted(KV_SLICE("KeyVault.CertificateRenewalFailed"), KV_SLICE("renewal-again")));
    assert_false(kv_letter_wanted(KV_SLICE(""), KV_SLICE_NONE));
    assert_true(kv_letter_urgent(KV_SLICE("KeyVault.CertificateActionNeeded")));
    assert_false(kv_letter_urgent(KV_SLICE("Microsoft.KeyVault.CertificateExpired")));
}

static void one_event_is_one_letter(void **state)
{
    kv_letter_text out;
    const char *text;

    (void)state;
    assert_kv_ok(kv_letter_of_one(
        &arena, EVENT("Microsoft.KeyVault.CertificateNearExpiry", ",\"EXP\":1798156800"),
        KV_SLICE_NONE, &out, &err));
    assert_slice_equal(KV_SLICE("[shop] www (Certificate) expires on 2026-12-25 00:00 UTC"),
                       out.subject);
    assert_kv_ok(kv_arena_text(&arena, out.text, &text, &err));
    assert_non_null(strstr(text, "Vault:       shop\n"));
    assert_null(strstr(text, "CERTIFICATE REQUEST"));
}

static void an_issuer_is_named_where_there_is_no_object(void **state)
{
    static const char event[] = "{\"type\":\"KeyVault.IssuerCredentialNearExpiry\",\"data\":{"
                                "\"VaultName\":\"shop\",\"Issuer\":\"corp\",\"Cause\":\"7-days\","
                                "\"EXP\":1798156800}}";
    kv_letter_text out;
    const char *text;

    (void)state;
    assert_true(
        kv_letter_wanted(KV_SLICE("KeyVault.IssuerCredentialNearExpiry"), KV_SLICE("7-days")));
    assert_true(
        kv_letter_wanted(KV_SLICE("KeyVault.IssuerCredentialExpired"), KV_SLICE("expired")));
    assert_kv_ok(kv_letter_of_one(&arena, kv_slice_text(event), KV_SLICE_NONE, &out, &err));
    assert_slice_equal(
        KV_SLICE("[shop] corp is an issuer whose credential ends on 2026-12-25 00:00 UTC"),
        out.subject);
    assert_kv_ok(kv_arena_text(&arena, out.text, &text, &err));
    assert_non_null(strstr(text, "Why:         7-days\n"));
    assert_non_null(strstr(text, "kvctl issuer update --credential-file"));
}

static void a_request_goes_along(void **state)
{
    kv_letter_text out;
    const char *text;

    (void)state;
    assert_kv_ok(kv_letter_of_one(&arena, EVENT("KeyVault.CertificateActionNeeded", ""),
                                  KV_SLICE("\x30\x03\x02\x01\x01"), &out, &err));
    assert_kv_ok(kv_arena_text(&arena, out.text, &text, &err));
    assert_non_null(strstr(text, "-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQE=\n"
                                 "-----END CERTIFICATE REQUEST-----\n"));
    assert_non_null(strstr(text, "pending merge --vault shop --name www"));
}

static void texts_in_events_stay_on_their_line(void **state)
{
    kv_slice event = EVENT("KeyVault.CertificateRenewalFailed",
                           ",\"ErrorMessage\":\"no\\r\\nBcc: x@example.org\\u0000\\u0007\"");
    kv_letter mail = { .from = KV_SLICE("vault@example.org"),
                       .to = KV_SLICE("team@example.org"),
                       .id = KV_SLICE("1"),
                       .domain = KV_SLICE("vault.example.org") };
    kv_letter_text out;
    kv_slice bytes;
    const char *text;

    (void)state;
    /* NUL is no text of ours, and refused as a whole. */
    assert_int_equal(kv_letter_of_one(&arena, event, KV_SLICE_NONE, &out, &err), KV_BAD_REQUEST);
    event = EVENT("KeyVault.CertificateRenewalFailed",
                  ",\"ErrorMessage\":\"no\\r\\nBcc: x@example.org\\u0007\"");
    assert_kv_ok(kv_letter_of_one(&arena, event, KV_SLICE_NONE, &out, &err));
    assert_kv_ok(kv_arena_text(&arena, out.text, &text, &err));
    assert_non_null(strstr(text, "Error:       no  Bcc: x@example.org \n"));
    mail.subject = out.subject;
    mail.text = out.text;
    assert_kv_ok(kv_letter_build(&arena, &mail, &bytes, &err));
}

static void several_events_are_lines_of_one_letter(void **state)
{
    const kv_slice events[] = {
        EVENT("Microsoft.KeyVault.CertificateExpired", ",\"EXP\":1798156800"),
        KV_SLICE("no JSON"),
        EVENT("KeyVault.CertificateRenewalFailed", ",\"ErrorMessage\":\"the issuer is down\""),
    };
    kv_letter_text out;
    const char *text;

    (void)state;
    assert_kv_ok(
        kv_letter_of_many(&arena, KV_SLICE("shop"), events, KV_COUNT(events), 2, &out, &err));
    assert_slice_equal(KV_SLICE("[shop] 5 notices"), out.subject);
    assert_kv_ok(kv_arena_text(&arena, out.text, &text, &err));
    assert_non_null(strstr(text, "- www (Certificate) has expired on 2026-12-25 00:00 UTC\n"));
    assert_non_null(strstr(text, "\n  the issuer is down\n"));
    assert_non_null(strstr(text, "and 2 more.\n"));
}

static void what_is_no_event_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"x\",\"data\":{}}",
        "{\"type\":\"KeyVault.CertificateActionNeeded\"}",
        "{\"type\":\"KeyVault.CertificateActionNeeded\",\"data\":[]}"
    };
    kv_letter_text out;
    kv_slice line;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_int_equal(kv_letter_of_one(&arena, kv_slice_text(bad[i]), KV_SLICE_NONE, &out, &err),
                         KV_BAD_REQUEST);
        assert_int_equal(kv_letter_line(&arena, kv_slice_text(bad[i]), &line, &err),
                         KV_BAD_REQUEST);
    }
}

#define LETTER_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LETTER_TEST(what_somebody_did_himself_is_not_mailed),
        LETTER_TEST(one_event_is_one_letter),
        LETTER_TEST(an_issuer_is_named_where_there_is_no_object),
        LETTER_TEST(a_request_goes_along),
        LETTER_TEST(texts_in_events_stay_on_their_line),
        LETTER_TEST(several_events_are_lines_of_one_letter),
        LETTER_TEST(what_is_no_event_is_refused),
    };

    return cmocka_run_group_tests_name("notify_letters", tests, NULL, NULL);
}
