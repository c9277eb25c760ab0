/* test_text.c - spellings are exact in both directions, and strict when they are read. */
#include "server/base/text.h"

#include <stdio.h>

#include "tests/support/kv_cmocka.h"

enum { LIMIT = 64 * 1024 };

static void hex_goes_both_ways(void **state)
{
    uint8_t bytes[4];
    char text[9];

    (void)state;
    kv_hex(kv_slice_of("\x00\x7f\xab\xff", 4), text);
    assert_string_equal(text, "007fabff");
    assert_true(kv_unhex(KV_SLICE("007FabfF"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);
    kv_hex(KV_SLICE_NONE, text);
    assert_string_equal(text, "");
    assert_true(kv_unhex(KV_SLICE_NONE, bytes, 0));
}

static void hex_is_strict(void **state)
{
    static const char *const bad[] = {
        "", "0", "000", "00000", "0g", "g0", "0x", " 0", "0 ", "-1"
    };
    uint8_t bytes[1];

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_unhex(kv_slice_text(bad[i]), bytes, 1));
    assert_false(kv_unhex(kv_slice_of("0\0", 2), bytes, 1));
}

static void base64url_agrees_with_the_standard(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } rows[] = {
        { "", "" },
        { "f", "Zg" },
        { "fo", "Zm8" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg" },
        { "fooba", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "-__-" },
        { "\xff", "_w" },
    };
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_slice text, bytes;

        assert_kv_ok(kv_base64url(&arena, kv_slice_text(rows[i].bytes), &text, &err));
        assert_slice_equal(kv_slice_text(rows[i].text), text);
        assert_kv_ok(kv_unbase64url(&arena, text, &bytes, &err));
        assert_slice_equal(kv_slice_text(rows[i].bytes), bytes);
    }
}

