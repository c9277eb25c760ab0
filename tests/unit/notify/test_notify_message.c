/* test_notify_message.c - the bytes of a mail, what cannot get into its headers, and which
 * addresses are mailed to. */
#include "server/notify/message.h"

#include <stdlib.h>

#include "tests/support/kv_cmocka.h"

enum { ROOM = 4 << 20, LONG = 3000 };

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

static kv_letter usual(void)
{
    return (kv_letter){ .from_name = KV_SLICE("Key vault"),
                        .from = KV_SLICE("vault@example.org"),
                        .to_name = KV_SLICE("The \"web\" team"),
                        .to = KV_SLICE("team@example.org"),
                        .subject = KV_SLICE("[shop] www was renewed"),
                        .id = KV_SLICE("17.0af3"),
                        .domain = KV_SLICE("vault.example.org"),
                        .date_ms = INT64_C(1795176000000),
                        .text = KV_SLICE("Hello.\n\n.dot\nFrom here\nblank \n=\nGr\xc3\xbc\xc3\x9f"
                                         "e\n") };
}

static const char *built(const kv_letter *mail)
{
    kv_slice out;
    const char *text;

    assert_kv_ok(kv_letter_build(&arena, mail, &out, &err));
    assert_kv_ok(kv_arena_text(&arena, out, &text, &err));
    return text;
}

static void a_plain_mail_is_these_bytes(void **state)
{
    kv_letter mail = usual();

    (void)state;
    assert_string_equal(built(&mail), "From: \"Key vault\"\r\n <vault@example.org>\r\n"
                                      "To: \"The \\\"web\\\" team\"\r\n <team@example.org>\r\n"
                                      "Subject: [shop] www was renewed\r\n"
                                      "Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
                                      "Message-ID: <17.0af3@vault.example.org>\r\n"
                                      "Auto-Submitted: auto-generated\r\n"
                                      "MIME-Version: 1.0\r\n"
                                      "Content-Type: text/plain; charset=utf-8\r\n"
                                      "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                                      "Hello.\r\n\r\n=2Edot\r\n=46rom here\r\nblank=20\r\n=3D\r\n"
                                      "Gr=C3=BC=C3=9Fe\r\n");
}

static void what_is_not_ascii_is_an_encoded_word(void **state)
{
    kv_letter mail = usual();

    (void)state;
    mail.subject = KV_SLICE("Zertifikat f\xc3\xbcr caf\xc3\xa9");
    mail.to_name = KV_SLICE("J\xc3\xbcrgen");
    mail.from_name = KV_SLICE_NONE;
    assert_non_null(strstr(built(&mail), "\r\nSubject: =?utf-8?B?WmVydGlmaWthdCBmw7xyIGNhZsOp?="
                                         "\r\n"));
    assert_non_null(strstr(built(&mail), "\r\nTo: =?utf-8?B?SsO8cmdlbg==?=\r\n <team@"));
    assert_true(!strncmp(built(&mail), "From: <vault@example.org>\r\n", 27));
    /* What only looks like one is encoded too, so that nobody decodes it. */
    mail.subject = KV_SLICE("=?utf-8?B?YQ==?=");
    assert_null(strstr(built(&mail), "Subject: =?utf-8?B?YQ==?="));
}

/* No line is longer than RFC 5322 asks for, and each ends with CR LF. */
static void assert_lines(const char *text)
{
    size_t column = 0;

    for (const char *at = text; *at; at++) {
        if (*at == '\n') {
            assert_true(at > text && at[-1] == '\r');
            column = 0;
            continue;
        }
        assert_true(*at != '\r' || at[1] == '\n');
        assert_true((unsigned char)*at < 0x80);
        if (*at != '\r')
            column++;
        assert_true(column <= 78);
    }
    assert_int_equal(column, 0);
}

static void long_texts_are_folded_between_characters(void **state)
{
    static char text[LONG];
    kv_letter mail = usual();
    kv_letter_attachment attachment = { KV_SLICE("www.p10"), KV_SLICE("application/pkcs10"),
                                        kv_slice_of(text, sizeof(text)) };

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    mail.subject = kv_slice_of(text, sizeof(text));
    mail.text = kv_slice_of(text, sizeof(text));
    mail.attachment = &attachment;
    assert_lines(built(&mail));
    memset(text, 'x', sizeof(text));
    assert_lines(built(&mail));
    memset(text, ' ', sizeof(text));
    assert_lines(built(&mail));
    memset(text, '.', sizeof(text));
    assert_lines(built(&mail));
}

static void an_attachment_is_a_part_of_its_own(void **state)
{
    kv_letter mail = usual();
    kv_letter_attachment attachment = { KV_SLICE("www.p10"), KV_SLICE("application/pkcs10"),
                                        KV_SLICE("\x30\x82--=_keyvault--\r\n") };
    const char *text, *at;
    unsigned boundaries = 0;

    (void)state;
    mail.attachment = &attachment;
    mail.text = KV_SLICE("--=_keyvault--\nnot the end\n");
    text = built(&mail);
    assert_lines(text);
    for (at = text; (at = strstr(at, "\r\n--=_keyvault")); at++)
        boundaries++;
    assert_int_equal(boundaries, 3);
    assert_non_null(strstr(text, "\r\n--=3D_keyvault--\r\nnot the end\r\n"));
    assert_non_null(strstr(text, "Content-Type: application/pkcs10\r\n"
                                 "Content-Transfer-Encoding: base64\r\n"
                                 "Content-Disposition: attachment;\r\n filename=\"www.p10\"\r\n"));
}

