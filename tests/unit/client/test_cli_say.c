/* test_cli_say.c - what others put into texts is shown and does nothing. */
#include "client/cli/say.h"

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/glyph.h"
#include "client/cli/run.h"
#include "tests/support/kv_cmocka.h"

enum { SHOWN_BYTES = 512, ARENA_BYTES = 1 << 16 };

#define RETITLE  "\x1b]0;owned\x07"
#define REVERSED "\xe2\x80\xae"
#define END      "<end>"

/* --- streams --- */

typedef struct page {
    FILE *out;
    char *text;
    size_t len;
} page;

static void open_page(page *it)
{
    it->out = open_memstream(&it->text, &it->len);
    assert_non_null(it->out);
}

static void assert_page(page *it, const char *text)
{
    (void)fclose(it->out);
    assert_string_equal(it->text, text);
    free(it->text);
}

typedef struct terminal {
    int far;
    FILE *out;
} terminal;

static terminal open_terminal(void)
{
    terminal it = { .far = posix_openpt(O_RDWR | O_NOCTTY) };
    struct termios how;
    char name[64];
    int near;

    assert_int_equal(grantpt(it.far) | unlockpt(it.far), 0);
    assert_int_equal(ptsname_r(it.far, name, sizeof(name)), 0);
    near = open(name, O_RDWR | O_NOCTTY);
    assert_true(near >= 0);
    assert_int_equal(tcgetattr(near, &how), 0);
    cfmakeraw(&how); /* line ends stay as they are */
    assert_int_equal(tcsetattr(near, TCSANOW, &how), 0);
    it.out = fdopen(near, "w");
    assert_non_null(it.out);
    return it;
}

static void assert_terminal(terminal *it, const char *text)
{
    char shown[SHOWN_BYTES] = "";
    size_t len = 0;

    (void)fputs(END, it->out);
    (void)fflush(it->out);
    while (!strstr(shown, END)) {
        ssize_t got = read(it->far, shown + len, sizeof(shown) - 1 - len);

        assert_true(got > 0);
        len += (size_t)got;
        shown[len] = '\0';
    }
    *strstr(shown, END) = '\0';
    assert_string_equal(shown, text);
    (void)fclose(it->out);
    (void)close(it->far);
}

/* --- formats --- */

static void texts_move_no_cursor_and_begin_no_lines(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    kv_say(it.out, "kvctl: %s\n\tnext: %s\n", "no\r\nkvctl: yes\t" RETITLE,
           "\xc2\x9b"
           "2J" REVERSED "gpj.exe\x7f\xff");
    assert_page(&it, "kvctl: no  kvctl: yes  ]0;owned \n\tnext:  2J gpj.exe ?\n");
}

static void formats_as_printf_does(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    kv_say(it.out, "[%s|%-5s|%5s|%-*s|%.2s|%.*s|%-6.3s]", "a\xc3\xa4", "ab", "ab", 4, "ab", "abc",
           1, "abc", "abcdef");
    kv_say(it.out, "[%d|%u|%zu|%llu|%lld|%4u]\n", -7, 4294967295U, (size_t)12,
           18446744073709551615ULL, -9223372036854775807LL, 42U);
    assert_page(&it, "[a\xc3\xa4|ab   |   ab|ab  |ab|a|abc   ]"
                     "[-7|4294967295|12|18446744073709551615|-9223372036854775807|  42]\n");
}

/* What is cleaned is shorter, and the column is as wide. */
static void columns_stay_in_line(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    kv_say(it.out, "%-6s|\n%-6s|\n", REVERSED "a" REVERSED, "abc");
    assert_page(&it, " a    |\nabc   |\n");
}

#define HIDDEN "pay\xe2\x80\x8bments" /* a zero-width space */