static void what_is_no_character_becomes_a_question_mark(void **state)
{
    static const struct {
        const char *before, *after;
    } samples[] = {
        { "", "" },
        { "a\x01\x7f", "a\x01\x7f" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91" },
        { "a\xc3", "a?" },
        { "a\xe2\x82", "a??" },
        { "\xf0\x9f\x94", "???" },
        { "\xc3'", "?'" },
        { "\xe2\x82'\xc3\xa4", "?\?'\xc3\xa4" },
        { "\x80\xbf\xc3\xa4", "??\xc3\xa4" },
        { "\xc0\x80\xff", "???" },
        { "\xed\xa0\x80", "???" },
        { "\xf4\x90\x80\x80", "????" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%s", samples[i].before);
        kv_text_mend(text);
        assert_string_equal(text, samples[i].after);
    }
}

static void finds_characters_and_those_that_steer(void **state)
{
    /* shape: table */
    static const struct {
        uint32_t character;
        const char *text;
        bool steers;
    } samples[] = {
        { 0x00, "\0", true },
        { 0x1f, "\x1f", true },
        { 0x20, " ", false },
        { 0x7e, "~", false },
        { 0x7f, "\x7f", true },
        { 0x80, "\xc2\x80", true },
        { 0x9f, "\xc2\x9f", true },
        { 0xa0, "\xc2\xa0", false },
        { 0x61b, "\xd8\x9b", false },
        { 0x61c, "\xd8\x9c", true },
        { 0x200d, "\xe2\x80\x8d", false },
        { 0x200e, "\xe2\x80\x8e", true },
        { 0x200f, "\xe2\x80\x8f", true },
        { 0x2010, "\xe2\x80\x90", false },
        { 0x2027, "\xe2\x80\xa7", false },
        { 0x2028, "\xe2\x80\xa8", true },
        { 0x202e, "\xe2\x80\xae", true },
        { 0x202f, "\xe2\x80\xaf", false },
        { 0x2065, "\xe2\x81\xa5", false },
        { 0x2066, "\xe2\x81\xa6", true },
        { 0x2069, "\xe2\x81\xa9", true },
        { 0x206a, "\xe2\x81\xaa", false },
        { 0x1f511, "\xf0\x9f\x94\x91", false },
        { 0x10ffff, "\xf4\x8f\xbf\xbf", false },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        size_t len = samples[i].character ? strlen(samples[i].text) : 1;
        uint32_t character = 7;

        assert_int_equal(kv_text_character(kv_slice_of(samples[i].text, len), &character), len);
        assert_int_equal(character, samples[i].character);
        assert_int_equal(kv_text_steers(character), samples[i].steers);
        if (len > 1)
            assert_int_equal(kv_text_character(kv_slice_of(samples[i].text, len - 1), &character),
                             0);
    }
    assert_int_equal(kv_text_character(KV_SLICE_NONE, &(uint32_t){ 0 }), 0);
}

static void cleans_what_a_terminal_would_obey(void **state)
{
    static const struct {
        const char *before, *after;
    } samples[] = {
        { "", "" },
        { "plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91",
          "plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91" },
        { "\x1b[2J\x1b]0;t\x07", " [2J ]0;t " },
        { "a\r\nb\tc\x7f", "a  b c " },
        { "\xc2\x9b"
          "31mred\xc2\x85",
          " 31mred " },
        { "\xe2\x80\xae"
          "exe.\xe2\x80\xac\xe2\x81\xa6",
          " exe.  " },
        { "\x9b"
          "31m\xff\xe2\x82",
          "?31m???" },
        { "\xc0\x9b\xed\xa0\x80", "?????" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%s", samples[i].before);
        kv_text_clean(text);
        assert_string_equal(text, samples[i].after);
    }
}

static void base64url_goes_both_ways_for_every_byte(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    uint8_t all[256];
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    for (size_t len = sizeof(all) - 3; len <= sizeof(all); len++) {
        kv_slice text, bytes;

        assert_kv_ok(kv_base64url(&arena, kv_slice_of(all, len), &text, &err));
        assert_kv_ok(kv_unbase64url(&arena, text, &bytes, &err));
        assert_slice_equal(kv_slice_of(all, len), bytes);
    }
}

static void base64url_is_strict(void **state)
{
    static const char *const bad[] = {
        "Zg==",   "Zm8=",  "Zm9v=",              /* padding */
        "Zm9v\n", " Zm9v", "Zm 9v",              /* white space */
        "-_+-",   "-_/-",  "Zm9v.",  "Zm9v\xc3", /* other alphabets */
        "A",      "Zm9vA",                       /* no byte at all */
        "Zh",     "Zm9",   "Zm9vYh",             /* bits that belong to nothing */
    };
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_slice untouched = KV_SLICE("x");
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST,
                        kv_unbase64url(&arena, kv_slice_text(bad[i]), &untouched, &err));
        assert_slice_equal(KV_SLICE("x"), untouched);
    }
}

static void spellings_fail_in_a_full_arena(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(0);
    kv_slice out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BUSY, kv_base64url(&arena, KV_SLICE("a"), &out, &err));
    assert_kv_fails(KV_BUSY, kv_unbase64url(&arena, KV_SLICE("Zg"), &out, &err));
    assert_kv_fails(KV_BUSY, kv_text_lower(&arena, KV_SLICE("A"), &out, &err));
}

static void case_is_that_of_ascii(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    kv_slice out;
    kv_error err = { 0 };

    (void)state;
    assert_true(kv_text_equal_nocase(KV_SLICE("aZ-09"), KV_SLICE("Az-09")));
    assert_true(kv_text_equal_nocase(KV_SLICE_NONE, KV_SLICE("")));
    assert_false(kv_text_equal_nocase(KV_SLICE("a"), KV_SLICE("ab")));
    assert_false(kv_text_equal_nocase(KV_SLICE("a"), KV_SLICE("b")));
    /* The bytes around the letters, and letters outside ASCII. */
    assert_false(kv_text_equal_nocase(KV_SLICE("@"), KV_SLICE("`")));
    assert_false(kv_text_equal_nocase(KV_SLICE("["), KV_SLICE("{")));
    assert_false(kv_text_equal_nocase(KV_SLICE("\xc3\x84"), KV_SLICE("\xc3\xa4")));
    assert_kv_ok(kv_text_lower(&arena, KV_SLICE("AZaz@[09\xc3\x84"), &out, &err));
    assert_slice_equal(KV_SLICE("azaz@[09\xc3\x84"), out);
}