static void no_header_can_be_added(void **state)
{
    static const char *const attacks[] = { "a\r\nBcc: x@example.net",
                                           "a\nBcc: x",
                                           "a\rX",
                                           "a\x01",
                                           "a\x7f"
                                           "b",
                                           "\xff",
                                           "a\xc0\x8a"
                                           "b" };
    kv_slice out;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(attacks); i++) {
        kv_slice attack = kv_slice_text(attacks[i]);
        kv_letter mail = usual();
        /* shape: table */
        const struct {
            kv_slice *at;
            const char *field;
        } places[] = { { &mail.from_name, "from_name" },
                       { &mail.from, "from" },
                       { &mail.to_name, "to_name" },
                       { &mail.to, "to" },
                       { &mail.subject, "subject" },
                       { &mail.id, "id" },
                       { &mail.domain, "id" } };

        for (size_t k = 0; k < KV_COUNT(places); k++) {
            kv_slice before = *places[k].at;

            *places[k].at = attack;
            err = (kv_error){ 0 };
            assert_int_equal(kv_letter_build(&arena, &mail, &out, &err), KV_BAD_REQUEST);
            assert_string_equal(err.field, places[k].field);
            *places[k].at = before;
        }
    }
    {
        kv_letter mail = usual();
        kv_letter_attachment attachment = { KV_SLICE("a\"\r\nX: y"), KV_SLICE("text/plain"),
                                            KV_SLICE("x") };

        mail.attachment = &attachment;
        assert_int_equal(kv_letter_build(&arena, &mail, &out, &err), KV_BAD_REQUEST);
    }
}

static void a_full_arena_is_an_error(void **state)
{
    kv_arena small = KV_ARENA(1024);
    kv_letter mail = usual();
    kv_slice out;

    (void)state;
    assert_int_equal(kv_letter_build(&small, &mail, &out, &err), KV_BUSY);
    kv_arena_cleanup(&small);
}

/* shape: table */
static const struct {
    const char *address;
    bool good;
} addresses[] = {
    { "a@b", true },
    { "team@example.org", true },
    { "first.last+tag@sub.example.org", true },
    { "!#$%&'*+-/=?^_`{|}~@example.org", true },
    { "A.B@EXAMPLE.ORG", true },
    { "a@xn--bcher-kva.example", true },
    { "a@1.example", true },
    { "", false },
    { "@", false },
    { "a", false },
    { "a@", false },
    { "@example.org", false },
    { ".a@example.org", false },
    { "a.@example.org", false },
    { "a..b@example.org", false },
    { "a b@example.org", false },
    { "a@exa mple.org", false },
    { "a@b@example.org", false },
    { "\"a b\"@example.org", false },
    { "Team <team@example.org>", false },
    { "team@example.org,other@example.org", false },
    { "a@[127.0.0.1]", false },
    { "a@-example.org", false },
    { "a@example-.org", false },
    { "a@.example.org", false },
    { "a@example.org.", false },
    { "a@example..org", false },
    { "a@exam_ple.org", false },
    { "b\xc3\xbc@example.org", false },
    { "a@b\xc3\xbc.example", false },
    { "a@example.org\r\nRCPT TO:<b@example.org>", false },
    { "a@example.org\n", false },
    { "a\t@example.org", false },
    { "a(comment)@example.org", false },
    { "a;b@example.org", false },
    { "<a@example.org>", false },
};

static void addresses_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(addresses); i++) {
        kv_status status =
            kv_mail_address_check(kv_slice_text(addresses[i].address), "email", &err);

        if ((status == KV_OK) != addresses[i].good)
            fail_msg("'%s' is judged %d", addresses[i].address, (int)status);
        if (status != KV_OK)
            assert_string_equal(err.field, "email");
    }
}

static void the_lengths_of_addresses_are_bounded(void **state)
{
    char text[300];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[64] = '@';
    assert_kv_ok(kv_mail_address_check(kv_slice_of(text, 64 + 1 + 63), "email", &err));
    assert_int_equal(kv_mail_address_check(kv_slice_of(text, 64 + 1 + 64), "email", &err),
                     KV_BAD_REQUEST);
    text[65] = '@';
    text[64] = 'a';
    assert_int_equal(kv_mail_address_check(kv_slice_of(text, 65 + 1 + 3), "email", &err),
                     KV_BAD_REQUEST);
    text[65] = 'a';
    text[1] = '@';
    for (size_t i = 50; i < sizeof(text); i += 50)
        text[i] = '.';
    assert_kv_ok(kv_mail_address_check(kv_slice_of(text, 254), "email", &err));
    assert_int_equal(kv_mail_address_check(kv_slice_of(text, 255), "email", &err), KV_BAD_REQUEST);
}

#define MAIL_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAIL_TEST(a_plain_mail_is_these_bytes),
        MAIL_TEST(what_is_not_ascii_is_an_encoded_word),
        MAIL_TEST(long_texts_are_folded_between_characters),
        MAIL_TEST(an_attachment_is_a_part_of_its_own),
        MAIL_TEST(no_header_can_be_added),
        MAIL_TEST(a_full_arena_is_an_error),
        MAIL_TEST(addresses_are_judged),
        MAIL_TEST(the_lengths_of_addresses_are_bounded),
    };

    return cmocka_run_group_tests_name("notify_message", tests, NULL, NULL);
}