static void what_nobody_would_see_is_told(void **state)
{
    static const struct {
        const char *text, *told;
    } samples[] = {
        { "\xe2\x80\x8b\xe2\x80\x8c\xe2\x80\x8d", "\\u200b\\u200c\\u200d" },
        { "a\xe2\x81\xa0\xef\xbb\xbf", "a\\u2060\\ufeff" },
        { "\xc2\xad\xe1\xa0\x8e", "\\u00ad\\u180e" },
        { "\xf3\xa0\x80\x80\xf3\xa0\x80\x81\xf3\xa0\x81\x81\xf3\xa0\x81\xbf",
          "\\U000e0000\\U000e0001\\U000e0041\\U000e007f" },
        { "\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4\\ufe0f" }, /* a heart, to be coloured */
        { "\xf3\xa0\x84\x80\xcd\x8f", "\\U000e0100\\u034f" },  /* hides bytes */
        { "\xe3\x85\xa4\xef\xbe\xa0", "\\u3164\\uffa0" },      /* letters that are blank */
        { "\xef\xbf\xbf\xee\xbf\xbf", "\\uffff\xee\xbf\xbf" }, /* no character; private use */
        { "e\xcc\x81\xe4\xb8\xad\xf0\x9f\x98\x80", "e\xcc\x81\xe4\xb8\xad\xf0\x9f\x98\x80" },
        { "\xe0\xb8\xb4\xe1\x84\x80\xe1\x85\xa1", "\xe0\xb8\xb4\xe1\x84\x80\xe1\x85\xa1" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        page it;

        open_page(&it);
        kv_say(it.out, "%s", samples[i].text);
        assert_page(&it, samples[i].told);
    }
}

/* An ideograph has two cells, an accent none, an escape six. */
static void columns_are_of_cells(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    kv_say(it.out, "%-8s|\n%-8s|\n%-8s|\n%8s|\n", "\xe4\xb8\xad\xe6\x96\x87", "e\xcc\x81t\xc3\xa9",
           "\xe2\x80\x8bx", "\xe4\xb8\xad");
    assert_page(&it, "\xe4\xb8\xad\xe6\x96\x87    |\ne\xcc\x81t\xc3\xa9     |\n\\u200bx |\n"
                     "      \xe4\xb8\xad|\n");
    assert_int_equal(kv_say_width("\xe4\xb8\xad\xe6\x96\x87"), 4);
    assert_int_equal(kv_say_width("e\xcc\x81t\xc3\xa9"), 3);
    assert_int_equal(kv_say_width("\xe2\x80\x8bx"), 7);
    assert_int_equal(kv_say_width(REVERSED "\xff"), 2);
    assert_int_equal(kv_say_width(""), 0);
}

static void programs_get_what_nobody_would_see(void **state)
{
    terminal screen = open_terminal();
    page it;

    (void)state;
    open_page(&it);
    kv_say_field(it.out, kv_slice_text(HIDDEN REVERSED));
    assert_page(&it, HIDDEN " ");
    kv_say_field(screen.out, kv_slice_text(HIDDEN REVERSED));
    assert_terminal(&screen, "pay\\u200bments ");
}

static void without_a_locale_all_but_ascii_is_told(void **state)
{
    page it;

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C"));
    open_page(&it);
    kv_say(it.out, "%s", "a\xc3\xa4\xe2\x80\x8b");
    kv_glyph_begin();
    assert_page(&it, "a\\u00e4\\u200b");
}

/* --- JSON --- */

static void json_reads_as_the_same_value(void **state)
{
    static const char name[] =
        "\x1b[2J\x7f\xc2\x80\xc2\x9f\xd8\x9c\xe2\x80\x8e\xe2\x80\xa8" REVERSED
        "\xe2\x81\xa6\xe2\x81\xa9\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91\n\"\\"
        "\xe2\x80\x8b\xf3\xa0\x81\x81";
    json_t *value = json_pack("{s:s}", name, name), *again;
    page it;

    (void)state;
    open_page(&it);
    assert_true(kv_say_json(it.out, value, JSON_COMPACT));
    (void)fflush(it.out);
    again = json_loads(it.text, 0, NULL);
    assert_true(json_equal(value, again));
    json_decref(again);
    json_decref(value);
#define ESCAPED                                                                                   \
    "\"\\u001B[2J\\u007F\\u0080\\u009F\\u061C\\u200E\\u2028\\u202E\\u2066\\u2069\xc3\xa4\xe2\x82" \
    "\xac\xf0\x9f\x94\x91\\n\\\"\\\\\\u200B\\uDB40\\uDC41\""
    assert_page(&it, "{" ESCAPED ":" ESCAPED "}");
}

static void json_keeps_its_own_lines_and_says_what_it_cannot(void **state)
{
    json_t *value = json_pack("{s:[i,b]}", "a", 1, true), *plain = json_string("x");
    page it;

    (void)state;
    open_page(&it);
    assert_true(kv_say_json(it.out, value, JSON_INDENT(2)));
    assert_false(kv_say_json(it.out, plain, 0));
    assert_false(kv_say_json(it.out, NULL, 0));
    json_decref(value);
    json_decref(plain);
    assert_page(&it, "{\n  \"a\": [\n    1,\n    true\n  ]\n}");
}

/* --- values and bytes --- */

static const char value[] = "one" RETITLE "\r\n\ttwo\xff" REVERSED;

static void a_value_goes_into_a_pipe_as_it_is(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    kv_say_value(it.out, kv_slice_text(value));
    kv_say_value(it.out, KV_SLICE(HIDDEN));
    kv_say_value(it.out, KV_SLICE(""));
    assert_page(&it, "one" RETITLE "\r\n\ttwo\xff" REVERSED "\n" HIDDEN "\n\n");
}

static void a_value_does_nothing_on_a_terminal(void **state)
{
    terminal it = open_terminal();

    (void)state;
    kv_say_value(it.out, kv_slice_text(value));
    kv_say_value(it.out, KV_SLICE(HIDDEN));
    kv_say_value(it.out, KV_SLICE(""));
    assert_terminal(&it, "one ]0;owned  \n two? \npay\\u200bments\n\n");
}

static void bytes_go_into_a_pipe_as_they_are(void **state)
{
    page it;

    (void)state;
    open_page(&it);
    assert_true(kv_say_bytes(it.out, KV_SLICE("\x30\x82" RETITLE "\xff")));
    assert_true(kv_say_bytes(it.out, KV_SLICE("")));
    assert_page(&it, "\x30\x82" RETITLE "\xff");
}

static void only_text_goes_to_a_terminal(void **state)
{
    static const kv_slice harmful[] = {
        KV_SLICE("\x30\x82"), KV_SLICE("a\0b"), KV_SLICE(RETITLE),        KV_SLICE("shown\rhidden"),
        KV_SLICE("a\r"),      KV_SLICE("\x7f"), KV_SLICE("\xc2\x9b"),     KV_SLICE(REVERSED),
        KV_SLICE("cut\xe2"),  KV_SLICE("\xff"), KV_SLICE("\xe2\x80\xa8"),
    };
    terminal it = open_terminal();

    (void)state;
    for (size_t i = 0; i < KV_COUNT(harmful); i++)
        assert_false(kv_say_bytes(it.out, harmful[i]));
    assert_true(kv_say_bytes(it.out, KV_SLICE("-----\r\na\tb\xc3\xa4\n")));
    assert_terminal(&it, "-----\r\na\tb\xc3\xa4\n");
}

static void a_file_named_minus_says_why_a_terminal_gets_nothing(void **state)
{
    static const kv_cli_verb verb = { .noun = "key", .verb = "decrypt" };
    terminal far = open_terminal();
    page told;
    kv_cli cli = {
        .out = far.out, .err = told.out, .arena = KV_ARENA(ARENA_BYTES), .args = { .verb = &verb }
    };

    (void)state;
    open_page(&told);
    cli.err = told.out;
    assert_int_equal(kv_cli_write(&cli, "-", KV_SLICE(RETITLE)), KV_EXIT_USAGE);
    assert_int_equal(kv_cli_write(&cli, "-", KV_SLICE("text\n")), KV_EXIT_OK);
    assert_terminal(&far, "text\n");
    assert_page(&told, "kvctl: a terminal would obey some of these bytes instead of showing them: "
                       "name a file, or pipe them to another program\n"
                       "  see kvctl key decrypt --help\n");
    kv_arena_cleanup(&cli.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_move_no_cursor_and_begin_no_lines),
        cmocka_unit_test(formats_as_printf_does),
        cmocka_unit_test(columns_stay_in_line),
        cmocka_unit_test(what_nobody_would_see_is_told),
        cmocka_unit_test(columns_are_of_cells),
        cmocka_unit_test(programs_get_what_nobody_would_see),
        cmocka_unit_test(without_a_locale_all_but_ascii_is_told),
        cmocka_unit_test(json_reads_as_the_same_value),
        cmocka_unit_test(json_keeps_its_own_lines_and_says_what_it_cannot),
        cmocka_unit_test(a_value_goes_into_a_pipe_as_it_is),
        cmocka_unit_test(a_value_does_nothing_on_a_terminal),
        cmocka_unit_test(bytes_go_into_a_pipe_as_they_are),
        cmocka_unit_test(only_text_goes_to_a_terminal),
        cmocka_unit_test(a_file_named_minus_says_why_a_terminal_gets_nothing),
    };

    kv_glyph_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