static void printable_text_is_well_formed_utf8(void **state)
{
    static const char *const good[] = {
        "",
        " ~",
        "\xc2\xa0",
        "\xc3\xa9",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xe2\x82\xac",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbd",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "a\xf0\x9f\x94\x91z",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        assert_true(kv_text_printable(kv_slice_text(good[i])));
}

static void anything_else_is_not_printable(void **state)
{
    static const char *const bad[] = {
        "a\nb",
        "\t",
        "\x01",
        "\x1f",
        "\x7f", /* controls */
        "\xc2\x80",
        "\xc2\x9f", /* controls of Latin-1 */
        "\x80",
        "\xbf",
        "a\xff",
        "\xfe", /* bytes that start nothing */
        "\xc0\x80",
        "\xc0\xaf",
        "\xc1\xbf", /* two bytes for what needs one */
        "\xe0\x80\x80",
        "\xe0\x80\xaf",
        "\xe0\x9f\xbf", /* three for what needs fewer */
        "\xf0\x80\x80\xaf",
        "\xf0\x8f\xbf\xbf", /* four for what needs fewer */
        "\xed\xa0\x80",
        "\xed\xbf\xbf", /* surrogates */
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", /* past the last character */
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x94",
        "\xe2", /* cut short */
        "\xc3z",
        "\xe2\x82z",
        "\xf0\x9f\x94z",
        "\xe2z.", /* not continued */
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_text_printable(kv_slice_text(bad[i])));
    assert_false(kv_text_printable(KV_SLICE("a\0b")));
}

static void numbers_have_digits_and_a_limit(void **state)
{
    static const char *const bad[] = { "",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1\n",
                                       "0x1",
                                       "1.",
                                       "1e3",
                                       "a",
                                       "18446744073709551616",
                                       "99999999999999999999",
                                       "184467440737095516150" };
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_false(kv_text_number(kv_slice_text(bad[i]), UINT64_MAX, &value));
    assert_int_equal(value, 7);
    assert_true(kv_text_number(KV_SLICE("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_true(kv_text_number(KV_SLICE("00127"), 127, &value));
    assert_int_equal(value, 127);
    assert_false(kv_text_number(KV_SLICE("128"), 127, &value));
    assert_false(kv_text_number(KV_SLICE("5"), 4, &value));
    assert_true(kv_text_number(KV_SLICE("0"), 0, &value));
    assert_int_equal(value, 0);
}

static void times_are_rfc3339(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { INT64_C(951782399999), "2000-02-28T23:59:59.999Z" },
        { INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
        { INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -1000, "1969-12-31T23:59:59.000Z" },
        { -1001, "1969-12-31T23:59:58.999Z" },
    };
    char text[KV_TIME_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_time_text(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
    /* Far outside of every calendar it must still end. */
    kv_time_text(INT64_MAX, text);
    assert_true(memchr(text, '\0', sizeof(text)) != NULL);
    kv_time_text(INT64_MIN, text);
    assert_true(memchr(text, '\0', sizeof(text)) != NULL);
}

static void identifiers_do_not_repeat(void **state)
{
    uint8_t first[16] = { 0 }, second[16] = { 0 };
    uint8_t many[4097];

    (void)state;
    assert_true(kv_random_id(first, sizeof(first)));
    assert_true(kv_random_id(second, sizeof(second)));
    assert_memory_not_equal(first, second, sizeof(first));
    assert_true(kv_random_id(many, 4096));
    assert_false(kv_random_id(many, sizeof(many)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(hex_is_strict),
        cmocka_unit_test(base64url_agrees_with_the_standard),
        cmocka_unit_test(what_is_no_character_becomes_a_question_mark),
        cmocka_unit_test(finds_characters_and_those_that_steer),
        cmocka_unit_test(cleans_what_a_terminal_would_obey),
        cmocka_unit_test(base64url_goes_both_ways_for_every_byte),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test(spellings_fail_in_a_full_arena),
        cmocka_unit_test(case_is_that_of_ascii),
        cmocka_unit_test(printable_text_is_well_formed_utf8),
        cmocka_unit_test(anything_else_is_not_printable),
        cmocka_unit_test(numbers_have_digits_and_a_limit),
        cmocka_unit_test(times_are_rfc3339),
        cmocka_unit_test(identifiers_do_not_repeat),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
