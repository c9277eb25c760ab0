/* test_log.c - every line is one JSON object, whatever it is told. */
#include "server/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

enum { LINE_BYTES = 4096 };

/* A log that writes into memory. */
typedef struct sink {
    int fd;
    kv_log *log;
    char text[8 * LINE_BYTES];
    size_t len;
} sink;

static int open_sink(void **state)
{
    sink *made = calloc(1, sizeof(*made));

    if (!made)
        return -1;
    made->fd = memfd_create("log", MFD_CLOEXEC);
    made->log = kv_log_new(made->fd, KV_LOG_INFO);
    *state = made;
    return made->fd >= 0 && made->log ? 0 : -1;
}

static int close_sink(void **state)
{
    sink *made = *state;

    kv_log_free(made->log);
    (void)close(made->fd);
    free(made);
    return 0;
}

/* The only line written so far, parsed; the caller frees it. */
static json_t *only_line(sink *from)
{
    ssize_t got = pread(from->fd, from->text, sizeof(from->text), 0);
    json_error_t why;
    json_t *line;

    assert_true(got > 1);
    from->len = (size_t)got;
    assert_true(from->len <= LINE_BYTES);
    assert_int_equal(from->text[from->len - 1], '\n');
    assert_ptr_equal(memchr(from->text, '\n', from->len), from->text + from->len - 1);
    line = json_loadb(from->text, from->len, JSON_REJECT_DUPLICATES, &why);
    if (!line)
        fail_msg("%s in %.*s", why.text, (int)from->len, from->text);
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    if (!text)
        fail_msg("no text '%s'", name);
    return text;
}

static void a_line_says_when_what_and_how_bad(void **state)
{
    sink *to = *state;
    json_t *line;

    kv_log_write(to->log, KV_LOG_WARNING, "token.down",
                 (kv_log_field[]){ { "token", "keys", 0 }, { "tries", NULL, -3 }, { 0 } });
    line = only_line(to);
    assert_int_equal(strlen(text_of(line, "time")), strlen("2026-11-20T23:02:00.000Z"));
    assert_string_equal(text_of(line, "level"), "warning");
    assert_string_equal(text_of(line, "event"), "token.down");
    assert_string_equal(text_of(line, "token"), "keys");
    assert_int_equal(json_integer_value(json_object_get(line, "tries")), -3);
    assert_int_equal(json_object_size(line), 5);
    json_decref(line);
}

static void what_is_below_the_level_is_left_out(void **state)
{
    sink *to = *state;

    kv_log_write(to->log, KV_LOG_DEBUG, "quiet", NULL);
    assert_int_equal(lseek(to->fd, 0, SEEK_END), 0);
    kv_log_write(to->log, KV_LOG_INFO, "heard", NULL);
    assert_true(lseek(to->fd, 0, SEEK_END) > 0);
    kv_log_write(NULL, KV_LOG_ERROR, "nowhere", NULL);
}

static void text_cannot_break_out_of_its_field(void **state)
{
    static const char evil[] =
        "\"},{\"level\":\"x\\\" \n\r\t\x01\x1f\x7f \xc3\xa9 \xf0\x9f\x94\x91";
    sink *to = *state;
    json_t *line;

    kv_log_write(to->log, KV_LOG_ERROR, "evil", (kv_log_field[]){ { "text", evil, 0 }, { 0 } });
    line = only_line(to);
    assert_string_equal(text_of(line, "text"), evil);
    assert_string_equal(text_of(line, "level"), "error");
    json_decref(line);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    static const struct {
        const char *told;
        const char *written;
    } rows[] = {
        { "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "a\x80", "a\xef\xbf\xbd" },
        { "\xc3\xa9\x80", "\xc3\xa9\xef\xbf\xbd" },
        { "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    sink *to = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        json_t *line;

        assert_int_equal(ftruncate(to->fd, 0), 0);
        assert_int_equal(lseek(to->fd, 0, SEEK_SET), 0);
        kv_log_write(to->log, KV_LOG_INFO, "x",
                     (kv_log_field[]){ { "text", rows[i].told, 0 }, { 0 } });
        line = only_line(to);
        assert_string_equal(text_of(line, "text"), rows[i].written);
        json_decref(line);
    }
}

/* Every length around the limit, with characters of every spelled length, and fields after it. */
static void a_line_that_is_too_long_is_cut_and_stays_json(void **state)
{
    static const char *const characters[] = { "x",    "\"",       "\x01",
                                              "\xff", "\xc3\xa9", "\xf0\x9f\x94\x91" };
    sink *to = *state;
    char text[2 * LINE_BYTES];

    for (size_t i = 0; i < KV_COUNT(characters); i++) {
        size_t size = strlen(characters[i]);

        for (size_t count = 600; count<4200; count += count> 3850 && count < 4100 ? 1 : 37) {
            json_t *line;

            text[0] = '\0';
            for (size_t at = 0; at < count && (at + 1) * size < sizeof(text); at++)
                memcpy(text + at * size, characters[i], size + 1);
            assert_int_equal(ftruncate(to->fd, 0), 0);
            assert_int_equal(lseek(to->fd, 0, SEEK_SET), 0);
            kv_log_write(to->log, KV_LOG_INFO, "long",
                         (kv_log_field[]){ { "text", text, 0 },
                                           { "after", "later", 0 },
                                           { "number", NULL, INT64_MIN },
                                           { 0 } });
            line = only_line(to);
            assert_string_equal(text_of(line, "event"), "long");
            json_decref(line);
        }
    }
}

static void many_fields_are_cut_between_fields(void **state)
{
    sink *to = *state;
    kv_log_field fields[500];
    char names[499][8];
    json_t *line;

    for (size_t i = 0; i < KV_COUNT(names); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
        fields[i] = (kv_log_field){ names[i], NULL, INT64_MIN };
    }
    fields[KV_COUNT(names)] = (kv_log_field){ 0 };
    kv_log_write(to->log, KV_LOG_INFO, "many", fields);
    line = only_line(to);
    assert_in_range(json_object_size(line), 100, 200);
    assert_true(json_integer_value(json_object_get(line, "n0")) == INT64_MIN);
    json_decref(line);
}

static void a_log_that_cannot_be_written_is_ignored(void **state)
{
    kv_log *log = kv_log_new(-1, KV_LOG_DEBUG);

    (void)state;
    assert_non_null(log);
    kv_log_write(log, KV_LOG_ERROR, "lost", NULL);
    kv_log_free(log);
    kv_log_free(NULL);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_sink, close_sink)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_says_when_what_and_how_bad),
        LOG_TEST(what_is_below_the_level_is_left_out),
        LOG_TEST(text_cannot_break_out_of_its_field),
        LOG_TEST(bytes_that_are_not_utf8_are_replaced),
        LOG_TEST(a_line_that_is_too_long_is_cut_and_stays_json),
        LOG_TEST(many_fields_are_cut_between_fields),
        cmocka_unit_test(a_log_that_cannot_be_written_is_ignored),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
